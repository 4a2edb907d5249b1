package graph_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A person is who calls, by what the token says and the directory knows.
type person struct {
	name   string
	roles  string // app roles in an application's own token
	scopes string // scopes in a user's token
	user   string // the user's directory role; "member": none, "disabled": one who may not sign in; empty: no user
	owns   bool   // the object of the request
	itself bool   // is the application of the request
}

// people are all kinds of callers, in the order of the letters below.
var people = []person{
	{name: "nobody"},
	{name: "an application without a permission", roles: "Orders.Read"},
	{name: "the application of the request, without a permission", roles: "Orders.Read", itself: true},
	{name: "a reader of applications", roles: "Application.Read.All"},
	{name: "a reader of the directory", roles: "Directory.Read.All"},
	{name: "a writer of applications", roles: "Application.ReadWrite.All"},
	{name: "a writer of its own applications", roles: "Application.ReadWrite.OwnedBy", owns: true},
	{name: "a writer of other applications", roles: "Application.ReadWrite.OwnedBy"},
	{name: "a giver of roles", roles: "AppRoleAssignment.ReadWrite.All"},
	{name: "an owner without a permission", roles: "Orders.Read", owns: true},

	{name: "a member who lets read the profile", scopes: "User.Read", user: "member"},
	{name: "a member who lets read applications", scopes: "Application.Read.All", user: "member"},
	{name: "a member who lets write applications", scopes: "Application.ReadWrite.All", user: "member"},
	{name: "a member who owns the object, and lets write", scopes: "Application.ReadWrite.All", user: "member", owns: true},
	{name: "a member who owns the object, and lets read", scopes: "Application.Read.All", user: "member", owns: true},
	{name: "a member by a tool", scopes: "user_impersonation", user: "member"},
	{name: "an owner by a tool", scopes: "Directory.AccessAsUser.All", user: "member", owns: true},
	{name: "a global reader by a tool", scopes: "user_impersonation", user: "Global Reader"},
	{name: "a global administrator who lets read the profile", scopes: "User.Read", user: "Global Administrator"},
	{name: "a global administrator by a tool", scopes: "user_impersonation", user: "Global Administrator"},
	{name: "an application administrator who lets write", scopes: "Application.ReadWrite.All", user: "Application Administrator"},
	{name: "an application administrator who lets read", scopes: "Application.Read.All", user: "Application Administrator"},
	{name: "a cloud application administrator by a tool", scopes: "Directory.AccessAsUser.All", user: "Cloud Application Administrator"},
	{name: "a global administrator who was disabled", scopes: "user_impersonation", user: "disabled"},

	{name: "a giver of roles who reads applications", roles: "AppRoleAssignment.ReadWrite.All Application.Read.All"},
	{name: "a reader of users", roles: "User.Read.All"},
	{name: "a writer of users", roles: "User.ReadWrite.All"},
	{name: "a reader of logs", roles: "AuditLog.Read.All"},
	{name: "a giver of scopes", roles: "DelegatedPermissionGrant.ReadWrite.All"},
	{name: "a user administrator by a tool", scopes: "user_impersonation", user: "User Administrator"},
	{name: "a reader of logs and applications", roles: "AuditLog.Read.All Application.Read.All"},
}

