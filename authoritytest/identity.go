package authoritytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"

	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
)

// An Identity is a managed identity: a client that its platform vouches for, without a
// credential of its own.
type Identity struct {
	Name       string
	ClientID   string
	ObjectID   string // of its service principal; also called principal id
	ResourceID string // in the resource manager

	assigned managedidentity.Identity // as hosts know it
	login    *Authority
}

// Identity returns the system-assigned managed identity with that name, after granting it
// those roles of the API, and registers it if it is named for the first time and
// [Authority.Apply] has not done so.
func (a *Authority) Identity(name, api string, roles ...string) *Identity {
	a.t.Helper()
	return a.identity(name, directory.IdentitySystem, api, roles)
}

// UserAssignedIdentity is Identity for a user-assigned one.
func (a *Authority) UserAssignedIdentity(name, api string, roles ...string) *Identity {
	a.t.Helper()
	return a.identity(name, directory.IdentityUser, api, roles)
}

func (a *Authority) identity(name string, kind directory.IdentityKind, api string, roles []string) *Identity {
	a.t.Helper()
	identity := a.registerIdentity(name, kind)
	a.Grant(name, api, roles...)
	return identity
}

func (a *Authority) registerIdentity(name string, kind directory.IdentityKind) *Identity {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if identity, ok := a.identities[name]; ok {
		return identity
	}
	identity := &Identity{Name: name, login: a}
	a.change("register managed identity "+name, func(e *directory.Editor) error {
		p, err := e.ServicePrincipals().Find(TenantID, name)
		if errors.Is(err, directory.ErrNotFound) {
			p, err = e.ServicePrincipals().Create(directory.ServicePrincipal{
				Tenant: TenantID, Name: name, Type: directory.PrincipalManagedIdentity, IdentityKind: kind,
			})
		}
		if err != nil {
			return err
		}
		if p.Type != directory.PrincipalManagedIdentity {
			return fmt.Errorf("%q is an application: give the managed identity another name", name)
		}
		identity.ClientID, identity.ObjectID, identity.ResourceID = string(p.AppID), string(p.ID), p.ResourceID
		identity.assigned = managedidentity.IdentityOf(p)
		return nil
	})
	a.identities[name] = identity
	return identity
}

// Token returns a token of the identity for the named API, a new one each time.
func (i *Identity) Token(api string) string {
	i.login.t.Helper()
	minted, err := i.login.issuer.Mint(context.WithoutCancel(i.login.t.Context()), issuance.MintRequest{
		Tenant: TenantID, Identity: directory.AppID(i.ClientID), Resource: i.login.API(api).Identifier,
	})
	i.login.check("mint a token for "+i.Name, err)
	return minted.Token
}

// Environment returns the variables by which a program finds the identity where it would
// run, until the test ends. The host is one of "app-service", "imds", "arc" (challenge
// files go where clients look for them, which takes the rights to write there),
// "service-fabric", "cloud-shell", "azure-ml" and "cli". A program that names no identity
// gets the system-assigned one, as in Azure; the others are there to be chosen by id.
func (i *Identity) Environment(host string, others ...*Identity) map[string]string {
	i.login.t.Helper()
	return maps.Clone(i.open(host, origin.Origin{}, others).Environment())
}

// open assigns the identity to a new endpoint whose tokens are issued under an origin; zero: under
// the authority's own.
func (i *Identity) open(host string, at origin.Origin, others []*Identity) *managedidentity.Endpoint {
	a := i.login
	a.t.Helper()
	identities := []managedidentity.Identity{i.assigned}
	for _, other := range others {
		identities = append(identities, other.assigned)
	}
	opened, err := a.platform.Open(context.WithoutCancel(a.t.Context()), managedidentity.EndpointConfig{
		Tenant: TenantID, Identities: identities, Platform: directory.Platform(host), Owner: os.Getuid(), Origin: at,
	})
	a.check("assign managed identity "+i.Name, err)
	a.t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			a.t.Errorf("authoritytest: take back managed identity %s: %v", i.Name, err)
		}
	})
	return opened
}

// hostVariables are those by which client libraries tell where they run.
func hostVariables() []string {
	return []string{
		"IDENTITY_API_VERSION", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET",
		"DEFAULT_IDENTITY_CLIENT_ID", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_TOKEN_CREDENTIALS",
	}
}

// SetEnvironment makes the test itself run where the identity is to be had, as on App
// Service: azidentity's ManagedIdentityCredential and the like find it without any other
// setting. Like [testing.T.Setenv] it cannot be used in parallel tests.
func (i *Identity) SetEnvironment(others ...*Identity) {
	a := i.login
	a.t.Helper()
	environment := i.Environment("app-service", others...)
	for _, name := range hostVariables() {
		value, set := environment[name]
		a.t.Setenv(name, value) // also restores it afterwards
		if !set {
			a.check("unset "+name, os.Unsetenv(name))
		}
	}
}
