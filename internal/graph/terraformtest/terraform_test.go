package terraformtest

import (
	"bytes"
	"image"
	"image/png"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

// The ids that a configuration gives to roles and scopes.
const (
	readRole   = "5a1e0001-5a5a-4c4c-8d8d-000000000001"
	writeRole  = "5a1e0001-5a5a-4c4c-8d8d-000000000002"
	thirdRole  = "5a1e0001-5a5a-4c4c-8d8d-000000000003"
	listScope  = "5c09e001-5a5a-4c4c-8d8d-000000000001"
	countScope = "5c09e001-5a5a-4c4c-8d8d-000000000002"

	graphAppID         = "00000003-0000-0000-c000-000000000000"
	readApplications   = "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"
	exchangeAudience   = "api://AzureADTokenExchange"
	apiURI             = "api://orders"
	secondURI          = "https://orders.contoso.test"
	integrated         = "WindowsAzureActiveDirectoryIntegratedApp" // what feature_tags writes
	hidden             = "HideApp"
	subscriptionScoped = "/subscriptions/"
)

func role(id, value string, enabled bool) object {
	return object{
		"id": id, "allowedMemberTypes": list{"Application"}, "description": "May use " + value, "displayName": value, "isEnabled": enabled, "value": value,
	}
}

func scope(id, value string) object {
	return object{
		"id": id, "value": value, "type": "User", "isEnabled": true,
		"adminConsentDescription": "Lets the program use " + value, "adminConsentDisplayName": "Use " + value,
		"userConsentDescription": "Lets the program use " + value + " for you", "userConsentDisplayName": "Use " + value + " for you",
	}
}

// everyBlock is a configuration of azuread_application that has each of its blocks.
func everyBlock(known string) object {
	wanted := applicationDefaults("orders-server")
	wanted["api"] = object{
		"acceptMappedClaims": true, "knownClientApplications": list{known}, "requestedAccessTokenVersion": 2,
		"oauth2PermissionScopes": list{scope(listScope, "Orders.List"), scope(countScope, "Orders.Count")},
	}
	wanted["appRoles"] = list{role(readRole, "Orders.Read", true), role(writeRole, "Orders.Write", true)}
	wanted["description"] = "The API of the orders"
	wanted["groupMembershipClaims"] = "SecurityGroup, ApplicationGroup"
	wanted["identifierUris"] = list{apiURI}
	wanted["info"] = object{
		"marketingUrl": "https://contoso.test/about", "privacyStatementUrl": "https://contoso.test/privacy",
		"supportUrl": "https://contoso.test/help", "termsOfServiceUrl": "https://contoso.test/terms",
	}
	wanted["isDeviceOnlyAuthSupported"] = true
	wanted["isFallbackPublicClient"] = true
	wanted["notes"] = "Kept by Terraform; \"quoted\", and with a line\nbreak"
	wanted["oauth2RequirePostResponse"] = true
	wanted["optionalClaims"] = object{
		"accessToken": list{
			object{"name": "xms_cc", "essential": false, "additionalProperties": list{}},
			object{"name": "auth_time", "essential": true, "additionalProperties": list{}},
		},
		"idToken":    list{object{"name": "upn", "essential": false, "additionalProperties": list{"include_externally_authenticated_upn"}}},
		"saml2Token": list{object{"name": "email", "essential": false, "additionalProperties": list{}}},
	}
	wanted["publicClient"] = object{"redirectUris": list{"http://localhost", "com.contoso.orders://auth"}}
	wanted["requiredResourceAccess"] = list{object{"resourceAppId": graphAppID, "resourceAccess": list{
		object{"id": readApplications, "type": "Role"},
		object{"id": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "type": "Scope"},
	}}}
	wanted["serviceManagementReference"] = "SRV-17"
	wanted["signInAudience"] = "AzureADMultipleOrgs"
	wanted["spa"] = object{"redirectUris": list{"https://app.contoso.test/spa"}}
	wanted["tags"] = list{integrated, hidden}
	wanted["web"] = object{
		"homePageUrl": "https://app.contoso.test", "logoutUrl": "https://app.contoso.test/logout",
		"redirectUris":          list{"https://app.contoso.test/a", "https://app.contoso.test/b"},
		"implicitGrantSettings": object{"enableAccessTokenIssuance": true, "enableIdTokenIssuance": true},
	}
	return wanted
}

// TestTerraform is one life of a configuration: create, read, a second plan that is empty, import,
// change, destroy. The parts build on each other, so the first that fails ends it.
func TestTerraform(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &state{}
	for _, part := range []struct {
		name string
		run  func(*testing.T, *world, *state)
	}{
		{"provider start", providerStart},
		{"azuread_application", applications},
		{"azuread_service_principal", servicePrincipals},
		{"azurerm_user_assigned_identity", userAssignedIdentity},
		{"credentials", credentials},
		{"federated credentials", federatedCredentials},
		{"azuread_app_role_assignment", assignments},
		{"delegated grants", delegatedGrants},
		{"parts of an application", partsOfAnApplication},
		{"data sources", dataSources},
		{"a change", change},
		{"a guarded call", guardedCall},
		{"destroy", destroy},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, w, s) }) {
			return
		}
	}
}

