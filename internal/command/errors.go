package command

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/remote"
)

// Exit codes.
const (
	ExitOK       = 0
	ExitFailed   = 1
	ExitUsage    = 2
	ExitNotFound = 3
	ExitRefused  = 4
)

// A Failure is an error with an exit code and, for people, what to do next.
type Failure struct {
	code int
	err  error
	fix  string // empty: what the error itself says
}

// Fail returns a Failure; without a fix, what the error itself says is the next step.
func Fail(code int, err error, fix string) error { return &Failure{code, err, fix} }

func (f *Failure) Error() string { return f.err.Error() }
func (f *Failure) Unwrap() error { return f.err }

// Fix says what to do next.
func (f *Failure) Fix() string {
	if f.fix == "" {
		return fix.Of(f.err)
	}
	return f.fix
}

// ErrSilent ends a command that has already said what there is to say.
var ErrSilent = errors.New("already said")

// Silently returns an error that carries the exit code and prints nothing more.
func Silently(code int) error { return Fail(code, ErrSilent, "") }

// UsageError says that a command was given wrongly.
func UsageError(cmd *cobra.Command, err error) error {
	return Fail(ExitUsage, err, fmt.Sprintf("`%s --help` shows the flags and an example", cmd.CommandPath()))
}

// NotFound says that something is not there.
func NotFound(fix, format string, args ...any) error {
	return Fail(ExitNotFound, fmt.Errorf(format, args...), fix)
}

// Failed says that a command could not do its work.
func Failed(fix, format string, args ...any) error {
	return Fail(ExitFailed, fmt.Errorf(format, args...), fix)
}

// CloseAfter closes what a command worked on once it is known what its error says: names
// that resemble one that is not there are looked up when they are asked for.
func CloseAfter(err error, worked io.Closer) error {
	if err != nil {
		_, _ = fix.What(err), fix.Of(err)
	}
	return errors.Join(err, worked.Close())
}

// ExitCode is what the program ends with because of an error.
func ExitCode(err error) int {
	var f *Failure
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &f):
		return f.code
	case errors.Is(err, directory.ErrNotFound), errors.Is(err, remote.ErrUnknown), graphclient.NotFound(err):
		return ExitNotFound
	case errors.Is(err, remote.ErrRefused), errors.Is(err, remote.ErrEnded), graphclient.Forbidden(err):
		return ExitRefused
	case errors.Is(err, lookup.ErrAmbiguous), errors.Is(err, lookup.ErrMalformed), errors.Is(err, remote.ErrInvalid), graphclient.Invalid(err):
		return ExitUsage
	default:
		return ExitFailed
	}
}

// UnknownCommand refuses words that name no command and offers those that nearly do.
func UnknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	fix := fmt.Sprintf("`%s --help` lists the commands", cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	near := cmd.SuggestionsFor(args[0])
	begun := slices.DeleteFunc(slices.Clone(near), func(name string) bool { return !strings.HasPrefix(name, args[0]) })
	if len(begun) > 0 {
		near = begun // what was typed is the beginning of it
	}
	if len(near) > 0 {
		for i, name := range near {
			near[i] = "`" + cmd.CommandPath() + " " + name + "`"
		}
		fix = directory.DidYouMean(near)
	}
	return Fail(ExitUsage, fmt.Errorf("unknown command %q", args[0]), fix)
}

// AtMost takes up to n arguments; what names the last of them.
func AtMost(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return UsageError(cmd, fmt.Errorf("give %s or nothing; there are %d arguments", what, len(args)))
		}
		return nil
	}
}

// Exactly is cobra.ExactArgs with our exit code; what names the arguments.
func Exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return notEmpty(cmd, args, what)
		}
		if n == 0 {
			return UsageError(cmd, fmt.Errorf("unexpected argument %q", args[0]))
		}
		return UsageError(cmd, fmt.Errorf("give %s; there are %d arguments", what, len(args)))
	}
}

// notEmpty refuses arguments without a text, as of a variable of the shell that is not set.
func notEmpty(cmd *cobra.Command, args []string, what string) error {
	for i, arg := range args {
		if strings.TrimSpace(arg) == "" {
			return UsageError(cmd, fmt.Errorf("give %s; the %s argument is empty", what, []string{"first", "second", "third"}[min(i, 2)]))
		}
	}
	return nil
}
