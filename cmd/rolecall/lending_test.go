package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/remote"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A lendingWorld is a server on one machine, and another machine where somebody is signed in.
type lendingWorld struct {
	*testing.T
	running *server.Server
	api     *httptest.Server
}

func newLendingWorld(t *testing.T) (*lendingWorld, *matrixWorld) {
	t.Helper()
	world := newMatrixWorld(t, time.Now().Add(-48*time.Hour))
	running, err := server.Start(t.Context(), server.Config{Dir: world.dir, NewKey: newTestKeys(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Close() }) // some tests end it before
	web, err := trustingClient(running.Endpoints().CABundle)
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.New(t.Context(), guard.Config{
		Authority: running.Endpoints().Authority + "/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11", HTTPClient: web,
		Audience: []string{"api://orders", "a9100000-5a5a-4c4c-8d8d-000000000001"}, Caller: guard.CallerApplication,
	})
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(g.Require("Orders.Read")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "five orders") })))
	t.Cleanup(api.Close)
	return &lendingWorld{T: t, running: running, api: api}, world
}

// machine is another machine where somebody is signed in at the server.
func (w *lendingWorld) machine(as remote.Login) func(args ...string) (int, string, string) {
	w.Helper()
	env := w.signIn(as)
	return func(args ...string) (int, string, string) {
		w.Helper()
		return invokedIn(w.T, env, time.Now, args, "")
	}
}

func (w *lendingWorld) signIn(as remote.Login) func(string) (string, bool) {
	w.Helper()
	env := noEnvironment(w)
	store, err := remote.New(remote.Config{Dir: remote.Dir(env)})
	if err != nil {
		w.Fatal(err)
	}
	as.URL, as.Name, as.Tenant, as.CABundle = w.running.Endpoints().Authority, "team", "contoso", w.running.Endpoints().CABundle
	signedIn, err := store.Login(w.Context(), as)
	if err != nil {
		w.Fatal(err)
	}
	signedIn.Close()
	return env
}

// credentials are the names of an application's credentials, as the server's machine has them.
func (w *lendingWorld) credentials(dir, app string) []string {
	w.Helper()
	code, out, said := invoked(w.T, time.Now(), dir, []string{"app", "credential", "list", app, "-o", "json"}, "")
	var rows []struct{ Name string }
	if code != command.ExitOK || json.Unmarshal([]byte(out), &rows) != nil {
		w.Fatalf("exit code %d: %s", code, said)
	}
	var names []string
	for _, row := range rows {
		names = append(names, row.Name)
	}
	return names
}

// Tokens and calls as an application and as an identity of a server elsewhere, with nothing left
// behind; and what its absence, a missing right, and an end of the sign-in lead to.
func TestTokensOfAServerElsewhere(t *testing.T) {
	t.Parallel()
	w, world := newLendingWorld(t)
	admin, weak := w.machine(world.admin), w.machine(world.weak)
	before := w.credentials(world.dir, "orders-client")
	for _, as := range []string{"orders-client", "nightly"} {
		code, out, said := admin("token", "--server", "team", "--as", as, "--scope", "api://orders/.default", "-o", "claims")
		if code != command.ExitOK || !strings.Contains(out, `"Orders.Read"`) {
			t.Errorf("token as %s: %d, %s %s", as, code, out, said)
		}
		code, out, said = admin("call", "--server", "team", "--as", as, w.api.URL)
		if code != command.ExitOK || out != "five orders" {
			t.Errorf("call as %s: %d, %s %s", as, code, out, said)
		}
		if code, out, said = weak("token", "--server", "team", "--as", as, "--scope", "api://orders/.default"); code != command.ExitRefused || out != "" || !strings.Contains(said, "Application.Read.All") {
			t.Errorf("token as %s, without a right: %d, %s %s", as, code, out, said)
		}
	}
	code, _, said := admin("call", "--server", "team", "--as", "spare-client", w.api.URL)
	if code != command.ExitRefused || !strings.Contains(said, "rolecall grant spare-client") {
		t.Errorf("a call without a role: %d, %s", code, said)
	}
	if code, out, said := admin("token", "--server", "team", "--as", "nightly", "--scope", "api://nothing/.default"); code != command.ExitRefused || out != "" || !strings.Contains(said, "AADSTS500011") {
		t.Errorf("an API that is not there: %d, %s %s", code, out, said)
	}
	if code, _, said := admin("token", "--server", "team", "--as", "dev@contoso.test", "--scope", "api://orders/.default"); code == command.ExitOK || !strings.Contains(said, "only the user who is signed in") {
		t.Errorf("as a user: %d, %s", code, said)
	}
	if after := w.credentials(world.dir, "orders-client"); !slices.Equal(before, after) {
		t.Errorf("it had %q, and has %q", before, after)
	}
	if code, _, said := admin("token", "--server", "nobody", "--as", "nightly", "--scope", "api://orders/.default"); code != command.ExitNotFound || !strings.Contains(said, "rolecall login") {
		t.Errorf("an unknown server: %d, %s", code, said)
	}
	if code, _, said := invoked(t, time.Now(), world.dir, []string{"sp", "disable", "administrator", "--yes"}, ""); code != command.ExitOK {
		t.Fatal(said)
	}
	if code, out, said := admin("token", "--server", "team", "--as", "nightly", "--scope", "api://orders/.default"); code != command.ExitRefused || out != "" || !strings.Contains(said, "could not be established") {
		t.Errorf("once who is signed in is disabled: %d, %d characters, %s", code, len(out), said)
	}
	if err := w.running.Close(); err != nil {
		t.Fatal(err)
	}
	if code, out, said := admin("token", "--server", "team", "--as", "nightly", "--scope", "api://orders/.default"); code != command.ExitFailed || out != "" || !strings.Contains(said, w.running.Endpoints().Authority) && !strings.Contains(said, w.running.Endpoints().Graph) {
		t.Errorf("a server that is away: %d, %s %s", code, out, said)
	}
}

