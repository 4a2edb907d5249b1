package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

const (
	roleRead  = "5b8a2d1e-0c3f-4e7a-9b1d-000000000001"
	scopeRead = "5b8a2d1e-0c3f-4e7a-9b1d-000000000002"
)

// everything is an application with all members that a client can set.
const everything = `{
	"displayName": "Orders", "description": "Takes orders", "notes": "since 2026", "groupMembershipClaims": "SecurityGroup",
	"identifierUris": ["api://orders", "https://orders.contoso.test"], "isDeviceOnlyAuthSupported": true, "isFallbackPublicClient": false,
	"nativeAuthenticationApisEnabled": "none", "serviceManagementReference": "INC-7", "signInAudience": "AzureADMyOrg", "tags": ["HideApp", "orders"],
	"tokenEncryptionKeyId": "5b8a2d1e-0c3f-4e7a-9b1d-000000000009", "uniqueName": "orders-1", "samlMetadataUrl": "https://orders.contoso.test/saml",
	"defaultRedirectUri": "https://orders.contoso.test/",
	"optionalClaims": {
		"idToken": [{"name": "auth_time", "source": null, "essential": false, "additionalProperties": []}],
		"accessToken": [{"name": "idtyp", "source": null, "essential": true, "additionalProperties": ["include_user_token"]}], "saml2Token": []
	},
	"requestSignatureVerification": {"isSignedRequestRequired": true, "allowedWeakAlgorithms": "rsaSha1"},
	"addIns": [{"id": "5b8a2d1e-0c3f-4e7a-9b1d-000000000008", "type": "FileHandler", "properties": [{"key": "version", "value": "2"}]}],
	"api": {
		"acceptMappedClaims": true, "knownClientApplications": ["5b8a2d1e-0c3f-4e7a-9b1d-000000000007"], "requestedAccessTokenVersion": 2,
		"oauth2PermissionScopes": [{
			"id": "` + scopeRead + `", "value": "Orders.Read", "type": "User", "isEnabled": true, "adminConsentDisplayName": "Read orders",
			"adminConsentDescription": "Read all orders", "userConsentDisplayName": "Read your orders", "userConsentDescription": "Read the orders of yours"
		}],
		"preAuthorizedApplications": []
	},
	"appRoles": [{
		"id": "` + roleRead + `", "value": "Orders.Read", "displayName": "Read orders", "description": "Read every order", "isEnabled": true,
		"allowedMemberTypes": ["Application", "User"], "origin": "Application"
	}],
	"info": {"marketingUrl": "https://contoso.test/m", "privacyStatementUrl": "https://contoso.test/p", "supportUrl": "https://contoso.test/s", "termsOfServiceUrl": "https://contoso.test/t"},
	"parentalControlSettings": {"countriesBlockedForMinors": ["DE"], "legalAgeGroupRule": "BlockMinors"},
	"publicClient": {"redirectUris": ["http://localhost"]}, "spa": {"redirectUris": ["https://spa.contoso.test/"]},
	"servicePrincipalLockConfiguration": {"isEnabled": true, "allProperties": true},
	"web": {
		"homePageUrl": "https://orders.contoso.test/", "logoutUrl": "https://orders.contoso.test/out", "redirectUris": ["https://orders.contoso.test/in"],
		"implicitGrantSettings": {"enableAccessTokenIssuance": true, "enableIdTokenIssuance": true}
	},
	"oauth2RequirePostResponse": true, "authenticationBehaviors": {"removeUnverifiedEmailClaim": true},
	"@odata.type": "#microsoft.graph.application"
}`

// golden holds an answer against a file, with what differs from run to run replaced.
func golden(t *testing.T, name string, got reply) {
	t.Helper()
	var indented bytes.Buffer
	if err := json.Indent(&indented, got.Body.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	text := indented.String() + "\n"
	for _, member := range []string{"id", "appId", "createdDateTime"} {
		if value, ok := got.body[member].(string); ok {
			text = strings.ReplaceAll(text, value, "<"+member+">")
		}
	}
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs; if the change is meant, UPDATE=1 go test ./internal/graph rewrites it\ngot:\n%s", path, text)
	}
}