// What becomes of a caller: unauthenticated (401), denied (403), not there any more (403), or
// admitted. One letter each, in the order of people.
var outcomes = map[string]string{
	"reads applications":   "udd" + "aaaaad" + "d" + "daaaaaaadaaaai" + "adddda" + "a",
	"creates applications": "udd" + "ddaaad" + "d" + "ddddddddd" + "aadai" + "dddddd" + "d",
	"changes applications": "udd" + "ddaadd" + "d" + "dddaddad" + "daadai" + "dddddd" + "d",
	"rolls keys":           "uda" + "ddaadd" + "d" + "dddaddad" + "daadai" + "dddddd" + "d",
	"reads assignments":    "udd" + "aaaaaa" + "d" + "daaaaaaadaaaai" + "adddda" + "a",
	"changes assignments":  "udd" + "dddddd" + "d" + "ddddddddd" + "addai" + "addddd" + "d",
	"reads users":          "udd" + "dadddd" + "d" + "dddddaaad" + "addai" + "daadda" + "d",
	"changes users":        "udd" + "dddddd" + "d" + "ddddddddd" + "adddi" + "ddadda" + "d",
	"changes grants":       "udd" + "dddddd" + "d" + "ddddddddd" + "addai" + "ddddad" + "d",
	"changes policies":     "udd" + "dddddd" + "d" + "ddddddddd" + "adddi" + "dddddd" + "d",
	"reads grants":         "udd" + "dadddd" + "d" + "dddddaaad" + "addai" + "ddddaa" + "d",
	"reads organization":   "udd" + "dadddd" + "d" + "dddddaaad" + "addai" + "ddddda" + "d",
	"reads logs":           "udd" + "dddddd" + "d" + "dddddddad" + "adddi" + "dddadd" + "a",
	"reads policies":       "udd" + "dddddd" + "d" + "dddddaaad" + "addai" + "ddddda" + "d",
	"ends own sessions":    "uaa" + "aaaaaa" + "a" + "dddddaaad" + "addai" + "aaaaaa" + "a", // applications are told that they are no user
	"is anybody":           "uaa" + "aaaaaa" + "a" + "aaaaaaaaaaaaai" + "aaaaaa" + "a",      // as above
	"explains":             "udd" + "dddddd" + "d" + "dddddddad" + "adddi" + "dddddd" + "a",
}

