package directory

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A Builtin is a resource of Microsoft's own, which every tenant has without registering it:
// a program that calls an API and a storage account asks for tokens of both. Only the tokens
// are made here. The service that reads them is somewhere else, or an emulator of it.
//
// A registration that has the app id or an identifier of one takes its place in its tenant,
// with everything that it says.
type Builtin struct {
	Name  string
	AppID AppID
	// Identifiers are what clients ask for, with or without a slash at the end. An asterisk
	// stands for the one label that names an account.
	Identifiers []string
	// TokenVersion is 1 nearly everywhere: "aud" is then the identifier as it was asked for.
	TokenVersion int
	Scopes       []Scope
}

// ExchangeAppID is the app id of [ExchangeAudience], and so what tokens for it carry as their
// audience.
const ExchangeAppID AppID = "fb60f99c-7a34-4190-8149-302f77469936"

// GraphAppID is the app id of Microsoft Graph, through which a tenant is managed.
const GraphAppID AppID = "00000003-0000-0000-c000-000000000000"

// ResourceManagerAppID is the app id of Azure Resource Manager.
const ResourceManagerAppID AppID = "797f4846-ba00-4fd7-ba43-dac1f8f63013"

// SelfAppID is the app id of [SelfAudience], and so what tokens for it carry as their audience.
const SelfAppID AppID = "58737992-e92b-44ad-a0aa-cb28b723036e"

// SelfAudience is Rolecall itself as a resource: an API that reads revocations has a token for
// it. Any client gets one; what its holder may do, each endpoint decides.
const SelfAudience = "api://rolecall"

// builtins lists them. The ids and identifiers are Microsoft's, and public, but for the last.
var builtins = []Builtin{
	{"Azure Storage", "e406a681-f3d4-42a8-90b6-c2b029497af1", []string{
		"https://storage.azure.com",
		"https://*.blob.core.windows.net", "https://*.queue.core.windows.net", "https://*.table.core.windows.net",
		"https://*.file.core.windows.net", "https://*.dfs.core.windows.net",
	}, 1, impersonation("03e0da56-190b-40ad-a80c-ea378c433f7f", "Access Azure Storage")},
	{"Azure Key Vault", "cfa8b339-82a2-471a-a3c9-0fc0be7a4093", []string{"https://vault.azure.net"}, 1, impersonation("f53da476-18e3-4152-8e01-aec403e6edc0", "Access Azure Key Vault")},
	{"Azure SQL Database", "022907d3-0f1b-48f7-badc-1ba6abab6d66", []string{"https://database.windows.net"}, 1, impersonation("c39ef2d1-04ce-46dc-8b5f-e9a5c60f0fc9", "Access Azure SQL Database")},
	{"Azure Service Bus", "80a10ef9-8168-493d-abf9-3297c4ef6e3c", []string{"https://servicebus.azure.net"}, 1, impersonation("40e16207-c5fd-4916-8ca4-64565f2367ca", "Access Azure Service Bus")},
	{"Azure Event Hubs", "80369ed6-5f11-4dd9-bef3-692475845e77", []string{"https://eventhubs.azure.net"}, 1, impersonation("7d388411-3845-4cfc-aa69-33192f4b9735", "Access Azure Event Hubs")},
	{"Azure Cosmos DB", "a232010e-820c-4083-83bb-3ace5fc29d0b", []string{"https://cosmos.azure.com", "https://*.documents.azure.com"}, 1, nil},
	{"Azure AI Search", "880da380-985e-4198-81b9-e05b1cc53158", []string{"https://search.azure.com"}, 1, impersonation("a4165a31-5d9e-4120-bd1e-9d88c66fd3b8", "Access Azure AI Search")},
	{"Azure App Configuration", "35ffadb3-7fc1-497e-b61b-381d28e744cc", []string{"https://azconfig.io", "https://*.azconfig.io"}, 1, nil},
	{"Azure OSSRDBMS Database", "123cd850-d9df-40bd-94d5-c9f07b7fa203", []string{"https://ossrdbms-aad.database.windows.net"}, 1, impersonation("cef99a3a-4cd3-4408-8143-4375d1e38a17", "Access OSSRDBMS services")},
	{"Azure Resource Manager", ResourceManagerAppID, []string{
		"https://management.azure.com", "https://management.core.windows.net",
		"https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net",
		"https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn",
	}, 1, impersonation("41094075-9dad-400e-a0bd-54e686782033", "Access Azure Resource Manager")},
	{"Microsoft Graph", GraphAppID, []string{"https://graph.microsoft.com"}, 1, []Scope{{
		ID: "e1fe6dd8-ba31-4d61-89e7-88639da4683d", Value: "User.Read", DisplayName: "Sign you in and read your profile",
		Description: "Read the profile of the signed-in user", Enabled: true,
	}}},
	{"AAD Token Exchange", ExchangeAppID, []string{ExchangeAudience}, 2, nil},
	{"Rolecall", SelfAppID, []string{SelfAudience}, 2, nil},
}

func impersonation(id ScopeID, display string) []Scope {
	return []Scope{{ID: id, Value: "user_impersonation", DisplayName: display, Description: display + " on behalf of the user", Enabled: true}}
}