// A state is what Terraform remembers between two parts.
type state struct {
	wantedAPI object

	api, apiAppID, apiPrincipal          string
	client, clientAppID, clientPrincipal string
	clientSecret                         string

	identity, identityPrincipal string // the path, and the object id

	assignments []string // their paths
	grant       string
}

func providerStart(t *testing.T, w *world, _ *state) {
	w.start(t)
	if w.claims["tid"] != w.tenant || w.claims["appid"] != w.clientID {
		t.Errorf("data azuread_client_config has the claims %v, want those of %s in %s", w.claims, w.clientID, w.tenant)
	}
	roles, _ := w.claims["roles"].(list)
	if !slices.Contains(roles, any("Application.ReadWrite.All")) {
		t.Errorf("the token for Graph has the roles %v", roles)
	}
	// Without an oid the provider would look itself up, and require exactly one.
	found := w.list(t, "/servicePrincipals", "$filter", "appId eq '"+w.clientID+"'")
	if len(found) != 1 || found[0]["id"] != w.caller {
		t.Errorf("%s finds %v, want %s alone", w.clientID, found, w.caller)
	}
}

func applications(t *testing.T, w *world, s *state) {
	known := w.createApplication(t, applicationDefaults("orders-portal"))
	s.wantedAPI = everyBlock(text(w.get(t, application(known))["appId"]))
	s.api = w.createApplication(t, s.wantedAPI)
	read := w.readApplication(t, s.api)
	s.apiAppID = text(read["appId"])
	noChanges(t, "the application", s.wantedAPI, read)
	if owners := read["owners"].(list); len(owners) != 0 {
		t.Errorf("owners %v are left, want none", owners)
	}
	if read["publisherDomain"] != "contoso.test" {
		t.Errorf("publisherDomain is %v", read["publisherDomain"])
	}
	// A second plan reads the same, and so does an import: both know the object id alone.
	noChanges(t, "an imported application", w.readApplication(t, s.api), read)

	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 215, 215))); err != nil {
		t.Fatal(err)
	}
	w.setLogo(t, application(s.api)+"/logo", picture.Bytes())
	if info, _ := w.get(t, application(s.api))["info"].(object); text(info["logoUrl"]) == "" {
		t.Errorf("a logo was uploaded, and info is %v", info)
	}

	wanted := applicationDefaults("orders-client")
	wanted["requiredResourceAccess"] = list{object{"resourceAppId": s.apiAppID, "resourceAccess": list{object{"id": readRole, "type": "Role"}}}}
	s.client = w.createApplication(t, wanted, w.caller)
	read = w.readApplication(t, s.client)
	noChanges(t, "the client", wanted, read)
	s.clientAppID = text(read["appId"])
	w.deleteApplication(t, known)
}

