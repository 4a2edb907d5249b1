package directory_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// attempt runs f in a transaction that is undone whatever comes of it.
func attempt(t testing.TB, d *directory.Directory, f func(e *directory.Editor) error) error {
	t.Helper()
	undo := errors.New("undo")
	_, err := d.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		if err := f(e); err != nil {
			return err
		}
		return undo
	})
	if errors.Is(err, undo) {
		return nil
	}
	return err
}

var (
	wrong     = error(nil)             // a *RuleError without a cause
	duplicate = directory.ErrDuplicate // a *RuleError that also is this
	notFound  = directory.ErrNotFound
)

// checkRule expects a *RuleError about the field, with that cause, in good words.
func checkRule(t *testing.T, err error, field string, cause error) {
	t.Helper()
	if missing, is := errors.AsType[*directory.NotFoundError](err); is && field == "" && errors.Is(cause, notFound) {
		if !strings.HasPrefix(missing.Error(), "there is no ") || missing.Fix() == "" {
			t.Errorf("not in words: %q", missing.Error())
		}
		return
	}
	var rule *directory.RuleError
	if !errors.As(err, &rule) {
		t.Fatalf("got %v, want a RuleError about %q", err, field)
	}
	if rule.Field != field || !errors.Is(rule.Cause, cause) {
		t.Errorf("got field %q and cause %v, want %q and %v (%v)", rule.Field, rule.Cause, field, cause, err)
	}
	if !strings.HasSuffix(rule.What, ".") || !strings.ContainsAny(rule.Advice[len(rule.Advice)-1:], ".?") {
		t.Errorf("not in sentences: %q", rule.Error())
	}
}

func TestTenantRules(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	long := strings.Repeat("x", 121)
	for _, tt := range []struct {
		name   string
		tenant directory.Tenant
		field  string
		cause  error
	}{
		{"no name", directory.Tenant{}, "name", wrong},
		{"a long name", directory.Tenant{Name: long}, "name", wrong},
		{"a control character", directory.Tenant{Name: "a\x00b"}, "name", wrong},
		{"a right-to-left override", directory.Tenant{Name: "a\u202eb"}, "name", wrong},
		{"invalid UTF-8", directory.Tenant{Name: "a\xffb"}, "name", wrong},
		{"a space at the end", directory.Tenant{Name: "a "}, "name", wrong},
		{"a GUID for a name", directory.Tenant{Name: string(ordersApp)}, "name", wrong},
		{"a reserved name", directory.Tenant{Name: "Common"}, "name", wrong},
		{"token in the name", directory.Tenant{Name: "myTokens"}, "name", wrong},
		{"another's name", directory.Tenant{Name: "CONTOSO"}, "name", duplicate},
		{"another's domain for a name", directory.Tenant{Name: "contoso.test"}, "name", duplicate},
		{"an id that is none", directory.Tenant{Name: "a", ID: "1"}, "id", wrong},
		{"another's id", directory.Tenant{Name: "a", ID: "7F1D3C52-0a4e-4b8e-9c61-2d5e8f0a1b11"}, "id", duplicate},
		{"another's domain", directory.Tenant{Name: "a", Domains: []string{"contoso.TEST"}}, "domains[0]", duplicate},
		{"another's name for a domain", directory.Tenant{Name: "a", Domains: []string{"a.test", "contoso"}}, "domains[1]", wrong},
		{"a domain twice", directory.Tenant{Name: "a", Domains: []string{"a.test", "A.test"}}, "domains[1]", duplicate},
		{"token in a domain", directory.Tenant{Name: "a", Domains: []string{"tokens.a.test"}}, "domains[0]", wrong},
		{"an underscore in a domain", directory.Tenant{Name: "a", Domains: []string{"a_b.test"}}, "domains[0]", wrong},
		{"a dot at the end of a domain", directory.Tenant{Name: "a", Domains: []string{"a.test."}}, "domains[0]", wrong},
		{"a hyphen at the end of a label", directory.Tenant{Name: "a", Domains: []string{"a-.test"}}, "domains[0]", wrong},
		{"a long label", directory.Tenant{Name: "a", Domains: []string{long + ".test"}}, "domains[0]", wrong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
				_, err := e.Tenants().Create(tt.tenant)
				return err
			}), tt.field, tt.cause)
		})
	}
}

