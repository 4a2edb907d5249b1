package graph_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph"
)

// user returns a token by which a client acts for a user with directory roles.
func (w *world) user(name string, roles []string, scopes ...string) string {
	w.Helper()
	var id directory.ObjectID
	w.change(func(e *directory.Editor) error {
		u, err := e.Users().Create(directory.User{Tenant: tenant, PrincipalName: name, DisplayName: strings.TrimSuffix(name, "@contoso.test"), DirectoryRoles: roles}, nil)
		if err == nil {
			id = u.ID
		}
		return err
	})
	w.login.API("errands")
	w.login.Token("tool", "errands", "Errands.Run")
	return w.login.Bad().With("tool", "errands", []string{"Errands.Run"}, func(claims map[string]any) {
		delete(claims, "roles")
		delete(claims, "idtyp")
		claims["aud"], claims["oid"], claims["sub"], claims["scp"] = graph.AppID, string(id), "pairwise", strings.Join(scopes, " ")
	})
}

// identity creates a managed identity.
func (w *world) identity(name string) (p *directory.ServicePrincipal) {
	w.Helper()
	w.change(func(e *directory.Editor) (err error) {
		p, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant, Name: name, Type: directory.PrincipalManagedIdentity, IdentityKind: directory.IdentityUser})
		return err
	})
	return p
}

func text(body map[string]any, name string) string {
	s, _ := body[name].(string)
	return s
}

const orders = `{"displayName":"orders","description":"takes orders","identifierUris":["api://orders"],
	"web":{"homePageUrl":"https://orders.contoso.test","redirectUris":["https://orders.contoso.test/in"]},
	"appRoles":[{"id":"6a1f4b0e-0000-4000-8000-000000000001","allowedMemberTypes":["Application","User"],"displayName":"Read","description":"Read orders","value":"Orders.Read","isEnabled":true},
		{"id":"6a1f4b0e-0000-4000-8000-000000000002","allowedMemberTypes":["User"],"displayName":"Browse","description":"Browse orders","value":"Orders.Browse","isEnabled":true},
		{"id":"6a1f4b0e-0000-4000-8000-000000000003","allowedMemberTypes":["Application"],"displayName":"Old","description":"Old","value":"Orders.Old","isEnabled":false}],
	"api":{"requestedAccessTokenVersion":2,"oauth2PermissionScopes":[
		{"id":"6a1f4b0e-0000-4000-8000-000000000011","value":"read","type":"User","isEnabled":true,"adminConsentDisplayName":"Read","adminConsentDescription":"Read orders"},
		{"id":"6a1f4b0e-0000-4000-8000-000000000012","value":"write","type":"Admin","isEnabled":true,"adminConsentDisplayName":"Write","adminConsentDescription":"Write orders"}]}}`

// api creates an application with its service principal, and returns the id of the one, the app
// id, and the id of the other.
func (w *world) api(token, body string) (app, appID, principal string) {
	w.Helper()
	made := w.want(http.StatusCreated, token, http.MethodPost, "/v1.0/applications", body)
	appID = text(made, "appId")
	sp := w.want(http.StatusCreated, token, http.MethodPost, "/v1.0/servicePrincipals", `{"appId":"`+appID+`"}`)
	return text(made, "id"), appID, text(sp, "id")
}