// rights says for each route by whom it may be called.
var rights = map[string]string{
	"GET applications":                                                            "reads applications",
	"POST applications":                                                           "creates applications",
	"GET applications/$count":                                                     "reads applications",
	"GET applications/{application}":                                              "reads applications",
	"PATCH applications/{application}":                                            "changes applications",
	"DELETE applications/{application}":                                           "changes applications",
	"POST applications/{application}/addPassword":                                 "changes applications",
	"POST applications/{application}/removePassword":                              "changes applications",
	"POST applications/{application}/addKey":                                      "rolls keys",
	"POST applications/{application}/removeKey":                                   "rolls keys",
	"GET applications/{application}/appRoles":                                     "reads applications",
	"GET applications/{application}/owners":                                       "reads applications",
	"POST applications/{application}/owners/$ref":                                 "changes applications",
	"DELETE applications/{application}/owners/{owner}/$ref":                       "changes applications",
	"GET applications/{application}/logo":                                         "reads applications",
	"PUT applications/{application}/logo":                                         "changes applications",
	"GET applications/{application}/federatedIdentityCredentials":                 "reads applications",
	"POST applications/{application}/federatedIdentityCredentials":                "changes applications",
	"GET applications/{application}/federatedIdentityCredentials/{credential}":    "reads applications",
	"PATCH applications/{application}/federatedIdentityCredentials/{credential}":  "changes applications",
	"DELETE applications/{application}/federatedIdentityCredentials/{credential}": "changes applications",

	"GET servicePrincipals":                                                "reads applications",
	"GET servicePrincipals/$count":                                         "reads applications",
	"POST servicePrincipals":                                               "creates applications",
	"GET servicePrincipals/{principal}":                                    "reads applications",
	"PATCH servicePrincipals/{principal}":                                  "changes applications",
	"DELETE servicePrincipals/{principal}":                                 "changes applications",
	"POST servicePrincipals/{principal}/addPassword":                       "changes applications",
	"POST servicePrincipals/{principal}/removePassword":                    "changes applications",
	"POST servicePrincipals/{principal}/addKey":                            "rolls keys",
	"POST servicePrincipals/{principal}/removeKey":                         "rolls keys",
	"GET servicePrincipals/{principal}/appRoles":                           "reads applications",
	"GET servicePrincipals/{principal}/oauth2PermissionScopes":             "reads applications",
	"GET servicePrincipals/{principal}/owners":                             "reads applications",
	"POST servicePrincipals/{principal}/owners/$ref":                       "changes applications",
	"DELETE servicePrincipals/{principal}/owners/{owner}/$ref":             "changes applications",
	"GET servicePrincipals/{principal}/ownedObjects":                       "reads applications",
	"GET servicePrincipals/{principal}/createdObjects":                     "reads applications",
	"GET servicePrincipals/{principal}/memberOf":                           "reads applications",
	"GET servicePrincipals/{principal}/transitiveMemberOf":                 "reads applications",
	"GET servicePrincipals/{principal}/appRoleAssignedTo":                  "reads assignments",
	"GET servicePrincipals/{principal}/appRoleAssignedTo/$count":           "reads assignments",
	"POST servicePrincipals/{principal}/appRoleAssignedTo":                 "changes assignments",
	"GET servicePrincipals/{principal}/appRoleAssignedTo/{assignment}":     "reads assignments",
	"DELETE servicePrincipals/{principal}/appRoleAssignedTo/{assignment}":  "changes assignments",
	"GET servicePrincipals/{principal}/appRoleAssignments":                 "reads assignments",
	"GET servicePrincipals/{principal}/appRoleAssignments/$count":          "reads assignments",
	"POST servicePrincipals/{principal}/appRoleAssignments":                "changes assignments",
	"GET servicePrincipals/{principal}/appRoleAssignments/{assignment}":    "reads assignments",
	"DELETE servicePrincipals/{principal}/appRoleAssignments/{assignment}": "changes assignments",
	"GET users/{user}/appRoleAssignments":                                  "reads assignments",
	"GET users/{user}/appRoleAssignments/$count":                           "reads assignments",
	"POST users/{user}/appRoleAssignments":                                 "changes assignments",
	"GET users/{user}/appRoleAssignments/{assignment}":                     "reads assignments",
	"DELETE users/{user}/appRoleAssignments/{assignment}":                  "changes assignments",
	"GET me/appRoleAssignments":                                            "reads assignments",
	"GET users":                                                            "reads users",
	"GET users/$count":                                                     "reads users",
	"POST users":                                                           "changes users",
	"GET users/{user}":                                                     "reads users",
	"PATCH users/{user}":                                                   "changes users",
	"DELETE users/{user}":                                                  "changes users",
	"POST users/{user}/revokeSignInSessions":                               "changes users",
	"POST me/revokeSignInSessions":                                         "ends own sessions",
	"GET me":                                                               "is anybody",
	"GET users/{user}/ownedObjects":                                        "reads users",
	"GET users/{user}/ownedObjects/microsoft.graph.application":            "reads users",
	"GET users/{user}/ownedObjects/microsoft.graph.servicePrincipal":       "reads users",
	"GET users/{user}/createdObjects":                                      "reads users",
	"GET users/{user}/memberOf":                                            "reads users",
	"GET users/{user}/transitiveMemberOf":                                  "reads users",
	"GET me/ownedObjects":                                                  "is anybody",
	"GET me/ownedObjects/microsoft.graph.application":                      "is anybody",
	"GET me/ownedObjects/microsoft.graph.servicePrincipal":                 "is anybody",
	"GET me/createdObjects":                                                "is anybody",
	"GET me/memberOf":                                                      "is anybody",
	"GET me/transitiveMemberOf":                                            "is anybody",
	"GET oauth2PermissionGrants":                                           "reads grants",
	"POST oauth2PermissionGrants":                                          "changes grants",
	"GET oauth2PermissionGrants/{grant}":                                   "reads grants",
	"PATCH oauth2PermissionGrants/{grant}":                                 "changes grants",
	"DELETE oauth2PermissionGrants/{grant}":                                "changes grants",
	"GET servicePrincipals/{principal}/oauth2PermissionGrants":             "reads grants",
	"GET users/{user}/oauth2PermissionGrants":                              "reads grants",
	"GET me/oauth2PermissionGrants":                                        "reads grants",
	"GET organization":                                                     "reads organization",
	"GET organization/{organization}":                                      "reads organization",
	"GET domains":                                                          "reads organization",
	"GET domains/{domain}":                                                 "reads organization",
	"GET directory/deletedItems/microsoft.graph.application":               "reads applications",
	"GET directory/deletedItems/microsoft.graph.servicePrincipal":          "reads applications",
	"GET directory/deletedItems/microsoft.graph.user":                      "reads users",
	"GET directory/deletedItems/{deleted}":                                 "reads applications",
	"POST directory/deletedItems/{deleted}/restore":                        "changes applications",
	"DELETE directory/deletedItems/{deleted}":                              "changes applications",
	"POST servicePrincipals/{principal}/getMemberGroups":                   "reads applications",
	"POST servicePrincipals/{principal}/getMemberObjects":                  "reads applications",
	"POST servicePrincipals/{principal}/checkMemberGroups":                 "reads applications",
	"POST servicePrincipals/{principal}/checkMemberObjects":                "reads applications",
	"POST users/{user}/getMemberGroups":                                    "reads users",
	"POST users/{user}/getMemberObjects":                                   "reads users",
	"POST users/{user}/checkMemberGroups":                                  "reads users",
	"POST users/{user}/checkMemberObjects":                                 "reads users",
	"POST me/getMemberGroups":                                              "is anybody",
	"POST me/getMemberObjects":                                             "is anybody",
	"POST me/checkMemberGroups":                                            "is anybody",
	"POST me/checkMemberObjects":                                           "is anybody",
	"GET applications/delta":                                               "reads applications",
	"GET servicePrincipals/delta":                                          "reads applications",
	"GET users/delta":                                                      "reads users",
	"POST $batch":                                                          "is anybody",
	"GET auditLogs/signIns":                                                "reads logs",
	"GET auditLogs/signIns/{signIn}":                                       "reads logs",
	"GET auditLogs/directoryAudits":                                        "reads logs",
	"GET auditLogs/directoryAudits/{audit}":                                "reads logs",
	"GET policies/defaultAppManagementPolicy":                              "reads policies",
	"PATCH policies/defaultAppManagementPolicy":                            "changes policies",
	"POST directoryObjects/getByIds":                                       "reads applications",
	"GET directoryObjects/{object}":                                        "reads applications",
	"POST servicePrincipals/{principal}/rolecall.getToken":                 "changes applications",
	"POST applications/{application}/rolecall.extendPassword":              "changes applications",
	"POST rolecall.explain":                                                "explains",
	"GET $metadata":                                                        "is anybody",
	"GET servicePrincipals/{principal}/federatedIdentityCredentials":       "reads applications",
}

