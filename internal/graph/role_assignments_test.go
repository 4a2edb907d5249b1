package graph_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

const (
	ordersRead   = "6a1f4b0e-0000-4000-8000-000000000001"
	ordersBrowse = "6a1f4b0e-0000-4000-8000-000000000002"
	ordersOld    = "6a1f4b0e-0000-4000-8000-000000000003"
)

func assignment(principal, resource, role string) string {
	return fmt.Sprintf(`{"principalId":%q,"resourceId":%q,"appRoleId":%q}`, principal, resource, role)
}

func TestRoleAssignments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")
	_, _, api := w.api(admin, orders)
	worker := string(w.identity("worker").ID)
	to, of := "/v1.0/servicePrincipals/"+api+"/appRoleAssignedTo", "/v1.0/servicePrincipals/"+worker+"/appRoleAssignments"
	made := w.do(admin, http.MethodPost, to, assignment(worker, api, ordersRead))
	id := text(made.body, "id")
	if made.Code != http.StatusCreated || !regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).MatchString(id) || made.Header().Get("Location") != ownURL+to+"/"+id {
		t.Fatalf("made: %d %s %v", made.Code, made.Body, made.Header())
	}
	if made.body["@odata.context"] != ownURL+"/v1.0/$metadata#servicePrincipals('"+api+"')/appRoleAssignedTo/$entity" {
		t.Errorf("context: %v", made.body["@odata.context"])
	}
	for _, path := range []string{to, of} {
		one := w.want(http.StatusOK, admin, http.MethodGet, path+"/"+id, nil)
		for name, want := range map[string]any{
			"id": id, "principalId": worker, "resourceId": api, "appRoleId": ordersRead, "principalType": "ServicePrincipal",
			"principalDisplayName": "worker", "resourceDisplayName": "orders",
		} {
			if one[name] != want {
				t.Errorf("%s: %s is %v, want %v", path, name, one[name], want)
			}
		}
		for _, filter := range []string{"", "resourceId eq " + api, "principalId eq '" + worker + "'", "appRoleId eq " + ordersRead, "id eq '" + id + "'", "principalType eq 'ServicePrincipal'"} {
			list := w.want(http.StatusOK, admin, http.MethodGet, path+"?$filter="+strings.ReplaceAll(cmpOr(filter, "id ne null"), " ", "%20"), nil)
			if ids := valuesOf(list, "id"); !slices.Equal(ids, []string{id}) {
				t.Errorf("%s %s: %v", path, filter, ids)
			}
		}
		if list := w.want(http.StatusOK, admin, http.MethodGet, path+"?$filter=resourceId%20eq%20"+worker, nil); len(valuesOf(list, "id")) != 0 {
			t.Errorf("another resource's: %v", list)
		}
	}
	// The role is in the directory at once, and so in the next token.
	instance, err := w.login.Directory().Identity(t.Context(), tenant, "worker")
	if err != nil {
		t.Fatal(err)
	}
	resource, err := w.login.Directory().Resource(t.Context(), tenant, "api://orders")
	if err != nil {
		t.Fatal(err)
	}
	if roles, _, err := w.login.Directory().Roles(t.Context(), instance, resource); err != nil || !slices.Equal(roles, []string{"Orders.Read"}) {
		t.Errorf("roles: %v %v", roles, err)
	}
	if got := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/servicePrincipals/"+worker+"?$expand=appRoleAssignments", nil); len(got["appRoleAssignments"].([]any)) != 1 {
		t.Errorf("expanded: %v", got["appRoleAssignments"])
	}
	w.want(http.StatusNoContent, admin, http.MethodDelete, of+"/"+id, nil)
	w.want(http.StatusNotFound, admin, http.MethodGet, to+"/"+id, nil)
	if roles, _, err := w.login.Directory().Roles(t.Context(), instance, resource); err != nil || len(roles) != 0 {
		t.Errorf("roles afterwards: %v %v", roles, err)
	}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func TestErrorsOfRoleAssignments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")
	only := w.app("only", "AppRoleAssignment.ReadWrite.All")
	writer := w.app("writer", "Application.ReadWrite.All")
	_, appID, api := w.api(admin, orders)
	worker := string(w.identity("worker").ID)
	to, of := "/v1.0/servicePrincipals/"+api+"/appRoleAssignedTo", "/v1.0/servicePrincipals/"+worker+"/appRoleAssignments"
	id := text(w.want(http.StatusCreated, admin, http.MethodPost, to, assignment(worker, api, ordersRead)), "id")
	const unknown = "11111111-1111-4111-8111-111111111111"
	for _, tt := range []struct {
		name, token, method, path, body string
		status                          int
		code, message                   string
	}{
		{"twice", admin, "POST", to, assignment(worker, api, ordersRead), 400, "Request_BadRequest", "Permission being assigned already exists on the object"},
		{"twice, from the other side", admin, "POST", of, assignment(worker, api, ordersRead), 400, "Request_BadRequest", "Permission being assigned already exists on the object"},
		{"an unknown principal", admin, "POST", to, assignment(unknown, api, ordersRead), 404, "Request_ResourceNotFound", "Resource '" + unknown + "' does not exist or one of its queried"},
		{"an unknown resource", admin, "POST", of, assignment(worker, unknown, ordersRead), 404, "Request_ResourceNotFound", "Resource '" + unknown + "' does not exist or one of its queried"},
		{"an app id for an object id", admin, "POST", of, assignment(worker, appID, ordersRead), 404, "Request_ResourceNotFound", appID},
		{"another resource than the path's", admin, "POST", to, assignment(worker, worker, ordersRead), 400, "Request_BadRequest", "is not the id in the path"},
		{"another principal than the path's", admin, "POST", of, assignment(api, api, ordersRead), 400, "Request_BadRequest", "is not the id in the path"},
		{"an unknown role", admin, "POST", to, assignment(worker, api, unknown), 400, "Request_BadRequest", "Permission being assigned was not found on application '" + appID + "'"},
		{"a disabled role", admin, "POST", to, assignment(worker, api, ordersOld), 400, "Request_BadRequest", "disabled"},
		{"a role for users", admin, "POST", to, assignment(worker, api, ordersBrowse), 400, "Request_BadRequest", "users only"},
		{"a managed identity as the resource", admin, "POST", "/v1.0/servicePrincipals/" + worker + "/appRoleAssignedTo", assignment(api, worker, ordersRead), 400, "Request_BadRequest", "managed identity"},
		{"no role", admin, "POST", to, `{"principalId":"` + worker + `","resourceId":"` + api + `"}`, 400, "Request_BadRequest", "'appRoleId'"},
		{"no GUID", admin, "POST", to, assignment("x", api, ordersRead), 400, "Request_BadRequest", "GUID"},
		{"without reading applications", only, "POST", to, assignment(worker, api, ordersRead), 403, "Authorization_RequestDenied", "Insufficient privileges"},
		{"without assigning roles", writer, "POST", to, assignment(worker, api, ordersRead), 403, "Authorization_RequestDenied", "Insufficient privileges"},
		{"a path that is not there", admin, "GET", "/v1.0/servicePrincipals/" + unknown + "/appRoleAssignedTo", "", 404, "Request_ResourceNotFound", unknown},
		{"an id that is none", admin, "GET", to + "/" + unknown, "", 404, "Request_ResourceNotFound", unknown},
		{"an id in capitals", admin, "GET", to + "/" + strings.ToUpper(id), "", 404, "Request_ResourceNotFound", "does not exist"},
		{"another's", admin, "GET", "/v1.0/servicePrincipals/" + worker + "/appRoleAssignedTo/" + id, "", 404, "Request_ResourceNotFound", "does not exist"},
		{"another's deleted", admin, "DELETE", "/v1.0/servicePrincipals/" + worker + "/appRoleAssignedTo/" + id, "", 400, "Request_BadRequest", "EntitlementGrant being updated or deleted is not found"},
		{"deleted by an unknown id", admin, "DELETE", to + "/x", "", 400, "Request_BadRequest", "EntitlementGrant being updated or deleted is not found"},
		{"changed", admin, "PATCH", to + "/" + id, "{}", 405, "Request_BadRequest", "not allowed"},
	} {
		got := w.do(tt.token, tt.method, tt.path, body(tt.body))
		if code, message := got.problem(); got.Code != tt.status || code != tt.code || !strings.Contains(message, tt.message) {
			t.Errorf("%s: got %d %s %q, want %d %s %q", tt.name, got.Code, code, message, tt.status, tt.code, tt.message)
		}
	}
}