func servicePrincipals(t *testing.T, w *world, s *state) {
	wanted := servicePrincipalDefaults(s.apiAppID)
	wanted["description"] = "The orders, in this tenant"
	wanted["appRoleAssignmentRequired"] = true
	wanted["alternativeNames"] = list{"orders.contoso.test"}
	wanted["loginUrl"] = "https://app.contoso.test/login"
	wanted["notes"] = "Asked for by sales"
	wanted["notificationEmailAddresses"] = list{"orders@contoso.test"}
	wanted["preferredSingleSignOnMode"] = "oidc"
	wanted["tags"] = list{integrated}
	s.apiPrincipal = w.createServicePrincipal(t, wanted)
	read := w.readServicePrincipal(t, s.apiPrincipal)
	noChanges(t, "the service principal", wanted, read)
	noChanges(t, "what it has of its application", object{
		"appId": s.apiAppID, "displayName": "orders-server", "servicePrincipalType": "Application", "signInAudience": "AzureADMultipleOrgs",
		"appRoles": s.wantedAPI["appRoles"], "oauth2PermissionScopes": s.wantedAPI["api"].(object)["oauth2PermissionScopes"],
		"homepage": "https://app.contoso.test", "logoutUrl": "https://app.contoso.test/logout", "appOwnerOrganizationId": w.tenant,
	}, read)
	names, _ := read["servicePrincipalNames"].(list)
	if !slices.Contains(names, any(s.apiAppID)) || !slices.Contains(names, any(apiURI)) || len(names) != 2 {
		t.Errorf("servicePrincipalNames are %v", names)
	}
	replies, _ := read["replyUrls"].(list)
	for _, uri := range []string{"https://app.contoso.test/a", "https://app.contoso.test/b"} {
		if !slices.Contains(replies, any(uri)) {
			t.Errorf("replyUrls are %v, without %s", replies, uri)
		}
	}
	wanted["notes"], wanted["loginUrl"], wanted["alternativeNames"] = "Asked for by shipping", nil, list{}
	w.updateServicePrincipal(t, s.apiPrincipal, wanted)
	noChanges(t, "the changed service principal", wanted, w.readServicePrincipal(t, s.apiPrincipal))

	wanted = servicePrincipalDefaults(s.clientAppID)
	s.clientPrincipal = w.createServicePrincipal(t, wanted, w.caller)
	noChanges(t, "the client's service principal", wanted, w.readServicePrincipal(t, s.clientPrincipal))
}