func TestApplicationRules(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	app := directory.MemberApplication
	role := func(r directory.AppRole) directory.Application {
		return directory.Application{Name: "a", AppRoles: []directory.AppRole{r}}
	}
	uris := func(uris ...string) directory.Application {
		return directory.Application{Name: "a", IdentifierURIs: uris}
	}
	asks := func(p directory.Permission) directory.Application {
		return directory.Application{Name: "a", Permissions: []directory.Permission{p}}
	}
	scopes := func(scopes ...directory.Scope) directory.Application {
		return directory.Application{Name: "a", Scopes: scopes}
	}
	redirects := func(uris ...string) directory.Application {
		return directory.Application{Name: "a", RedirectURIs: uris}
	}
	forUsers := directory.RoleID("00000000-0000-4000-8000-000000000001")
	change(t, o.Directory, func(e *directory.Editor) error {
		changed := *o.api
		changed.AppRoles = append(changed.AppRoles, directory.AppRole{ID: forUsers, Value: "Users.Only", Enabled: true, Members: []directory.MemberType{directory.MemberUser}})
		_, err := e.Applications().Edit(changed.Tenant, changed.ID, func(v *directory.Application) error { *v = changed; return nil })
		return err
	})
	for _, tt := range []struct {
		name  string
		app   directory.Application
		field string
		cause error
	}{
		{"no name", directory.Application{}, "name", wrong},
		{"another's name", directory.Application{Name: "Orders-Server"}, "name", duplicate},
		{"a GUID for a name", directory.Application{Name: string(ordersApp)}, "name", wrong},
		{"an app id that is none", directory.Application{Name: "a", AppID: "{" + ordersApp + "}"}, "appId", wrong},
		{"another's app id", directory.Application{Name: "a", AppID: "C11E0001-5a5a-4c4c-8d8d-000000000001"}, "appId", duplicate},
		{"another's object id", directory.Application{Name: "a", ID: o.api.ID}, "id", duplicate},
		{"a token version of 3", directory.Application{Name: "a", TokenVersion: 3}, "tokenVersion", wrong},
		{"secrets of its own", directory.Application{Name: "a", Secrets: []directory.Secret{{}}}, "credentials", wrong},

		{"an empty URI", uris(""), "identifierUris[0]", wrong},
		{"a relative URI", uris("orders"), "identifierUris[0]", wrong},
		{"a URI without a host", uris("api://"), "identifierUris[0]", wrong},
		{"a long URI", uris("api://" + strings.Repeat("x", 250)), "identifierUris[0]", wrong},
		{"a URI with a space", uris("api://a b"), "identifierUris[0]", wrong},
		{"a URI with a line break", uris("api://a\n"), "identifierUris[0]", wrong},
		{"a URI with a query", uris("https://a.test/?x"), "identifierUris[0]", wrong},
		{"a URI with a fragment", uris("https://a.test/#x"), "identifierUris[0]", wrong},
		{"a URI with a password", uris("https://u:p@a.test/"), "identifierUris[0]", wrong},
		{"a URI that ends like a scope", uris("api://a/.default"), "identifierUris[0]", wrong},
		{"a bad escape in a URI", uris("https://a%zz.test"), "identifierUris[0]", wrong},
		{"a URI twice", uris("api://a", "API://A/"), "identifierUris[1]", duplicate},
		{"another's URI", uris("api://a", "API://orders/"), "identifierUris[1]", duplicate},
		{"another's app id for a URI", uris("api://A9100002-5a5a-4c4c-8d8d-000000000002"), "identifierUris[0]", duplicate},
		{"another's app id in a URI", uris("api://a9100002-5a5a-4c4c-8d8d-000000000002/x"), "identifierUris[0]", duplicate},

		{"a role without a value", role(directory.AppRole{Members: []directory.MemberType{app}}), "appRoles[0].value", wrong},
		{"a role with a space", role(directory.AppRole{Value: "a b", Members: []directory.MemberType{app}}), "appRoles[0].value", wrong},
		{"a role in letters that look alike", role(directory.AppRole{Value: "Оrders.Read", Members: []directory.MemberType{app}}), "appRoles[0].value", wrong},
		{"a role that begins with a dot", role(directory.AppRole{Value: ".a", Members: []directory.MemberType{app}}), "appRoles[0].value", wrong},
		{"a long role", role(directory.AppRole{Value: strings.Repeat("x", 121), DisplayName: "x", Members: []directory.MemberType{app}}), "appRoles[0].value", wrong},
		{"a role for nobody", role(directory.AppRole{Value: "A"}), "appRoles[0].members", wrong},
		{"a role for groups", role(directory.AppRole{Value: "A", Members: []directory.MemberType{"Group"}}), "appRoles[0].members", wrong},
		{"a member twice", role(directory.AppRole{Value: "A", Members: []directory.MemberType{app, app}}), "appRoles[0].members", duplicate},
		{"a role id that is none", role(directory.AppRole{ID: "1", Value: "A", Members: []directory.MemberType{app}}), "appRoles[0].id", wrong},
		{"a role value twice", directory.Application{Name: "a", AppRoles: []directory.AppRole{{Value: "A", Members: []directory.MemberType{app}}, {Value: "a", Members: []directory.MemberType{app}}}}, "appRoles[1].value", duplicate},
		{"a role id twice", directory.Application{Name: "a", AppRoles: []directory.AppRole{{ID: forUsers, Value: "A", Members: []directory.MemberType{app}}, {ID: forUsers, Value: "B", Members: []directory.MemberType{app}}}}, "appRoles[1].id", duplicate},

		{"a permission of no API", asks(directory.Permission{API: "00000000-0000-4000-8000-000000000000", Roles: []directory.RoleID{o.read}}), "permissions[0].api", notFound},
		{"a permission without roles", asks(directory.Permission{API: ordersAPI}), "permissions[0].roles", wrong},
		{"a permission of no role", asks(directory.Permission{API: ordersAPI, Roles: []directory.RoleID{"1"}}), "permissions[0].roles", notFound},
		{"a permission for users", asks(directory.Permission{API: ordersAPI, Roles: []directory.RoleID{forUsers}}), "permissions[0].roles", wrong},
		{"a permission twice", asks(directory.Permission{API: ordersAPI, Roles: []directory.RoleID{o.read, o.read}}), "permissions[0].roles", duplicate},

		{"a permission of no scope", asks(directory.Permission{API: ordersAPI, Scopes: []directory.ScopeID{"1"}}), "permissions[0].scopes", notFound},
		{"a permission whose scope is a role", asks(directory.Permission{API: ordersAPI, Scopes: []directory.ScopeID{directory.ScopeID(o.read)}}), "permissions[0].scopes", notFound},
		{"a scope permission twice", asks(directory.Permission{API: ordersAPI, Scopes: []directory.ScopeID{"1", "1"}}), "permissions[0].scopes", duplicate},

		{"a scope without a value", scopes(directory.Scope{}), "scopes[0].value", wrong},
		{"a scope with a space", scopes(directory.Scope{Value: "a b"}), "scopes[0].value", wrong},
		{"a scope with a slash", scopes(directory.Scope{Value: "a/b"}), "scopes[0].value", wrong},
		{"a scope with a quote", scopes(directory.Scope{Value: `a"b`}), "scopes[0].value", wrong},
		{"a scope that begins with a dot", scopes(directory.Scope{Value: ".default"}), "scopes[0].value", wrong},
		{"a scope with a long description", scopes(directory.Scope{Value: "A", Description: strings.Repeat("x", 1001)}), "scopes[0].description", wrong},
		{"a scope id that is none", scopes(directory.Scope{Value: "A", ID: "1"}), "scopes[0].id", wrong},
		{"a scope value twice", scopes(directory.Scope{Value: "A"}, directory.Scope{Value: "a"}), "scopes[1].value", duplicate},
		{"a scope id twice", scopes(directory.Scope{Value: "A", ID: directory.ScopeID(forUsers)}, directory.Scope{Value: "B", ID: directory.ScopeID(forUsers)}), "scopes[1].id", duplicate},
		{"a scope with the id of a role", directory.Application{
			Name: "a", AppRoles: []directory.AppRole{{ID: forUsers, Value: "A", Members: []directory.MemberType{app}}}, Scopes: []directory.Scope{{Value: "A", ID: directory.ScopeID(forUsers)}},
		}, "scopes[0].id", duplicate},

		{"an empty redirect", redirects(""), "redirectUris[0]", wrong},
		{"a relative redirect", redirects("/signed-in"), "redirectUris[0]", wrong},
		{"a redirect in the clear", redirects("http://contoso.test"), "redirectUris[0]", wrong},
		{"a redirect in the clear to what looks like this machine", redirects("http://localhost.contoso.test"), "redirectUris[0]", wrong},
		{"a redirect to a script", redirects("javascript://localhost/%0aalert(1)"), "redirectUris[0]", wrong},
		{"a redirect to data", redirects("data:text/html,x"), "redirectUris[0]", wrong},
		{"a redirect to a file", redirects("file://localhost/etc/passwd"), "redirectUris[0]", wrong},
		{"a redirect with a wildcard", redirects("https://*.contoso.test"), "redirectUris[0]", wrong},
		{"a redirect with a fragment", redirects("https://contoso.test/#"), "redirectUris[0]", wrong},
		{"a redirect with a password", redirects("https://u:p@contoso.test/"), "redirectUris[0]", wrong},
		{"a redirect with a line break", redirects("https://contoso.test/\r\n"), "redirectUris[0]", wrong},
		{"a long redirect", redirects("https://contoso.test/" + strings.Repeat("x", 250)), "redirectUris[0]", wrong},
		{"a redirect twice", redirects("http://localhost", "http://localhost"), "redirectUris[1]", duplicate},

		{"an optional claim without a name", directory.Application{Name: "a", OptionalClaims: []directory.OptionalClaim{{}}}, "optionalClaims[0].name", wrong},
		{"an optional claim twice", directory.Application{Name: "a", OptionalClaims: []directory.OptionalClaim{{Name: "aud"}, {Name: "aud"}}}, "optionalClaims[1].name", duplicate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.app.Tenant = contoso
			checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
				_, err := e.Applications().Create(tt.app)
				return err
			}), tt.field, tt.cause)
		})
	}
}