// elsewhere are routes that name what they are about neither in the path nor by the tenant: what
// the body names, or the user of the token, is not there for a caller of another tenant.
var elsewhere = map[string]bool{
	"POST servicePrincipals": true, "POST users": true, "POST oauth2PermissionGrants": true, "POST me/revokeSignInSessions": true,
}

// An estate is what requests are about: an application with all that it can have.
type estate struct {
	*world
	app       *directory.Application
	principal *directory.ServicePrincipal
	identity  *directory.ServicePrincipal // a managed one
	owner     directory.ObjectID          // who can be removed
	user      *directory.User
	deleted   directory.ObjectID // of an application
	secret    string
}

// newEstate makes one that belongs to the owner, if there is one.
func (w *world) newEstate(owner directory.ObjectID) *estate {
	w.Helper()
	made := &estate{world: w}
	w.change(func(e *directory.Editor) (err error) {
		owners := []directory.ObjectID{directory.ObjectID(w.other)}
		if owner != "" {
			owners = append(owners, owner)
		}
		made.owner = owners[0]
		if made.app, err = e.Applications().Create(directory.Application{Tenant: tenant, DisplayName: "Estate", Owners: owners}); err != nil {
			return err
		}
		if made.principal, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant, AppID: made.app.AppID, Owners: owners}); err != nil {
			return err
		}
		made.identity, err = e.ServicePrincipals().Create(directory.ServicePrincipal{
			Tenant: tenant, Type: directory.PrincipalManagedIdentity, Name: "estate-" + guid.New(), DisplayName: "Estate's", Owners: owners,
		})
		if err != nil {
			return err
		}
		if made.user, err = e.Users().Create(directory.User{Tenant: tenant, PrincipalName: guid.New() + "@contoso.test", DisplayName: "Estate's"}, nil); err != nil {
			return err
		}
		gone, err := e.Applications().Create(directory.Application{Tenant: tenant, DisplayName: "Estate", Owners: owners})
		if err != nil {
			return err
		}
		if _, err := e.Applications().Discard(tenant, gone.ID); err != nil {
			return err
		}
		made.deleted = gone.ID
		secret, _, err := e.Credentials().AddSecret(tenant, made.app.ID, "ci", time.Time{})
		if err != nil {
			return err
		}
		made.secret = secret.ID
		_, err = e.Credentials().AddFederated(tenant, made.app.ID, directory.FederatedCredential{Name: "ci", Issuer: "https://ci.test", Subject: "s"})
		return err
	})
	return made
}

