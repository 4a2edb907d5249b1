package graph_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

const upn = "ada@" + authoritytest.TenantDomain

func TestUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	global := w.user("root@"+authoritytest.TenantDomain, []string{"Global Administrator"}, "Directory.AccessAsUser.All")
	made := w.do(global, http.MethodPost, "/v1.0/users", `{"accountEnabled":true,"displayName":"Ada","mailNickname":"ada","userPrincipalName":"`+upn+`",
		"jobTitle":"engineer","passwordProfile":{"password":"correct horse battery","forceChangePasswordNextSignIn":false}}`)
	id := text(made.body, "id")
	if made.Code != http.StatusCreated || made.Header().Get("Location") != ownURL+"/v1.0/users/"+id || strings.Contains(made.Body.String(), "horse") {
		t.Fatalf("made: %d %s", made.Code, made.Body)
	}
	for _, path := range []string{"/v1.0/users/" + id, "/v1.0/users/" + strings.ToUpper(upn), "/v1.0/users('" + upn + "')", "/v1.0/users(userPrincipalName='" + upn + "')"} {
		one := w.want(http.StatusOK, global, http.MethodGet, path, nil)
		if one["id"] != id || one["displayName"] != "Ada" || one["jobTitle"] != "engineer" || one["mailNickname"] != "ada" || one["accountEnabled"] != true || one["passwordProfile"] != nil {
			t.Errorf("%s: %v", path, one)
		}
	}
	for _, filter := range []string{"userPrincipalName eq '" + upn + "'", "startswith(displayName,'ad')", "displayName eq 'ada'", "id eq '" + id + "'", "jobTitle eq 'engineer'"} {
		got := w.want(http.StatusOK, global, http.MethodGet, "/v1.0/users?$filter="+strings.ReplaceAll(filter, " ", "%20"), nil)
		if ids := valuesOf(got, "id"); !slices.Equal(ids, []string{id}) {
			t.Errorf("%s: %v", filter, ids)
		}
	}
	check := func(password string) error {
		u, err := w.login.Directory().View(t.Context()).Users().Get(tenant, directory.ObjectID(id))
		if err != nil {
			t.Fatal(err)
		}
		return w.login.Directory().CheckPassword(t.Context(), u, password)
	}
	if err := check("correct horse battery"); err != nil {
		t.Error(err)
	}
	w.want(http.StatusNoContent, global, http.MethodPatch, "/v1.0/users/"+id, `{"displayName":"Ada L","accountEnabled":false,"passwordProfile":{"password":"another horse entirely"}}`)
	if one := w.want(http.StatusOK, global, http.MethodGet, "/v1.0/users/"+id, nil); one["displayName"] != "Ada L" || one["accountEnabled"] != false || one["jobTitle"] != "engineer" {
		t.Errorf("changed: %v", one)
	}
	if err := check("another horse entirely"); err != nil {
		t.Error(err)
	}
	revoked := w.want(http.StatusOK, global, http.MethodPost, "/v1.0/users/"+id+"/revokeSignInSessions", nil)
	if revoked["value"] != true || revoked["@odata.context"] != ownURL+"/v1.0/$metadata#Edm.Boolean" {
		t.Errorf("revoked: %v", revoked)
	}
	w.want(http.StatusNoContent, global, http.MethodDelete, "/v1.0/users/"+id, nil)
	w.want(http.StatusNotFound, global, http.MethodGet, "/v1.0/users/"+upn, nil)
}

func TestErrorsOfUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	global := w.user("root@"+authoritytest.TenantDomain, []string{"Global Administrator"}, "Directory.AccessAsUser.All")
	helper := w.user("helper@"+authoritytest.TenantDomain, []string{"User Administrator"}, "User.ReadWrite.All")
	dev := w.user("dev@"+authoritytest.TenantDomain, nil, "User.ReadWrite.All")
	reader := w.app("reader", "Directory.Read.All")
	apps := w.app("apps", "Application.Read.All")
	const good = `{"accountEnabled":true,"displayName":"Ada","mailNickname":"ada","userPrincipalName":"` + upn + `","passwordProfile":{"password":"correct horse battery"}}`
	for _, tt := range []struct {
		name, token, method, path, body string
		status                          int
		code, message                   string
	}{
		{"no password", global, "POST", "/users", strings.Replace(good, `"passwordProfile"`, `"@odata.x"`, 1), 400, "Request_BadRequest", "'passwordProfile'"},
		{"a short password", global, "POST", "/users", strings.Replace(good, "correct horse battery", "short", 1), 400, "Request_BadRequest", "password"},
		{"another domain", global, "POST", "/users", strings.Replace(good, upn, "ada@example.org", 1), 400, "Request_BadRequest", "example.org"},
		{"a name that is taken", global, "POST", "/users", strings.Replace(good, upn, "dev@"+authoritytest.TenantDomain, 1), 400, "Request_BadRequest", "A conflicting object with one or more of the specified property values is present in the directory"},
		{"by a reader", reader, "POST", "/users", good, 403, "Authorization_RequestDenied", "Insufficient privileges"},
		{"by nobody", dev, "POST", "/users", good, 403, "Authorization_RequestDenied", "Insufficient privileges"},
		{"read without the permission", apps, "GET", "/users", "", 403, "Authorization_RequestDenied", "Insufficient privileges"},
		{"an administrator's password, by one of users", helper, "PATCH", "/users/root@" + authoritytest.TenantDomain, `{"passwordProfile":{"password":"now it is mine"}}`, 403, "Authorization_RequestDenied", "Global Administrator"},
		{"an administrator deleted, by one of users", helper, "DELETE", "/users/root@" + authoritytest.TenantDomain, "", 403, "Authorization_RequestDenied", "Global Administrator"},
		{"not there", reader, "GET", "/users/nobody@" + authoritytest.TenantDomain, "", 404, "Request_ResourceNotFound", "Resource 'nobody@" + authoritytest.TenantDomain + "' does not exist"},
		{"me, of an application", reader, "GET", "/me", "", 400, "BadRequest", "/me request is only valid with delegated authentication flow"},
		{"what me owns, of an application", reader, "GET", "/me/ownedObjects", "", 400, "BadRequest", "/me request is only valid"},
		{"directory roles", global, "PATCH", "/users/dev@" + authoritytest.TenantDomain, `{"directoryRoles":["Global Administrator"]}`, 400, "Request_BadRequest", "Invalid property 'directoryRoles'"},
	} {
		got := w.do(tt.token, tt.method, "/v1.0"+tt.path, body(tt.body))
		if code, message := got.problem(); got.Code != tt.status || code != tt.code || !strings.Contains(got.Body.String(), tt.message) {
			t.Errorf("%s: got %d %s %q, want %d %s %q", tt.name, got.Code, code, message, tt.status, tt.code, tt.message)
		}
	}
}

