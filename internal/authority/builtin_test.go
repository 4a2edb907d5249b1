package authority

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// claims are those of the access token in an answer.
func (r *reply) claims(t *testing.T) map[string]any {
	t.Helper()
	parts := strings.Split(r.token(), ".")
	if len(parts) != 3 {
		t.Fatal("the access token is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

const storageAppID = "e406a681-f3d4-42a8-90b6-c2b029497af1"

// A program gets tokens for Microsoft's own resources, which nobody registered, as it would
// get them from Microsoft.
func TestTokensForBuiltinResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct{ name, scope, audience, version string }{
		{"storage", "https://storage.azure.com/.default", "https://storage.azure.com", "1.0"},
		{"storage, with a slash", "https://storage.azure.com//.default", "https://storage.azure.com/", "1.0"},
		{"storage by app id", storageAppID + "/.default", storageAppID, "1.0"},
		{"an account's blobs", "https://orders.blob.core.windows.net/.default", "https://orders.blob.core.windows.net", "1.0"},
		{"an account's files, with a slash", "https://orders-secondary.dfs.core.windows.net//.default", "https://orders-secondary.dfs.core.windows.net/", "1.0"},
		{"a database's documents", "https://orders.documents.azure.com/.default", "https://orders.documents.azure.com", "1.0"},
		{"vaults", "https://vault.azure.net/.default", "https://vault.azure.net", "1.0"},
		{"databases, with a slash", "https://database.windows.net//.default", "https://database.windows.net/", "1.0"},
		{"the older name of the resource manager", "https://management.core.windows.net//.default", "https://management.core.windows.net/", "1.0"},
		{"Graph", "https://graph.microsoft.com/.default", "https://graph.microsoft.com", "1.0"},
		{"Graph, unnamed", ".default", "00000003-0000-0000-c000-000000000000", "1.0"},
		{"the token exchange", "api://AzureADTokenExchange/.default", string(directory.ExchangeAppID), "2.0"},
		{"the token exchange by app id", string(directory.ExchangeAppID) + "/.default", string(directory.ExchangeAppID), "2.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			claims := w.post(pathV2, w.good().set("scope", tt.scope)).claims(t)
			for name, want := range map[string]any{"aud": tt.audience, "ver": tt.version, "idtyp": "app", "roles": nil} {
				if claims[name] != want {
					t.Errorf("%s is %v, want %v", name, claims[name], want)
				}
			}
		})
	}
	for _, other := range []string{
		"https://a.b.blob.core.windows.net", "https://.blob.core.windows.net", "https://-a.blob.core.windows.net", "https://orders.blob.core.windows.net.contoso.test",
		"http://storage.azure.com", "https://storage.azure.com/orders", "https://vault.azure.net:443", "https://*.blob.core.windows.net", "api://AzureADTokenExchange2",
	} {
		w.post(pathV2, w.good().set("scope", other+"/.default")).refused(400, "invalid_resource", 500011)
	}
}

// A URL at which the server answers in the place of a resource of Microsoft's names that
// resource, also where an application of the tenant says that the URL is its own.
func TestPlacesOfBuiltinResources(t *testing.T) {
	t.Parallel()
	const graph = "00000003-0000-0000-c000-000000000000"
	w := newWorld(t, func(c *Config) { c.Places = map[string]directory.AppID{"https://localhost:8444": graph} })
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().Create(directory.Application{Tenant: testTenant, Name: "impostor", IdentifierURIs: []string{"https://localhost:8444/"}, TokenVersion: 1})
		if err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: app.Tenant, AppID: app.AppID})
		return err
	})
	for _, scope := range []string{"https://localhost:8444/.default", "https://localhost:8444//.default", "https://LOCALHOST:8444/.default"} {
		if got := w.post(pathV2, w.good().set("scope", scope)).claims(t)["aud"]; got != graph {
			t.Errorf("%s: aud is %v", scope, got)
		}
	}
	if got := w.post(pathV1, w.goodV1().set("resource", "https://localhost:8444/")).claims(t)["aud"]; got != graph {
		t.Errorf("aud is %v", got)
	}
	w.post(pathV2, w.good().set("scope", "https://localhost:8445/.default")).refused(400, "invalid_resource", 500011)
}

// The v1 endpoint and managed identities get the same tokens.
func TestBuiltinResourcesAtV1(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.post(pathV1, w.goodV1().set("resource", "https://storage.azure.com/")).claims(t)["aud"]; got != "https://storage.azure.com/" {
		t.Errorf("aud is %v", got)
	}
}

