package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/namespace"
	"github.com/rolecall-auth/rolecall/internal/server"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == namespace.Command {
		os.Exit(namespace.Enter(os.Args[1:], os.Stderr))
	}
	// Scripts wait for their processes most of the time, so more of them run at once than
	// there are processors. What the command line says of -parallel wins.
	if err := flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	// Under the race detector every program sleeps for a second before it exits.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"rolecall": rolecall, "connection": connection, "greeter": greeter, "greeted": greeted, "untouched": untouched, "trusting": trusting, "resolver": resolver, "sample": sample, "orders-server": ordersServer, "orders-client": ordersClient, "web": web})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	keys := keysFile(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROLECALL_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv(keysVariable, keys)
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready":       ready,
			"orders":      serveOrders,
			"guardfile":   writeGuardFile,
			"code":        code,
			"until":       until,
			"credentials": credentials,
			"asked":       asked,
			"free":        free,
			"tamper":      tamper,
			"certificate": certificate,
			"signin":      signIn,
		},
		Condition: condition,
	})
}

const (
	readyLimit = 30 * time.Second      // how long a server may take to start on a busy machine
	lookEvery  = 20 * time.Millisecond // how often is looked whether a process has got that far
)

// certificate writes a certificate that a host signed itself, and its key.
func certificate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: certificate HOST CERTIFICATE KEY")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: args[:1], NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// ready waits until a server runs on the script's data folder.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: ready")
	}
	found(ts)
}

func found(ts *testscript.TestScript) *server.Found {
	ctx, cancel := context.WithTimeout(context.Background(), readyLimit)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		running, err := server.Find(ctx, ts.Getenv("ROLECALL_DATA"))
		if err != nil {
			ts.Fatalf("find the server: %v", err)
		}
		if running != nil {
			return running
		}
		<-look.C
	}
}

// serveOrders runs the sample API behind the script's server and sets ORDERS to its URL.
// Besides, it has what is not in the sample: something for users, and for everybody.
func serveOrders(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: orders")
	}
	at := found(ts)
	ctx, stop := context.WithCancel(context.Background())
	api, err := orders.NewServer(ctx, orders.ServerConfig{
		AuthorityHost: at.Authority,
		TenantID:      at.Tenants[0].ID,
		AppID:         "a9100002-5a5a-4c4c-8d8d-000000000002",
		Audience:      []string{"api://orders"},
		CABundle:      at.CABundle,
	})
	ts.Check(err)
	g, err := guard.New(ctx, guard.Config{
		Authority: at.Authority + "/" + at.Tenants[0].ID, Audience: []string{"a9100002-5a5a-4c4c-8d8d-000000000002", "api://orders"}, CABundle: at.CABundle,
	})
	ts.Check(err)
	others, err := g.Handler([]guard.Rule{
		{Path: "/api/Mine", Caller: guard.CallerUser, Scopes: []string{"Orders.List"}},
		{Path: "/api/Any", Caller: guard.CallerAny, Roles: []string{"Orders.Read"}, Scopes: []string{"Orders.List"}},
	}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := guard.CallerFrom(r.Context())
		fmt.Fprintf(w, "hello %s %s", caller.Kind, caller.ClientID)
	}))
	ts.Check(err)
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.Handle("/api/Mine", others)
	mux.Handle("/api/Any", others)
	listening := httptest.NewServer(mux)
	ts.Defer(func() { listening.Close(); stop() })
	ts.Setenv("ORDERS", listening.URL)
}

// code checks the exit code of the commands that follow a colon: code 4 : rolecall …
func code(ts *testscript.TestScript, neg bool, args []string) {
	split := slices.Index(args, ":")
	if neg || split != 1 || len(args) < 3 {
		ts.Fatalf("usage: code N : command args…")
	}
	err := ts.Exec(args[2], args[3:]...)
	got := "0"
	if exit, ok := err.(interface{ ExitCode() int }); ok {
		got = strconv.Itoa(exit.ExitCode())
	} else if err != nil {
		ts.Fatalf("run %s: %v", args[2], err)
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// until repeats a command until its output matches: until PATTERN : rolecall …
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || args[1] != ":" {
		ts.Fatalf("usage: until PATTERN : command args…")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for end := time.Now().Add(readyLimit); time.Now().Before(end); <-look.C {
		if ts.Exec(args[2], args[3:]...) == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("the output never matched %s", pattern)
}

// TestEveryExampleIsRun holds the examples in help to the scripts: each of their lines
// must be in the script that is named like the command.
func TestEveryExampleIsRun(t *testing.T) {
	t.Parallel()
	c := newCLI(command.Streams{Lookup: os.LookupEnv})
	var check func(*cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.Hidden {
			return // not for people
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		if strings.Contains(cmd.Long, "\n\n") {
			t.Errorf("%s has help of several paragraphs: the rest is for docs/commands.md", cmd.CommandPath())
		}
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "_") + ".txtar"
		script, err := os.ReadFile(filepath.Join("testdata", "script", name))
		if err != nil {
			t.Error(err)
			return
		}
		for _, example := range strings.Split(cmd.Example, "\n") {
			example = strings.NewReplacer("http://localhost:7071", "$ORDERS", "rolecall login https://auth.corp.test", "rolecall login $AUTHORITY").Replace(strings.TrimSpace(example))
			if !strings.Contains(string(script), example) {
				t.Errorf("%s: the example is not run by %s:\n%s", cmd.CommandPath(), name, example)
			}
		}
	}
	root := c.root()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			check(cmd)
		}
	}
}

// Help fits a terminal of 80 columns, but for examples, which are lines to copy.
func TestHelpFitsEightyColumns(t *testing.T) {
	t.Parallel()
	var check func(*cobra.Command)
	check = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			check(below)
		}
		if cmd.Hidden {
			return
		}
		var help bytes.Buffer
		cmd.SetOut(&help)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(help.String()) {
			line = strings.TrimRight(line, "\n")
			if utf8.RuneCountInString(line) > 80 && !strings.Contains(cmd.Example, line) {
				t.Errorf("%s has a line of %d columns in its help: %s", cmd.CommandPath(), utf8.RuneCountInString(line), line)
			}
		}
	}
	root := newCLI(streamsOf(os.LookupEnv, nil, io.Discard, io.Discard)).root()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			check(cmd)
		}
	}
}