// Variables that a server elsewhere gives lead an application there with a secret that has an end
// and can be taken back.
func TestEnvironmentOfAServerElsewhere(t *testing.T) {
	t.Parallel()
	w, world := newLendingWorld(t)
	admin := w.machine(world.admin)
	before := w.credentials(world.dir, "orders-client")
	code, out, said := admin("env", "--server", "team", "--as", "orders-client", "--expires", "1h", "-o", "json")
	var variables map[string]string
	if code != command.ExitOK || json.Unmarshal([]byte(out), &variables) != nil || !strings.Contains(said, "expires") || !strings.Contains(said, "--remove --server team") {
		t.Fatalf("exit code %d: %s", code, said)
	}
	if variables["AZURE_CLIENT_SECRET"] == "" || variables["AZURE_AUTHORITY_HOST"] != w.running.Endpoints().Authority || variables["SSL_CERT_FILE"] == "" {
		t.Error("variables are missing")
	}
	if strings.HasPrefix(variables["SSL_CERT_FILE"], filepath.Dir(world.dir)) {
		t.Errorf("a program is to trust %s, which is on the server's machine", variables["SSL_CERT_FILE"])
	}
	if got := w.credentials(world.dir, "orders-client"); len(got) != len(before)+1 {
		t.Errorf("it has %q", got)
	}
	if code, _, said := admin("env", "--server", "team", "--as", "orders-client", "--remove"); code != command.ExitOK || !slices.Equal(w.credentials(world.dir, "orders-client"), before) {
		t.Errorf("removing: %d, %s", code, said)
	}
	for _, args := range [][]string{
		{"env", "--on", "agent"}, {"env", "--on", "agent", "--public-names"}, {"run", "--as", "nightly", "--public-names", "--", "true"},
		{"run", "--as", "nightly", "--config", "rolecall.yaml", "--", "true"}, {"run", "--as", "nightly", "--via", "workload", "--", "true"},
	} {
		if code, _, said := admin(slices.Insert(args, 1, "--server", "team")...); code != command.ExitUsage || !strings.Contains(said, "elsewhere") {
			t.Errorf("%q: %d, %s", args, code, said)
		}
	}
}

