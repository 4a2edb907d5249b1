package authoritytest

import (
	"context"
	"errors"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Client returns an HTTP client that gets tokens as the named application for the named
// API and sends them along, after granting the application those roles of the API.
func (a *Authority) Client(name, api string, roles ...string) *http.Client {
	a.t.Helper()
	a.Grant(name, api, roles...)
	transport := credential.NewTransport(a.Credential(name), a.API(api).Scope())
	a.t.Cleanup(func() { transport.CloseIdleConnections() })
	return &http.Client{Transport: transport}
}

// Token returns a good token for the named application and API, after granting those roles.
func (a *Authority) Token(name, api string, roles ...string) string {
	a.t.Helper()
	a.Grant(name, api, roles...)
	token, err := a.Credential(name).GetToken(context.WithoutCancel(a.t.Context()),
		policy.TokenRequestOptions{Scopes: []string{a.API(api).Scope()}})
	a.check("get a token for "+name, err)
	return token.Token
}

// An App is what a client's own code is configured with.
type App struct {
	Name      string
	TenantID  string
	ClientID  string
	Secret    string
	Authority string // AZURE_AUTHORITY_HOST
}

// App returns the named client, and registers it with a secret if it is named for the
// first time. One that [Authority.Apply] has registered gets a secret besides those it has.
func (a *Authority) App(name string) App {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.secrets[name]; !ok {
		a.register(name)
	}
	client, err := a.directory.Named(context.WithoutCancel(a.t.Context()), TenantID, name)
	a.check("find client "+name, err)
	return App{name, TenantID, string(client.Application.AppID), a.secrets[name], a.URL}
}

// register makes a client. The caller holds the lock.
func (a *Authority) register(name string) {
	a.t.Helper()
	if _, ok := a.apis[name]; ok {
		a.t.Fatalf("authoritytest: %q is an API: give the client another name", name)
	}
	a.change("register client "+name, func(e *directory.Editor) error {
		app, err := e.Applications().Find(TenantID, name)
		if errors.Is(err, directory.ErrNotFound) {
			app, err = createClient(e, name)
		}
		if err != nil {
			return err
		}
		_, a.secrets[name], err = e.Credentials().AddSecret(TenantID, app.ID, "test", a.clock.Now().AddDate(1, 0, 0))
		return err
	})
}

func createClient(e *directory.Editor, name string) (*directory.Application, error) {
	app, err := e.Applications().Create(directory.Application{Tenant: TenantID, Name: name, TokenVersion: 2})
	if err != nil {
		return nil, err
	}
	_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: TenantID, AppID: app.AppID})
	return app, err
}

// Credential returns the named client's credential, a client secret through Azure.Identity.
func (a *Authority) Credential(name string) azcore.TokenCredential {
	a.t.Helper()
	app := a.App(name)
	cred, err := credential.NewSecret(app.TenantID, app.ClientID, app.Secret, &credential.Options{
		AuthorityHost: a.URL, HTTPClient: a.HTTPClient(),
	})
	a.check("make a credential for "+name, err)
	return cred
}

// know makes sure that there is a client or managed identity with that name.
func (a *Authority) know(name string) {
	a.t.Helper()
	known := true
	a.change("find "+name, func(e *directory.Editor) error {
		_, err := e.ServicePrincipals().Find(TenantID, name)
		if errors.Is(err, directory.ErrNotFound) {
			known = false
			return nil
		}
		return err
	})
	if !known {
		a.App(name)
	}
}

// Grant gives the named client, or managed identity, roles of the named API, besides those it has. Tokens that
// were issued before do not change.
func (a *Authority) Grant(name, api string, roles ...string) {
	a.t.Helper()
	a.know(name)
	a.mu.Lock()
	defer a.mu.Unlock()
	target := a.api(api)
	if len(roles) == 0 {
		return
	}
	target.declare(roles...)
	a.change("grant roles to "+name, a.eachRole(name, target, roles, func(e *directory.Editor, holder, resource directory.ObjectID, role directory.RoleID) error {
		_, _, err := e.Assignments().Add(TenantID, holder, resource, role)
		return err
	}))
}

// Revoke takes roles of the named API from the named client or managed identity again.
func (a *Authority) Revoke(name, api string, roles ...string) {
	a.t.Helper()
	a.know(name)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change("revoke roles of "+name, a.eachRole(name, a.api(api), roles, func(e *directory.Editor, holder, resource directory.ObjectID, role directory.RoleID) error {
		return e.Assignments().Remove(TenantID, holder, resource, role)
	}))
}

// eachRole returns an edit that does something for each of the API's roles that are named.
func (a *Authority) eachRole(name string, api *API, roles []string, do func(e *directory.Editor, holder, resource directory.ObjectID, role directory.RoleID) error) func(*directory.Editor) error {
	return func(e *directory.Editor) error {
		holder, err := e.ServicePrincipals().Find(TenantID, name)
		if err != nil {
			return err
		}
		resource, err := e.ServicePrincipals().Find(TenantID, api.AppID)
		if err != nil {
			return err
		}
		app, err := e.Applications().Find(TenantID, api.AppID)
		if err != nil {
			return err
		}
		for _, value := range roles {
			role, _ := app.Role(value) // an unknown one has no id, which the directory refuses
			if err := do(e, holder.ID, resource.ID, role.ID); err != nil {
				return err
			}
		}
		return nil
	}
}

// SetEnvironment sets, for the length of the test, the variables by which programs and
// Azure libraries find the authority, act as the named client, and trust the certificate.
// Like [testing.T.Setenv] it cannot be used in parallel tests.
func (a *Authority) SetEnvironment(name string) {
	a.t.Helper()
	app := a.App(name)
	for variable, value := range map[string]string{
		"AZURE_AUTHORITY_HOST": a.URL,
		"AZURE_TENANT_ID":      app.TenantID,
		"AZURE_CLIENT_ID":      app.ClientID,
		"AZURE_CLIENT_SECRET":  app.Secret,
		"ROLECALL_AUTHORITY":   a.URL,
		"ROLECALL_CA_BUNDLE":   a.CABundle(),
	} {
		a.t.Setenv(variable, value)
	}
}