func TestCreatedApplications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	for name, content := range map[string]string{"application-least.json": `{"displayName":"Orders client"}`, "application-everything.json": everything} {
		got := w.do(admin, http.MethodPost, "/v1.0/applications", content)
		if got.Code != http.StatusCreated {
			t.Fatalf("%s: %d %s", name, got.Code, got.Body)
		}
		golden(t, name, got)
		read := w.do(admin, http.MethodGet, "/v1.0/applications/"+got.body["id"].(string), nil)
		if !reflect.DeepEqual(read.body, got.body) {
			t.Errorf("%s: what is read is not what creation answered:\n%s\n%s", name, read.Body, got.Body)
		}
		// Whoever reads an object, changes a member and sends it all back changes that member.
		whole := read.body
		whole["notes"] = "changed"
		w.want(http.StatusNoContent, admin, http.MethodPatch, "/v1.0/applications/"+got.body["id"].(string), whole)
		again := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/applications/"+got.body["id"].(string), nil)
		if !reflect.DeepEqual(again, whole) {
			t.Errorf("%s: sent back whole, it is\n%v\nafter\n%v", name, again, whole)
		}
	}
}

func TestPatchMergesMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	id := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", everything)["id"].(string)
	for _, tt := range []struct {
		name, patch string
		path        []string
		want        any
	}{
		{"one member of an object leaves the others", `{"web":{"homePageUrl":"https://new.contoso.test/"}}`, []string{"web", "logoutUrl"}, "https://orders.contoso.test/out"},
		{"and is set", `{}`, []string{"web", "homePageUrl"}, "https://new.contoso.test/"},
		{"a collection is replaced whole", `{"tags":["only"]}`, []string{"tags"}, []any{"only"}},
		{"a collection can be emptied", `{"tags":[]}`, []string{"tags"}, []any{}},
		{"null unsets a text", `{"description":null}`, []string{"description"}, nil},
		{"null unsets a setting", `{"groupMembershipClaims":null}`, []string{"groupMembershipClaims"}, nil},
		{"null unsets an object's members", `{"info":null}`, []string{"info", "supportUrl"}, nil},
		{"a version of null is null", `{"api":{"requestedAccessTokenVersion":null}}`, []string{"api", "requestedAccessTokenVersion"}, nil},
		{"a version of 1 is 1", `{"api":{"requestedAccessTokenVersion":1}}`, []string{"api", "requestedAccessTokenVersion"}, 1.0},
		{"a version of 2 is 2", `{"api":{"requestedAccessTokenVersion":2}}`, []string{"api", "requestedAccessTokenVersion"}, 2.0},
		{"and the scopes are there still", `{}`, []string{"api", "acceptMappedClaims"}, true},
		{"a public client", `{"isFallbackPublicClient":true}`, []string{"isFallbackPublicClient"}, true},
		{"neither", `{"isFallbackPublicClient":null}`, []string{"isFallbackPublicClient"}, nil},
		{"an audience", `{"signInAudience":"AzureADMultipleOrgs"}`, []string{"signInAudience"}, "AzureADMultipleOrgs"},
		{"no optional claims", `{"optionalClaims":null}`, []string{"optionalClaims"}, nil},
		{"read-only members that tools send back", `{"id":"x","createdDateTime":"2020-01-01T00:00:00Z","publisherDomain":"x","verifiedPublisher":{"displayName":"x"},"info":{"logoUrl":"x"}}`, []string{"displayName"}, "Orders"},
	} {
		w.want(http.StatusNoContent, admin, http.MethodPatch, "/v1.0/applications/"+id, tt.patch)
		var got any = w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/applications/"+id, nil)
		for _, member := range tt.path {
			got = got.(map[string]any)[member]
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestRulesOfApplications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	id := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", everything)["id"].(string)
	w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"Other","identifierUris":["api://other"]}`)
	const enabled = "Permission (scope or role) cannot be deleted or updated unless disabled first"
	var many []string
	for i := range 10_000 {
		many = append(many, fmt.Sprintf(`{"id":%q,"value":"Role.%d","displayName":"r","description":"r","isEnabled":true,"allowedMemberTypes":["Application"]}`, guid.New(), i))
	}
	role := func(change string) string {
		return `{"appRoles":[{"id":"` + roleRead + `","value":"Orders.Read","displayName":"Read orders","description":"Read every order","isEnabled":true,"allowedMemberTypes":["Application","User"]` + change + `}]}`
	}
	for _, tt := range []struct{ name, patch, code, message, target string }{
		{"an enabled role removed", `{"appRoles":[]}`, "CannotDeleteOrUpdateEnabledEntitlement", enabled, "appRoles"},
		{"an enabled role with another value", strings.Replace(role(""), "Orders.Read", "Orders.Write", 1), "CannotDeleteOrUpdateEnabledEntitlement", enabled, "appRoles"},
		{"an enabled scope removed", `{"api":{"oauth2PermissionScopes":[]}}`, "CannotDeleteOrUpdateEnabledEntitlement", enabled, "api.oauth2PermissionScopes"},
		{"a URI of another application", `{"identifierUris":["api://OTHER/"]}`, "Request_BadRequest", "Another object with the same value for property identifierUris already exists", "identifierUris"},
		{"Graph's URI", `{"identifierUris":["https://graph.microsoft.com/"]}`, "Request_BadRequest", "Another object with the same value for property identifierUris already exists", "identifierUris[0]"},
		{"the resource manager's URI", `{"identifierUris":["https://management.azure.com"]}`, "Request_BadRequest", "Another object with the same value for property identifierUris already exists", "identifierUris[0]"},
		{"this API's own URL", `{"identifierUris":["` + ownURL + `"]}`, "Request_BadRequest", "Another object with the same value for property identifierUris already exists", "identifierUris[0]"},
		{"a role twice", `{"appRoles":[{"id":"` + roleRead + `","value":"A","displayName":"a","description":"a","allowedMemberTypes":["User"]},{"id":"` + roleRead + `","value":"B","displayName":"b","description":"b","allowedMemberTypes":["User"]}]}`, "Request_BadRequest", "A conflicting object", "appRoles[1].id"},
		{"a role without an id", `{"appRoles":[{"value":"A","displayName":"a","description":"a","allowedMemberTypes":["User"]}]}`, "Request_BadRequest", "A value is required for property 'id'", "appRoles[0].id"},
		{"a role without members", strings.Replace(role(""), `"Application","User"`, "", 1), "Request_BadRequest", "One or more property values specified are invalid", "appRoles[0].members"},
		{"an unknown member of a role", role(`,"colour":"red"`), "Request_BadRequest", "Invalid property 'appRoles[0].colour'", "appRoles[0].colour"},
		{"10,000 roles", `{"appRoles":[` + strings.Join(many, ",") + `]}`, "Request_BadRequest", "more than 1200", "appRoles"},
		{"version 3", `{"api":{"requestedAccessTokenVersion":3}}`, "Request_BadRequest", "1, 2 or null", "api.requestedAccessTokenVersion"},
		{"an unknown audience", `{"signInAudience":"Everybody"}`, "Request_BadRequest", "AzureADMyOrg", "signInAudience"},
		{"a script for a page", `{"web":{"homePageUrl":"javascript:alert(1)"}}`, "Request_BadRequest", "web.homePageUrl", "web.homePageUrl"},
		{"an empty display name", `{"displayName":" "}`, "Request_BadRequest", "displayName", "displayName"},
		{"a long display name", `{"displayName":"` + strings.Repeat("x", 121) + `"}`, "Request_BadRequest", "120", "displayName"},
		{"another unique name", `{"uniqueName":"other"}`, "Request_BadRequest", "read-only", "uniqueName"},
		{"secrets", `{"passwordCredentials":[{"displayName":"x"}]}`, "Request_BadRequest", "addPassword", "passwordCredentials[0]"},
		{"a tag twice", `{"tags":["a","a"]}`, "Request_BadRequest", "", ""},
		{"an object for a text", `{"notes":{}}`, "Request_BadRequest", "'notes' must be a string or null", "notes"},
		{"a text for a collection", `{"identifierUris":"api://x"}`, "Request_BadRequest", "'identifierUris' must be an array", "identifierUris"},
	} {
		before := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/applications/"+id, nil)
		got := w.do(admin, http.MethodPatch, "/v1.0/applications/"+id, tt.patch)
		code, message := got.problem()
		if got.Code != http.StatusBadRequest || code != tt.code || !strings.Contains(message, tt.message) {
			t.Errorf("%s: %d %.400s, want 400 %s %q", tt.name, got.Code, got.Body, tt.code, tt.message)
			continue
		}
		if tt.target != "" && !strings.Contains(got.Body.String(), `"target":"`+tt.target+`"`) {
			t.Errorf("%s: %s, want the target %s", tt.name, got.Body, tt.target)
		}
		if after := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0/applications/"+id, nil); !reflect.DeepEqual(before, after) {
			t.Errorf("%s: it changed something", tt.name)
		}
	}
	// Disabled first, a role can be changed and removed, as Terraform does it.
	w.want(http.StatusNoContent, admin, http.MethodPatch, "/v1.0/applications/"+id, strings.Replace(role(""), `"isEnabled":true`, `"isEnabled":false`, 1))
	w.want(http.StatusNoContent, admin, http.MethodPatch, "/v1.0/applications/"+id, `{"appRoles":[]}`)
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	app := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"Orders","passwordCredentials":[{"displayName":"inline"}]}`)
	at := "/v1.0/applications/" + app["id"].(string)
	inline := app["passwordCredentials"].([]any)[0].(map[string]any)
	if text, _ := inline["secretText"].(string); len(text) < 30 || inline["displayName"] != "inline" {
		t.Errorf("the secret that was made with the application: %v", inline)
	}
	now := w.login.Clock().Now()
	added := w.want(http.StatusOK, admin, http.MethodPost, at+"/addPassword", `{"passwordCredential":{"displayName":"rbac","endDateTime":"`+now.Add(48*time.Hour).Format("2006-01-02T15:04:05.0000000Z")+`"}}`)
	if added["@odata.context"] != ownURL+"/v1.0/$metadata#microsoft.graph.passwordCredential" {
		t.Errorf("context: %v", added["@odata.context"])
	}
	secret := added["secretText"].(string)
	if hint := added["hint"].(string); len(hint) != 3 {
		t.Errorf("hint: %q", hint)
	}
	for _, content := range []any{nil, `{}`, `{"passwordCredential":null}`, `{"passwordCredential":{}}`} {
		plain := w.want(http.StatusOK, admin, http.MethodPost, at+"/addPassword", content)
		if end, err := time.Parse(time.RFC3339Nano, plain["endDateTime"].(string)); err != nil || end.Sub(now) < 179*24*time.Hour || end.Sub(now) > 181*24*time.Hour {
			t.Errorf("%v: it ends at %v, want 180 days from now", content, plain["endDateTime"])
		}
	}
	read := w.do(admin, http.MethodGet, at, nil)
	if strings.Contains(read.Body.String(), secret) || strings.Contains(read.Body.String(), inline["secretText"].(string)) {
		t.Error("a secret can be read")
	}
	kept, err := w.login.Directory().View(t.Context()).Applications().ByAppID(tenant, directory.AppID(app["appId"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.login.Directory().CheckSecret(t.Context(), kept, secret); err != nil {
		t.Errorf("the secret proves nothing: %v", err)
	}
	for _, tt := range []struct{ content, message string }{
		{`{"passwordCredential":{"secretText":"mine"}}`, "secretText"},
		{`{"passwordCredential":{"endDateTime":"tomorrow"}}`, "must be a date"},
		{`{"passwordCredential":{"endDateTime":"2001-01-01T00:00:00Z"}}`, ""},
		{`{"password":{}}`, "Invalid property 'password'"},
		{`{"passwordCredential":[]}`, "must be an object"},
		{`{`, "it ends too early"},
	} {
		got := w.do(admin, http.MethodPost, at+"/addPassword", tt.content)
		if _, message := got.problem(); got.Code != http.StatusBadRequest || !strings.Contains(message, tt.message) {
			t.Errorf("%s: %d %s", tt.content, got.Code, got.Body)
		}
	}
	w.want(http.StatusNoContent, admin, http.MethodPost, at+"/rolecall.extendPassword", map[string]any{"keyId": added["keyId"], "endDateTime": now.Add(72 * time.Hour)})
	for _, one := range w.want(http.StatusOK, admin, http.MethodGet, at, nil)["passwordCredentials"].([]any) {
		one := one.(map[string]any)
		if end, err := time.Parse(time.RFC3339Nano, one["endDateTime"].(string)); one["keyId"] == added["keyId"] && (err != nil || end.Sub(now).Round(time.Hour) != 72*time.Hour) {
			t.Errorf("extended, it ends at %v", one["endDateTime"])
		}
	}
	for content, message := range map[string]string{
		`{}`:                             "keyId",
		`{"keyId":"` + guid.New() + `"}`: "endDateTime",
		`{"keyId":"x"}`:                  "keyId",
		`{"keyId":"` + guid.New() + `","endDateTime":"2099-01-01T00:00:00Z"}`:                       "No password credential found",
		`{"keyId":"` + added["keyId"].(string) + `","endDateTime":"2001-01-01T00:00:00Z"}`:          "expired",
		`{"keyId":"` + added["keyId"].(string) + `","endDateTime":"2099-01-01T00:00:00Z","more":1}`: "more",
	} {
		got := w.do(admin, http.MethodPost, at+"/rolecall.extendPassword", content)
		if _, said := got.problem(); got.Code != http.StatusBadRequest || !strings.Contains(said, message) {
			t.Errorf("%s: %d %s", content, got.Code, got.Body)
		}
	}
	w.want(http.StatusNoContent, admin, http.MethodPost, at+"/removePassword", map[string]any{"keyId": added["keyId"]})
	if got := w.do(admin, http.MethodPost, at+"/removePassword", map[string]any{"keyId": added["keyId"]}); got.Code != http.StatusBadRequest {
		t.Errorf("removed twice: %d %s", got.Code, got.Body)
	}
	if got := w.do(admin, http.MethodPost, at+"/removePassword", `{}`); got.Code != http.StatusBadRequest {
		t.Errorf("none named: %d %s", got.Code, got.Body)
	}
	if got := w.do(admin, http.MethodPost, "/v1.0/applications/"+guid.New()+"/addPassword", `{}`); got.Code != http.StatusNotFound {
		t.Errorf("of nobody: %d %s", got.Code, got.Body)
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	me, other := w.principal("admin"), w.principal("other")
	app := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"Orders","owners@odata.bind":["https://graph.microsoft.com/v1.0/directoryObjects/`+me+`"]}`)
	at := "/v1.0/applications/" + app["id"].(string)
	owners := func() (ids []string) {
		list := w.want(http.StatusOK, admin, http.MethodGet, at+"/owners", nil)
		if list["@odata.context"] != ownURL+"/v1.0/$metadata#directoryObjects" {
			t.Errorf("context: %v", list["@odata.context"])
		}
		for _, owner := range list["value"].([]any) {
			one := owner.(map[string]any)
			if one["@odata.type"] != "#microsoft.graph.servicePrincipal" {
				t.Errorf("type: %v", one["@odata.type"])
			}
			ids = append(ids, one["id"].(string))
		}
		return ids
	}
	if got := owners(); !reflect.DeepEqual(got, []string{me}) {
		t.Errorf("owners: %v, want %s", got, me)
	}
	ref := func(link string) string { return `{"@odata.id":"` + link + `"}` }
	w.want(http.StatusNoContent, admin, http.MethodPost, at+"/owners/$ref", ref(ownURL+"/v1.0/directoryObjects/"+other))
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		message                  string
	}{
		{"twice", "POST", "/owners/$ref", ref(ownURL + "/v1.0/directoryObjects('" + other + "')"), 400, "One or more added object references already exist"},
		{"nobody", "POST", "/owners/$ref", ref(ownURL + "/v1.0/directoryObjects/" + guid.New()), 404, "does not exist or one of its queried reference-property objects are not present"},
		{"no link", "POST", "/owners/$ref", `{}`, 400, "@odata.id"},
		{"a link to nothing", "POST", "/owners/$ref", ref("https://graph.microsoft.com/v1.0/directoryObjects/x"), 400, "directory object"},
		{"none of them", "DELETE", "/owners/" + guid.New() + "/$ref", "", 404, "One or more removed object references do not exist"},
	} {
		got := w.do(admin, tt.method, at+tt.path, tt.body)
		if _, message := got.problem(); got.Code != tt.status || !strings.Contains(message, tt.message) {
			t.Errorf("%s: %d %s", tt.name, got.Code, got.Body)
		}
	}
	w.want(http.StatusNoContent, admin, http.MethodDelete, at+"/owners/"+me+"/$ref", nil)
	if got := owners(); !reflect.DeepEqual(got, []string{other}) {
		t.Errorf("owners: %v, want %s", got, other)
	}
	if got := w.do(admin, http.MethodPost, "/v1.0/applications", `{"displayName":"x","owners@odata.bind":["`+strings.Repeat(ownURL+`/v1.0/directoryObjects/`+me+`","`, 20)+me+`"]}`); got.Code != http.StatusBadRequest {
		t.Errorf("21 owners at once: %d %s", got.Code, got.Body)
	}
}

func TestFederatedCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	app := w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"Orders"}`)
	id := app["id"].(string)
	at := "/applications/" + id + "/federatedIdentityCredentials"
	const ci = `{"name":"ci","issuer":"https://token.actions.githubusercontent.com","subject":"repo:contoso/orders:ref:refs/heads/main","description":"builds","audiences":["api://AzureADTokenExchange"]}`
	got := w.do(admin, http.MethodPost, "/v1.0"+at, ci)
	if got.Code != http.StatusCreated {
		t.Fatalf("create: %d %s", got.Code, got.Body)
	}
	if context := got.body["@odata.context"]; context != ownURL+"/v1.0/$metadata#applications('"+id+"')/federatedIdentityCredentials/$entity" {
		t.Errorf("context: %v", context)
	}
	golden(t, "federated.json", reply{got.ResponseRecorder, map[string]any{"id": id, "appId": got.body["id"]}})
	for _, name := range []string{got.body["id"].(string), "ci", "CI"} {
		for _, path := range []string{"/v1.0" + at + "/" + name, "/v1.0/applications(appId='" + app["appId"].(string) + "')/federatedIdentityCredentials/" + name} {
			if read := w.want(http.StatusOK, admin, http.MethodGet, path, nil); !reflect.DeepEqual(read, got.body) {
				t.Errorf("%s: %v", path, read)
			}
		}
	}
	w.want(http.StatusOK, admin, http.MethodGet, "/v1.0"+at+"(name='ci')", nil)
	for _, tt := range []struct{ name, method, path, body, message string }{
		{"the same name", "POST", at, ci, "A conflicting object"},
		{"no name", "POST", at, `{"issuer":"https://x.test","subject":"s","audiences":["a"]}`, "'name'"},
		{"two audiences", "POST", at, strings.Replace(strings.Replace(ci, `"ci"`, `"c2"`, 1), `"api://AzureADTokenExchange"`, `"a","b"`, 1), "exactly one"},
		{"an expression in v1.0", "POST", at, `{"name":"e","issuer":"https://x.test","audiences":["a"],"claimsMatchingExpression":{"value":"claims['sub'] eq 'x'","languageVersion":1}}`, "Invalid property 'claimsMatchingExpression'"},
		{"another name", "PATCH", at + "/ci", `{"name":"other"}`, ""},
	} {
		got := w.do(admin, tt.method, "/v1.0"+tt.path, tt.body)
		if _, message := got.problem(); got.Code != http.StatusBadRequest || !strings.Contains(message, tt.message) {
			t.Errorf("%s: %d %s", tt.name, got.Code, got.Body)
		}
	}
	flexible := w.want(http.StatusCreated, admin, http.MethodPost, "/beta"+at, `{"name":"flexible","issuer":"https://token.actions.githubusercontent.com","subject":null,"audiences":["api://AzureADTokenExchange"],"claimsMatchingExpression":{"value":"claims['sub'] matches 'repo:contoso/*'","languageVersion":1}}`)
	if expression, _ := flexible["claimsMatchingExpression"].(map[string]any); expression["value"] != "claims['sub'] matches 'repo:contoso/*'" || expression["languageVersion"] != 1.0 {
		t.Errorf("expression: %v", flexible)
	}
	// Terraform sends the whole object, with the name.
	w.want(http.StatusNoContent, admin, http.MethodPatch, "/v1.0"+at+"/ci", strings.Replace(ci, "builds", "builds of main", 1))
	if read := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0"+at+"/ci", nil); read["description"] != "builds of main" {
		t.Errorf("after a change: %v", read)
	}
	if list := w.want(http.StatusOK, admin, http.MethodGet, "/v1.0"+at, nil)["value"].([]any); len(list) != 2 {
		t.Errorf("list: %v", list)
	}
	w.want(http.StatusNoContent, admin, http.MethodDelete, "/v1.0"+at+"/ci", nil)
	if got := w.do(admin, http.MethodGet, "/v1.0"+at+"/ci", nil); got.Code != http.StatusNotFound {
		t.Errorf("after it was deleted: %d", got.Code)
	}
	if got := w.do(admin, http.MethodPatch, "/v1.0"+at+"(name='ci')", ci); got.Code != http.StatusNotFound {
		t.Errorf("a change of nothing: %d", got.Code)
	}
	w.want(http.StatusCreated, admin, http.MethodPatch, "/v1.0"+at+"(name='ci')", ci, "Prefer", "return=minimal, create-if-missing")
}