func userAssignedIdentity(t *testing.T, w *world, s *state) {
	const version = "?api-version=2024-11-30"
	subscriptions, _ := w.toManager(t, http.MethodGet, "/subscriptions?api-version=2022-12-01", nil, http.StatusOK)["value"].(list)
	if len(subscriptions) == 0 {
		t.Fatal("azurerm has no subscription")
	}
	subscription := subscriptionScoped + text(subscriptions[0].(object)["subscriptionId"])
	w.toManager(t, http.MethodGet, subscription+"?api-version=2022-12-01", nil, http.StatusOK)
	if _, ok := w.toManager(t, http.MethodGet, subscription+"/providers?api-version=2022-09-01", nil, http.StatusOK)["value"].(list); !ok {
		t.Error("there is no list of providers")
	}
	group := subscription + "/resourceGroups/orders"
	w.toManager(t, http.MethodPut, group+"?api-version=2020-06-01", object{"location": "westeurope", "tags": object{}}, http.StatusOK, http.StatusCreated)
	w.toManager(t, http.MethodGet, group+"?api-version=2020-06-01", nil, http.StatusOK)

	s.identity = group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/orders-identity"
	absent := func() {
		t.Helper()
		refusal, _ := w.toManager(t, http.MethodGet, s.identity+version, nil, http.StatusNotFound)["error"].(object)
		if refusal["code"] != "ResourceNotFound" {
			t.Errorf("an identity that is not there: %v", refusal)
		}
	}
	absent()
	wanted := object{"location": "westeurope", "name": "orders-identity", "tags": object{"team": "orders"}, "type": "Microsoft.ManagedIdentity/userAssignedIdentities"}
	w.toManager(t, http.MethodPut, s.identity+version, wanted, http.StatusOK, http.StatusCreated)
	read := w.toManager(t, http.MethodGet, s.identity+version, nil, http.StatusOK)
	noChanges(t, "the identity", wanted, read)
	if !strings.EqualFold(text(read["id"]), s.identity) {
		t.Errorf("its id is %v, want %s", read["id"], s.identity)
	}
	properties, _ := read["properties"].(object)
	s.identityPrincipal = text(properties["principalId"])
	if properties["tenantId"] != w.tenant || s.identityPrincipal == "" || text(properties["clientId"]) == "" {
		t.Fatalf("its properties are %v", properties)
	}
	w.toManager(t, http.MethodPatch, s.identity+version, object{"tags": object{"team": "shipping"}}, http.StatusOK)
	read = w.toManager(t, http.MethodGet, s.identity+version, nil, http.StatusOK)
	noChanges(t, "the identity's tags", object{"tags": object{"team": "shipping"}}, read)

	// azurerm_federated_identity_credential
	federated := s.identity + "/federatedIdentityCredentials/ci" + version
	w.toManager(t, http.MethodGet, federated, nil, http.StatusNotFound)
	body := object{"properties": object{"audiences": list{exchangeAudience}, "issuer": "https://ci.contoso.test", "subject": "repo:orders"}}
	w.toManager(t, http.MethodPut, federated, body, http.StatusOK, http.StatusCreated)
	noChanges(t, "the identity's federated credential", body, w.toManager(t, http.MethodGet, federated, nil, http.StatusOK))
	w.toManager(t, http.MethodDelete, federated, nil, http.StatusOK, http.StatusNoContent)
	w.toManager(t, http.MethodGet, federated, nil, http.StatusNotFound)

	// Graph sees the same identity, also without waiting.
	graph := w.get(t, servicePrincipal(s.identityPrincipal))
	noChanges(t, "the identity in Graph", object{
		"servicePrincipalType": "ManagedIdentity", "displayName": "orders-identity", "appId": properties["clientId"],
	}, graph)
}

func credentials(t *testing.T, w *world, s *state) {
	wanted := object{"displayName": "ci", "startDateTime": "2026-01-02T03:04:05Z", "endDateTime": "2056-01-02T03:04:05Z"}
	keyID, secret := w.addPassword(t, application(s.client), wanted)
	if read := w.credential(t, application(s.client), "passwordCredentials", keyID); read["secretText"] != nil {
		t.Error("the secret is read again")
	}
	s.clientSecret = secret
	_ = claimsOf(t, w.tokenAs(t, s.clientAppID, secret, w.graph+"/.default"))

	second, _ := w.addPassword(t, application(s.client), object{"displayName": "for a while"})
	w.removePassword(t, application(s.client), second)
	if w.credential(t, application(s.client), "passwordCredentials", keyID) == nil {
		t.Error("the first password went with the second")
	}

	onPrincipal, _ := w.addPassword(t, servicePrincipal(s.clientPrincipal), object{"displayName": "of the service principal"})
	w.removePassword(t, servicePrincipal(s.clientPrincipal), onPrincipal)

	first := newCertificate(t, "orders-client")
	wantedCertificate := object{"startDateTime": first.start, "endDateTime": first.end}
	certificate := w.addCertificate(t, s.client, first.pem, wantedCertificate)
	other := w.addCertificate(t, s.client, newCertificate(t, "another").pem, nil)
	// The second request sent the first certificate without its key, which must still be there.
	w.signsIn(t, s.clientAppID, first)
	w.removeCertificate(t, s.client, other)
	w.signsIn(t, s.clientAppID, first)
	w.removeCertificate(t, s.client, certificate)
}