func TestServicePrincipals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	app, appID, id := w.api(admin, orders)
	for _, path := range []string{
		"/v1.0/servicePrincipals/" + id, "/v1.0/servicePrincipals(appId='" + appID + "')", "/beta/serviceprincipals(appid='" + strings.ToUpper(appID) + "')",
	} {
		sp := w.want(http.StatusOK, admin, http.MethodGet, path, nil)
		for name, want := range map[string]any{
			"id": id, "appId": appID, "displayName": "orders", "appDisplayName": "orders", "appDescription": "takes orders", "accountEnabled": true,
			"servicePrincipalType": "Application", "homepage": "https://orders.contoso.test", "appRoleAssignmentRequired": false, "appOwnerOrganizationId": string(tenant),
			"signInAudience": "AzureADMyOrg", "deletedDateTime": nil, "loginUrl": nil,
		} {
			if sp[name] != want {
				t.Errorf("%s: %s is %v, want %v", path, name, sp[name], want)
			}
		}
		if roles, _ := sp["appRoles"].([]any); len(roles) != 3 {
			t.Errorf("roles: %v", sp["appRoles"])
		}
		if scopes, _ := sp["oauth2PermissionScopes"].([]any); len(scopes) != 2 {
			t.Errorf("scopes: %v", sp["oauth2PermissionScopes"])
		}
		if names, _ := sp["servicePrincipalNames"].([]any); len(names) != 2 || names[0] != appID || names[1] != "api://orders" {
			t.Errorf("names: %v", sp["servicePrincipalNames"])
		}
	}
	for path, n := range map[string]int{
		"/v1.0/applications/" + app + "/appRoles": 3, "/v1.0/servicePrincipals/" + id + "/appRoles": 3, "/v1.0/servicePrincipals/" + id + "/oauth2PermissionScopes": 2,
	} {
		if all, _ := w.want(http.StatusOK, admin, http.MethodGet, path, nil)["value"].([]any); len(all) != n {
			t.Errorf("%s: %v, want %d", path, all, n)
		}
	}
	// What is written is read at once; what tools send back is no change.
	w.want(http.StatusNoContent, admin, http.MethodPatch, "/v1.0/servicePrincipals/"+id, `{"id":"`+id+`","displayName":"orders","servicePrincipalType":"Application",
		"accountEnabled":false,"appRoleAssignmentRequired":true,"tags":["a","b"],"notes":"n","loginUrl":"https://orders.contoso.test/login","alternativeNames":["other"],
		"notificationEmailAddresses":["ops@contoso.test"],"preferredSingleSignOnMode":"oidc","samlSingleSignOnSettings":{"relayState":"x"},"description":null}`)
	sp := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/servicePrincipals/"+id, nil)
	if sp["accountEnabled"] != false || sp["appRoleAssignmentRequired"] != true || sp["notes"] != "n" || sp["loginUrl"] != "https://orders.contoso.test/login" || sp["preferredSingleSignOnMode"] != "oidc" {
		t.Errorf("changed: %v", sp)
	}
	// Its application's name and URIs are its own.
	w.want(http.StatusNoContent, admin, http.MethodPatch, "/v1.0/applications/"+app, `{"displayName":"orders 2","identifierUris":["api://orders2"]}`)
	if sp := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/servicePrincipals/"+id, nil); sp["displayName"] != "orders 2" || sp["servicePrincipalNames"].([]any)[1] != "api://orders2" {
		t.Errorf("renamed: %v", sp)
	}
	for _, filter := range []string{
		"appId eq '" + appID + "'", "servicePrincipalNames/any(c:c eq 'api://orders2')", "servicePrincipalNames/any(c:c eq '" + appID + "')", "displayName eq 'ORDERS 2'",
		"startswith(displayName,'orders')", "tags/any(t:t eq 'a')", "alternativeNames/any(a:a eq 'other')", "id in ('" + id + "')", "appRoleAssignmentRequired eq true",
		"servicePrincipalType eq 'Application' and accountEnabled eq false",
	} {
		got := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/servicePrincipals?$filter="+strings.ReplaceAll(filter, " ", "%20"), nil)
		if ids := valuesOf(got, "id"); !slices.Equal(ids, []string{id}) {
			t.Errorf("%s: %v", filter, ids)
		}
	}
	w.want(http.StatusNoContent, admin, http.MethodDelete, "/v1.0/servicePrincipals/"+id, nil)
	w.want(http.StatusNotFound, admin, http.MethodGet, "/v1.0/servicePrincipals/"+id, nil)
	w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/applications/"+app, nil)
}

