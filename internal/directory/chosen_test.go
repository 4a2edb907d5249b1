package directory

import (
	"testing"
	"time"
)

// What was prepared costs no slow hash inside the transaction: the gate is shut there.
func TestPreparedSecretsNeedNoHash(t *testing.T) {
	t.Parallel()
	s := newSecrets(make([]byte, secretKeySize), CheapHash())
	d := &Directory{secrets: s}
	present := &Secret{}
	if err := s.hash(t.Context(), present, "the present one"); err != nil {
		t.Fatal(err)
	}
	same, other := Choose("the present one"), Choose("another one")
	for _, chosen := range []*Chosen{same, other} {
		if err := d.Prepare(t.Context(), chosen, *present); err != nil {
			t.Fatal(err)
		}
	}
	for range gateSlots {
		if err := s.gate.enter(t.Context(), Asker{}); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if is, err := s.same(t.Context(), present, same); !is || err != nil {
			t.Errorf("the same: got %v, %v", is, err)
		}
		if is, err := s.same(t.Context(), present, other); is || err != nil {
			t.Errorf("another: got %v, %v", is, err)
		}
		var kept Secret
		if err := s.keep(t.Context(), &kept, other); err != nil || len(kept.Digest) != digestSize || len(kept.Salt) != saltSize {
			t.Errorf("keep: got %+v, %v", kept, err)
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for a slow hash")
	}
	for range gateSlots {
		s.gate.leave()
	}
}