func federatedCredentials(t *testing.T, w *world, s *state) {
	wanted := object{
		"audiences": list{exchangeAudience}, "description": "The build", "issuer": "https://ci.contoso.test", "name": "ci", "subject": "repo:orders:main",
	}
	path := w.createFederated(t, "", s.client, wanted)
	wanted["subject"], wanted["description"] = "repo:orders:release", ""
	w.updateFederated(t, path, wanted)
	w.removeAndWait(t, path)

	flexible := object{
		"audiences": list{exchangeAudience}, "description": "Any branch", "issuer": "https://token.actions.githubusercontent.com", "name": "any-branch",
		"claimsMatchingExpression": object{"value": "claims['sub'] matches 'repo:contoso/orders:ref:refs/heads/*'", "languageVersion": 1},
	}
	path = w.createFederated(t, "/beta", s.client, flexible)
	flexible["claimsMatchingExpression"] = object{"value": "claims['sub'] matches 'repo:contoso/orders:*'", "languageVersion": 1}
	w.updateFederated(t, path, flexible)
	w.removeAndWait(t, path)
}

func assignments(t *testing.T, w *world, s *state) {
	for _, principal := range []string{s.clientPrincipal, s.identityPrincipal} {
		path := w.assign(t, s.apiPrincipal, principal, readRole)
		s.assignments = append(s.assignments, path)
	}
	extra := w.assign(t, s.apiPrincipal, s.clientPrincipal, writeRole)
	w.remove(t, extra)
	w.toGraph(t, http.MethodGet, extra, nil, http.StatusNotFound)
	// Its own state has the names, too.
	noChanges(t, "the assignment", object{
		"principalDisplayName": "orders-client", "principalType": "ServicePrincipal", "resourceDisplayName": "orders-server",
	}, w.get(t, s.assignments[0]))
}

func delegatedGrants(t *testing.T, w *world, s *state) {
	s.grant = w.grantScopes(t, s.clientPrincipal, s.apiPrincipal, "Orders.List", "Orders.Count")
	w.patch(t, s.grant, object{"@odata.type": "#microsoft.graph.oAuth2PermissionGrant", "scope": "Orders.List"})
	noChanges(t, "the grant", object{"scope": "Orders.List", "clientId": s.clientPrincipal, "resourceId": s.apiPrincipal}, w.get(t, s.grant))
}

