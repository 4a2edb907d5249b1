package machine

import (
	"runtime"
	"syscall"
)

// niceness is that of work in the background: others go first wherever there is a choice.
const niceness = 15

// InBackground does something at the priority of work that nobody waits for. On systems that do
// not know the priority of a thread it is done as it is.
func InBackground(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine, and its priority with it
		// Zero is the calling thread. Without the right to it, the work is done all the same.
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness)
		done <- f()
	}()
	return <-done
}