func TestRedirectsThatAreFine(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	uris := []string{
		"http://localhost", "http://localhost:8400/", "http://127.0.0.1/in", "http://[::1]:8080", "https://orders.contoso.test/signed-in?from=here",
		"msalc11e0001-5a5a-4c4c-8d8d-000000000001://auth", "test.contoso.orders://auth", "ms-appx-web://microsoft.aad.brokerplugin/c11e0001-5a5a-4c4c-8d8d-000000000001",
	}
	if err := attempt(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Applications().Create(directory.Application{Tenant: contoso, Name: "a", RedirectURIs: uris})
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestPrincipalRules(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	identity := directory.PrincipalManagedIdentity
	for _, tt := range []struct {
		name      string
		principal directory.ServicePrincipal
		field     string
		cause     error
	}{
		{"of no application", directory.ServicePrincipal{AppID: "00000000-0000-4000-8000-000000000000"}, "appId", notFound},
		{"a second one", directory.ServicePrincipal{AppID: ordersApp}, "appId", duplicate},
		{"of an unknown type", directory.ServicePrincipal{Type: "Legacy", AppID: ordersApp}, "type", wrong},
		{"a managed identity without a name", directory.ServicePrincipal{Type: identity}, "name", wrong},
		{"a managed identity with an application's name", directory.ServicePrincipal{Type: identity, Name: "orders-CLIENT"}, "name", duplicate},
		{"a managed identity with an application's app id", directory.ServicePrincipal{Type: identity, Name: "a", AppID: ordersApp}, "appId", duplicate},
		{"another's object id", directory.ServicePrincipal{Type: identity, Name: "a", ID: o.apiPrincipal.ID}, "id", duplicate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.principal.Tenant = contoso
			checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
				_, err := e.ServicePrincipals().Create(tt.principal)
				return err
			}), tt.field, tt.cause)
		})
	}
}