// What a tenant registered by itself stands in the place of the built-in resource, under
// each of its names.
func TestRegisteredInPlaceOfABuiltin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		app  directory.Application
	}{
		{"by its app id", directory.Application{AppID: storageAppID, TokenVersion: 1}},
		{"by its identifier", directory.Application{IdentifierURIs: []string{"https://storage.azure.com/"}, TokenVersion: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.edit(func(e *directory.Editor) error {
				app := tt.app
				app.Tenant, app.Name = testTenant, "storage"
				app.AppRoles = []directory.AppRole{{Value: "Blobs.Read", DisplayName: "Read blobs", Description: "Read blobs", Enabled: true, Members: []directory.MemberType{directory.MemberApplication}}}
				made, err := e.Applications().Create(app)
				if err != nil {
					return err
				}
				api, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: testTenant, AppID: made.AppID})
				if err != nil {
					return err
				}
				client, err := e.ServicePrincipals().Find(testTenant, testClient)
				if err != nil {
					return err
				}
				_, _, err = e.Assignments().Add(testTenant, client.ID, api.ID, made.AppRoles[0].ID)
				return err
			})
			for _, identifier := range []string{"https://storage.azure.com/", "https://storage.azure.com", "https://orders.blob.core.windows.net", storageAppID} {
				claims := w.post(pathV2, w.good().set("scope", identifier+"/.default")).claims(t)
				audience, _ := claims["aud"].(string)
				if roles, _ := claims["roles"].([]any); len(roles) != 1 || roles[0] != "Blobs.Read" {
					t.Errorf("%s: roles are %v", identifier, claims["roles"])
				}
				if strings.HasPrefix(identifier, "https:") && audience != identifier {
					t.Errorf("%s: aud is %s", identifier, audience)
				}
			}
		})
	}
}

// A client that was granted a scope of a built-in resource gets tokens for it on behalf of
// users; one that was not is told to have it consented.
func TestBuiltinResourceForAUser(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	const manager = "https://management.core.windows.net/"
	form := values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword, "scope": manager + "/user_impersonation"}
	w.post(pathV2, form).refused(400, "invalid_grant", 65001)
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().FindAPI(testTenant, "https://management.azure.com")
		if err != nil {
			return err
		}
		api, err := e.ServicePrincipals().FindAPI(testTenant, app.AppID)
		if err != nil {
			return err
		}
		_, err = e.DelegatedGrants().Add(testTenant, principalID(publicApp), api.ID, "", []string{"user_impersonation"})
		return err
	})
	for _, scope := range []string{manager + "/user_impersonation", manager + "/.default", "https://management.azure.com/.default"} {
		claims := w.post(pathV2, form.set("scope", scope)).claims(t)
		if want := strings.TrimSuffix(strings.TrimSuffix(scope, "/user_impersonation"), "/.default"); claims["aud"] != want || claims["scp"] != "user_impersonation" || claims["ver"] != "1.0" {
			t.Errorf("%s: aud %v, scp %v, ver %v", scope, claims["aud"], claims["scp"], claims["ver"])
		}
	}
	w.edit(func(e *directory.Editor) error { // what was consented to stays when it is registered
		app, err := e.Applications().FindAPI(testTenant, manager)
		if err != nil {
			return err
		}
		app.Name, app.TokenVersion = "resource-manager", 2
		if _, err := e.Applications().Create(*app); err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: testTenant, AppID: app.AppID})
		return err
	})
	if claims := w.post(pathV2, form).claims(t); claims["scp"] != "user_impersonation" || claims["ver"] != "2.0" {
		t.Errorf("registered: scp %v, ver %v", claims["scp"], claims["ver"])
	}
	w.post(pathV2, form.set("scope", manager+"/Nothing")).refused(400, "invalid_scope", 650053)
}