// partsOfAnApplication are the resources that keep one member of an application: they read all
// of it, and write it back with one element more, changed, or less.
func partsOfAnApplication(t *testing.T, w *world, s *state) {
	typed := func(body object) object {
		body["@odata.type"] = "#microsoft.graph.application"
		return body
	}
	write := func(body object) { w.patch(t, application(s.api), typed(body)) }

	// azuread_application_identifier_uri
	uris := w.get(t, application(s.api))["identifierUris"].(list)
	write(object{"identifierUris": append(slices.Clone(uris), secondURI)})
	noChanges(t, "the identifier URIs", object{"identifierUris": list{apiURI, secondURI}}, w.get(t, application(s.api)))
	write(object{"identifierUris": uris})

	// azuread_application_pre_authorized
	api := func() object { return w.get(t, application(s.api))["api"].(object) }
	before := api()["preAuthorizedApplications"].(list)
	for _, scopes := range []list{{listScope}, {listScope, countScope}} {
		wanted := list{object{"appId": s.clientAppID, "delegatedPermissionIds": scopes}}
		write(object{"api": object{"preAuthorizedApplications": wanted}})
		noChanges(t, "the pre-authorized client", object{"preAuthorizedApplications": wanted}, api())
		noChanges(t, "the rest of the block", s.wantedAPI["api"].(object), api())
	}
	write(object{"api": object{"preAuthorizedApplications": before}})

	// azuread_application_api_access
	access := w.get(t, application(s.api))["requiredResourceAccess"].(list)
	vault := object{"resourceAppId": "cfa8b339-82a2-471a-a3c9-0fc0be7a4093", "resourceAccess": list{
		object{"id": "f53da476-18e3-4152-8e01-aec403e6edc0", "type": "Scope"},
	}}
	write(object{"id": s.api, "requiredResourceAccess": append(slices.Clone(access), vault)})
	noChanges(t, "the requested permissions", object{"requiredResourceAccess": append(slices.Clone(access), vault)}, w.get(t, application(s.api)))
	write(object{"id": s.api, "requiredResourceAccess": access})
	noChanges(t, "the requested permissions", object{"requiredResourceAccess": s.wantedAPI["requiredResourceAccess"]}, w.get(t, application(s.api)))

	// azuread_application_app_role
	third := role(thirdRole, "Orders.Count", true)
	w.putAppRole(t, s.api, third)
	third["description"] = "May count orders"
	w.putAppRole(t, s.api, third)
	noChanges(t, "the app role", object{"appRoles": append(slices.Clone(s.wantedAPI["appRoles"].(list)), third)}, w.get(t, application(s.api)))
	w.deleteAppRole(t, s.api, thirdRole)
	noChanges(t, "the other app roles", object{"appRoles": s.wantedAPI["appRoles"]}, w.get(t, application(s.api)))

	// azuread_application_owner
	isOwner := "id eq '" + s.clientPrincipal + "'"
	if found := w.list(t, application(s.api)+"/owners", "$filter", isOwner); len(found) != 0 {
		t.Errorf("it is owned by %v", found)
	}
	w.post(t, application(s.api)+"/owners/$ref", object{"@odata.id": w.reference(s.clientPrincipal)})
	if found := w.list(t, application(s.api)+"/owners", "$filter", isOwner); len(found) != 1 || found[0]["id"] != s.clientPrincipal {
		t.Errorf("it is owned by %v, want %s", found, s.clientPrincipal)
	}
	w.remove(t, application(s.api)+"/owners/"+s.clientPrincipal+"/$ref")
}

func dataSources(t *testing.T, w *world, s *state) {
	one := func(path, filter, id string) {
		t.Helper()
		found := w.list(t, path, "$filter", filter)
		if len(found) != 1 || found[0]["id"] != id {
			t.Errorf("%s with %s finds %v, want %s alone", path, filter, found, id)
		}
	}
	one("/applications", "appId eq '"+s.apiAppID+"'", s.api)
	one("/applications", "displayName eq 'orders-server'", s.api)
	one("/applications", "identifierUris/any(uri:uri eq '"+apiURI+"')", s.api)
	one("/servicePrincipals", "appId eq '"+s.apiAppID+"'", s.apiPrincipal)
	one("/servicePrincipals", "displayName eq 'orders-server'", s.apiPrincipal)
	one("/servicePrincipals", "displayName eq 'orders-identity'", s.identityPrincipal)
	for path, filter := range map[string]string{
		"/applications":      "displayName eq 'there is none'",
		"/servicePrincipals": "appId eq '" + guid.New() + "'",
	} {
		if found := w.list(t, path, "$filter", filter); len(found) != 0 {
			t.Errorf("%s with %s finds %v", path, filter, found)
		}
	}

	const selected = "accountEnabled,appId,appOwnerOrganizationId,appRoleAssignmentRequired,displayName,id,preferredSingleSignOnMode,servicePrincipalNames,servicePrincipalType,signInAudience,tags"
	members := strings.Split(selected, ",")
	all := w.list(t, "/servicePrincipals", "$select", selected)
	if !slices.ContainsFunc(all, func(o object) bool { return o["id"] == s.apiPrincipal }) {
		t.Error("data azuread_service_principals with return_all does not have the API")
	}
	for _, o := range all {
		for member := range o {
			if !slices.Contains(members, member) && !strings.HasPrefix(member, "@odata.") {
				t.Errorf("%s was not selected", member)
			}
		}
	}
	found := w.list(t, "/servicePrincipals", "$filter", "appId eq '"+graphAppID+"'", "$select", selected)
	if len(found) != 1 || found[0]["displayName"] != "Microsoft Graph" {
		t.Errorf("data azuread_service_principal finds %v for Microsoft Graph", found)
	}

	domains := w.list(t, "/domains")
	if len(domains) == 0 || domains[0]["id"] != "contoso.test" || domains[0]["isVerified"] != true {
		t.Errorf("data azuread_domains has %v", domains)
	}
}

