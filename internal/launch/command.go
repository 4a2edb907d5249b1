package launch

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/namespace"
	"github.com/rolecall-auth/rolecall/internal/peer"
)

// The exit codes of shells for a command that could not be started.
const (
	exitFailed        = 1 // it was not tried
	exitNotExecutable = 126
	exitNotFound      = 127
	exitSignal        = 128 // and the signal's number
)

// A Command is a program to run in the place of ours.
type Command struct {
	Args []string // the program and its arguments
	Env  []string // its environment, which also says where the program is searched
	In   io.Reader
	Out  io.Writer
	Err  io.Writer
	// Namespace is the network that the program finds; nil means ours.
	Namespace *namespace.Namespace
	// Adopts keeps processes whose parents end before them below this one, where the system can.
	Adopts bool
}

// Run runs the program, passes on the signals that come, and returns its exit code: its
// own, or 128 and the number of the signal that ended it. When it could not be started the
// code is that of shells, and the error says why.
func (c Command) Run(signals <-chan os.Signal) (int, error) {
	path, err := lookPath(c.Args[0], c.Env)
	if err != nil {
		return exitNotStarted(err), err
	}
	cmd := &exec.Cmd{Path: path, Args: c.Args, Env: c.Env, Stdin: c.In, Stdout: c.Out, Stderr: c.Err}
	if c.Adopts {
		if err := peer.AdoptOrphans(); err != nil {
			return exitNotExecutable, err
		}
	}
	if err := c.start(cmd); err != nil {
		return exitNotStarted(err), err
	}
	if c.Adopts {
		defer reapOrphans(cmd.Process.Pid)()
	}
	done := make(chan struct{})
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		pass(signals, done, cmd.Process)
	}()
	err = cmd.Wait()
	close(done)
	<-passed
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		err = nil // its exit code says it
	}
	return exitCode(cmd.ProcessState), err
}

func (c Command) start(cmd *exec.Cmd) error {
	if c.Namespace != nil {
		return c.Namespace.Start(cmd)
	}
	return cmd.Start()
}

// pass gives the process the signals that it would have got in our place.
func pass(signals <-chan os.Signal, done <-chan struct{}, process *os.Process) {
	for {
		select {
		case <-done:
			return
		case s := <-signals:
			if !hasIt(s) {
				_ = process.Signal(s) // it may just have ended
			}
		}
	}
}

func exitNotStarted(err error) int {
	if _, ok := errors.AsType[*namespace.RightsError](err); ok {
		return exitFailed
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return exitNotFound
	}
	return exitNotExecutable
}

// lookPath finds a program as a shell with that environment would.
func lookPath(name string, environ []string) (string, error) {
	if filepath.Base(name) != name {
		return exec.LookPath(name)
	}
	var path string
	for _, entry := range environ {
		if n, value, _ := strings.Cut(entry, "="); sameName(n, "PATH") {
			path = value
		}
	}
	err := error(&exec.Error{Name: name, Err: exec.ErrNotFound})
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			continue // a program of the current folder is named with a path
		}
		program := filepath.Join(folder, name)
		found, problem := exec.LookPath(program)
		if problem == nil {
			return found, nil
		}
		// It is there and may not be run; a folder that cannot be searched says nothing.
		if _, missing := os.Stat(program); missing == nil && errors.Is(problem, fs.ErrPermission) {
			err = problem
		}
	}
	return "", err
}
