package graph_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph"
)

func TestTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	got := w.do(admin, http.MethodPost, "/v1.0/applications", `{"displayName":"orders","identifierUris":["api://orders"]}`, "x-ms-client-request-id", "7c8c1f7e-1111-4111-8111-000000000001")
	if got.Code != http.StatusCreated {
		t.Fatalf("create: %d %s", got.Code, got.Body)
	}
	id, _ := got.body["id"].(string)
	appID, _ := got.body["appId"].(string)
	for name, want := range map[string]string{
		"Content-Type": "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8", "OData-Version": "4.0",
		"Client-Request-Id": "7c8c1f7e-1111-4111-8111-000000000001", "Cache-Control": "no-cache", "Location": ownURL + "/v1.0/applications/" + id,
	} {
		if got := got.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got.Header().Get("request-id") == "" {
		t.Error("no request-id")
	}
	if context := got.body["@odata.context"]; context != ownURL+"/v1.0/$metadata#applications/$entity" {
		t.Errorf("context: %v", context)
	}
	if !strings.HasPrefix(got.Body.String(), `{"@odata.context":`) {
		t.Errorf("the context does not come first: %.60s", got.Body)
	}
	for _, path := range []string{
		"/v1.0/applications/" + id, "/V1.0/Applications/" + strings.ToUpper(id), "/beta/applications/" + id, "//v1.0//applications//" + id + "/",
		"/v1.0/applications(appId='" + appID + "')", "/v1.0/APPLICATIONS(AppId='" + appID + "')", "/v1.0/applications('" + id + "')", "/v1.0/applications(id='" + id + "')",
		"/v1.0/applications(appId=%27" + appID + "%27)",
	} {
		if got := w.do(admin, http.MethodGet, path, nil); got.Code != http.StatusOK || got.body["id"] != id {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	list := w.want(http.StatusOK, admin, http.MethodGet, "/beta/applications", nil)
	if list["@odata.context"] != ownURL+"/beta/$metadata#applications" {
		t.Errorf("context of the list: %v", list["@odata.context"])
	}
	for _, path := range []string{"/v1.0/myorganization/applications/", "/beta/MyOrganization/applications/"} {
		if own := w.want(http.StatusOK, admin, http.MethodGet, path+id, nil); own["id"] != id {
			t.Errorf("%s: %v", path, own)
		}
	}
	if got := w.do(admin, http.MethodDelete, "/v1.0/applications/"+id, nil); got.Code != http.StatusNoContent || got.Body.Len() != 0 || got.Header().Get("OData-Version") != "" {
		t.Errorf("delete: %d %s", got.Code, got.Body)
	}
}

func TestErrorsOfTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	id := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"orders"}`)["id"].(string)
	for _, tt := range []struct {
		name, method, path string
		body               any
		status             int
		code, message      string
	}{
		{"an unknown version", "GET", "/v2.0/applications", nil, 400, "BadRequest", "Invalid version"},
		{"no version", "GET", "/", nil, 400, "BadRequest", "Invalid version"},
		{"no segment", "GET", "/v1.0", nil, 400, "BadRequest", "Resource not found for the segment"},
		{"an unknown segment", "GET", "/v1.0/teams", nil, 400, "BadRequest", "Resource not found for the segment 'teams'."},
		{"an unknown segment behind", "GET", "/v1.0/applications/" + id + "/teams", nil, 400, "BadRequest", "Resource not found for the segment 'teams'."},
		{"the caller's own tenant twice", "GET", "/v1.0/myorganization/myorganization/applications", nil, 400, "BadRequest", "Resource not found for the segment 'myorganization'."},
		{"groups", "GET", "/v1.0/groups/x", nil, 404, "Request_ResourceNotFound", "There are no groups here"},
		{"an unknown method", "PUT", "/v1.0/applications", `{}`, 405, "Request_BadRequest", "Specified HTTP method is not allowed"},
		{"a key that is not closed", "GET", "/v1.0/applications(appId='x", nil, 400, "BadRequest", "parentheses"},
		{"a key without quotes", "GET", "/v1.0/applications(appId=x)", nil, 400, "BadRequest", "malformed"},
		{"an unknown key", "GET", "/v1.0/applications(colour='x')", nil, 404, "Request_ResourceNotFound", "Resource 'x' does not exist or one of its queried reference-property objects are not present"},
		{"an unknown id", "GET", "/v1.0/applications/11111111-1111-4111-8111-111111111111", nil, 404, "Request_ResourceNotFound", "Resource '11111111-1111-4111-8111-111111111111' does not exist or one of its queried reference-property objects are not present."},
		{"no body", "POST", "/v1.0/applications", "", 400, "Request_BadRequest", "malformed"},
		{"half a body", "POST", "/v1.0/applications", `{"displayName":`, 400, "Request_BadRequest", "malformed"},
		{"an array", "POST", "/v1.0/applications", `[]`, 400, "Request_BadRequest", "must be an object"},
		{"two objects", "POST", "/v1.0/applications", `{"displayName":"x"}{}`, 400, "Request_BadRequest", "something follows"},
		{"a member twice", "POST", "/v1.0/applications", `{"displayName":"x","displayName":"y"}`, 400, "Request_BadRequest", "occurs twice"},
		{"a member twice, in another case", "POST", "/v1.0/applications", `{"displayName":"x","DisplayName":"y"}`, 400, "Request_BadRequest", "occurs twice"},
		{"an unknown member", "POST", "/v1.0/applications", `{"displayName":"x","colour":"red"}`, 400, "Request_BadRequest", "Invalid property 'colour'."},
		{"an unknown member within", "POST", "/v1.0/applications", `{"displayName":"x","web":{"colour":"red"}}`, 400, "Request_BadRequest", "Invalid property 'web.colour'."},
		{"a number for a text", "POST", "/v1.0/applications", `{"displayName":1}`, 400, "Request_BadRequest", "'displayName' must be a string"},
		{"no display name", "POST", "/v1.0/applications", `{}`, 400, "Request_BadRequest", "displayName"},
		{"too deep", "POST", "/v1.0/applications", `{"web":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, 400, "Request_BadRequest", "deep"},
		{"too large", "POST", "/v1.0/applications", `{"displayName":"` + strings.Repeat("x", 5<<20) + `"}`, 413, "RequestEntityTooLarge", "larger"},
		{"not UTF-8", "POST", "/v1.0/applications", "{\"displayName\":\"\xff\"}", 400, "Request_BadRequest", "UTF-8"},
		{"a read-only member", "PATCH", "/v1.0/applications/" + id, `{"appId":"11111111-1111-4111-8111-111111111111"}`, 400, "Request_BadRequest", "read-only"},
		{"a URI that is taken", "POST", "/v1.0/applications", `{"displayName":"x","identifierUris":["https://graph.microsoft.com"]}`, 400, "Request_BadRequest", "Another object with the same value for property identifierUris already exists"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := w.do(admin, tt.method, tt.path, tt.body, "client-request-id", "me")
			code, message := got.problem()
			if got.Code != tt.status || code != tt.code || !strings.Contains(message, tt.message) {
				t.Fatalf("got %d %s %q, want %d %s %q", got.Code, code, message, tt.status, tt.code, tt.message)
			}
			if got.Header().Get("Content-Type") != "application/json" || got.Header().Get("OData-Version") != "" {
				t.Errorf("headers: %v", got.Header())
			}
			problem, _ := got.body["error"].(map[string]any)
			inner, _ := problem["innerError"].(map[string]any)
			if inner["client-request-id"] != "me" || inner["request-id"] != got.Header().Get("request-id") || strings.HasSuffix(inner["date"].(string), "Z") {
				t.Errorf("innerError: %v", inner)
			}
		})
	}
	if got := w.do(admin, "POST", "/v1.0/applications", `a=b`, "Content-Type", "application/x-www-form-urlencoded"); got.Code != http.StatusUnsupportedMediaType {
		t.Errorf("a form: %d %s", got.Code, got.Body)
	}
}

func TestWhoIsNotAdmitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.app("reader", "Application.Read.All")
	w.login.API("orders")
	for _, tt := range []struct{ name, token, message string }{
		{"nobody", "", "Access token is empty."},
		{"no token", "garbage", ""},
		{"another API's", w.login.Token("reader", "orders"), "Access token validation failure. Invalid audience."},
		{"tampered", good[:len(good)-8] + "AAAAAAAA", ""},
	} {
		got := w.do(tt.token, http.MethodGet, "/v1.0/applications", nil)
		code, message := got.problem()
		if got.Code != http.StatusUnauthorized || code != "InvalidAuthenticationToken" || !strings.Contains(message, tt.message) {
			t.Errorf("%s: %d %s", tt.name, got.Code, got.Body)
		}
		if !strings.HasPrefix(got.Header().Get("WWW-Authenticate"), `Bearer realm="", authorization_uri="`+w.login.URL) {
			t.Errorf("%s: %q", tt.name, got.Header().Get("WWW-Authenticate"))
		}
		if tt.token != "" && strings.Contains(got.Body.String(), tt.token) {
			t.Errorf("%s: the answer repeats the token", tt.name)
		}
	}
	if got := w.do(good, http.MethodGet, "/v1.0/applications", nil); got.Code != http.StatusOK {
		t.Errorf("a good token afterwards: %d", got.Code)
	}
	// A token counts no longer than the application whose it is.
	w.change(func(e *directory.Editor) error {
		_, err := e.ServicePrincipals().Edit(tenant, directory.ObjectID(w.principal("reader")), func(p *directory.ServicePrincipal) error {
			p.Enabled = false
			return nil
		})
		return err
	})
	got := w.do(good, http.MethodGet, "/v1.0/applications", nil)
	if code, _ := got.problem(); got.Code != http.StatusForbidden || code != "Authorization_IdentityNotFound" {
		t.Errorf("of an application that was disabled: %d %s", got.Code, got.Body)
	}
}

func TestAnIncompleteConfiguration(t *testing.T) {
	t.Parallel()
	for _, cfg := range []graph.Config{{}, {Authority: "https://localhost"}, {Authority: "https://localhost", URL: ownURL}, {Authority: "https://localhost", URL: ownURL + "/"}} {
		if _, err := graph.New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