func change(t *testing.T, w *world, s *state) {
	wanted := s.wantedAPI
	wanted["displayName"] = "orders-api"
	wanted["appRoles"] = list{role(readRole, "Orders.Read", true), role(thirdRole, "Orders.Delete", true)} // without Orders.Write
	api := wanted["api"].(object)
	changed := scope(listScope, "Orders.List")
	changed["adminConsentDisplayName"] = "Look at orders"
	api["oauth2PermissionScopes"] = list{changed}
	wanted["optionalClaims"], wanted["notes"], wanted["tags"] = object{}, nil, list{"orders", "kept-by-terraform"}
	wanted["spa"] = object{"redirectUris": list{}}
	w.updateApplication(t, s.api, wanted, "appRoles", "oauth2PermissionScopes", "optionalClaims")
	noChanges(t, "the changed application", wanted, w.readApplication(t, s.api))
	noChanges(t, "the changed service principal", object{
		"displayName": "orders-api", "appRoles": wanted["appRoles"], "oauth2PermissionScopes": api["oauth2PermissionScopes"],
	}, w.readServicePrincipal(t, s.apiPrincipal))
	if assigned := w.list(t, servicePrincipal(s.apiPrincipal)+"/appRoleAssignedTo"); len(assigned) != len(s.assignments) {
		t.Errorf("there are the assignments %v, want %d", assigned, len(s.assignments))
	}
}

// guardedCall has what was made let somebody in: the point of it all.
func guardedCall(t *testing.T, w *world, s *state) {
	api := w.serveOrders(t, s.apiAppID)
	for who, token := range map[string]string{
		"the client":   w.tokenAs(t, s.clientAppID, s.clientSecret, apiURI+"/.default"),
		"the identity": w.identityToken(t, "orders-identity"),
	} {
		if status := w.call(t, api, token); status != http.StatusOK {
			t.Errorf("%s gets %d", who, status)
		}
	}
	if status := w.call(t, api, w.token); status != http.StatusUnauthorized {
		t.Errorf("a token for Graph gets %d", status)
	}
	// What is taken away counts with the next token.
	w.remove(t, s.assignments[0])
	w.toGraph(t, http.MethodGet, s.assignments[0], nil, http.StatusNotFound)
	form := "the client, without its role"
	if status, _ := w.tokenRequest(t, s.clientAppID, s.clientSecret, apiURI+"/.default"); status != http.StatusBadRequest {
		t.Errorf("%s: %d at the token endpoint, want 400: the API requires an assignment", form, status)
	}
	s.assignments = s.assignments[1:]
}

func destroy(t *testing.T, w *world, s *state) {
	w.remove(t, s.grant)
	w.toGraph(t, http.MethodGet, s.grant, nil, http.StatusNotFound)
	for _, path := range s.assignments {
		w.remove(t, path)
		w.toGraph(t, http.MethodGet, path, nil, http.StatusNotFound)
	}
	for _, id := range []string{s.clientPrincipal, s.apiPrincipal} {
		w.removeAndWait(t, servicePrincipal(id))
	}
	for _, id := range []string{s.client, s.api} {
		w.deleteApplication(t, id)
	}
	const version = "?api-version=2024-11-30"
	w.toManager(t, http.MethodDelete, s.identity+version, nil, http.StatusOK, http.StatusNoContent)
	w.toManager(t, http.MethodGet, s.identity+version, nil, http.StatusNotFound)
	w.gone(t, servicePrincipal(s.identityPrincipal))
	for _, name := range []string{"orders-api", "orders-client", "orders-portal"} {
		if found := w.list(t, "/applications", "$filter", "displayName eq '"+name+"'"); len(found) != 0 {
			t.Errorf("%s is left: %v", name, found)
		}
	}
}
