package authoritytest

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// An API is a registration that clients get tokens for.
type API struct {
	Name       string
	AppID      string // its application (client) id
	Identifier string // its App ID URI: "api://" and the name, unless it was registered otherwise

	login *Authority
	guard *guard.Guard
}

// An APIOption changes how an API is registered when it is first named.
type APIOption func(*apiOptions)

type apiOptions struct {
	version            int
	assignmentRequired bool
}

// V1Tokens registers the API for access tokens of version 1.0, as Entra does with
// registrations that do not say otherwise. Without it tokens have version 2.0.
func V1Tokens() APIOption { return func(o *apiOptions) { o.version = 1 } }

// AssignmentRequired makes the authority itself refuse clients without a role.
func AssignmentRequired() APIOption { return func(o *apiOptions) { o.assignmentRequired = true } }

// API returns the API with that name, and registers it if it is named for the first time
// and [Authority.Apply] has not done so.
func (a *Authority) API(name string, opts ...APIOption) *API {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.api(name, opts...)
}

// api is API for callers that hold the lock.
func (a *Authority) api(name string, opts ...APIOption) *API {
	a.t.Helper()
	if api, ok := a.apis[name]; ok {
		if len(opts) > 0 {
			a.t.Fatalf("authoritytest: API %q is registered already: give its options where it is named first", name)
		}
		return api
	}
	o := apiOptions{version: 2}
	for _, opt := range opts {
		opt(&o)
	}
	api := &API{Name: name, Identifier: "api://" + name, login: a}
	a.change("register API "+name, func(e *directory.Editor) error {
		known, err := e.Applications().Find(TenantID, name)
		if err == nil {
			api.adopt(known)
			return nil
		}
		if !errors.Is(err, directory.ErrNotFound) {
			return err
		}
		app, err := e.Applications().Create(directory.Application{
			Tenant: TenantID, Name: name, IdentifierURIs: []string{api.Identifier}, TokenVersion: o.version,
		})
		if err != nil {
			return err
		}
		api.AppID = string(app.AppID)
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{
			Tenant: TenantID, AppID: app.AppID, AssignmentRequired: o.assignmentRequired,
		})
		return err
	})
	api.guard = a.newGuard(api)
	a.apis[name] = api
	return api
}

// adopt makes the API the one that is registered already.
func (p *API) adopt(app *directory.Application) {
	p.AppID = string(app.AppID)
	p.Identifier = p.AppID // which is a name for it, too
	if len(app.IdentifierURIs) > 0 {
		p.Identifier = app.IdentifierURIs[0]
	}
}

func (a *Authority) newGuard(api *API) *guard.Guard {
	a.t.Helper()
	// The guard lives as long as the test, cleanups included.
	ctx, stop := context.WithCancel(context.WithoutCancel(a.t.Context()))
	a.t.Cleanup(stop)
	g, err := guard.New(ctx, api.Config())
	a.check("guard API "+api.Name, err)
	return g
}

// Scope is what clients ask for at the v2 endpoint: "api://orders/.default".
func (p *API) Scope() string { return p.Identifier + "/.default" }

// Config is the configuration of a guard for the API. A test of a program's own wiring
// hands it, or its members, to that program in place of the settings of production:
//
//	g, err := guard.New(ctx, login.API("orders").Config())
func (p *API) Config() guard.Config {
	return guard.Config{
		Authority:  p.login.URL + "/" + TenantID,
		Audience:   []string{p.AppID, p.Identifier},
		HTTPClient: p.login.HTTPClient(),
		Now:        p.login.clock.Now,
	}
}

// Revocations lets a guard of the API follow what the authority takes away: put it into the
// Config of a guard of your own. It gives the API's application a secret.
func (p *API) Revocations() *guard.Revocations {
	p.login.t.Helper()
	var secret string
	p.login.change("give the API "+p.Name+" a secret", func(e *directory.Editor) error {
		app, err := e.Applications().Find(TenantID, p.AppID)
		if err != nil {
			return err
		}
		_, secret, err = e.Credentials().AddSecret(TenantID, app.ID, "revocations", p.login.clock.Now().AddDate(1, 0, 0))
		return err
	})
	cred, err := credential.NewSecret(TenantID, p.AppID, secret, &credential.Options{AuthorityHost: p.login.URL, HTTPClient: p.login.HTTPClient()})
	p.login.check("make a credential for the API "+p.Name, err)
	return &guard.Revocations{Token: func(ctx context.Context) (string, error) {
		token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{guard.RevocationScope}})
		return token.Token, err
	}}
}

// Guard is the API's guard.
func (p *API) Guard() *guard.Guard { return p.guard }

// Require puts the guard before a handler: it lets in applications that hold the role. For
// a plain function there is [API.RequireFunc].
func (p *API) Require(role string, next http.Handler) http.Handler {
	p.login.t.Helper()
	p.login.mu.Lock()
	defer p.login.mu.Unlock()
	p.declare(role)
	return p.guard.Require(role)(next)
}

// RequireFunc is Require for a function.
func (p *API) RequireFunc(role string, next func(http.ResponseWriter, *http.Request)) http.Handler {
	p.login.t.Helper()
	return p.Require(role, http.HandlerFunc(next))
}

// declare makes sure that the API has the role. The caller holds the lock.
func (p *API) declare(roles ...string) {
	p.login.t.Helper()
	p.login.change("declare roles of API "+p.Name, func(e *directory.Editor) error {
		app, err := e.Applications().Find(TenantID, p.AppID)
		if err != nil {
			return err
		}
		next := *app
		next.AppRoles = slices.Clone(app.AppRoles)
		for _, role := range roles {
			if _, ok := next.Role(role); !ok {
				next.AppRoles = append(next.AppRoles, newRole(role))
			}
		}
		_, err = e.Applications().Edit(next.Tenant, next.ID, func(v *directory.Application) error { *v = next; return nil })
		return err
	})
}

func newRole(value string) directory.AppRole {
	return directory.AppRole{
		Value: value, DisplayName: strings.ReplaceAll(value, ".", " "), Enabled: true,
		Members: []directory.MemberType{directory.MemberApplication, directory.MemberUser},
	}
}
