//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/server"
)

const (
	graphWriters = 8
	graphTenant  = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	graphAdmin   = "c11e0001-5a5a-4c4c-8d8d-0000000000ad"
	graphSecret  = "kept in a test, and nowhere else"
	graphRole    = "40000001-5a5a-4c4c-8d8d-000000000001"
)

const graphManifest = `tenants:
  - name: contoso
    id: ` + graphTenant + `
    applications:
      - name: administrator
        appId: ` + graphAdmin + `
        secrets: [{name: test, value: "` + graphSecret + `"}]
        permissions:
          - api: https://graph.microsoft.com
            roles: [Application.ReadWrite.All, AppRoleAssignment.ReadWrite.All]
            consent: true
      - name: orders-server
        appRoles: [{id: ` + graphRole + `, value: Orders.Read, displayName: Read orders, members: [Application]}]
`

// A graphWorld is a server, which is a process of its own, and a client of its Graph.
type graphWorld struct {
	serving *exec.Cmd
	client  *http.Client
	graph   string
	token   string
	api     string // the object id of the service principal of orders-server
}

// serveGraph starts a server on a folder and gets a token for its Graph.
func serveGraph(t *testing.T, dir string) *graphWorld {
	t.Helper()
	w := &graphWorld{serving: serveProgram(t, dir)}
	at, err := server.Find(t.Context(), dir)
	if err != nil || at == nil {
		t.Fatalf("no server on %s: %v", dir, err)
	}
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("the folder's root certificate: %v", err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: graphWriters}
	t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport, Timeout: time.Minute}
	w.graph = at.Graph + "/v1.0"
	response, err := w.client.PostForm(at.Authority+"/"+graphTenant+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {graphAdmin}, "client_secret": {graphSecret}, "scope": {"https://graph.microsoft.com/.default"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("no token: %d, %v", response.StatusCode, err)
	}
	w.token = answer.Token
	found := w.list(t, "/servicePrincipals?$filter="+url.QueryEscape("displayName eq 'orders-server'"))
	if len(found) != 1 {
		t.Fatalf("found %d service principals of orders-server", len(found))
	}
	w.api = found[0].ID
	return w
}

// A graphObject is what the test reads of applications, service principals and assignments.
type graphObject struct {
	ID          string   `json:"id"`
	AppID       string   `json:"appId"`
	Name        string   `json:"displayName"`
	Enabled     bool     `json:"accountEnabled"`
	URIs        []string `json:"identifierUris"`
	Passwords   []any    `json:"passwordCredentials"`
	PrincipalID string   `json:"principalId"`
}

var errGraphRefused = errors.New("refused")