// builtinNames finds them by app id and by every identifier that has no asterisk.
var builtinNames = func() map[string]*Builtin {
	names := map[string]*Builtin{}
	for i := range builtins {
		b := &builtins[i]
		names[string(b.AppID)] = b
		for _, identifier := range b.Identifiers {
			if !strings.Contains(identifier, "*") {
				names[foldURI(identifier)] = b
			}
		}
	}
	return names
}()

// FindBuiltin returns the built-in resource that an app id or identifier names, in any case.
func FindBuiltin(identifier string) (Builtin, bool) {
	identifier = foldURI(identifier)
	if b := builtinNames[identifier]; b != nil {
		return *b, true
	}
	if !strings.HasPrefix(identifier, "https://") {
		return Builtin{}, false // no account of one
	}
	for i := range builtins {
		if builtins[i].hasAccount(identifier) {
			return builtins[i], true
		}
	}
	return Builtin{}, false
}

// hasAccount reports whether a folded identifier names one account of the resource.
func (b *Builtin) hasAccount(folded string) bool {
	return slices.ContainsFunc(b.Identifiers, func(identifier string) bool {
		before, behind, wild := strings.Cut(identifier, "*")
		if !wild {
			return false
		}
		account, ok := strings.CutPrefix(folded, before)
		if !ok {
			return false
		}
		account, ok = strings.CutSuffix(account, behind)
		return ok && isLabel(account)
	})
}

// isLabel reports whether s is one label of a host name, in lower case.
func isLabel(s string) bool {
	const longest = 63
	if s == "" || len(s) > longest || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// In returns the resource as it is in a tenant that has not registered it. Its ids are
// always the same there, so that consent to its scopes can be kept.
func (b *Builtin) In(tenant TenantID) *Instance {
	app := &Application{
		ID: b.objectID(tenant, "application"), Tenant: tenant, AppID: b.AppID, DisplayName: b.Name,
		TokenVersion: b.TokenVersion, Scopes: slices.Clone(b.Scopes),
	}
	for _, identifier := range b.Identifiers {
		if !strings.Contains(identifier, "*") {
			app.IdentifierURIs = append(app.IdentifierURIs, identifier)
		}
	}
	return newInstance(app, &ServicePrincipal{
		ID: b.objectID(tenant, "principal"), Tenant: tenant, AppID: b.AppID, Application: app.ID,
		DisplayName: b.Name, Type: PrincipalApplication, Enabled: true,
	})
}

// FindAPI is Find for what others ask permissions of: it knows the built-in resources too,
// by app id or identifier, and what is registered in their place.
func (e ApplicationEditor) FindAPI(tenant TenantID, ref string) (*Application, error) {
	found, err := e.Find(tenant, ref)
	if !errors.Is(err, ErrNotFound) {
		return found, err
	}
	b, is := FindBuiltin(ref)
	if !is {
		return nil, err
	}
	app := b.In(fold(tenant)).Application
	for _, other := range append([]string{string(b.AppID)}, app.IdentifierURIs...) {
		found, err := e.Find(tenant, other)
		if !errors.Is(err, ErrNotFound) {
			return found, err
		}
	}
	return app, nil
}

// FindAPI returns the service principal of an API that [ApplicationEditor.FindAPI] found.
func (e PrincipalEditor) FindAPI(tenant TenantID, app AppID) (*ServicePrincipal, error) {
	found, err := e.Find(tenant, string(app))
	if b, is := FindBuiltin(string(app)); is && errors.Is(err, ErrNotFound) {
		return b.In(fold(tenant)).Principal, nil
	}
	return found, err
}

// builtinWith returns the built-in resource whose service principal has the object id in a
// tenant, or nil.
func builtinWith(tenant TenantID, principal ObjectID) *Instance {
	for _, b := range builtins {
		if b.objectID(tenant, "principal") == fold(principal) {
			return b.In(tenant)
		}
	}
	return nil
}

// objectID is an id that a tenant and the resource determine.
func (b *Builtin) objectID(tenant TenantID, of string) ObjectID {
	sum := sha256.Sum256([]byte("rolecall built-in " + of + " " + string(tenant) + " " + string(b.AppID)))
	return ObjectID(guid.Derived([16]byte(sum[:16])))
}

// builtin returns the built-in resource that an identifier names: what is registered in its
// place, or itself. That nothing is registered is remembered like any other answer, so a
// token costs no query.
func (d *Directory) builtin(ctx context.Context, tenant TenantID, identifier string) (*Instance, error) {
	b, is := FindBuiltin(identifier)
	if !is {
		return nil, ErrNotFound
	}
	instance := b.In(fold(tenant))
	for _, ref := range append([]string{string(b.AppID)}, instance.Application.IdentifierURIs...) {
		registered, err := d.registered(ctx, tenant, ref)
		if !errors.Is(err, ErrNotFound) {
			return registered, err
		}
	}
	return instance, nil
}

// FindBuiltinPrincipal returns the built-in resource whose service principal has the object id
// in a tenant.
func FindBuiltinPrincipal(tenant TenantID, principal ObjectID) (found *Instance, is bool) {
	found = builtinWith(fold(tenant), principal)
	return found, found != nil
}
