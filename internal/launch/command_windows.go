package launch

import (
	"os"
	"os/signal"
)

// CatchSignals has Ctrl-C not end this process, until stop is called.
func CatchSignals() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 16)
	signal.Notify(c, os.Interrupt)
	return c, func() { signal.Stop(c) }
}

// hasIt is true: the console tells every process of it.
func hasIt(os.Signal) bool { return true }

// SignalCode is the exit code of a process that Ctrl-C ended.
func SignalCode(os.Signal) int { return exitSignal + 2 }

func exitCode(state *os.ProcessState) int { return state.ExitCode() }

// reapOrphans does nothing: processes that have ended need nobody here.
func reapOrphans(int) (stop func()) { return func() {} }