func TestAssignmentRules(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	const disabled, forUsers = directory.RoleID("00000000-0000-4000-8000-000000000001"), directory.RoleID("00000000-0000-4000-8000-000000000002")
	var identity, elsewhere *directory.ServicePrincipal
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		changed := *o.api
		changed.AppRoles = append(changed.AppRoles,
			directory.AppRole{ID: disabled, Value: "Disabled", Members: []directory.MemberType{directory.MemberApplication}},
			directory.AppRole{ID: forUsers, Value: "Users.Only", Enabled: true, Members: []directory.MemberType{directory.MemberUser}})
		if _, err = e.Applications().Edit(changed.Tenant, changed.ID, func(v *directory.Application) error { *v = changed; return nil }); err != nil {
			return err
		}
		if identity, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, Type: directory.PrincipalManagedIdentity, Name: "mi"}); err != nil {
			return err
		}
		other, err := e.Tenants().Create(directory.Tenant{Name: "fabrikam"})
		if err != nil {
			return err
		}
		elsewhere, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: other.ID, Type: directory.PrincipalManagedIdentity, Name: "mi"})
		return err
	})
	for _, tt := range []struct {
		name                string
		principal, resource directory.ObjectID
		role                directory.RoleID
		field               string
		cause               error
	}{
		{"an unknown principal", "1", o.apiPrincipal.ID, o.read, "", notFound},
		{"an app id for a principal", directory.ObjectID(ordersApp), o.apiPrincipal.ID, o.read, "", notFound},
		{"an application's object id for a principal", o.app.ID, o.apiPrincipal.ID, o.read, "", notFound},
		{"another tenant's principal", elsewhere.ID, o.apiPrincipal.ID, o.read, "", notFound},
		{"an unknown resource", o.appPrincipal.ID, "1", o.read, "", notFound},
		{"a managed identity for a resource", o.appPrincipal.ID, identity.ID, o.read, "resource", wrong},
		{"an unknown role", o.appPrincipal.ID, o.apiPrincipal.ID, "1", "role", notFound},
		{"a disabled role", o.appPrincipal.ID, o.apiPrincipal.ID, disabled, "role", wrong},
		{"a role for users", o.appPrincipal.ID, o.apiPrincipal.ID, forUsers, "role", wrong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
				_, _, err := e.Assignments().Add(contoso, tt.principal, tt.resource, tt.role)
				return err
			}), tt.field, tt.cause)
		})
	}
}