func TestErrorsOfServicePrincipals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	reader := w.app("reader", "Application.Read.All")
	owner := w.app("owner", "Application.ReadWrite.OwnedBy")
	_, appID, id := w.api(admin, orders)
	identity := string(w.identity("worker").ID)
	const unknown = "11111111-1111-4111-8111-111111111111"
	for _, tt := range []struct {
		name, token, method, path, body string
		status                          int
		code, message                   string
	}{
		{"an app id that is not there", admin, "POST", "", `{"appId":"` + unknown + `"}`, 400, "Request_BadRequest", "The appId '" + unknown + "' of the service principal does not reference a valid application object"},
		{"no app id", admin, "POST", "", `{}`, 400, "Request_BadRequest", "'appId'"},
		{"one that is there", admin, "POST", "", `{"appId":"` + appID + `"}`, 409, "Request_MultipleObjectsWithSameKeyValue", appID + " is already in use"},
		{"a built-in resource", admin, "POST", "", `{"appId":"` + string(directory.ResourceManagerAppID) + `"}`, 409, "Request_MultipleObjectsWithSameKeyValue", "already in use"},
		{"an unknown member", admin, "PATCH", "/" + id, `{"colour":"red"}`, 400, "Request_BadRequest", "Invalid property 'colour'"},
		{"another app id", admin, "PATCH", "/" + id, `{"appId":"` + unknown + `"}`, 400, "Request_BadRequest", "read-only"},
		{"not there", admin, "GET", "/" + unknown, "", 404, "Request_ResourceNotFound", "Resource '" + unknown + "' does not exist"},
		{"an app id for an id", admin, "GET", "/" + appID, "", 404, "Request_ResourceNotFound", "Resource '" + appID + "' does not exist"},
		{"no id", admin, "GET", "/orders", "", 404, "Request_ResourceNotFound", "Resource 'orders' does not exist"},
		{"a reader", reader, "PATCH", "/" + id, `{"notes":"x"}`, 403, "Authorization_RequestDenied", "Insufficient privileges"},
		{"who does not own it", owner, "PATCH", "/" + id, `{"notes":"x"}`, 403, "Authorization_RequestDenied", "Insufficient privileges"},
		{"who does not own its application", owner, "POST", "", `{"appId":"` + appID + `"}`, 409, "Request_MultipleObjectsWithSameKeyValue", "already in use"},
		{"a managed identity changed", admin, "PATCH", "/" + identity, `{"notes":"x"}`, 403, "Authorization_RequestDenied", "resource manager"},
		{"a managed identity deleted", admin, "DELETE", "/" + identity, "", 403, "Authorization_RequestDenied", "resource manager"},
		{"a managed identity's secret", admin, "POST", "/" + identity + "/addPassword", "{}", 403, "Authorization_RequestDenied", "resource manager"},
		{"an owner twice", admin, "POST", "/" + id + "/owners/$ref", `{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/` + unknown + `"}`, 404, "Request_ResourceNotFound", "does not exist"},
		{"no reference", admin, "POST", "/" + id + "/owners/$ref", `{"@odata.id":"x"}`, 400, "Request_BadRequest", "@odata.id"},
		{"an owner who is none", admin, "DELETE", "/" + id + "/owners/" + unknown + "/$ref", "", 404, "Request_ResourceNotFound", "One or more removed object references do not exist"},
	} {
		got := w.do(tt.token, tt.method, "/v1.0/servicePrincipals"+tt.path, body(tt.body))
		if code, message := got.problem(); got.Code != tt.status || code != tt.code || !strings.Contains(message, tt.message) {
			t.Errorf("%s: got %d %s %q, want %d %s %q", tt.name, got.Code, code, message, tt.status, tt.code, tt.message)
		}
	}
}

