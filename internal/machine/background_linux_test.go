package machine

import (
	"errors"
	"syscall"
	"testing"
)

// The priority is that of the work alone: what comes back is what it was.
func TestInBackground(t *testing.T) {
	t.Parallel()
	priority := func() int {
		raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		if err != nil {
			t.Error(err)
		}
		return 20 - raw // as the system call has it
	}
	before := priority()
	failure := errors.New("it failed")
	err := InBackground(func() error {
		if got := priority(); got != niceness {
			t.Errorf("the work has the priority %d, want %d", got, niceness)
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	if got := priority(); got != before {
		t.Errorf("afterwards the priority is %d, and was %d", got, before)
	}
}
