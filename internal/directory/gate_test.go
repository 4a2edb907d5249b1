package directory

import (
	"testing"
	"testing/synctest"
)

// Each slow hash takes 19 MiB and a core, and anybody can ask for one.
func TestSlowHashesWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSecrets(make([]byte, secretKeySize), CheapHash())
		for range cap(s.gate) {
			s.gate <- struct{}{}
		}
		done := make(chan error)
		go func() {
			_, err := s.slowDigest(t.Context(), s.nobodys, "secret")
			done <- err
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("it did not wait")
		default:
		}
		<-s.gate
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(s.gate) != cap(s.gate)-1 {
			t.Error("it did not give its turn back")
		}
	})
}