// The scopes have the ids that they have in every tenant of Microsoft's: code that asks for
// permissions names them by id.
func TestScopesOfBuiltinResources(t *testing.T) {
	t.Parallel()
	for identifier, want := range map[string]string{
		"https://storage.azure.com":                 "user_impersonation 03e0da56-190b-40ad-a80c-ea378c433f7f",
		"https://vault.azure.net":                   "user_impersonation f53da476-18e3-4152-8e01-aec403e6edc0",
		"https://database.windows.net":              "user_impersonation c39ef2d1-04ce-46dc-8b5f-e9a5c60f0fc9",
		"https://servicebus.azure.net":              "user_impersonation 40e16207-c5fd-4916-8ca4-64565f2367ca",
		"https://eventhubs.azure.net":               "user_impersonation 7d388411-3845-4cfc-aa69-33192f4b9735",
		"https://search.azure.com":                  "user_impersonation a4165a31-5d9e-4120-bd1e-9d88c66fd3b8",
		"https://ossrdbms-aad.database.windows.net": "user_impersonation cef99a3a-4cd3-4408-8143-4375d1e38a17",
		"https://management.azure.com":              "user_impersonation 41094075-9dad-400e-a0bd-54e686782033",
		"https://graph.microsoft.com": strings.Join([]string{
			"User.Read e1fe6dd8-ba31-4d61-89e7-88639da4683d",
			"User.ReadBasic.All b340eb25-3456-403f-be2f-af7a0d370277",
			"User.Read.All a154be20-db9c-4678-8ab7-66f6cc099a59",
			"User.ReadWrite.All 204e0828-b5ca-4ad8-b9f3-f32a958e7cc4",
			"Application.Read.All c79f8feb-a9db-4090-85f9-90d820caa0eb",
			"Application.ReadWrite.All bdfbf15f-ee85-4955-8675-146e8e5296b5",
			"AppRoleAssignment.ReadWrite.All 84bccea3-f856-4a8a-967b-dbe0a3d53a64",
			"DelegatedPermissionGrant.ReadWrite.All 41ce6ca6-6826-4807-84f1-1c82854f7ee5",
			"Directory.Read.All 06da0dbc-49e2-44d2-8312-53f166ab848a",
			"Directory.ReadWrite.All c5366453-9fb0-48a5-a156-24f0c49a4b84",
			"Directory.AccessAsUser.All 0e263e50-5827-48a4-b97c-d940288653c7",
			"AuditLog.Read.All e4c9e354-4dc5-45b8-9e7c-e1393b0b1a20",
			"Organization.Read.All 4908d5b9-3fb2-4b1e-9336-1888b7937185",
			"Domain.Read.All 2f9ee017-59c1-4f1d-9472-bd5529a7b311",
			"Policy.Read.All 572fea84-0151-49b2-9301-11cb16974376",
			"Policy.ReadWrite.ApplicationConfiguration b27add92-efb2-4f16-84f5-8108ba77985c",
		}, ", "),
		"api://AzureADTokenExchange": "",
	} {
		resource, found := directory.FindBuiltin(identifier)
		if !found {
			t.Errorf("%s is not built in", identifier)
		}
		var got []string
		for _, scope := range resource.Scopes {
			got = append(got, scope.Value+" "+string(scope.ID))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s offers %q, want %q", identifier, got, want)
		}
	}
}

// A role of a built-in resource is requested, granted and taken away as that of any API, and is
// in the tokens for it.
func TestRolesOfBuiltinResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const graph, read = "https://graph.microsoft.com", directory.RoleID("9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30")
	roles := func() any {
		t.Helper()
		return w.post(pathV2, w.good().set("scope", graph+"/.default")).claims(t)["roles"]
	}
	if got := roles(); got != nil {
		t.Errorf("before: %v", got)
	}
	var api *directory.ServicePrincipal
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().FindAPI(testTenant, graph)
		if err != nil {
			return err
		}
		if api, err = e.ServicePrincipals().FindAPI(testTenant, app.AppID); err != nil {
			return err
		}
		_, _, err = e.Assignments().Add(testTenant, principalID(testClient), api.ID, read)
		return err
	})
	if got, ok := roles().([]any); !ok || len(got) != 1 || got[0] != "Application.Read.All" {
		t.Errorf("granted: %v", got)
	}
	w.editApplication(testClient, func(a *directory.Application) {
		a.Permissions = append(a.Permissions, directory.Permission{API: directory.GraphAppID, Roles: []directory.RoleID{read, "2280dda6-0bfd-44ee-a2f4-cb867cfc4c1e"}}) // the second one is unknown here
	})
	w.edit(func(e *directory.Editor) error {
		return e.Assignments().Remove(testTenant, principalID(testClient), api.ID, read)
	})
	if got := roles(); got != nil {
		t.Errorf("taken away: %v", got)
	}
	if found, _, err := w.dir.Revocations().Since(t.Context(), testTenant, 0); err != nil || len(found) != 1 || found[0].Role != "Application.Read.All" {
		t.Errorf("revocations: %v, %v", found, err)
	}
}

// What was discarded gets no token until it is restored, and then what it got before.
func TestDiscardedClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.post(pathV2, w.good()).claims(t)["roles"]
	app, err := w.dir.View(t.Context()).Applications().ByAppID(testTenant, testClient)
	if err != nil {
		t.Fatal(err)
	}
	w.edit(func(e *directory.Editor) error { _, err := e.Applications().Discard(testTenant, app.ID); return err })
	w.post(pathV2, w.good()).refused(400, "unauthorized_client", 700016)
	w.edit(func(e *directory.Editor) error { _, err := e.Deleted().Restore(testTenant, app.ID); return err })
	if after := w.post(pathV2, w.good()).claims(t)["roles"]; fmt.Sprint(after) != fmt.Sprint(before) || after == nil {
		t.Errorf("restored: %v, before: %v", after, before)
	}
}
