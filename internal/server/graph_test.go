package server

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/loopback"
)

// A token for the URL of Graph, however its slashes are written, is one that Graph takes; what
// its holder may do there is another question.
func TestGraphTakesTokensForItsURL(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir()})
	tool := newTool(t, s)
	caller := tool.caller
	for _, version := range []string{"2019-05-01", "2022-09-01"} {
		response, err := caller.Get(s.Endpoints().ResourceManager + "/metadata/endpoints?api-version=" + version)
		if err != nil {
			t.Fatal(err)
		}
		metadata, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !strings.Contains(string(metadata), `"microsoftGraphResourceId":"`+s.Endpoints().Graph+`"`) {
			t.Errorf("metadata of %s: %v %s", version, err, metadata)
		}
	}
	for _, resource := range []string{s.Endpoints().Graph, s.Endpoints().Graph + "/", "https://graph.microsoft.com", "https://graph.microsoft.us"} {
		raw := tool.token(t, resource)
		for _, with := range []struct {
			token  string
			status int
			code   string
		}{{raw, http.StatusForbidden, "Authorization_RequestDenied"}, {"", http.StatusUnauthorized, "InvalidAuthenticationToken"}} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Endpoints().Graph+"/v1.0/applications", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", strings.TrimSpace("Bearer "+with.token))
			answer, err := caller.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			var body struct{ Error struct{ Code string } }
			err = json.NewDecoder(answer.Body).Decode(&body)
			answer.Body.Close()
			if err != nil || answer.StatusCode != with.status || body.Error.Code != with.code {
				t.Errorf("%s: %d %s %v, want %d %s", resource, answer.StatusCode, body.Error.Code, err, with.status, with.code)
			}
		}
	}
}

// The manager's own address is another name of the resource that it is, for libraries that are told
// the one and not the other.
func TestTheManagersAddressNamesIt(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir()})
	tool := newTool(t, s)
	for _, resource := range []string{s.Endpoints().ResourceManager, s.Endpoints().ResourceManager + "/", "https://management.azure.com"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Endpoints().ResourceManager+"/subscriptions?api-version=2022-12-01", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+tool.token(t, resource))
		answer, err := tool.caller.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), directory.Subscription(tool.tenant)) {
			t.Errorf("%s: %d %s %v", resource, answer.StatusCode, body, err)
		}
	}
}

// A running server lends the tokens of its identities, to those who may manage them, and explains
// what it issued to those who may read it.
func TestGraphHasActionsOfItsOwn(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir()})
	tool := newTool(t, s)
	var worker *directory.ServicePrincipal
	_, err := s.Data().Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) (err error) {
		worker, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tool.tenant, Type: directory.PrincipalManagedIdentity, Name: "worker"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tool.grant(t, "Application.ReadWrite.All", "AuditLog.Read.All")
	client := &graphclient.Client{Base: s.Endpoints().Graph + "/v1.0", HTTP: &http.Client{Transport: bearing{tool.caller.Transport, tool.token(t, s.Endpoints().Graph)}}}
	got, err := client.IdentityToken(t.Context(), string(worker.ID), graphclient.IdentityTokenRequest{Resource: "https://vault.azure.net"})
	if err != nil {
		t.Fatal(err)
	}
	if got.ObjectID != string(worker.ID) || strings.Count(got.Token, ".") != 2 {
		t.Errorf("%+v", got)
	}
	report, err := client.Explain(t.Context(), explain.Question{Token: got.Token})
	if err != nil || !report.Accepted || report.Client != "worker" || report.API != "Azure Key Vault" {
		t.Errorf("%+v %v", report, err)
	}
	report, err = client.Explain(t.Context(), explain.Question{CorrelationID: got.CorrelationID})
	if err != nil || !report.Accepted || !strings.Contains(report.Steps[0].Detail, "lent to application tool") {
		t.Errorf("%+v %v", report, err)
	}
	if err := s.authority.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Data().Directory.SignIns(t.Context(), directory.SignInFilter{Tenant: tool.tenant, AppID: worker.AppID})
	if err != nil || len(rows) != 1 || rows[0].Borrower == nil || rows[0].Borrower.Name != "tool" || !loopback.Is(rows[0].Source) {
		t.Errorf("%+v %v", rows, err)
	}
}

// bearing sends a token along.
type bearing struct {
	http.RoundTripper
	raw string
}

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.raw)
	return b.RoundTripper.RoundTrip(r)
}

// A tool is a client of a server, of its only tenant.
type tool struct {
	server *Server
	tenant directory.TenantID
	id     directory.AppID
	secret string
	caller *http.Client
}

func newTool(t *testing.T, s *Server) *tool {
	t.Helper()
	made := &tool{server: s, tenant: directory.TenantID(s.Endpoints().Tenants[0].ID)}
	_, err := s.Data().Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		app, err := e.Applications().Create(directory.Application{Tenant: made.tenant, Name: "tool"})
		if err != nil {
			return err
		}
		made.id = app.AppID
		if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: made.tenant, AppID: made.id}); err != nil {
			return err
		}
		_, made.secret, err = e.Credentials().AddSecret(made.tenant, app.ID, "ci", time.Time{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	made.caller = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA().Pool(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
	return made
}

// grant gives the tool app roles of Graph.
func (c *tool) grant(t *testing.T, roles ...string) {
	t.Helper()
	_, err := c.server.Data().Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		holder, err := e.ServicePrincipals().ByAppID(c.tenant, c.id)
		if err != nil {
			return err
		}
		api, err := e.Applications().FindAPI(c.tenant, string(directory.GraphAppID))
		if err != nil {
			return err
		}
		resource, err := e.ServicePrincipals().FindAPI(c.tenant, directory.GraphAppID)
		if err != nil {
			return err
		}
		for _, value := range roles {
			role, _ := api.Role(value)
			if _, _, err := e.Assignments().Add(c.tenant, holder.ID, resource.ID, role.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// token is one for a resource.
func (c *tool) token(t *testing.T, resource string) string {
	t.Helper()
	answer, err := c.caller.PostForm(c.server.Endpoints().Authority+"/"+string(c.tenant)+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {string(c.id)}, "client_secret": {c.secret}, "scope": {resource + "/.default"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var token struct {
		Value string `json:"access_token"`
		Error string `json:"error_description"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil || token.Value == "" {
		t.Fatalf("%s: %v %s", resource, err, token.Error)
	}
	return token.Value
}
