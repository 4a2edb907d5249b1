package terraformtest

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

// The functions below do what the provider's resources of the same name do, request by request.
// What a resource waits for is asked as often, but without the seconds in between.

func application(id string) string      { return "/applications/" + id }
func servicePrincipal(id string) string { return "/servicePrincipals/" + id }

func (p *provider) reference(id string) string { return p.graph + "/v1.0/directoryObjects/" + id }

// applicationDefaults is what azuread_application sends for blocks that a configuration leaves
// out.
func applicationDefaults(displayName string) object {
	return object{
		"api": object{
			"acceptMappedClaims": false, "knownClientApplications": list{}, "oauth2PermissionScopes": list{}, "requestedAccessTokenVersion": 1,
		},
		"appRoles": list{}, "description": nil, "displayName": displayName, "groupMembershipClaims": nil, "identifierUris": list{},
		"info":                      object{"marketingUrl": nil, "privacyStatementUrl": nil, "supportUrl": nil, "termsOfServiceUrl": nil},
		"isDeviceOnlyAuthSupported": false, "isFallbackPublicClient": false, "notes": nil, "optionalClaims": object{},
		"publicClient": object{"redirectUris": list{}}, "requiredResourceAccess": list{}, "serviceManagementReference": nil,
		"signInAudience": "AzureADMyOrg", "spa": object{"redirectUris": list{}}, "tags": list{},
		"web": object{
			"homePageUrl": nil, "logoutUrl": nil, "redirectUris": list{},
			"implicitGrantSettings": object{"enableAccessTokenIssuance": false, "enableIdTokenIssuance": false},
		},
	}
}

// createApplication is azuread_application. It returns the object id.
func (p *provider) createApplication(t *testing.T, wanted object, owners ...string) string {
	t.Helper()
	if found := p.list(t, "/applications", "$filter", "displayName eq '"+text(wanted["displayName"])+"'"); len(found) != 0 {
		t.Fatalf("prevent_duplicate_names finds %v", found)
	}
	body := maps.Clone(wanted)
	body["@odata.type"] = "#microsoft.graph.application"
	bind := list{p.reference(p.caller)} // the caller first, and removed at the end
	for _, owner := range owners {
		bind = append(bind, p.reference(owner))
	}
	body["owners@odata.bind"] = bind
	api, _ := wanted["api"].(object)
	mapped := api["acceptMappedClaims"] == true
	if mapped { // which is set afterwards
		api = maps.Clone(api)
		delete(api, "acceptMappedClaims")
		body["api"] = api
	}
	id := text(p.post(t, "/applications", body)["id"])
	if id == "" {
		t.Fatal("the new application has no id")
	}
	for _, name := range []string{"TERRAFORM_UPDATE_" + guid.New(), text(wanted["displayName"])} {
		p.patch(t, application(id), object{"@odata.type": "#microsoft.graph.application", "displayName": name})
	}
	if required, ok := wanted["oauth2RequirePostResponse"]; ok {
		p.patch(t, "/beta"+application(id), object{"@odata.type": "#microsoft.graph.application", "oauth2RequirePostResponse": required})
	}
	if mapped {
		p.patch(t, application(id), object{"@odata.type": "#microsoft.graph.application", "api": wanted["api"]})
	}
	p.remove(t, application(id)+"/owners/"+p.caller+"/$ref")
	return id
}

// readApplication reads all that azuread_application keeps in its state: also after an import, for
// which it has the object id alone.
func (p *provider) readApplication(t *testing.T, id string) object {
	t.Helper()
	state := p.get(t, application(id))
	beta := p.get(t, "/beta"+application(id)+"?%24select=oauth2RequirePostResponse")
	state["oauth2RequirePostResponse"] = beta["oauth2RequirePostResponse"]
	state["owners"] = p.owners(t, application(id))
	return state
}

// owners lists the object ids of those who own something. The provider finds out what each is
// by its type.
func (p *provider) owners(t *testing.T, of string) list {
	t.Helper()
	ids := list{}
	for _, owner := range p.list(t, of+"/owners") {
		if kind := text(owner["@odata.type"]); kind != "#microsoft.graph.servicePrincipal" && kind != "#microsoft.graph.user" {
			t.Fatalf("an owner has the type %q", kind)
		}
		ids = append(ids, owner["id"])
	}
	return ids
}