func TestUpsert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	const at = "/v1.0/applications(uniqueName='orders')"
	if got := w.do(admin, http.MethodPatch, at, `{"displayName":"Orders"}`); got.Code != http.StatusNotFound {
		t.Errorf("without Prefer: %d %s", got.Code, got.Body)
	}
	if got := w.do(admin, http.MethodPatch, at, `{"displayName":"Orders"}`, "Prefer", "return=minimal"); got.Code != http.StatusNotFound {
		t.Errorf("with another preference: %d %s", got.Code, got.Body)
	}
	made := w.want(http.StatusCreated, admin, http.MethodPatch, at, `{"displayName":"Orders"}`, "Prefer", "create-if-missing")
	if made["uniqueName"] != "orders" {
		t.Errorf("unique name: %v", made["uniqueName"])
	}
	w.want(http.StatusNoContent, admin, http.MethodPatch, at, `{"displayName":"Orders 2"}`, "Prefer", "create-if-missing")
	if read := w.want(http.StatusOK, admin, http.MethodGet, at, nil); read["displayName"] != "Orders 2" || read["id"] != made["id"] {
		t.Errorf("after an update: %v", read)
	}
	if got := w.do(admin, http.MethodPatch, "/v1.0/applications(uniqueName='other')", `{}`, "Prefer", "create-if-missing"); got.Code != http.StatusBadRequest {
		t.Errorf("without a display name: %d %s", got.Code, got.Body)
	}
}