func TestFederatedRules(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	good := directory.FederatedCredential{Name: "ci-main", Issuer: "https://ci.test", Subject: "main"}
	change(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Credentials().AddFederated(contoso, o.app.ID, good)
		return err
	})
	for _, tt := range []struct {
		name  string
		edit  func(c *directory.FederatedCredential)
		field string
		cause error
	}{
		{"no name", func(c *directory.FederatedCredential) { c.Name = "" }, "name", wrong},
		{"a hyphen first", func(c *directory.FederatedCredential) { c.Name = "-abc" }, "name", wrong},
		{"a dot in the name", func(c *directory.FederatedCredential) { c.Name = "a.b" }, "name", wrong},
		{"a long name", func(c *directory.FederatedCredential) { c.Name = strings.Repeat("a", 121) }, "name", wrong},
		{"the same name", func(c *directory.FederatedCredential) { c.Name = "CI-main" }, "name", duplicate},
		{"the same subject", func(c *directory.FederatedCredential) { c.Subject = "main" }, "subject", duplicate},
		{"no subject", func(c *directory.FederatedCredential) { c.Subject = "" }, "subject", wrong},
		{"no issuer", func(c *directory.FederatedCredential) { c.Issuer = "" }, "issuer", wrong},
		{"an issuer without TLS", func(c *directory.FederatedCredential) { c.Issuer = "http://ci.test" }, "issuer", wrong},
		{"an issuer with a query", func(c *directory.FederatedCredential) { c.Issuer = "https://ci.test/?x" }, "issuer", wrong},
		{"a long audience", func(c *directory.FederatedCredential) { c.Audience = strings.Repeat("a", 601) }, "audience", wrong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			c.Name, c.Subject = "another", "another"
			tt.edit(&c)
			checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
				_, err := e.Credentials().AddFederated(contoso, o.app.ID, c)
				return err
			}), tt.field, tt.cause)
		})
	}
	t.Run("twenty and no more", func(t *testing.T) {
		checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
			for i := range 20 {
				c := good
				c.Name, c.Subject = fmt.Sprintf("ci-%d", i), fmt.Sprint(i)
				if _, err := e.Credentials().AddFederated(contoso, o.app.ID, c); err != nil {
					if i < 19 {
						t.Errorf("number %d: %v", i+2, err)
					}
					return err
				}
			}
			return nil
		}), "federated", wrong)
	})
}