func TestMe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := "dev@" + authoritytest.TenantDomain
	dev := w.user(name, nil, "User.Read")
	me := w.want(http.StatusOK, dev, http.MethodGet, "/v1.0/me?$select=id,userPrincipalName", nil)
	if me["userPrincipalName"] != name || len(me) != 3 {
		t.Fatalf("me: %v", me)
	}
	w.want(http.StatusForbidden, dev, http.MethodGet, "/v1.0/users", nil)
	w.change(func(e *directory.Editor) error {
		app, err := e.Applications().Create(directory.Application{Tenant: tenant, DisplayName: "mine", TokenVersion: 2})
		if err != nil {
			return err
		}
		return e.Applications().AddOwner(tenant, app.ID, directory.ObjectID(text(me, "id")))
	})
	for path, want := range map[string]int{"": 1, "/microsoft.graph.application": 1, "/microsoft.graph.servicePrincipal": 0} {
		got := w.want(http.StatusOK, dev, http.MethodGet, "/v1.0/me/ownedObjects"+path, nil)
		if names := valuesOf(got, "displayName"); len(names) != want {
			t.Errorf("%s: %v", path, names)
		}
	}
	assigned := w.want(http.StatusOK, dev, http.MethodGet, "/v1.0/me/memberOf", nil)
	if len(valuesOf(assigned, "id")) != 0 {
		t.Errorf("groups: %v", assigned)
	}
	// Who may read who the user is may not end the user's sessions.
	w.want(http.StatusForbidden, dev, http.MethodPost, "/v1.0/me/revokeSignInSessions", nil)
	dev = w.user("tools."+name, nil, "user_impersonation")
	// The sessions end with this very token.
	w.want(http.StatusOK, dev, http.MethodPost, "/v1.0/me/revokeSignInSessions", nil)
	if got := w.do(dev, http.MethodGet, "/v1.0/me", nil); got.Code == http.StatusOK {
		t.Errorf("afterwards: %d %s", got.Code, got.Body)
	}
}

func TestObjectsOfAnyKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All", "Directory.Read.All")
	app, _, sp := w.api(admin, orders)
	w.user("dev@"+authoritytest.TenantDomain, nil, "User.Read")
	user := text(w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/users/dev@"+authoritytest.TenantDomain, nil), "id")
	for id, kind := range map[string]string{app: "application", sp: "servicePrincipal", user: "user"} {
		one := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/directoryObjects/"+id, nil)
		if one["id"] != id || one["@odata.type"] != "#microsoft.graph."+kind || one["displayName"] == nil {
			t.Errorf("%s: %v", kind, one)
		}
	}
	const unknown = "11111111-1111-4111-8111-111111111111"
	w.want(http.StatusNotFound, admin, http.MethodGet, "/v1.0/directoryObjects/"+unknown, nil)
	for body, want := range map[string][]string{
		`{"ids":["` + app + `","` + sp + `","` + user + `","` + unknown + `","` + sp + `"]}`:              {app, sp, user},
		`{"ids":["` + app + `","` + sp + `","` + user + `"],"types":["user","group","servicePrincipal"]}`: {sp, user},
		`{"ids":["` + app + `","` + sp + `"],"types":["directoryObject"]}`:                                {app, sp},
		`{"ids":["` + app + `"],"types":["group"]}`:                                                       {},
	} {
		got := w.want(http.StatusOK, admin, http.MethodPost, "/v1.0/directoryObjects/getByIds", body)
		if ids := valuesOf(got, "id"); !slices.Equal(ids, want) {
			t.Errorf("%s: %v", body, ids)
		}
		if slices.Contains(valuesOf(got, "@odata.type"), "<nil>") {
			t.Errorf("%s: no type: %v", body, got)
		}
	}
	for _, body := range []string{`{}`, `{"ids":[]}`, `{"ids":["x"]}`, `{"ids":[` + strings.Repeat(`"`+unknown+`",`, 1000) + `"` + unknown + `"]}`} {
		if got := w.do(admin, http.MethodPost, "/v1.0/directoryObjects/getByIds", body); got.Code != http.StatusBadRequest {
			t.Errorf("%.40s: %d %s", body, got.Code, got.Body)
		}
	}
}