// updateApplication changes an application to what is wanted. Members that changed and hold
// collections of permissions are disabled first.
func (p *provider) updateApplication(t *testing.T, id string, wanted object, changed ...string) {
	t.Helper()
	body := maps.Clone(wanted)
	body["@odata.type"] = "#microsoft.graph.application"
	for _, member := range []string{"appRoles", "identifierUris", "optionalClaims", "requiredResourceAccess"} {
		if !slices.Contains(changed, member) {
			delete(body, member)
		}
	}
	delete(body, "oauth2RequirePostResponse")
	if slices.Contains(changed, "appRoles") {
		p.disableAppRoles(t, id, wanted["appRoles"].(list))
	}
	api := maps.Clone(wanted["api"].(object))
	if slices.Contains(changed, "oauth2PermissionScopes") {
		p.disableScopes(t, id, api["oauth2PermissionScopes"].(list))
	} else {
		delete(api, "oauth2PermissionScopes")
	}
	body["api"] = api
	p.patch(t, application(id), body)
}

// disableAppRoles disables the roles that change or go, and waits until it reads them so.
func (p *provider) disableAppRoles(t *testing.T, id string, wanted list) {
	t.Helper()
	roles, _ := p.get(t, application(id))["appRoles"].(list)
	if disable(t, roles, wanted) {
		p.patch(t, application(id), object{"@odata.type": "#microsoft.graph.application", "id": id, "appRoles": roles})
		read, _ := p.get(t, application(id))["appRoles"].(list)
		stillDisabled(t, roles, read)
	}
}

func (p *provider) disableScopes(t *testing.T, id string, wanted list) {
	t.Helper()
	scopes, _ := p.get(t, application(id))["api"].(object)["oauth2PermissionScopes"].(list)
	if disable(t, scopes, wanted) {
		p.patch(t, application(id), object{"@odata.type": "#microsoft.graph.application", "api": object{"oauth2PermissionScopes": scopes}})
		read, _ := p.get(t, application(id))["api"].(object)["oauth2PermissionScopes"].(list)
		stillDisabled(t, scopes, read)
	}
}

// disable marks the permissions that are not wanted any more, or otherwise.
func disable(t *testing.T, read, wanted list) (some bool) {
	t.Helper()
	for _, v := range read {
		permission := v.(object)
		delete(permission, "origin") // which the SDK does not send back
		kept := slices.ContainsFunc(wanted, func(want any) bool {
			return len(plan(normal(t, want.(object)), permission)) == 0
		})
		if !kept && permission["isEnabled"] == true {
			permission["isEnabled"] = false
			some = true
		}
	}
	return some
}

func stillDisabled(t *testing.T, sent, read list) {
	t.Helper()
	for _, v := range sent {
		at := slices.IndexFunc(read, func(r any) bool { return r.(object)["id"] == v.(object)["id"] })
		if at < 0 || read[at].(object)["isEnabled"] != v.(object)["isEnabled"] {
			t.Fatalf("the provider waits until its time is over for %v in %v", v, read)
		}
	}
}

// deleteApplication deletes it and waits until it is gone.
func (p *provider) deleteApplication(t *testing.T, id string) {
	t.Helper()
	p.remove(t, application(id))
	p.gone(t, application(id))
}

// putAppRole is azuread_application_app_role: it adds a role, or changes it.
func (p *provider) putAppRole(t *testing.T, id string, role object) {
	t.Helper()
	roles, _ := p.get(t, application(id))["appRoles"].(list)
	at := slices.IndexFunc(roles, func(r any) bool { return r.(object)["id"] == role["id"] })
	wanted := slices.Clone(roles)
	if at < 0 {
		wanted = append(wanted, role)
	} else {
		wanted[at] = role
		p.disableAppRoles(t, id, wanted)
	}
	p.patch(t, application(id), object{"@odata.type": "#microsoft.graph.application", "id": id, "appRoles": wanted})
}

