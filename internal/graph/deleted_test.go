package graph_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
)

func TestDeletedItems(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")
	app, appID, sp := w.api(admin, orders)
	worker := string(w.identity("worker").ID)
	w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/servicePrincipals/"+sp+"/appRoleAssignedTo", assignment(worker, sp, ordersRead))
	w.want(http.StatusNoContent, admin, http.MethodDelete, "/v1.0/applications/"+app, nil)
	for _, path := range []string{"/applications/" + app, "/servicePrincipals/" + sp, "/directoryObjects/" + app, "/applications(appId='" + appID + "')"} {
		w.want(http.StatusNotFound, admin, http.MethodGet, "/v1.0"+path, nil)
	}
	w.want(http.StatusNotFound, admin, http.MethodPost, "/v1.0/applications/"+app+"/addPassword", "{}")
	if got := w.do(admin, http.MethodPost, "/v1.0/applications", `{"displayName":"thief","identifierUris":["api://orders"]}`); got.Code != http.StatusBadRequest {
		t.Errorf("its URI: %d %s", got.Code, got.Body)
	}
	list := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/directory/deletedItems/microsoft.graph.application?$filter=displayName%20eq%20'orders'", nil)
	if ids := valuesOf(list, "id"); !slices.Equal(ids, []string{app}) || valuesOf(list, "@odata.type")[0] != "#microsoft.graph.application" || valuesOf(list, "deletedDateTime")[0] == "<nil>" {
		t.Fatalf("list: %v", list)
	}
	if one := w.want(http.StatusOK, admin, http.MethodGet, "/beta/directory/deletedItems/"+app, nil); one["appId"] != appID || one["deletedDateTime"] == nil {
		t.Errorf("one: %v", one)
	}
	restored := w.want(http.StatusOK, admin, http.MethodPost, "/v1.0/directory/deletedItems/"+app+"/restore", nil)
	if restored["id"] != app || restored["deletedDateTime"] != nil || restored["@odata.type"] != "#microsoft.graph.application" {
		t.Errorf("restored: %v", restored)
	}
	if got := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/servicePrincipals/"+sp+"/appRoleAssignedTo", nil); !slices.Equal(valuesOf(got, "principalId"), []string{worker}) {
		t.Errorf("its assignments: %v", got)
	}
	w.want(http.StatusNotFound, admin, http.MethodPost, "/v1.0/directory/deletedItems/"+app+"/restore", nil)
	// Purged, its URI is anybody's.
	w.want(http.StatusNoContent, admin, http.MethodDelete, "/v1.0/servicePrincipals/"+sp, nil)
	if list := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/directory/deletedItems/Microsoft.Graph.ServicePrincipal", nil); !slices.Equal(valuesOf(list, "id"), []string{sp}) {
		t.Errorf("service principals: %v", list)
	}
	w.want(http.StatusNoContent, admin, http.MethodDelete, "/v1.0/applications/"+app, nil)
	w.want(http.StatusNoContent, admin, http.MethodDelete, "/v1.0/directory/deletedItems/"+app, nil)
	w.want(http.StatusNotFound, admin, http.MethodGet, "/v1.0/directory/deletedItems/"+app, nil)
	w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"heir","identifierUris":["api://orders"]}`)
}

func TestDeletedUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	global := w.user("root@"+authoritytest.TenantDomain, []string{"Global Administrator"}, "Directory.AccessAsUser.All")
	apps := w.app("apps", "Application.ReadWrite.All")
	id := text(w.want(http.StatusCreated, global, http.MethodPost, "/v1.0/users", `{"accountEnabled":true,"displayName":"Ada","mailNickname":"ada","userPrincipalName":"`+upn+`","passwordProfile":{"password":"correct horse battery"}}`), "id")
	w.want(http.StatusNoContent, global, http.MethodDelete, "/v1.0/users/"+upn, nil)
	for _, call := range [][2]string{{http.MethodGet, ""}, {http.MethodPost, "/restore"}, {http.MethodDelete, ""}} {
		if got := w.do(apps, call[0], "/v1.0/directory/deletedItems/"+id+call[1], nil); got.Code != http.StatusForbidden {
			t.Errorf("%s%s by who manages applications: %d %s", call[0], call[1], got.Code, got.Body)
		}
	}
	w.want(http.StatusOK, global, http.MethodPost, "/v1.0/directory/deletedItems/"+id+"/restore", nil)
	w.want(http.StatusOK, global, http.MethodGet, "/v1.0/users/"+upn, nil)
}

func TestOrganizationAndDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reader := w.app("reader", "Directory.Read.All")
	list := w.want(http.StatusOK, reader, http.MethodGet, "/v1.0/organization", nil)
	if !slices.Equal(valuesOf(list, "id"), []string{string(tenant)}) || !strings.Contains(valuesOf(list, "verifiedDomains")[0], authoritytest.TenantDomain) {
		t.Errorf("organization: %v", list)
	}
	if one := w.want(http.StatusOK, reader, http.MethodGet, "/v1.0/organization/"+string(tenant)+"?$select=displayName", nil); one["displayName"] == nil || len(one) != 2 {
		t.Errorf("one: %v", one)
	}
	w.want(http.StatusNotFound, reader, http.MethodGet, "/v1.0/organization/11111111-1111-4111-8111-111111111111", nil)
	if list := w.want(http.StatusOK, reader, http.MethodGet, "/v1.0/domains?$filter=isDefault%20eq%20true", nil); !slices.Equal(valuesOf(list, "id"), []string{authoritytest.TenantDomain}) {
		t.Errorf("domains: %v", list)
	}
	w.want(http.StatusOK, reader, http.MethodGet, "/v1.0/domains/"+strings.ToUpper(authoritytest.TenantDomain), nil)
	w.want(http.StatusNotFound, reader, http.MethodGet, "/v1.0/domains/example.org", nil)
	if got := w.do(reader, http.MethodPost, "/v1.0/domains", `{"id":"example.org"}`); got.Code != http.StatusMethodNotAllowed {
		t.Errorf("a new domain: %d %s", got.Code, got.Body)
	}
}

func TestNoMemberships(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reader := w.app("reader", "Application.Read.All")
	worker := string(w.identity("worker").ID)
	for action, given := range map[string]string{
		"getMemberGroups": `{"securityEnabledOnly":true}`, "getMemberObjects": `{"securityEnabledOnly":false}`,
		"checkMemberGroups": `{"groupIds":["` + worker + `"]}`, "checkMemberObjects": `{"ids":["` + worker + `"]}`,
	} {
		got := w.want(http.StatusOK, reader, http.MethodPost, "/v1.0/servicePrincipals/"+worker+"/"+action, given)
		if list, ok := got["value"].([]any); !ok || len(list) != 0 || got["@odata.context"] != ownURL+"/v1.0/$metadata#Collection(Edm.String)" {
			t.Errorf("%s: %v", action, got)
		}
		for _, wrong := range []string{`{}`, `{"x":1}`, `{"groupIds":["x"],"ids":["x"],"securityEnabledOnly":"x"}`} {
			if got := w.do(reader, http.MethodPost, "/v1.0/servicePrincipals/"+worker+"/"+action, wrong); got.Code != http.StatusBadRequest {
				t.Errorf("%s %s: %d %s", action, wrong, got.Code, got.Body)
			}
		}
	}
}