// request returns path and body of a request for a route.
func (e *estate) request(method, path string) (filled, body string) {
	filled = placeholder.ReplaceAllStringFunc(path, func(name string) string {
		switch name {
		case "{application}":
			return string(e.app.ID)
		case "{principal}":
			if strings.HasSuffix(path, "/rolecall.getToken") {
				return string(e.identity.ID)
			}
			return string(e.principal.ID)
		case "{user}":
			return string(e.user.ID)
		case "{object}":
			return string(e.app.ID)
		case "{assignment}", "{grant}", "{signIn}", "{audit}":
			return "x"
		case "{organization}":
			return string(tenant)
		case "{domain}":
			return "contoso.test"
		case "{deleted}":
			return string(e.deleted)
		case "{owner}":
			return string(e.owner)
		case "{credential}":
			return "ci"
		}
		e.Fatalf("%s %s: what stands for %s?", method, path, name)
		return ""
	})
	bodies := map[string]string{
		"POST rolecall.explain":                                        `{"token":"nonsense"}`,
		"POST servicePrincipals/{principal}/rolecall.getToken":         `{"resource":"api://orders"}`,
		"POST applications":                                            `{"displayName":"made"}`,
		"POST $batch":                                                  `{"requests":[{"id":"1","method":"GET","url":"/applications/` + string(e.app.ID) + `"}]}`,
		"POST directoryObjects/getByIds":                               `{"ids":["` + string(e.app.ID) + `"]}`,
		"POST servicePrincipals/{principal}/removePassword":            `{"keyId":"` + guid.New() + `"}`,
		"POST servicePrincipals/{principal}/addKey":                    `{"keyCredential":{"type":"AsymmetricX509Cert","usage":"Verify","key":"` + e.certificate + `"},"passwordCredential":null,"proof":"x"}`,
		"POST servicePrincipals/{principal}/removeKey":                 `{"keyId":"` + guid.New() + `","proof":"x"}`,
		"POST servicePrincipals/{principal}/owners/$ref":               `{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/` + string(e.user.ID) + `"}`,
		"POST servicePrincipals/{principal}/appRoleAssignedTo":         assignment(string(e.user.ID), string(e.principal.ID), guid.New()),
		"POST servicePrincipals/{principal}/appRoleAssignments":        assignment(string(e.principal.ID), string(e.principal.ID), guid.New()),
		"POST users/{user}/appRoleAssignments":                         assignment(string(e.user.ID), string(e.principal.ID), guid.New()),
		"POST applications/{application}/removePassword":               `{"keyId":"` + e.secret + `"}`,
		"POST applications/{application}/rolecall.extendPassword":      `{"keyId":"` + e.secret + `","endDateTime":"2099-01-01T00:00:00Z"}`,
		"POST applications/{application}/addKey":                       `{"keyCredential":{"type":"AsymmetricX509Cert","usage":"Verify","key":"` + e.certificate + `"},"passwordCredential":null,"proof":"x"}`,
		"POST applications/{application}/removeKey":                    `{"keyId":"` + guid.New() + `","proof":"x"}`,
		"POST applications/{application}/owners/$ref":                  `{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/` + string(e.principal.ID) + `"}`,
		"PUT applications/{application}/logo":                          "\x89PNG\r\n\x1a\n",
		"POST applications/{application}/federatedIdentityCredentials": `{"name":"new","issuer":"https://ci.test","subject":"t","audiences":["api://AzureADTokenExchange"]}`,
	}
	if body = bodies[method+" "+path]; body == "" && method != http.MethodGet && method != http.MethodDelete {
		body = "{}"
	}
	return "/v1.0/" + filled, body
}

