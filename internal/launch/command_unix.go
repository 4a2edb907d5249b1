//go:build unix

package launch

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rolecall-auth/rolecall/internal/peer"
)

// CatchSignals has signals sent to the channel in place of ending this process, until stop
// is called.
func CatchSignals() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 16)
	signal.Notify(c, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	return c, func() { signal.Stop(c) }
}

// hasIt reports whether the process has got the signal already: the terminal sends those of
// its keys to every process in the foreground. The program stays in our process group, so
// that it is there with us, and Ctrl-Z and the shell's fg work too.
func hasIt(s os.Signal) bool {
	return (s == syscall.SIGINT || s == syscall.SIGQUIT) && inForeground()
}

// inForeground reports whether the terminal's keys are for our process group.
func inForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false // there is no terminal
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// SignalCode is the exit code of a process that a signal ended.
func SignalCode(s os.Signal) int {
	if number, ok := s.(syscall.Signal); ok {
		return exitSignal + int(number)
	}
	return 1
}

func exitCode(state *os.ProcessState) int {
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return SignalCode(status.Signal())
	}
	return state.ExitCode()
}

// reapOrphans takes leave of adopted processes as they end, until stop is called.
func reapOrphans(except int) (stop func()) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	done := make(chan struct{})
	go func() {
		defer close(done)
		peer.ReapOrphans(ended, except)
	}()
	return func() {
		signal.Stop(ended)
		close(ended)
		<-done
	}
}