// certificate makes a self-signed one for a key.
func certificate(t *testing.T, bits int, expires time.Time) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "orders-client"}, NotBefore: expires.Add(-time.Hour), NotAfter: expires}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCertificateRules(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0") // to make a key that is refused
	o := newOrders(t, memory.New())
	good := certificate(t, 2048, time.Now().Add(time.Hour))
	var added directory.Certificate
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		added, err = e.Credentials().AddCertificate(contoso, o.app.ID, "", good)
		return err
	})
	if added.Name != "orders-client" || len(added.SHA1) != 27 || len(added.SHA256) != 43 || added.Subject != "CN=orders-client" {
		t.Errorf("got %+v", added)
	}
	from, until := added.ValidFrom.Add(time.Minute), added.ValidUntil.Add(-time.Minute)
	keep := func(c directory.NewCertificate) (kept directory.Certificate, err error) {
		c.DER = good
		return kept, attempt(t, o.Directory, func(e *directory.Editor) (err error) {
			kept, err = e.Credentials().KeepCertificate(contoso, o.apiPrincipal.ID, c)
			return err
		})
	}
	const chosen = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b99"
	if kept, err := keep(directory.NewCertificate{ID: chosen, Usage: directory.CertificateSign, From: from, Until: until}); err != nil || kept.ID != chosen || !kept.ValidFrom.Equal(from) || !kept.ValidUntil.Equal(until) || kept.Usage != directory.CertificateSign {
		t.Errorf("got %+v, %v", kept, err)
	}
	for field, c := range map[string]directory.NewCertificate{
		"id": {ID: "x"}, "usage": {Usage: "Encrypt"}, "until": {Until: added.ValidUntil.Add(time.Minute)}, "from": {From: added.ValidFrom.Add(-time.Minute)},
	} {
		_, err := keep(c)
		checkRule(t, err, field, wrong)
	}
	for _, tt := range []struct {
		name  string
		der   []byte
		cause error
	}{
		{"nothing", nil, wrong},
		{"the same", good, duplicate},
		{"something behind it", append(good[:len(good):len(good)], 0), wrong},
		{"a small key", certificate(t, 1024, time.Now().Add(time.Hour)), wrong},
		{"expired", certificate(t, 2048, time.Now().Add(-time.Minute)), wrong},
		{"huge", make([]byte, 1<<20), wrong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
				_, err := e.Credentials().AddCertificate(contoso, o.app.ID, "", tt.der)
				return err
			}), "der", tt.cause)
		})
	}
}