func TestLogo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	at := "/v1.0/applications/" + w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"Orders"}`)["id"].(string)
	if got := w.do(admin, http.MethodGet, at+"/logo", nil); got.Code != http.StatusNotFound {
		t.Errorf("before there is one: %d", got.Code)
	}
	const picture = "\x89PNG\r\n\x1a\n and so on"
	w.want(http.StatusNoContent, admin, http.MethodPut, at+"/logo", picture, "Content-Type", "image/png")
	if got := w.do(admin, http.MethodGet, at+"/logo", nil); got.Code != http.StatusOK || got.Body.String() != picture || got.Header().Get("Content-Type") != "image/png" {
		t.Errorf("got %d %q %v", got.Code, got.Body, got.Header())
	}
	if info := w.want(http.StatusOK, admin, http.MethodGet, at, nil)["info"].(map[string]any); info["logoUrl"] != ownURL+at+"/logo" {
		t.Errorf("info: %v", info)
	}
	for content, status := range map[string]int{"<svg onload='alert(1)'/>": 400, "": 400, picture + strings.Repeat("x", 40<<10): 413} {
		if got := w.do(admin, http.MethodPut, at+"/logo", content, "Content-Type", "image/png"); got.Code != status {
			t.Errorf("%.20q: %d, want %d", content, got.Code, status)
		}
	}
}

// principal is the object id of a client's service principal.
func (w *world) principal(name string) string {
	w.Helper()
	w.login.Credential(name)
	found, err := w.login.Directory().View(w.Context()).ServicePrincipals().Find(tenant, w.login.App(name).ClientID)
	if err != nil {
		w.Fatal(err)
	}
	return string(found.ID)
}

// Terraform compares what an application requests as a list, and shows a change where it reads another order.
func TestRequestedPermissionsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	caller := w.app("terraform", "Application.ReadWrite.All")
	asked := `[{"resourceAccess":[` +
		`{"id":"9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30","type":"Role"},{"id":"e1fe6dd8-ba31-4d61-89e7-88639da4683d","type":"Scope"},` +
		`{"id":"1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9","type":"Role"}],"resourceAppId":"00000003-0000-0000-c000-000000000000"}]`
	made := w.want(http.StatusCreated, caller, http.MethodPost, "/v1.0/applications", `{"displayName":"api","requiredResourceAccess":`+asked+`}`)
	got, err := json.Marshal(made["requiredResourceAccess"])
	if err != nil || string(got) != asked {
		t.Errorf("got %s, %v, want %s", got, err, asked)
	}
}
