package server

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
)

const (
	resourceManager = "https://management.azure.com"
	afarPassword    = "correct horse battery staple"
)

// A developer has signed in by a device code, on another machine.
type developer struct {
	testing.TB
	server  *Server
	tenant  string
	client  string // app id
	http    *http.Client
	refresh string
}

// newDevelopers registers a public client that may act for users at the resource manager and at
// Graph, and users by their directory roles.
func newDevelopers(t *testing.T, s *Server, roles ...string) []*developer {
	t.Helper()
	tenant := s.Endpoints().Tenants[0].ID
	var client directory.AppID
	_, err := s.Data().Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		if _, err := e.Tenants().Edit(directory.TenantID(tenant), func(t *directory.Tenant) error { t.Domains = []string{"contoso.test"}; return nil }); err != nil {
			return err
		}
		app, err := e.Applications().Create(directory.Application{Tenant: directory.TenantID(tenant), Name: "laptop", Public: true})
		if err != nil {
			return err
		}
		client = app.AppID
		principal, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: app.Tenant, AppID: client})
		if err != nil {
			return err
		}
		for api, scope := range map[directory.AppID]string{directory.ResourceManagerAppID: "user_impersonation", directory.GraphAppID: "Directory.AccessAsUser.All"} {
			resource, err := e.ServicePrincipals().FindAPI(app.Tenant, api)
			if err != nil {
				return err
			}
			if _, err := e.DelegatedGrants().Add(app.Tenant, principal.ID, resource.ID, "", []string{scope}); err != nil {
				return err
			}
		}
		for _, role := range roles {
			name := strings.ToLower(strings.ReplaceAll(role, " ", "."))
			user, err := e.Users().Create(directory.User{Tenant: app.Tenant, PrincipalName: name + "@contoso.test", DisplayName: role}, directory.Choose(afarPassword))
			if err != nil {
				return err
			}
			if role == "member" {
				continue
			}
			if _, err := e.Users().Edit(app.Tenant, user.ID, func(u *directory.User) error { u.DirectoryRoles = []string{role}; return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []*developer
	for _, role := range roles {
		d := &developer{TB: t, server: s, tenant: tenant, client: string(client)}
		d.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA().Pool(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
		d.signIn(strings.ToLower(strings.ReplaceAll(role, " ", ".")) + "@contoso.test")
		all = append(all, d)
	}
	return all
}

// post sends a form and returns a JSON answer.
func (d *developer) post(path string, form url.Values) map[string]any {
	d.Helper()
	answer, err := d.http.PostForm(d.server.Endpoints().Authority+"/"+d.tenant+"/oauth2/v2.0/"+path, form)
	if err != nil {
		d.Fatal(err)
	}
	defer answer.Body.Close()
	var got map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || answer.StatusCode != http.StatusOK {
		d.Fatalf("%s: %s %v %v", path, answer.Status, got, err)
	}
	return got
}

var hiddenField = regexp.MustCompile(`name="form" value="([^"]*)"`)

// signIn does what the tool does, and what the user does with the code, in a browser.
func (d *developer) signIn(user string) {
	d.Helper()
	started := d.post("devicecode", url.Values{"client_id": {d.client}, "scope": {resourceManager + "/.default offline_access"}})
	jar, err := cookiejar.New(nil)
	if err != nil {
		d.Fatal(err)
	}
	browser := &http.Client{Transport: d.http.Transport, Jar: jar}
	page := ""
	visit := func(method, path string, form url.Values) {
		d.Helper()
		form.Set("form", page)
		r, err := http.NewRequestWithContext(d.Context(), method, d.server.Endpoints().Authority+path, strings.NewReader(form.Encode()))
		if err != nil {
			d.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", d.server.Endpoints().Authority)
		answer, err := browser.Do(r)
		if err != nil {
			d.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			d.Fatalf("%s %s: %s %s %v", method, path, answer.Status, body, err)
		}
		page = ""
		if found := hiddenField.FindSubmatch(body); found != nil {
			page = html.UnescapeString(string(found[1]))
		}
	}
	visit(http.MethodGet, "/devicelogin", url.Values{})
	visit(http.MethodPost, "/devicelogin", url.Values{"user_code": {started["user_code"].(string)}})
	visit(http.MethodPost, "/signin", url.Values{"username": {user}, "password": {afarPassword}, "action": {"signin"}})
	visit(http.MethodPost, "/confirm", url.Values{"action": {"continue"}})
	got := d.post("token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {d.client}, "device_code": {started["device_code"].(string)}})
	d.refresh = got["refresh_token"].(string)
}

// token is one for a resource, by the sign-in.
func (d *developer) token(resource string) string {
	d.Helper()
	got := d.post("token", url.Values{"grant_type": {"refresh_token"}, "client_id": {d.client}, "refresh_token": {d.refresh}, "scope": {resource + "/.default offline_access"}})
	d.refresh = got["refresh_token"].(string)
	return got["access_token"].(string)
}

// manage asks the resource manager.
func (d *developer) manage(method, path, body string) (status int, got map[string]any) {
	d.Helper()
	r, err := http.NewRequestWithContext(d.Context(), method, d.server.Endpoints().ResourceManager+path+"?api-version=2023-01-31", bytes.NewReader([]byte(body)))
	if err != nil {
		d.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.token(resourceManager))
	r.Header.Set("Content-Type", "application/json")
	answer, err := d.http.Do(r)
	if err != nil {
		d.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil && err != io.EOF {
		d.Fatal(err)
	}
	return answer.StatusCode, got
}

// With one sign-in by a device code, and only the server's URLs, an administrator of applications
// makes a managed identity, runs as it and deletes it. Who is no administrator reads, and is told
// what is missing.
func TestIdentitiesFromAfar(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir()})
	both := newDevelopers(t, s, "Application Administrator", "member")
	administrator, member := both[0], both[1]
	_, subscriptions := administrator.manage(http.MethodGet, "/subscriptions", "")
	subscription := subscriptions["value"].([]any)[0].(map[string]any)["id"].(string)
	all := subscription + "/resourceGroups/rolecall/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
	worker := all + "/worker"

	if status, got := member.manage(http.MethodPut, worker, `{"location":"local"}`); status != http.StatusForbidden || got["error"].(map[string]any)["code"] != "AuthorizationFailed" {
		t.Errorf("a member makes one: %d %v", status, got)
	}
	status, made := administrator.manage(http.MethodPut, worker, `{"location":"local"}`)
	if status != http.StatusCreated {
		t.Fatalf("the administrator makes one: %d %v", status, made)
	}
	for _, who := range both {
		if status, got := who.manage(http.MethodGet, worker, ""); status != http.StatusOK || got["name"] != "worker" {
			t.Errorf("show: %d %v", status, got)
		}
		if status, got := who.manage(http.MethodGet, all, ""); status != http.StatusOK || len(got["value"].([]any)) != 1 {
			t.Errorf("list: %d %v", status, got)
		}
	}
	id := made["properties"].(map[string]any)["principalId"].(string)
	for _, who := range both {
		graph := &graphclient.Client{Base: s.Endpoints().Graph + "/v1.0", HTTP: &http.Client{Transport: bearing{who.http.Transport, who.token(s.Endpoints().Graph)}}}
		got, err := graph.IdentityToken(t.Context(), id, graphclient.IdentityTokenRequest{Resource: "https://vault.azure.net"})
		switch {
		case who == member && (err == nil || !strings.Contains(err.Error(), "Insufficient privileges")):
			t.Errorf("the member runs as it: %+v %v", got, err)
		case who == administrator && (err != nil || got.ObjectID != id || got.ResourceID != made["id"]):
			t.Errorf("the administrator runs as it: %+v %v", got, err)
		}
	}
	if status, got := member.manage(http.MethodDelete, worker, ""); status != http.StatusForbidden {
		t.Errorf("a member deletes it: %d %v", status, got)
	}
	if status, got := administrator.manage(http.MethodDelete, worker, ""); status != http.StatusOK {
		t.Errorf("the administrator deletes it: %d %v", status, got)
	}
	if status, _ := member.manage(http.MethodGet, worker, ""); status != http.StatusNotFound {
		t.Errorf("deleted, it is still there: %d", status)
	}
}
