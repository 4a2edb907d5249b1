package main

import (
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/remote"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// remotePlace is a server that an administrator has signed in to, known by its URL and
// certificates alone. Its clock is the machine's, by which its certificates count.
func remotePlace(t *testing.T) place {
	world := newMatrixWorld(t, time.Now().Add(-48*time.Hour))
	moments := regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z`)
	contexts := regexp.MustCompile(`https://[\w.:]+/v1\.0/\$metadata`)
	return place{
		name: "remote",
		open: func(t *testing.T) (func([]string, string) (int, string, string), []string) {
			env := elsewhere(t, copied(t, world.dir), world.admin)
			return func(args []string, stdin string) (int, string, string) {
				return invokedIn(t, env, time.Now, append(slices.Clone(args), "--server", "team"), stdin)
			}, world.secrets
		},
		only: worksElsewhere(t),
		kept: func(s string) string {
			return contexts.ReplaceAllString(moments.ReplaceAllString(s, "(time)"), "https://graph/v1.0/$$metadata")
		},
	}
}

// worksElsewhere tells the rows of commands that have the flag --server.
func worksElsewhere(t *testing.T) func(matrixRow) bool {
	t.Helper()
	root := newCLI(streamsOf(noEnvironment(t), nil, nil, nil)).root()
	have := map[string]bool{}
	for _, row := range matrixRows() { // at once: looking for a command changes the tree
		cmd, _, err := root.Find(strings.Fields(row.path()))
		have[row.path()] = err == nil && cmd.Flags().Lookup("server") != nil
	}
	return func(row matrixRow) bool { return have[row.path()] }
}

// elsewhere runs a server on a folder, and returns the environment of another machine, where
// somebody has signed in to it as "team".
func elsewhere(t *testing.T, dir string, as remote.Login) func(string) (string, bool) {
	t.Helper()
	running, err := server.Start(t.Context(), server.Config{Dir: dir, NewKey: newTestKeys(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Close() }) // the test has what it wanted
	env := noEnvironment(t)
	store, err := remote.New(remote.Config{Dir: remote.Dir(env)})
	if err != nil {
		t.Fatal(err)
	}
	as.URL, as.Name, as.Tenant, as.CABundle = running.Endpoints().Authority, "team", "contoso", filepath.Join(dir, server.BundleFile)
	signedIn, err := store.Login(t.Context(), as)
	if err != nil {
		t.Fatal(err)
	}
	signedIn.Close()
	return env
}

// Without a right, each command says which role is missing and who can grant it, by the exit
// code of refusals, and prints nothing.
func TestVerbsWithoutTheRightSayWhichIsMissing(t *testing.T) {
	t.Parallel()
	world := newMatrixWorld(t, time.Now().Add(-48*time.Hour))
	env := elsewhere(t, world.dir, world.weak)
	works := worksElsewhere(t)
	for _, row := range matrixRows() {
		if !works(row) {
			continue
		}
		t.Run(row.path(), func(t *testing.T) {
			code, out, said := invokedIn(t, env, time.Now, append(strings.Fields(row.command), "--server", "team", "-o", "json"), row.stdin)
			if code != command.ExitRefused || out != "" {
				t.Errorf("exit code %d, printed %q", code, out)
			}
			if !regexp.MustCompile(`[A-Z]\w+\.(ReadWrite|Read)`).MatchString(said) || !strings.Contains(said, "rolecall grant weak-client ") {
				t.Errorf("said %s; want the role, and who grants it", said)
			}
		})
	}
}

// What cannot be is refused from afar by the same exit codes as here, with nothing done.
func TestBadInputChangesNothingElsewhere(t *testing.T) {
	t.Parallel()
	world := newMatrixWorld(t, time.Now().Add(-48*time.Hour))
	env := elsewhere(t, world.dir, world.admin)
	before := sequenceOf(t, world.dir)
	works := worksElsewhere(t)
	for _, tt := range badInputs() {
		if len(tt.args) < 2 || !works(matrixRow{command: strings.Join(tt.args, " ")}) {
			continue
		}
		code, out, said := invokedIn(t, env, time.Now, append(slices.Clone(tt.args), "--server", "team"), "a password of many words")
		if code != tt.code || out != "" || !strings.HasPrefix(said, "rolecall: ") || len(said) > 1000 {
			t.Errorf("%s: exit code %d, want %d; printed %q, said %.1000s", tt.name, code, tt.code, out, said)
		}
	}
	if after := sequenceOf(t, world.dir); after != before {
		t.Errorf("something was done: the feed is at %d, and was at %d", after, before)
	}
}
