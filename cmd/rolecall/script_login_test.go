package main

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

var shownCode = regexp.MustCompile(`open (https://\S+) in a browser and enter the code (\S+)\.`)

// signIn runs `rolecall login`, and does in a browser what it says: signin USER PASSWORD ACTION : rolecall login …
// Besides, it sets AUTHORITY, without a command too.
func signIn(ts *testscript.TestScript, neg bool, args []string) {
	at := found(ts)
	ts.Setenv("AUTHORITY", at.Authority)
	if len(args) == 0 {
		return
	}
	split := slices.Index(args, ":")
	if split != 3 || len(args) < 6 {
		ts.Fatalf("usage: signin USER PASSWORD ACTION : rolecall login …")
	}
	given := slices.Clone(args[5:])
	if i := slices.Index(given, "--ca-bundle"); i >= 0 {
		given[i+1] = ts.MkAbs(given[i+1])
	}
	client, err := trustingClient(at.CABundle)
	ts.Check(err)
	defer client.CloseIdleConnections()
	says := &codeWatcher{transport: client.Transport, user: args[0], password: args[1], action: args[2]}
	lookup := func(name string) (string, bool) {
		value := ts.Getenv(name)
		return value, value != "" && name != "ROLECALL_DATA" // it is the server's, on another machine
	}
	exit := newCLI(command.Streams{Lookup: lookup, In: strings.NewReader(""), Out: says, Err: says}).run(context.Background(), given)
	says.browsing.Wait()
	ts.Logf("%s", says.text.String())
	ts.Check(says.failed)
	if (exit != command.ExitOK) != neg {
		ts.Fatalf("exit code %d", exit)
	}
}

// A codeWatcher is where a command says which code to enter, and enters it.
type codeWatcher struct {
	transport              http.RoundTripper
	user, password, action string

	mu       sync.Mutex
	text     bytes.Buffer // guarded by mu
	browsing sync.WaitGroup
	failed   error
}

func (w *codeWatcher) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if code := shownCode.FindSubmatch(b); code != nil {
		w.browsing.Go(func() {
			w.failed = fixture.AnswerDevice(context.Background(), w.transport, string(code[1]), string(code[2]), w.user, w.password, w.action)
		})
	}
	return w.text.Write(b)
}