// body is nothing for an empty text.
func body(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func TestOwnersAndCredentialsOfServicePrincipals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	owner := w.app("owner", "Application.ReadWrite.OwnedBy")
	me := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/servicePrincipals(appId='"+w.login.App("owner").ClientID+"')", nil)
	made := w.want(http.StatusCreated, owner, http.MethodPost, "/v1.0/applications", `{"displayName":"mine"}`)
	sp := w.want(http.StatusCreated, owner, http.MethodPost, "/v1.0/servicePrincipals", `{"appId":"`+text(made, "appId")+`","owners@odata.bind":["`+ownURL+`/v1.0/directoryObjects/`+text(me, "id")+`"]}`)
	path := "/v1.0/servicePrincipals/" + text(sp, "id")
	owners := w.want(http.StatusOK, owner, http.MethodGet, path+"/owners", nil)
	if ids := valuesOf(owners, "id"); !slices.Equal(ids, []string{text(me, "id")}) || valuesOf(owners, "@odata.type")[0] != "#microsoft.graph.servicePrincipal" {
		t.Fatalf("owners: %v", owners)
	}
	w.want(http.StatusNoContent, owner, http.MethodPatch, path, `{"notes":"mine"}`)
	secret := w.want(http.StatusOK, owner, http.MethodPost, path+"/addPassword", `{"passwordCredential":{"displayName":"of the service principal"}}`)
	if text(secret, "secretText") == "" {
		t.Errorf("secret: %v", secret)
	}
	got := w.want(http.StatusOK, owner, http.MethodGet, path+"?$expand=owners($select=id)", nil)
	if list, _ := got["passwordCredentials"].([]any); len(list) != 1 || list[0].(map[string]any)["secretText"] != nil {
		t.Errorf("secrets: %v", got["passwordCredentials"])
	}
	if list, _ := got["owners"].([]any); len(list) != 1 || list[0].(map[string]any)["id"] != me["id"] || list[0].(map[string]any)["appId"] != nil {
		t.Errorf("expanded: %v", got["owners"])
	}
	w.want(http.StatusNoContent, owner, http.MethodPost, path+"/removePassword", `{"keyId":"`+text(secret, "keyId")+`"}`)
	owned := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/servicePrincipals/"+text(me, "id")+"/ownedObjects", nil)
	if types := valuesOf(owned, "@odata.type"); !slices.Equal(types, []string{"#microsoft.graph.application", "#microsoft.graph.servicePrincipal"}) {
		t.Errorf("owned: %v", types)
	}
	if twice := w.do(admin, http.MethodPost, path+"/owners/$ref", `{"@odata.id":"`+ownURL+`/v1.0/directoryObjects/`+text(me, "id")+`"}`); twice.Code != http.StatusBadRequest || !strings.Contains(twice.Body.String(), "One or more added object references already exist") {
		t.Errorf("twice: %d %s", twice.Code, twice.Body)
	}
	w.want(http.StatusNoContent, admin, http.MethodDelete, path+"/owners/"+text(me, "id")+"/$ref", nil)
	w.want(http.StatusForbidden, owner, http.MethodPatch, path, `{"notes":"mine no more"}`)
	for _, none := range []string{"createdObjects", "memberOf", "transitiveMemberOf"} {
		if got := w.want(http.StatusOK, admin, http.MethodGet, path+"/"+none, nil); len(valuesOf(got, "id")) != 0 {
			t.Errorf("%s: %v", none, got)
		}
	}
}

// TestBuiltInResources finds Microsoft's own resources as tools do, without anybody having
// registered them.
func TestBuiltInResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	manager := string(directory.ResourceManagerAppID)
	sp := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/servicePrincipals(appId='"+manager+"')", nil)
	if sp["displayName"] != "Azure Resource Manager" || sp["appId"] != manager {
		t.Fatalf("got %v", sp)
	}
	for _, filter := range []string{
		"appId eq '" + manager + "'", "displayName eq 'azure resource manager'", "startswith(displayName,'Azure Resource')",
		"servicePrincipalNames/any(c:c eq 'https://management.azure.com')", "id eq '" + text(sp, "id") + "'",
	} {
		got := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/servicePrincipals?$filter="+strings.ReplaceAll(filter, " ", "%20"), nil)
		if ids := valuesOf(got, "id"); !slices.Equal(ids, []string{text(sp, "id")}) {
			t.Errorf("%s: %v", filter, ids)
		}
	}
	all, _ := w.pages(admin, "/v1.0/servicePrincipals?$top=5", "appId")
	if !slices.Contains(all, manager) || !slices.Contains(all, graph.AppID) {
		t.Errorf("the list: %v", all)
	}
	if got := w.do(admin, http.MethodPatch, "/v1.0/servicePrincipals/"+text(sp, "id"), `{"accountEnabled":false}`); got.Code != http.StatusForbidden {
		t.Errorf("changed: %d %s", got.Code, got.Body)
	}
	w.want(http.StatusNotFound, admin, http.MethodGet, "/v1.0/applications(appId='"+manager+"')", nil)
}
