package graph_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

func TestPermissionGrants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All")
	_, _, api := w.api(admin, orders)
	_, _, client := w.api(admin, `{"displayName":"client"}`)
	w.user("dev@"+authoritytest.TenantDomain, nil, "User.Read")
	user, err := w.login.Directory().View(t.Context()).Users().Find(tenant, "dev@"+authoritytest.TenantDomain)
	if err != nil {
		t.Fatal(err)
	}
	made := w.do(admin, http.MethodPost, "/v1.0/oauth2PermissionGrants", `{"clientId":"`+client+`","consentType":"AllPrincipals","principalId":null,"resourceId":"`+api+`","scope":" write read","startTime":"2026-01-01T00:00:00Z"}`)
	id := text(made.body, "id")
	if made.Code != http.StatusCreated || len(id) != 43 || made.body["scope"] != "read write" || made.body["principalId"] != nil || made.Header().Get("Location") != ownURL+"/v1.0/oauth2PermissionGrants/"+id {
		t.Fatalf("made: %d %s", made.Code, made.Body)
	}
	one := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/oauth2PermissionGrants", `{"clientId":"`+client+`","consentType":"Principal","principalId":"`+string(user.ID)+`","resourceId":"`+api+`","scope":"read"}`)
	for path, want := range map[string][]string{
		"/oAuth2PermissionGrants":                                      {id, text(one, "id")},
		"/oauth2PermissionGrants?$filter=clientId eq '" + client + "'": {id, text(one, "id")},
		"/oauth2PermissionGrants?$filter=clientId eq '" + client + "' and resourceId eq '" + api + "' and consentType eq 'AllPrincipals'": {id},
		"/oauth2PermissionGrants?$filter=principalId eq '" + string(user.ID) + "'":                                                        {text(one, "id")},
		"/oauth2PermissionGrants?$filter=resourceId eq '" + client + "'":                                                                  {},
		"/oauth2PermissionGrants?$filter=id eq '" + id + "'":                                                                              {id},
		"/servicePrincipals/" + client + "/oauth2PermissionGrants":                                                                        {id, text(one, "id")},
		"/servicePrincipals/" + api + "/oauth2PermissionGrants":                                                                           {},
		"/users/" + string(user.ID) + "/oauth2PermissionGrants":                                                                           nil,
	} {
		reader := admin
		got := w.do(reader, http.MethodGet, "/v1.0"+strings.ReplaceAll(path, " ", "%20"), nil)
		if want == nil { // who reads grants does not read users, but may ask for theirs
			want = []string{text(one, "id")}
		}
		ids := valuesOf(got.body, "id")
		slices.Sort(ids)
		slices.Sort(want)
		if got.Code != http.StatusOK || !slices.Equal(ids, want) {
			t.Errorf("%s: %d %v, want %v", path, got.Code, got.Body, want)
		}
	}
	w.want(http.StatusNoContent, admin, http.MethodPatch, "/v1.0/oauth2PermissionGrants/"+id, `{"id":"`+id+`","clientId":"`+client+`","scope":"write"}`)
	if got := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/oauth2PermissionGrants/"+id, nil); got["scope"] != "write" {
		t.Errorf("changed: %v", got)
	}
	granted, err := w.login.Directory().View(t.Context()).DelegatedGrants().AllOf(tenant, directory.ObjectID(client))
	if err != nil || len(granted) != 2 {
		t.Errorf("granted: %v %v", granted, err)
	}
	w.want(http.StatusNoContent, admin, http.MethodDelete, "/v1.0/oauth2PermissionGrants/"+id, nil)
	w.want(http.StatusNotFound, admin, http.MethodGet, "/v1.0/oauth2PermissionGrants/"+id, nil)
}

func TestErrorsOfPermissionGrants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All")
	_, _, api := w.api(admin, orders)
	_, _, client := w.api(admin, `{"displayName":"client"}`)
	grant := func(client, resource, rest string) string {
		return fmt.Sprintf(`{"clientId":%q,"resourceId":%q,%s}`, client, resource, rest)
	}
	const everyone, unknown = `"consentType":"AllPrincipals","scope":"read"`, "11111111-1111-4111-8111-111111111111"
	id := text(w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/oauth2PermissionGrants", grant(client, api, everyone)), "id")
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		code, message            string
	}{
		{"twice", "POST", "", grant(client, api, everyone), 409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists"},
		{"an unknown client", "POST", "", grant(unknown, api, everyone), 404, "Request_ResourceNotFound", unknown},
		{"an unknown API", "POST", "", grant(client, unknown, everyone), 404, "Request_ResourceNotFound", unknown},
		{"an unknown user", "POST", "", grant(client, api, `"consentType":"Principal","principalId":"`+unknown+`","scope":"read"`), 404, "Request_ResourceNotFound", unknown},
		{"an unknown scope", "POST", "", grant(client, client, everyone), 400, "Request_BadRequest", "has no scope"},
		{"no user", "POST", "", grant(client, api, `"consentType":"Principal","scope":"read"`), 400, "Request_BadRequest", "principalId"},
		{"a user too many", "POST", "", grant(client, api, `"consentType":"AllPrincipals","principalId":"`+unknown+`","scope":"read"`), 400, "Request_BadRequest", "principalId"},
		{"no scope", "POST", "", grant(client, api, `"consentType":"AllPrincipals","scope":" "`), 400, "Request_BadRequest", "scope"},
		{"no consent type", "POST", "", grant(client, api, `"scope":"read"`), 400, "Request_BadRequest", "'consentType'"},
		{"another consent type", "POST", "", grant(client, api, `"consentType":"Nobody","scope":"read"`), 400, "Request_BadRequest", "AllPrincipals or Principal"},
		{"another client", "PATCH", "/" + id, `{"clientId":"` + api + `"}`, 400, "Request_BadRequest", "Only 'scope'"},
		{"emptied", "PATCH", "/" + id, `{"scope":""}`, 400, "Request_BadRequest", "Delete the grant"},
		{"not there", "DELETE", "/" + unknown, "", 404, "Request_ResourceNotFound", unknown},
	} {
		got := w.do(admin, tt.method, "/v1.0/oauth2PermissionGrants"+tt.path, body(tt.body))
		if code, message := got.problem(); got.Code != tt.status || code != tt.code || !strings.Contains(message, tt.message) {
			t.Errorf("%s: got %d %s %q, want %d %s %q", tt.name, got.Code, code, message, tt.status, tt.code, tt.message)
		}
	}
}
