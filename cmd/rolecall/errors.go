package main

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
)

// Exit codes.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitRefused  = 4
)

// A failure is an error with an exit code and, for people, what to do next.
type failure struct {
	code int
	err  error
	fix  string // empty: what the error itself says
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Fix says what to do next.
func (f *failure) Fix() string {
	if f.fix == "" {
		return fix.Of(f.err)
	}
	return f.fix
}

var (
	errNoCommand = &failure{exitUsage, errors.New("no command"), "start with `rolecall serve`, or see everything at work with `rolecall demo`; `rolecall --help` lists the rest"}
	// errSilent ends a command that has already said what there is to say.
	errSilent = errors.New("already said")
)

// silently returns an error that carries the exit code and prints nothing more.
func silently(code int) error { return &failure{code: code, err: errSilent} }

func usageError(cmd *cobra.Command, err error) error {
	return &failure{exitUsage, err, fmt.Sprintf("`%s --help` shows the flags and an example", cmd.CommandPath())}
}

func notFound(fix, format string, args ...any) error {
	return &failure{exitNotFound, fmt.Errorf(format, args...), fix}
}

func failed(fix, format string, args ...any) error {
	return &failure{exitFailed, fmt.Errorf(format, args...), fix}
}

// closeAfter closes what a command worked on once it is known what its error says: names
// that resemble one that is not there are looked up when they are asked for.
func closeAfter(err error, worked io.Closer) error {
	if err != nil {
		_, _ = fix.What(err), fix.Of(err)
	}
	return errors.Join(err, worked.Close())
}

func exitCode(err error) int {
	var f *failure
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &f):
		return f.code
	case errors.Is(err, directory.ErrNotFound), graphclient.NotFound(err):
		return exitNotFound
	case errors.Is(err, lookup.ErrAmbiguous), errors.Is(err, lookup.ErrMalformed):
		return exitUsage
	default:
		return exitFailed
	}
}

// unknownCommand refuses words that name no command and offers those that nearly do.
func unknownCommand(cmd *cobra.Command, args []string) error {
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
	return &failure{exitUsage, fmt.Errorf("unknown command %q", args[0]), fix}
}

// atMost takes up to n arguments; what names the last of them.
func atMost(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usageError(cmd, fmt.Errorf("give %s or nothing; there are %d arguments", what, len(args)))
		}
		return nil
	}
}

// exactly is cobra.ExactArgs with our exit code; what names the arguments.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		if n == 0 {
			return usageError(cmd, fmt.Errorf("unexpected argument %q", args[0]))
		}
		return usageError(cmd, fmt.Errorf("give %s; there are %d arguments", what, len(args)))
	}
}
