package demo

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/examples/orders"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// The APIs of the demo. The classic one is registered for tokens of version 1.0, as most
// APIs were that ADAL called; the same program stands behind both.
const (
	ordersURI  = "api://orders"
	classicURI = "api://orders-classic"
	billingURI = "api://billing"
	payrollURI = "api://payroll"
)

// The managed identities of the demo. The last may read nothing.
const (
	systemIdentity  = "orders-client-mi"
	userIdentity    = "orders-shared-mi"
	strangeIdentity = "reports-client-mi"
)

// The users of the demo. The second holds the role that applications need.
const (
	plainUser = "dev@contoso.test"
	roleUser  = "lead@contoso.test"
)

// The federated credential's other half.
const (
	federatedSubject  = "repo:contoso/orders:ref:refs/heads/main"
	federatedAudience = directory.ExchangeAudience
)

// cast is who plays in the demo.
type cast struct {
	tenant      directory.TenantID
	orders      *directory.Application // the API
	client      *directory.Application // may read orders
	secret      string                 // of the client
	certificate credential.Certificate // of the client
	stranger    *directory.Application // may read nothing
	strangerKey string                 // the stranger's secret
	password    string                 // of the users
}

// register fills the empty directory.
func register(ctx context.Context, dir *directory.Directory, certificate credential.Certificate, issuer string) (cast, error) {
	c := cast{certificate: certificate, password: rand.Text()}
	_, err := dir.Change(ctx, "demo", func(e *directory.Editor) error {
		w := &writer{e: e}
		w.createTenant()
		api, apiPrincipal := w.application(directory.Application{
			AppID: "a9100002-5a5a-4c4c-8d8d-000000000002", Name: "orders-server", IdentifierURIs: []string{ordersURI}, TokenVersion: 2,
			AppRoles: readers(directory.MemberApplication, directory.MemberUser), Scopes: []directory.Scope{{Value: orders.ReadRole, Enabled: true}},
		}, false)
		classic, classicPrincipal := w.application(directory.Application{
			Name: "orders-server-classic", IdentifierURIs: []string{classicURI}, TokenVersion: 1, AppRoles: readers(directory.MemberApplication),
		}, false)
		w.application(directory.Application{Name: "billing-server", IdentifierURIs: []string{billingURI}, TokenVersion: 2}, false)
		w.application(directory.Application{Name: "payroll-server", IdentifierURIs: []string{payrollURI}, TokenVersion: 2}, true)

		client, principal := w.application(directory.Application{AppID: "c11e0001-5a5a-4c4c-8d8d-000000000001", Name: "orders-client"}, false)
		w.grant(principal.ID, apiPrincipal, api)
		w.grant(principal.ID, classicPrincipal, classic)
		c.secret = w.secret(client)
		w.certificate(client, certificate)
		w.federated(client, issuer)

		for _, mi := range []struct {
			name string
			kind directory.IdentityKind
			may  bool
		}{
			{systemIdentity, directory.IdentitySystem, true}, {userIdentity, directory.IdentityUser, true}, {strangeIdentity, directory.IdentitySystem, false},
		} {
			identity := w.identity(mi.name, mi.kind)
			if mi.may {
				w.grant(identity.ID, apiPrincipal, api)
			}
		}

		_, tools := w.application(directory.Application{AppID: server.AzureCLI, Name: "azure-cli", Public: true}, false)
		w.consent(tools, apiPrincipal, orders.ReadRole)
		w.user(plainUser, c.password)
		lead := w.user(roleUser, c.password)
		w.grant(lead, apiPrincipal, api)

		c.stranger, _ = w.application(directory.Application{Name: "reports-client"}, false)
		c.strangerKey = w.secret(c.stranger)
		c.tenant, c.orders, c.client = w.tenant, api, client
		return w.err
	})
	return c, err
}

func readers(members ...directory.MemberType) []directory.AppRole {
	return []directory.AppRole{{
		Value: orders.ReadRole, DisplayName: "Read orders", Description: "Read every order", Enabled: true, Members: members,
	}}
}

// A writer makes one edit after the other and keeps the first error; after that it does
// nothing and returns empty values.
type writer struct {
	e      *directory.Editor
	tenant directory.TenantID
	err    error
}

func (w *writer) createTenant() {
	tenant, err := w.e.CreateTenant(directory.Tenant{
		ID: "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11", Name: "contoso", Domains: []string{"contoso.test"}, Enabled: true,
	})
	if err != nil {
		w.err = err
		return
	}
	w.tenant = tenant.ID
}

func (w *writer) application(a directory.Application, assignmentRequired bool) (*directory.Application, *directory.ServicePrincipal) {
	if w.err != nil {
		return &directory.Application{}, &directory.ServicePrincipal{}
	}
	a.Tenant = w.tenant
	if a.TokenVersion == 0 {
		a.TokenVersion = 2
	}
	app, err := w.e.CreateApplication(a)
	if err != nil {
		w.err = err
		return &directory.Application{}, &directory.ServicePrincipal{}
	}
	principal, err := w.e.CreateServicePrincipal(directory.ServicePrincipal{
		Tenant: w.tenant, AppID: app.AppID, AssignmentRequired: assignmentRequired,
	})
	if err != nil {
		w.err = err
		return app, &directory.ServicePrincipal{}
	}
	return app, principal
}

func (w *writer) identity(name string, kind directory.IdentityKind) *directory.ServicePrincipal {
	if w.err != nil {
		return &directory.ServicePrincipal{}
	}
	identity, err := w.e.CreateServicePrincipal(directory.ServicePrincipal{
		Tenant: w.tenant, Name: name, Type: directory.PrincipalManagedIdentity, IdentityKind: kind,
	})
	if err != nil {
		w.err = err
		return &directory.ServicePrincipal{}
	}
	return identity
}

// grant gives the holder every role of the API.
func (w *writer) grant(holder directory.ObjectID, api *directory.ServicePrincipal, app *directory.Application) {
	for _, r := range app.AppRoles {
		if w.err == nil {
			_, w.err = w.e.Assign(w.tenant, holder, api.ID, r.ID)
		}
	}
}

// consent lets the client act for every user.
func (w *writer) consent(client, api *directory.ServicePrincipal, scope string) {
	if w.err == nil {
		_, w.err = w.e.GrantScopes(w.tenant, client.ID, api.ID, "", []string{scope})
	}
}

func (w *writer) user(name, password string) directory.ObjectID {
	if w.err != nil {
		return ""
	}
	user, err := w.e.CreateUser(directory.User{Tenant: w.tenant, PrincipalName: name}, password)
	if err != nil {
		w.err = err
		return ""
	}
	return user.ID
}

func (w *writer) secret(app *directory.Application) string {
	if w.err != nil {
		return ""
	}
	_, value, err := w.e.AddSecret(w.tenant, app.ID, "demo", time.Now().Add(keyLife))
	w.err = err
	return value
}

func (w *writer) certificate(app *directory.Application, certificate credential.Certificate) {
	if w.err == nil {
		_, w.err = w.e.AddCertificate(w.tenant, app.ID, "demo", certificate.Chain[0].Raw)
	}
}

func (w *writer) federated(app *directory.Application, issuer string) {
	if w.err == nil {
		_, w.err = w.e.AddFederated(w.tenant, app.ID, directory.FederatedCredential{
			Name: "demo", Issuer: issuer, Subject: federatedSubject, Audience: federatedAudience,
		})
	}
}