func TestUserRules(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	change(t, o.Directory, func(e *directory.Editor) error {
		u, err := e.Users().Create(directory.User{Tenant: contoso, PrincipalName: "Dev@Contoso.test"}, nil)
		if err == nil && (u.PrincipalName != "dev@contoso.test" || u.DisplayName != "dev" || !u.Enabled) {
			t.Errorf("got %+v", u)
		}
		return err
	})
	for _, tt := range []struct {
		name     string
		user     directory.User
		password string
		field    string
		cause    error
	}{
		{"no name", directory.User{}, "", "userPrincipalName", wrong},
		{"no domain", directory.User{PrincipalName: "a"}, "", "userPrincipalName", wrong},
		{"another domain", directory.User{PrincipalName: "a@fabrikam.test"}, "", "userPrincipalName", wrong},
		{"a space", directory.User{PrincipalName: "a b@contoso.test"}, "", "userPrincipalName", wrong},
		{"another's name", directory.User{PrincipalName: "DEV@contoso.test"}, "", "userPrincipalName", duplicate},
		{"a short password", directory.User{PrincipalName: "a@contoso.test"}, "short", "password", wrong},
		{"a directory role twice", directory.User{PrincipalName: "a@contoso.test", DirectoryRoles: []string{"A", "A"}}, "", "directoryRoles[1]", duplicate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.user.Tenant = contoso
			checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
				_, err := e.Users().Create(tt.user, directory.Choose(tt.password))
				return err
			}), tt.field, tt.cause)
		})
	}
	t.Run("a domain in use stays", func(t *testing.T) {
		checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
			_, err := e.Tenants().Edit(contoso, func(t *directory.Tenant) error { t.Domains = nil; return nil })
			return err
		}), "domains", wrong)
	})
}

func TestUnknownTargets(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	const nowhere = directory.TenantID("00000000-0000-4000-8000-000000000000")
	for name, f := range map[string]func(e *directory.Editor) error{
		"tenant": func(e *directory.Editor) error { _, err := e.Tenants().Find("nowhere"); return err },
		"update of a tenant": func(e *directory.Editor) error {
			_, err := e.Tenants().Edit(nowhere, func(t *directory.Tenant) error { t.Name = "a"; return nil })
			return err
		},
		"deletion of a tenant":  func(e *directory.Editor) error { return e.Tenants().Delete(nowhere) },
		"application":           func(e *directory.Editor) error { _, err := e.Applications().Find(contoso, "nobody"); return err },
		"application elsewhere": func(e *directory.Editor) error { _, err := e.Applications().Find(nowhere, "orders-client"); return err },
		"application in no tenant": func(e *directory.Editor) error {
			_, err := e.Applications().Create(directory.Application{Tenant: nowhere, Name: "a"})
			return err
		},
		"deletion of an application": func(e *directory.Editor) error { return e.Applications().Delete(contoso, "1") },
		"secret of an application": func(e *directory.Editor) error {
			_, _, err := e.Credentials().AddSecret(contoso, "1", "a", time.Time{})
			return err
		},
		"credential":        func(e *directory.Editor) error { return e.Credentials().Remove(contoso, o.app.ID, "1") },
		"service principal": func(e *directory.Editor) error { _, err := e.ServicePrincipals().Find(contoso, "nobody"); return err },
		"assignment": func(e *directory.Editor) error {
			return e.Assignments().Remove(contoso, o.apiPrincipal.ID, o.apiPrincipal.ID, o.read)
		},
		"user": func(e *directory.Editor) error { _, err := e.Users().Find(contoso, "nobody@contoso.test"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			if err := attempt(t, o.Directory, f); !errors.Is(err, directory.ErrNotFound) {
				t.Errorf("got %v, want %v", err, directory.ErrNotFound)
			}
		})
	}
}