var placeholder = regexp.MustCompile(`\{\w+\}`)

// token is what a person calls with.
func (e *estate) token(p person) (raw string) {
	switch {
	case p.roles == "" && p.user == "":
		return ""
	case p.itself:
		return e.login.Bad().With("tool", "orders", []string{"Orders.Read"}, func(claims map[string]any) {
			claims["aud"], claims["oid"], claims["sub"] = graph.AppID, string(e.principal.ID), string(e.principal.ID)
			claims["azp"], claims["appid"] = string(e.app.AppID), string(e.app.AppID)
		})
	}
	return e.login.Bad().With("tool", "orders", []string{"Orders.Read"}, func(claims map[string]any) {
		claims["aud"], claims["iat"] = graph.AppID, e.login.Clock().Now().Unix() // after the user was made
		if p.user == "" {
			claims["roles"] = strings.Fields(p.roles)
			return
		}
		delete(claims, "roles")
		delete(claims, "idtyp")
		claims["oid"], claims["sub"], claims["scp"] = string(e.users[p.user]), "pairwise", p.scopes
	})
}

// outcome is the letter for an answer.
func outcome(got reply) byte {
	code, _ := got.problem()
	switch {
	case got.Code == http.StatusUnauthorized && code == "InvalidAuthenticationToken":
		return 'u'
	case got.Code == http.StatusForbidden && code == "Authorization_RequestDenied":
		return 'd'
	case got.Code == http.StatusForbidden && code == "Authorization_IdentityNotFound":
		return 'i'
	case got.Code >= http.StatusInternalServerError:
		return '?'
	}
	return 'a'
}

// Every route, called by everybody: what becomes of them is what the tables above say.
func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	tokens := map[string]string{}
	for _, row := range graph.Routes() {
		route := row[0] + " " + row[1]
		want := outcomes[rights[route]]
		if len(want) != len(people) {
			t.Errorf("%s: the tables do not say who may call it", route)
			continue
		}
		for i, p := range people {
			var owner directory.ObjectID
			if p.owns {
				owner = directory.ObjectID(w.tool)
				if p.user != "" {
					owner = w.users[p.user]
				}
			}
			e := w.newEstate(owner)
			token, known := tokens[p.name]
			if !known || p.itself {
				token = e.token(p)
				tokens[p.name] = token
			}
			path, body := e.request(row[0], row[1])
			before := e.state()
			got := w.do(token, row[0], path, body)
			if strings.HasSuffix(path, "/revokeSignInSessions") {
				clear(tokens)
			}
			if outcome(got) != want[i] {
				t.Errorf("%s by %s: %d %s, want %q", route, p.name, got.Code, got.Body, want[i])
			}
			if after := e.state(); want[i] != 'a' && before != after {
				t.Errorf("%s by %s: was refused and changed something", route, p.name)
			}
			if want[i] == 'd' && (!strings.Contains(got.Body.String(), "Insufficient privileges to complete the operation.") || !strings.Contains(got.Body.String(), `"details":[`)) {
				t.Errorf("%s by %s: the refusal does not say what is missing: %s", route, p.name, got.Body)
			}
		}
	}
	for route := range rights {
		method, path, _ := strings.Cut(route, " ")
		if !hasRoute(method, path) {
			t.Errorf("%s is in the tables, and there is no such route", route)
		}
	}
}

func hasRoute(method, path string) bool {
	for _, row := range graph.Routes() {
		if row[0] == method && row[1] == path {
			return true
		}
	}
	return false
}

// state is everything of the estate as it is kept.
func (e *estate) state() string {
	e.Helper()
	app, err := e.login.Directory().View(e.Context()).Applications().Get(tenant, e.app.ID)
	if err != nil {
		return err.Error()
	}
	kept, err := json.Marshal(app)
	if err != nil {
		e.Fatal(err)
	}
	return string(kept)
}