func (p *provider) deleteAppRole(t *testing.T, id, role string) {
	t.Helper()
	roles, _ := p.get(t, application(id))["appRoles"].(list)
	wanted := slices.DeleteFunc(slices.Clone(roles), func(r any) bool { return r.(object)["id"] == role })
	p.disableAppRoles(t, id, wanted)
	p.patch(t, application(id), object{"@odata.type": "#microsoft.graph.application", "id": id, "appRoles": wanted})
}

// addPassword is azuread_application_password, or that of a service principal. It returns the
// key id and the secret.
func (p *provider) addPassword(t *testing.T, of string, credential object) (keyID, secret string) {
	t.Helper()
	p.get(t, of)
	added := p.post(t, of+"/addPassword", object{"passwordCredential": credential})
	keyID, secret = text(added["keyId"]), text(added["secretText"])
	if keyID == "" || secret == "" {
		t.Fatal("the new password has no keyId or no secretText")
	}
	for range inARow {
		noChanges(t, "the password", credential, p.credential(t, of, "passwordCredentials", keyID))
	}
	return keyID, secret
}

// credential reads one credential, or nil.
func (p *provider) credential(t *testing.T, of, member, keyID string) object {
	t.Helper()
	credentials, _ := p.get(t, of)[member].(list)
	for _, c := range credentials {
		if c := c.(object); strings.EqualFold(text(c["keyId"]), keyID) {
			return c
		}
	}
	return nil
}

func (p *provider) removePassword(t *testing.T, of, keyID string) {
	t.Helper()
	p.post(t, of+"/removePassword", object{"keyId": keyID})
	for range inARow {
		if p.credential(t, of, "passwordCredentials", keyID) != nil {
			t.Fatal("the password is still there")
		}
	}
}

