package compat

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A source is a way to a token for which the client's code says nothing about us: the
// environment of `rolecall run` does it all.
type source struct {
	way string
	run []string // arguments of rolecall run
	// wrap runs the probe through another program.
	wrap []string
	ask  string // what the probe is told; with the id it goes by
	id   func(environment) string
	// identity is the object id that the token must have; nil where it is the client's.
	identity func(environment) string
	alone    bool // only where no other network can be reached
}

// throughProxy leaves a program nothing but a proxy to find the metadata service by.
var throughProxy = []string{"sh", "-c", `
	export HTTP_PROXY="$AZURE_POD_IDENTITY_AUTHORITY_HOST" http_proxy="$AZURE_POD_IDENTITY_AUTHORITY_HOST"
	unset AZURE_POD_IDENTITY_AUTHORITY_HOST MSAL_MANAGED_IDENTITY_ENDPOINT
	exec "$@"`, "sh"}

func sources() []source {
	system := func(e environment) string { return e.system.objectID }
	assigned := func(e environment) string { return e.assigned.objectID }
	managed := func(via string, more ...string) []string { return append([]string{"--via", via}, more...) }
	return []source{
		{way: "App Service", run: managed("app-service"), ask: "system", identity: system},
		{way: "client id", run: managed("app-service"), ask: "client", id: func(e environment) string { return e.assigned.clientID }, identity: assigned},
		{way: "object id", run: managed("app-service"), ask: "object", id: assigned, identity: assigned},
		{way: "resource id", run: managed("app-service"), ask: "resource", id: func(e environment) string { return e.assigned.resourceID }, identity: assigned},
		{way: "IMDS", run: managed("imds"), ask: "system", identity: system, alone: true},
		{way: "IMDS by proxy", run: managed("imds"), wrap: throughProxy, ask: "system", identity: system, alone: true},
		{way: "IMDS at its address", run: managed("imds", "--netns"), ask: "system", identity: system, alone: true},
		{way: "Azure ML", run: managed("azure-ml"), ask: "system", identity: system},
		{way: "Cloud Shell", run: managed("cloud-shell"), ask: "system", identity: system},
		{way: "Service Fabric", run: managed("service-fabric"), ask: "system", identity: system},
		{way: "Azure Arc", run: managed("arc"), ask: "system", identity: system, alone: true},
		{way: "workload identity", run: managed("workload"), ask: "workload", identity: system},
		{way: "DefaultAzureCredential", run: managed("app-service"), ask: "default", identity: system},
		{way: "instead of a secret", run: []string{"--as", "orders-client", "--via", "identity"}, ask: "assertion", id: func(e environment) string { return e.assigned.clientID }},
		{way: "az", run: []string{"--as", "orders-client", "--via", "cli"}, ask: "az"},
		{way: "azd", run: []string{"--as", "orders-client", "--via", "cli"}, ask: "azd"},
	}
}

// TestSources takes every client down every way in which it can find an identity.
func TestSources(t *testing.T) {
	env := load(t)
	for i, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			version := moduleVersion(t, c.module)
			record := func(way string, none bool, test func(*testing.T)) {
				result := "FAIL"
				switch {
				case none:
					result = "none"
				case t.Run(way, test):
					result = "ok"
				}
				env.record(t, c.name, version, way, result)
			}
			for _, s := range sources() {
				if s.alone && !env.alone && !slices.Contains(c.lacks, s.way) {
					env.record(t, c.name, version, s.way, "skipped")
					continue
				}
				record(s.way, slices.Contains(c.lacks, s.way), func(t *testing.T) {
					raw, err := env.probe(t, c.probe, s)
					env.accepted(t, env.v2, raw, err)
					if claims := verify(t, env.v2, raw); s.identity != nil && claims.ObjectID != s.identity(env) {
						t.Errorf("the token is that of %s, want %s", claims.ObjectID, s.identity(env))
					}
				})
			}
			record("503 once", slices.Contains(c.lacks, "503 once"), func(t *testing.T) {
				faulty := env
				faulty.data = env.faulty[i]
				raw, err := faulty.probe(t, c.probe, source{run: []string{"--via", "app-service"}, ask: "system"})
				if err != nil || raw == "" {
					t.Errorf("got no token from a server that failed once: %v", err)
				}
			})
			for _, r := range refusals() {
				record(r.way, false, func(t *testing.T) { env.refusedOnce(t, c, r) })
			}
		})
	}
}

// A refusal is what asking again does not help against.
type refusal struct {
	source
	says string // what the server answers
}

func refusals() []refusal {
	appService := []string{"--via", "app-service"}
	return []refusal{
		{source{way: "not assigned", run: appService, ask: "client", id: func(e environment) string { return e.stranger }}, "Identity not found"},
		{source{way: "unknown API", run: appService, wrap: []string{"env", "COMPAT_V2_RESOURCE=" + unknownResource}, ask: "system"}, "AADSTS500011:"},
		{source{way: "wrong header", run: appService, wrap: []string{"env", "IDENTITY_HEADER=wrong", "MSI_SECRET=wrong"}, ask: "system"}, "not the one of this process"},
	}
}

// refusedOnce checks that the library asks once and reports the refusal in an error type of
// its own.
func (e environment) refusedOnce(t *testing.T, c client, r refusal) {
	t.Helper()
	before := e.refusals(t)
	_, err := e.probe(t, c.probe, r.source)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("got %v, want the library's own error: %s", err, stderrOf(exit))
	}
	if text := stderrOf(exit); !strings.Contains(text, r.says) {
		t.Errorf("got %s, want what the server said", text)
	}
	if asked := e.refusals(t) - before; asked != 1 {
		t.Errorf("the library asked %d times, want once", asked)
	}
}

// refusals counts what the server refused processes with managed identities.
func (e environment) refusals(t *testing.T) int {
	t.Helper()
	log, err := os.ReadFile(e.log)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(log, []byte(`msg="managed identity"`))
}

// probe runs the probe as an identity and returns the token that it got.
func (e environment) probe(t *testing.T, library string, s source) (string, error) {
	t.Helper()
	args := []string{"run", "--data", e.data}
	if !slices.Contains(s.run, "--as") {
		args = append(args, "--as", e.system.name)
	}
	args = append(args, s.run...)
	if via := args[slices.Index(args, "--via")+1]; via != "workload" && via != "cli" {
		args = append(args, "--also", e.assigned.name)
	}
	args = append(append(args, "--"), s.wrap...)
	args = append(args, e.probeProgram, library, s.ask)
	if s.id != nil {
		args = append(args, s.id(e))
	}
	out, err := exec.CommandContext(t.Context(), e.rolecall, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() != 3 {
		t.Fatalf("%s: %v: %s", s.way, err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

func stderrOf(err *exec.ExitError) string {
	if err == nil {
		return ""
	}
	return string(err.Stderr)
}

// userRefused checks that the Orders server lets no user in.
func userRefused(t *testing.T, at api, raw string) {
	t.Helper()
	status, body := getOrders(t, at.url, raw)
	if status != http.StatusForbidden || !strings.Contains(string(body), "caller_kind") {
		t.Errorf("Orders answered %d: %s, want 403 and caller_kind", status, body)
	}
}