// TestGraphRolesAreForTheFew lets administrators of applications give any role but Graph's own.
func TestGraphRolesAreForTheFew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")
	_, _, api := w.api(admin, orders)
	worker := string(w.identity("worker").ID)
	graphPrincipal := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/servicePrincipals(appId='"+string(directory.GraphAppID)+"')", nil)
	role := ""
	for _, one := range graphPrincipal["appRoles"].([]any) {
		if one.(map[string]any)["value"] == "Application.ReadWrite.All" {
			role = one.(map[string]any)["id"].(string)
		}
	}
	of := "/v1.0/servicePrincipals/" + worker + "/appRoleAssignments"
	applications := w.user("apps@contoso.test", []string{"Application Administrator"}, "Directory.AccessAsUser.All")
	w.want(http.StatusCreated, applications, http.MethodPost, of, assignment(worker, api, ordersRead))
	got := w.do(applications, http.MethodPost, of, assignment(worker, text(graphPrincipal, "id"), role))
	if code, _ := got.problem(); got.Code != http.StatusForbidden || code != "Authorization_RequestDenied" || !strings.Contains(got.Body.String(), "Privileged Role Administrator") {
		t.Errorf("an administrator of applications: %d %s", got.Code, got.Body)
	}
	w.want(http.StatusCreated, w.user("global@contoso.test", []string{"Global Administrator"}, "Directory.AccessAsUser.All"), http.MethodPost, of, assignment(worker, text(graphPrincipal, "id"), role))
	nobody := w.user("dev@contoso.test", nil, "Directory.AccessAsUser.All")
	if got := w.do(nobody, http.MethodPost, of, assignment(worker, api, ordersBrowse)); got.Code != http.StatusForbidden {
		t.Errorf("nobody: %d %s", got.Code, got.Body)
	}
}