// addCertificate is azuread_application_certificate. It sends what it read of the others, without
// their keys, and its own as base64 of PEM.
func (p *provider) addCertificate(t *testing.T, id string, certificate []byte, wanted object) (keyID string) {
	t.Helper()
	keyID = guid.New()
	credential := object{"keyId": keyID, "type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(certificate)}
	maps.Copy(credential, wanted)
	credentials, _ := p.get(t, application(id))["keyCredentials"].(list)
	p.patch(t, application(id), object{
		"@odata.type": "#microsoft.graph.application", "id": id, "keyCredentials": append(slices.Clone(credentials), credential),
	})
	delete(credential, "key") // which is not read again
	for range inARow {
		noChanges(t, "the certificate", credential, p.credential(t, application(id), "keyCredentials", keyID))
	}
	return keyID
}

func (p *provider) removeCertificate(t *testing.T, id, keyID string) {
	t.Helper()
	credentials, _ := p.get(t, application(id))["keyCredentials"].(list)
	kept := slices.DeleteFunc(slices.Clone(credentials), func(c any) bool { return c.(object)["keyId"] == keyID })
	p.patch(t, application(id), object{"@odata.type": "#microsoft.graph.application", "id": id, "keyCredentials": kept})
	for range inARow {
		if p.credential(t, application(id), "keyCredentials", keyID) != nil {
			t.Fatal("the certificate is still there")
		}
	}
}

// createFederated is azuread_application_federated_identity_credential, and under /beta the
// flexible one. It returns the credential's path.
func (p *provider) createFederated(t *testing.T, version, id string, wanted object) string {
	t.Helper()
	p.get(t, version+application(id))
	body := maps.Clone(wanted)
	body["@odata.type"] = "#microsoft.graph.federatedIdentityCredential"
	added := p.post(t, version+application(id)+"/federatedIdentityCredentials", body)
	path := version + application(id) + "/federatedIdentityCredentials/" + text(added["id"])
	for range inARow {
		noChanges(t, "the federated credential", wanted, p.get(t, path))
	}
	return path
}

// updateFederated sends the whole credential, also the name that cannot change.
func (p *provider) updateFederated(t *testing.T, path string, wanted object) {
	t.Helper()
	body := maps.Clone(wanted)
	body["@odata.type"] = "#microsoft.graph.federatedIdentityCredential"
	body["id"] = path[strings.LastIndex(path, "/")+1:]
	p.patch(t, path, body)
	noChanges(t, "the federated credential", wanted, p.get(t, path))
}

func (p *provider) removeAndWait(t *testing.T, path string) {
	t.Helper()
	p.remove(t, path)
	p.gone(t, path)
}

// createServicePrincipal is azuread_service_principal. It returns the object id.
func (p *provider) createServicePrincipal(t *testing.T, wanted object, owners ...string) string {
	t.Helper()
	if found := p.list(t, "/servicePrincipals", "$filter", fmt.Sprintf("appId eq '%s'", wanted["appId"])); len(found) != 0 {
		t.Fatalf("the provider requires an import, as it finds %v", found)
	}
	body := maps.Clone(wanted)
	body["@odata.type"] = "#microsoft.graph.servicePrincipal"
	body["description"] = "TERRAFORM_UPDATE_" + guid.New()
	bind := list{p.reference(p.caller)}
	for _, owner := range owners {
		bind = append(bind, p.reference(owner))
	}
	body["owners@odata.bind"] = bind
	id := text(p.post(t, "/servicePrincipals", body)["id"])
	if id == "" {
		t.Fatal("the new service principal has no id")
	}
	p.patch(t, servicePrincipal(id), object{"@odata.type": "#microsoft.graph.servicePrincipal", "description": wanted["description"]})
	p.remove(t, servicePrincipal(id)+"/owners/"+p.caller+"/$ref")
	return id
}

func (p *provider) readServicePrincipal(t *testing.T, id string) object {
	t.Helper()
	state := p.get(t, servicePrincipal(id))
	p.get(t, "/beta"+servicePrincipal(id)+"?%24select=samlMetadataUrl")
	state["owners"] = p.owners(t, servicePrincipal(id))
	return state
}

// servicePrincipalDefaults is what azuread_service_principal sends for what a configuration
// leaves out.
func servicePrincipalDefaults(appID string) object {
	return object{
		"accountEnabled": true, "alternativeNames": list{}, "appId": appID, "appRoleAssignmentRequired": false, "description": nil,
		"loginUrl": nil, "notes": nil, "notificationEmailAddresses": list{}, "preferredSingleSignOnMode": nil,
		"samlSingleSignOnSettings": object{}, "tags": list{},
	}
}

func (p *provider) updateServicePrincipal(t *testing.T, id string, wanted object) {
	t.Helper()
	body := maps.Clone(wanted)
	delete(body, "appId")
	body["@odata.type"] = "#microsoft.graph.servicePrincipal"
	p.patch(t, servicePrincipal(id), body)
}

// assign is azuread_app_role_assignment. It returns the assignment's path, by which alone the
// provider reads and deletes it.
func (p *provider) assign(t *testing.T, resource, principal, role string) string {
	t.Helper()
	p.get(t, servicePrincipal(resource))
	wanted := object{"appRoleId": role, "principalId": principal, "resourceId": resource}
	body := maps.Clone(wanted)
	body["@odata.type"] = "#microsoft.graph.appRoleAssignment"
	added := p.post(t, servicePrincipal(resource)+"/appRoleAssignedTo", body)
	path := servicePrincipal(resource) + "/appRoleAssignedTo/" + text(added["id"])
	noChanges(t, "the assignment", wanted, p.get(t, path))
	return path
}

// grantScopes is azuread_service_principal_delegated_permission_grant.
func (p *provider) grantScopes(t *testing.T, client, resource string, scopes ...string) string {
	t.Helper()
	p.get(t, servicePrincipal(client))
	p.get(t, servicePrincipal(resource))
	wanted := object{"clientId": client, "consentType": "AllPrincipals", "resourceId": resource, "scope": strings.Join(scopes, " ")}
	body := maps.Clone(wanted)
	body["@odata.type"] = "#microsoft.graph.oAuth2PermissionGrant"
	added := p.post(t, "/oauth2PermissionGrants", body)
	path := "/oauth2PermissionGrants/" + text(added["id"])
	read := p.get(t, path)
	if got := strings.Fields(text(read["scope"])); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(scopes))) {
		t.Errorf("the grant is for %q, want %q, which the provider takes for a set", got, scopes)
	}
	delete(wanted, "scope")
	noChanges(t, "the grant", wanted, read)
	return path
}