// send sends a request and reads what answers it. An error that is not errGraphRefused means
// that the server may not be there any more.
func (w *graphWorld) send(method, path string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	at := path
	if strings.HasPrefix(path, "/") {
		at = w.graph + path
	}
	request, err := http.NewRequestWithContext(context.Background(), method, at, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := w.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%w: %s %s: %d %s", errGraphRefused, method, path, response.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// list reads a collection to its end.
func (w *graphWorld) list(t *testing.T, path string) (all []graphObject) {
	t.Helper()
	for at := path; at != ""; {
		var page struct {
			Value []graphObject `json:"value"`
			Next  string        `json:"@odata.nextLink"`
		}
		if err := w.send(http.MethodGet, at, nil, &page); err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Value...)
		at = page.Next
	}
	return all
}

// graphSteps is how many changes one application goes through:
//
//	0: it is created
//	1: its service principal
//	2: an assignment to that
//	3: a secret
//	4: an identifier URI
//	5: every other application is deleted, of the rest the service principal disabled
const graphSteps = 6

// A graphWriter makes the same changes in the same order as all of them, so that the number of
// those that were acknowledged says all there is to find.
type graphWriter struct {
	name           string
	acked          int
	app, principal graphObject
}

func (g *graphWriter) appName(k int) string { return fmt.Sprintf("%s-%d", g.name, k) }

func (g *graphWriter) step(w *graphWorld) error {
	k := g.acked / graphSteps
	app := "/applications/" + g.app.ID
	switch g.acked % graphSteps {
	case 0:
		return w.send(http.MethodPost, "/applications", map[string]any{"displayName": g.appName(k)}, &g.app)
	case 1:
		return w.send(http.MethodPost, "/servicePrincipals", map[string]any{"appId": g.app.AppID}, &g.principal)
	case 2:
		return w.send(http.MethodPost, "/servicePrincipals/"+w.api+"/appRoleAssignedTo", map[string]any{
			"principalId": g.principal.ID, "resourceId": w.api, "appRoleId": graphRole,
		}, nil)
	case 3:
		return w.send(http.MethodPost, app+"/addPassword", map[string]any{}, nil)
	case 4:
		return w.send(http.MethodPatch, app, map[string]any{"identifierUris": []string{"api://" + g.appName(k)}}, nil)
	}
	if deletedByGraph(k) {
		return w.send(http.MethodDelete, app, nil, nil)
	}
	return w.send(http.MethodPatch, "/servicePrincipals/"+g.principal.ID, map[string]any{"accountEnabled": false}, nil)
}

func deletedByGraph(k int) bool { return k%2 == 1 }

// after is what the first n changes of a writer leave: applications with the steps that each
// has behind it.
func (g *graphWriter) after(n int) map[string]int {
	apps := map[string]int{}
	for k := 0; k*graphSteps < n; k++ {
		steps := min(n-k*graphSteps, graphSteps)
		if steps < graphSteps || !deletedByGraph(k) {
			apps[g.appName(k)] = steps
		}
	}
	return apps
}

// writeUntilKilled lets all writers write at the same time and kills the server once enough of
// it was acknowledged.
func (w *graphWorld) writeUntilKilled(t *testing.T, writers []*graphWriter, enough int64) {
	t.Helper()
	var total atomic.Int64
	var all sync.WaitGroup
	for _, g := range writers {
		all.Go(func() {
			for {
				if err := g.step(w); err != nil {
					if errors.Is(err, errGraphRefused) || total.Load() < enough {
						t.Errorf("%s, change %d: %v", g.name, g.acked, err)
						_ = w.serving.Process.Kill()
					}
					return
				}
				g.acked++
				if total.Add(1) == enough {
					_ = w.serving.Process.Kill()
				}
			}
		})
	}
	all.Wait()
	_ = w.serving.Wait() // it was killed
}

// found reads what is there of each application whose name begins so.
func (w *graphWorld) found(t *testing.T, prefix string) map[string]int {
	t.Helper()
	query := "?$top=999&$filter=" + url.QueryEscape("startswith(displayName,'"+prefix+"')")
	principals := map[string]graphObject{}
	for _, p := range w.list(t, "/servicePrincipals"+query) {
		principals[p.AppID] = p
	}
	assigned := map[string]bool{}
	for _, a := range w.list(t, "/servicePrincipals/"+w.api+"/appRoleAssignedTo") {
		assigned[a.PrincipalID] = true
	}
	apps := map[string]int{}
	for _, app := range w.list(t, "/applications"+query) {
		p, exists := principals[app.AppID]
		delete(principals, app.AppID)
		// In the order in which they happened: the first that did not is the number of those
		// that did, and no later one may have.
		happened := []bool{true, exists, assigned[p.ID], len(app.Passwords) == 1, len(app.URIs) == 1, exists && !p.Enabled}
		steps := slices.Index(append(happened, false), false)
		if slices.Contains(happened[steps:], true) {
			t.Errorf("of the changes of %s there happened %v: torn", app.Name, happened)
		}
		apps[app.Name] = steps
	}
	for _, p := range principals {
		t.Errorf("the service principal of %s is there without it", p.Name)
	}
	return apps
}

// TestKilledGraph kills a server in the midst of changes that come in through Graph, again and
// again, and looks each time whether all that it acknowledged is there, nothing by halves, and
// whether the audit chain is whole. ROLECALL_KILLS says how often, with a thousand changes each.
func TestKilledGraph(t *testing.T) {
	rounds, enough := fixture.Rounds(t, fixture.Kills, 1), int64(150)
	if os.Getenv(fixture.Kills) != "" {
		enough = 1000
	}
	dir := filepath.Join(t.TempDir(), "data")
	manifest := filepath.Join(t.TempDir(), "rolecall.yaml")
	if err := os.WriteFile(manifest, []byte(graphManifest), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, messages := finished(t, dir, "apply", "-f", manifest); code != command.ExitOK {
		t.Fatalf("apply: %d\n%s", code, messages)
	}
	w := serveGraph(t, dir)
	for round := range rounds {
		var writers []*graphWriter
		for i := range graphWriters {
			writers = append(writers, &graphWriter{name: fmt.Sprintf("round%d-%d", round, i)})
		}
		kill := enough - rand.Int64N(enough/3)
		w.writeUntilKilled(t, writers, kill)
		w = serveGraph(t, dir)
		for _, g := range writers {
			found := w.found(t, g.name+"-")
			// The change after the last acknowledged one may have happened too.
			if !maps.Equal(found, g.after(g.acked)) && !maps.Equal(found, g.after(g.acked+1)) {
				t.Errorf("%s: %d changes were acknowledged, and there is %v", g.name, g.acked, found)
			}
		}
		if code, _, messages := finished(t, dir, "audit", "verify"); code != command.ExitOK {
			t.Errorf("audit verify: %d\n%s", code, messages)
		}
		if t.Failed() {
			t.Fatalf("in round %d, killed after %d changes", round, kill)
		}
	}
}