// A caller of another tenant who has every permission there finds nothing, changes nothing and
// is told nothing of this one.
func TestAnotherTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate()
	foreign := w.foreign()
	for _, row := range graph.Routes() {
		route := row[0] + " " + row[1]
		e := w.newEstate("")
		path, body := e.request(row[0], row[1])
		before := e.state()
		got := w.do(foreign, row[0], path, body)
		switch named := strings.Contains(row[1], "{"); {
		case named && got.Code != http.StatusNotFound:
			t.Errorf("%s: %d %s, want 404", route, got.Code, got.Body)
		case elsewhere[route] || strings.HasPrefix(row[1], "me"):
			if got.Code != http.StatusBadRequest && got.Code != http.StatusNotFound {
				t.Errorf("%s: %d %s", route, got.Code, got.Body)
			}
		case !named && (got.Code >= http.StatusBadRequest || outcome(got) != 'a'):
			t.Errorf("%s: %d %s", route, got.Code, got.Body)
		}
		for _, secret := range []string{"Estate", string(e.app.AppID), string(tenant), "contoso"} {
			// What the path itself names may be repeated.
			text := strings.NewReplacer(ownURL, "", path[strings.LastIndexByte(path, '/')+1:], "").Replace(got.Body.String())
			if strings.Contains(text, secret) {
				t.Errorf("%s: tells %s: %s", route, secret, got.Body)
			}
		}
		if e.state() != before {
			t.Errorf("%s: changed something", route)
		}
	}
}

// populate makes the people.
func (w *world) populate() {
	w.Helper()
	w.login.API("orders")
	w.login.Token("tool", "orders", "Orders.Read")
	w.certificate = base64.StdEncoding.EncodeToString(w.login.Certificate("holder").Chain[0].Raw)
	w.tool, w.other, w.users = w.principal("tool"), w.principal("other"), map[string]directory.ObjectID{}
	for _, p := range people {
		if p.user == "" || w.users[p.user] != "" {
			continue
		}
		w.change(func(e *directory.Editor) error {
			user, err := e.Users().Create(directory.User{
				Tenant: tenant, PrincipalName: strings.ToLower(strings.ReplaceAll(p.user, " ", ".")) + "@contoso.test", DisplayName: p.user,
			}, nil)
			if err != nil {
				return err
			}
			user, err = e.Users().Edit(tenant, user.ID, func(u *directory.User) error {
				switch p.user {
				case "member":
				case "disabled":
					u.Enabled, u.DirectoryRoles = false, []string{"Global Administrator"}
				default:
					u.DirectoryRoles = []string{p.user}
				}
				return nil
			})
			w.users[p.user] = user.ID
			return err
		})
	}
}

// foreign is a token of an application of another tenant with all app roles of Graph.
func (w *world) foreign() string {
	w.Helper()
	const other = directory.TenantID("1b1ec703-2222-4222-8333-0000000000bb")
	var client directory.AppID
	var secret string
	w.change(func(e *directory.Editor) error {
		if _, err := e.Tenants().Create(directory.Tenant{ID: other, Name: "fabrikam", Enabled: true}); err != nil {
			return err
		}
		app, err := e.Applications().Create(directory.Application{Tenant: other, Name: "intruder"})
		if err != nil {
			return err
		}
		client = app.AppID
		principal, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: other, AppID: client})
		if err != nil {
			return err
		}
		if _, secret, err = e.Credentials().AddSecret(other, app.ID, "ci", time.Time{}); err != nil {
			return err
		}
		api, err := e.Applications().FindAPI(other, graph.AppID)
		if err != nil {
			return err
		}
		resource, err := e.ServicePrincipals().FindAPI(other, graph.AppID)
		if err != nil {
			return err
		}
		for _, role := range api.AppRoles {
			if _, _, err := e.Assignments().Add(other, principal.ID, resource.ID, role.ID); err != nil {
				return err
			}
		}
		return nil
	})
	answer, err := w.login.HTTPClient().PostForm(w.login.URL+"/"+string(other)+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {string(client)}, "client_secret": {secret}, "scope": {graph.Resource + "/.default"},
	})
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	var got struct {
		Token string `json:"access_token"`
		Error string `json:"error_description"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || got.Token == "" {
		w.Fatalf("%v %s", err, got.Error)
	}
	return got.Token
}
