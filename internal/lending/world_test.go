package lending_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/inprocess"
	"github.com/rolecall-auth/rolecall/internal/insidetest"
	"github.com/rolecall-auth/rolecall/internal/lending"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/remote"
	"github.com/rolecall-auth/rolecall/internal/server"
)

const tenant = directory.TenantID(authoritytest.TenantID)

// A world is a server elsewhere: its authority and its Graph, which can be away.
type world struct {
	testing.TB
	login *insidetest.Authority
	graph http.Handler
	away  atomic.Bool
	ended atomic.Bool // the sign-in

	mu   sync.Mutex
	said []string // guarded by mu
}

func newWorld(t testing.TB) *world {
	t.Helper()
	login := insidetest.Start(t)
	api, err := graph.New(graph.Config{
		Authority: login.URL, URL: "https://graph.contoso.test", Directory: login.Directory(), HTTPClient: login.HTTPClient(), Minter: login.Issuer(), Now: login.Clock().Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	w := &world{TB: t, login: login, graph: api.Handler()}
	login.Identity("worker", "orders", "Orders.Read")
	login.UserAssignedIdentity("second", "orders", "Orders.Write")
	w.must(login.Token("orders-client", "orders", "Orders.Read"))
	return w
}

func (w *world) must(token string) { // registers, too
	w.Helper()
	if token == "" {
		w.Fatal("no token")
	}
}

func (w *world) change(f func(*directory.Editor) error) {
	w.Helper()
	if _, err := w.login.Directory().Change(w.Context(), directory.Operator("test"), f); err != nil {
		w.Fatal(err)
	}
}

// eachRole does something with an application's holding of roles of Graph.
func (w *world) eachRole(name string, roles []string, do func(e *directory.Editor, holder, resource directory.ObjectID, role directory.RoleID) error) {
	w.Helper()
	w.change(func(e *directory.Editor) error {
		holder, err := e.ServicePrincipals().Find(tenant, w.login.App(name).ClientID)
		if err != nil {
			return err
		}
		api, err := e.Applications().FindAPI(tenant, graph.AppID)
		if err != nil {
			return err
		}
		resource, err := e.ServicePrincipals().FindAPI(tenant, graph.AppID)
		if err != nil {
			return err
		}
		for _, value := range roles {
			role, ok := api.Role(value)
			if !ok {
				w.Fatalf("Graph has no role %s", value)
			}
			if err := do(e, holder.ID, resource.ID, role.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// RoundTrip calls Graph, unless the server is away.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.away.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.DeadlineExceeded}
	}
	return inprocess.Transport{Handler: w.graph}.RoundTrip(r)
}

// signedIn calls with a token of whoever is signed in, a new one each time.
type signedIn struct {
	next  http.RoundTripper
	token func(context.Context) (string, error)
}

func (s signedIn) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := s.token(r.Context())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return s.next.RoundTrip(r)
}

// as returns the server as it lends to an application with roles of Graph.
func (w *world) as(name string, roles ...string) *lending.Server {
	w.Helper()
	w.login.Credential(name)
	w.eachRole(name, roles, func(e *directory.Editor, holder, resource directory.ObjectID, role directory.RoleID) error {
		_, _, err := e.Assignments().Add(tenant, holder, resource, role)
		return err
	})
	return w.lending(func(c *lending.Config) { _ = c }, name)
}

func (w *world) lending(with func(*lending.Config), name string) *lending.Server {
	w.Helper()
	client := &graphclient.Client{Base: "https://graph.contoso.test/v1.0", HTTP: &http.Client{Transport: signedIn{w, func(ctx context.Context) (string, error) {
		if w.ended.Load() {
			return "", fmt.Errorf("as the administrator decided: %w", remote.ErrEnded)
		}
		token, err := w.login.Credential(name).GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{graph.Resource + "/.default"}})
		return token.Token, err
	}}}}
	view := w.login.Directory().View(w.Context())
	home, err := view.Tenants().Find(string(tenant))
	if err != nil {
		w.Fatal(err)
	}
	cfg := lending.Config{
		Name: "team", Tenant: home, Finder: lookup.Remote{Client: client, Tenant: home}, Client: client, Dir: w.TempDir(), Now: w.login.Clock().Now,
		Endpoints: server.Endpoints{Authority: w.login.URL, Graph: "https://graph.contoso.test", CABundle: w.login.CABundle()},
		Say: func(text string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.said = append(w.said, text)
		},
	}
	with(&cfg)
	s, err := lending.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// heard returns all that was said.
func (w *world) heard() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.said, "\n")
}

// secrets are the names of an application's credentials.
func (w *world) credentials(name string) (names []string) {
	w.Helper()
	app, err := w.login.Directory().View(w.Context()).Applications().Find(tenant, w.login.App(name).ClientID)
	if err != nil {
		w.Fatal(err)
	}
	for _, s := range app.Secrets {
		names = append(names, s.Name)
	}
	for _, c := range app.Certificates {
		names = append(names, c.Name)
	}
	return names
}

// userToken is a token of the user who is signed in, as far as these tests look at one.
func userToken(_ context.Context, scopes ...string) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "token for " + strings.Join(scopes, " ")}, nil
}