// A program runs as an application and as a managed identity of a server elsewhere for as long as
// it lives.
func TestProgramsOfAServerElsewhere(t *testing.T) {
	t.Parallel()
	w, world := newLendingWorld(t)
	env := w.signIn(world.admin)
	before := w.credentials(world.dir, "orders-client")
	code, out, said := invokedIn(t, env, time.Now, []string{"run", "--server", "team", "--as", "orders-client", "--", "sh", "-c", `test -n "$AZURE_CLIENT_SECRET" && test -f "$SSL_CERT_FILE" && echo "$AZURE_AUTHORITY_HOST"`}, "")
	if code != command.ExitOK || strings.TrimSpace(out) != w.running.Endpoints().Authority || !slices.Equal(w.credentials(world.dir, "orders-client"), before) {
		t.Errorf("as an application: %d, %s %s; %q are left", code, out, said, w.credentials(world.dir, "orders-client"))
	}
	if code, _, said := w.machine(world.weak)("run", "--server", "team", "--as", "nightly", "--", "echo", "started"); code != command.ExitRefused || !strings.Contains(said, "Application.Read") {
		t.Errorf("without a right: %d, %s", code, said)
	}
	w.runOrders(env)
	if after := w.credentials(world.dir, "orders-client"); !slices.Equal(after, before) {
		t.Errorf("it had %q, and has %q", before, after)
	}
	stdin, end := io.Pipe()
	told, stdout := io.Pipe()
	ended := make(chan int, 1)
	var messages strings.Builder
	go func() {
		c := testCLI(streamsOf(env, stdin, stdout, &messages))
		ended <- c.run(t.Context(), []string{"run", "--server", "team", "--as", "nightly", "--", "sh", "-c", `echo "$IDENTITY_ENDPOINT $IDENTITY_HEADER $AZURE_CLIENT_ID"; read line`})
		stdout.Close()
	}()
	line, err := bufio.NewReader(told).ReadString('\n')
	given := strings.Fields(line)
	if err != nil || len(given) != 3 {
		t.Fatalf("%v: %q; %s", err, line, &messages)
	}
	if status := w.callAs(given[0], given[1], given[2]); status != http.StatusOK {
		t.Errorf("the API answered %d", status)
	}
	if err := end.Close(); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code > 1 { // of read, at the end of its input
		t.Errorf("exit code %d: %s", code, &messages)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, given[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := http.DefaultClient.Do(request); err == nil {
		t.Errorf("the endpoint outlives its program: %s, %v", answer.Status, answer.Body.Close())
	}
}

// ordersClient is the client of the sample, which processes the orders once.
func ordersClient() {
	cfg, err := orders.ClientFromEnv(os.Getenv)
	if err == nil {
		var client *orders.Client
		if client, err = orders.NewClient(cfg); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(client.ProcessOrders(context.Background()))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runOrders runs the client of the sample, unchanged, in all the ways that a server elsewhere lends.
func (w *lendingWorld) runOrders(env func(string) (string, bool)) {
	w.Helper()
	at := w.running.Endpoints()
	const api = "a9100000-5a5a-4c4c-8d8d-000000000001"
	handler, err := orders.NewServer(w.Context(), orders.ServerConfig{AuthorityHost: at.Authority, TenantID: at.Tenants[0].ID, AppID: api, Audience: []string{"api://orders"}, CABundle: at.CABundle})
	if err != nil {
		w.Fatal(err)
	}
	listening := httptest.NewServer(handler)
	defer listening.Close()
	start := "ORDERS_URL=" + listening.URL + "/api/GetOrders ORDERS_SERVER_APP_ID=" + api + " exec orders-client"
	for _, tt := range []struct{ as, via, way string }{
		{"orders-client", "secret", "adal"}, {"orders-client", "secret", "connection-string"}, {"orders-client", "certificate", "certificate"},
		{"nightly", "app-service", "managed-identity"}, {"nightly", "service-fabric", "managed-identity"},
	} {
		args := []string{"run", "--server", "team", "--as", tt.as, "--via", tt.via, "--", "sh", "-c", start}
		if tt.way == "managed-identity" { // it is user-assigned, and the sample names none
			args = slices.Insert(args, 1, "--default-identity")
		}
		code, out, said := invokedIn(w.T, env, time.Now, args, "")
		var results []struct {
			Way, Error string
			Status     int
		}
		if err := json.Unmarshal([]byte(out), &results); code != command.ExitOK || err != nil {
			w.Fatalf("%s: %d, %v; %s %s", tt.via, code, err, out, said)
		}
		got := false
		for _, result := range results {
			got = got || result.Way == tt.way && result.Status == http.StatusOK && result.Error == ""
		}
		if !got {
			w.Errorf("%s by %s, %s: %s", tt.as, tt.via, tt.way, out)
		}
	}
}

// callAs gets a token at an identity endpoint and calls the API with it.
func (w *lendingWorld) callAs(endpoint, secret, client string) int {
	w.Helper()
	do := func(url string, header ...string) (int, []byte) {
		request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, url, nil)
		if err != nil {
			w.Fatal(err)
		}
		request.Header.Set(header[0], header[1])
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			w.Fatal(err)
		}
		content, err := io.ReadAll(answer.Body)
		if err != nil || answer.Body.Close() != nil {
			w.Fatal(err)
		}
		return answer.StatusCode, content
	}
	_, content := do(endpoint+"?api-version=2019-08-01&resource=api://orders&client_id="+client, "X-IDENTITY-HEADER", secret)
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(content, &answer); err != nil || answer.Token == "" {
		w.Fatalf("no token: %v", err)
	}
	status, _ := do(w.api.URL, "Authorization", "Bearer "+answer.Token)
	return status
}
