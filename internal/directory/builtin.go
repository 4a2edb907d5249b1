package directory

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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
	Roles        []AppRole
}

// ExchangeAppID is the app id of [ExchangeAudience], and so what tokens for it carry as their
// audience.
const ExchangeAppID AppID = "fb60f99c-7a34-4190-8149-302f77469936"

// GraphAppID is the app id of Microsoft Graph, through which a tenant is managed.
const GraphAppID AppID = "00000003-0000-0000-c000-000000000000"

// ResourceManagerAppID is the app id of Azure Resource Manager.
const ResourceManagerAppID AppID = "797f4846-ba00-4fd7-ba43-dac1f8f63013"

// PortalAppID is the app id of the service behind Azure's portal. The Azure CLI has an administrator
// consent there, and nowhere else.
const PortalAppID AppID = "74658136-14ec-4630-ad9b-26e160ff0fc6"

// SelfAppID is the app id of [SelfAudience], and so what tokens for it carry as their audience.
const SelfAppID AppID = "58737992-e92b-44ad-a0aa-cb28b723036e"

// SelfAudience is Rolecall itself as a resource: an API that reads revocations has a token for
// it. Any client gets one; what its holder may do, each endpoint decides.
const SelfAudience = "api://rolecall"

// CLIAppID is the app id of the rolecall command where it is signed in to a server: the one
// public client that every tenant has. What it may do is what its user may do: Microsoft Graph and
// the resource manager let it act for users without consent, as Microsoft's do with the Azure CLI.
const CLIAppID AppID = "7dd2fab0-f94f-41eb-9714-0f278d18991c"

// builtins lists them. The ids and identifiers are Microsoft's, and public, but for
// the last two and the scope of the one before the exchange.
var builtins = []Builtin{
	{"Azure Storage", "e406a681-f3d4-42a8-90b6-c2b029497af1", []string{
		"https://storage.azure.com",
		"https://*.blob.core.windows.net", "https://*.queue.core.windows.net", "https://*.table.core.windows.net",
		"https://*.file.core.windows.net", "https://*.dfs.core.windows.net",
	}, 1, impersonation("03e0da56-190b-40ad-a80c-ea378c433f7f", "Access Azure Storage"), nil},
	{"Azure Key Vault", "cfa8b339-82a2-471a-a3c9-0fc0be7a4093", []string{"https://vault.azure.net"}, 1, impersonation("f53da476-18e3-4152-8e01-aec403e6edc0", "Access Azure Key Vault"), nil},
	{"Azure SQL Database", "022907d3-0f1b-48f7-badc-1ba6abab6d66", []string{"https://database.windows.net"}, 1, impersonation("c39ef2d1-04ce-46dc-8b5f-e9a5c60f0fc9", "Access Azure SQL Database"), nil},
	{"Azure Service Bus", "80a10ef9-8168-493d-abf9-3297c4ef6e3c", []string{"https://servicebus.azure.net"}, 1, impersonation("40e16207-c5fd-4916-8ca4-64565f2367ca", "Access Azure Service Bus"), nil},
	{"Azure Event Hubs", "80369ed6-5f11-4dd9-bef3-692475845e77", []string{"https://eventhubs.azure.net"}, 1, impersonation("7d388411-3845-4cfc-aa69-33192f4b9735", "Access Azure Event Hubs"), nil},
	{"Azure Cosmos DB", "a232010e-820c-4083-83bb-3ace5fc29d0b", []string{"https://cosmos.azure.com", "https://*.documents.azure.com"}, 1, nil, nil},
	{"Azure AI Search", "880da380-985e-4198-81b9-e05b1cc53158", []string{"https://search.azure.com"}, 1, impersonation("a4165a31-5d9e-4120-bd1e-9d88c66fd3b8", "Access Azure AI Search"), nil},
	{"Azure App Configuration", "35ffadb3-7fc1-497e-b61b-381d28e744cc", []string{"https://azconfig.io", "https://*.azconfig.io"}, 1, nil, nil},
	{"Azure OSSRDBMS Database", "123cd850-d9df-40bd-94d5-c9f07b7fa203", []string{"https://ossrdbms-aad.database.windows.net"}, 1, impersonation("cef99a3a-4cd3-4408-8143-4375d1e38a17", "Access OSSRDBMS services"), nil},
	{"Azure Resource Manager", ResourceManagerAppID, []string{
		"https://management.azure.com", "https://management.core.windows.net",
		"https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net",
		"https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn",
	}, 1, impersonation("41094075-9dad-400e-a0bd-54e686782033", "Access Azure Resource Manager"), nil},
	{"Microsoft Graph", GraphAppID, []string{"https://graph.microsoft.com"}, 1, graphScopes(), graphRoles()},
	{"ADIbizaUX", PortalAppID, nil, 1, impersonation("5c94fd31-9d0e-4c5f-8c1c-2b6f0b9e8a3d", "Access the portal's own service"), nil},
	{"AAD Token Exchange", ExchangeAppID, []string{ExchangeAudience}, 2, nil, nil},
	{"Rolecall", SelfAppID, []string{SelfAudience}, 2, nil, nil},
	{"Rolecall CLI", CLIAppID, nil, 2, nil, nil},
}

func impersonation(id ScopeID, display string) []Scope {
	return []Scope{{ID: id, Value: "user_impersonation", DisplayName: display, Description: display + " on behalf of the user", Enabled: true}}
}

// A graphPermission is what may be done through Microsoft Graph, by an application for itself,
// for its user or either. The ids are Microsoft's, and public.
type graphPermission struct {
	value       string
	role        RoleID
	scope       ScopeID
	display     string
	userConsent bool // a user may consent to the scope
}

// graphPermissions lists those that something here acts on.
func graphPermissions() []graphPermission {
	return []graphPermission{
		{"User.Read", "", "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "Sign you in and read your profile", true},
		{"User.ReadBasic.All", "", "b340eb25-3456-403f-be2f-af7a0d370277", "Read the basic profiles of all users", true},
		{"User.Read.All", "df021288-bdef-4463-88db-98f22de89214", "a154be20-db9c-4678-8ab7-66f6cc099a59", "Read all users", false},
		{"User.ReadWrite.All", "741f803b-c850-494e-b5df-cde7c675a1ca", "204e0828-b5ca-4ad8-b9f3-f32a958e7cc4", "Read and change all users", false},
		{"Application.Read.All", "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", "c79f8feb-a9db-4090-85f9-90d820caa0eb", "Read applications", false},
		{"Application.ReadWrite.All", "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9", "bdfbf15f-ee85-4955-8675-146e8e5296b5", "Read and change all applications", false},
		{"Application.ReadWrite.OwnedBy", "18a4783c-866b-4cc7-a460-3d5e5662c884", "", "Read all applications and change those it owns", false},
		{"AppRoleAssignment.ReadWrite.All", "06b708a9-e830-4db3-a914-8e69da51d44f", "84bccea3-f856-4a8a-967b-dbe0a3d53a64", "Grant and take away app roles", false},
		{"DelegatedPermissionGrant.Read.All", "81b4724a-58aa-41c1-8a55-84ef97466587", "", "Read delegated grants", false},
		{"DelegatedPermissionGrant.ReadWrite.All", "8e8e4742-1d95-4f68-9d56-6ee75648c72a", "41ce6ca6-6826-4807-84f1-1c82854f7ee5", "Grant and take away scopes", false},
		{"Directory.Read.All", "7ab1d382-f21e-4acd-a863-ba3e13f7da61", "06da0dbc-49e2-44d2-8312-53f166ab848a", "Read the directory", false},
		{"Directory.ReadWrite.All", "19dbc75e-c2e2-444c-a770-ec69d8559fc7", "c5366453-9fb0-48a5-a156-24f0c49a4b84", "Read and change the directory", false},
		{"Directory.AccessAsUser.All", "", "0e263e50-5827-48a4-b97c-d940288653c7", "Do in the directory what you may do", false},
		{"AuditLog.Read.All", "b0afded3-3588-46d8-8b3d-9842eff778da", "e4c9e354-4dc5-45b8-9e7c-e1393b0b1a20", "Read the audit log and sign-ins", false},
		{"Organization.Read.All", "498476ce-e0fe-48b0-b801-37ba7e2685c6", "4908d5b9-3fb2-4b1e-9336-1888b7937185", "Read about the organization", false},
		{"Domain.Read.All", "dbb9058a-0e50-45d7-ae91-66909b5d4664", "2f9ee017-59c1-4f1d-9472-bd5529a7b311", "Read domains", false},
		{"Policy.Read.All", "246dd0d5-5bd0-4def-940b-0421030a5b68", "572fea84-0151-49b2-9301-11cb16974376", "Read policies", false},
		{"Policy.ReadWrite.ApplicationConfiguration", "be74164b-cff1-491c-8741-e671cb536e13", "b27add92-efb2-4f16-84f5-8108ba77985c", "Read and change the policies for credentials of applications", false},
	}
}

func graphRoles() (roles []AppRole) {
	for _, p := range graphPermissions() {
		if p.role != "" {
			roles = append(roles, AppRole{ID: p.role, Value: p.value, DisplayName: p.display, Description: p.display + ", without a user", Enabled: true, Members: []MemberType{MemberApplication}})
		}
	}
	return roles
}

func graphScopes() (scopes []Scope) {
	for _, p := range graphPermissions() {
		switch {
		case p.scope == "":
		case p.value == "User.Read":
			scopes = append(scopes, Scope{ID: p.scope, Value: p.value, DisplayName: p.display, Description: "Read the profile of the signed-in user", Enabled: true})
		default:
			scopes = append(scopes, Scope{ID: p.scope, Value: p.value, DisplayName: p.display, Description: p.display + " on behalf of the user", Enabled: true, AdminOnly: !p.userConsent})
		}
	}
	return scopes
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
		TokenVersion: b.TokenVersion, Scopes: slices.Clone(b.Scopes), AppRoles: slices.Clone(b.Roles),
		Public: b.AppID == CLIAppID,
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
func (a ApplicationView) FindAPI(tenant TenantID, ref string) (*Application, error) {
	found, err := a.Find(tenant, ref)
	if !errors.Is(err, ErrNotFound) {
		return found, err
	}
	b, is := FindBuiltin(ref)
	if !is {
		return nil, err
	}
	app := b.In(fold(tenant)).Application
	for _, other := range append([]string{string(b.AppID)}, app.IdentifierURIs...) {
		found, err := a.Find(tenant, other)
		if !errors.Is(err, ErrNotFound) {
			return found, err
		}
	}
	return app, nil
}

// FindAPI returns the service principal of an API that [ApplicationView.FindAPI] found.
func (p PrincipalView) FindAPI(tenant TenantID, app AppID) (*ServicePrincipal, error) {
	found, err := p.Find(tenant, string(app))
	if b, is := FindBuiltin(string(app)); is && errors.Is(err, ErrNotFound) {
		return b.In(fold(tenant)).Principal, nil
	}
	return found, err
}

// Builtins returns the built-in resources that nothing in the tenant is registered in place of,
// as they are there: those whose name is to be kept, in the order of their names.
func (v *View) Builtins(tenant TenantID, keep func(name string) bool) (all []*Instance, err error) {
	for i := range builtins {
		if !keep(builtins[i].Name) {
			continue
		}
		switch found, err := v.builtin(tenant, &builtins[i]); {
		case err != nil:
			return nil, err
		case found != nil:
			all = append(all, found)
		}
	}
	slices.SortFunc(all, func(a, b *Instance) int { return strings.Compare(a.Application.DisplayName, b.Application.DisplayName) })
	return all, nil
}

// Builtin returns the built-in resource that an app id, an identifier or the object id of its
// service principal names, unless something in the tenant is registered in its place: that is
// found as any other (ErrNotFound).
func (v *View) Builtin(tenant TenantID, ref string) (*Instance, error) {
	i := slices.IndexFunc(builtins, func(b Builtin) bool {
		return string(b.AppID) == fold(ref) || b.objectID(fold(tenant), "principal") == fold(ObjectID(ref))
	})
	if i < 0 {
		b, is := FindBuiltin(ref)
		if !is {
			return nil, ErrNotFound
		}
		i = slices.IndexFunc(builtins, func(other Builtin) bool { return other.AppID == b.AppID })
	}
	found, err := v.builtin(tenant, &builtins[i])
	if found == nil && err == nil {
		return nil, ErrNotFound
	}
	return found, err
}

// builtin returns the resource as it is in a tenant, nil where something stands in its place.
func (v *View) builtin(tenant TenantID, b *Builtin) (*Instance, error) {
	instance := b.In(fold(tenant))
	for _, ref := range append([]string{string(b.AppID)}, instance.Application.IdentifierURIs...) {
		switch _, err := v.Applications().Find(tenant, ref); {
		case err == nil:
			return nil, nil //nolint:nilnil // there is none, and that is no error to either caller
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	return instance, nil
}

// resource finds the API whose service principal has the object id, built-in ones included. What
// it is to offer stands in the objection to a managed identity.
func (e *editor) resource(tenant TenantID, id ObjectID, offers string) (*Instance, error) {
	api, err := e.principals().byID(tenant, id)
	if errors.Is(err, ErrNotFound) {
		if b := builtinWith(fold(tenant), id); b != nil {
			return b, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if api.Type != PrincipalApplication {
		return nil, &RuleError{Field: "resource", What: fmt.Sprintf("%s is a managed identity and offers no %s.", api.ref(), offers), Advice: "Name the service principal of an API."}
	}
	app, err := lookup[Application](e, api.Tenant, KindApplication, makeKey("id", string(api.Application)))
	if err != nil {
		return nil, err
	}
	return &Instance{Application: app.value, Principal: api}, nil
}

// isBuiltinClient reports whether the id is that of the service principal of the one built-in
// resource that is a client as well.
func isBuiltinClient(tenant TenantID, principal ObjectID) bool {
	b := builtinWith(tenant, principal)
	return b != nil && b.Principal.AppID == CLIAppID
}

// letsCLIAct reports whether a client is the rolecall command, and the scope the one by which a
// built-in resource lets it do what its user may.
func (a *Application) letsCLIAct(client AppID, scope string) bool {
	if client != CLIAppID || !a.isBuiltin() {
		return false
	}
	return a.AppID == GraphAppID && scope == "Directory.AccessAsUser.All" || a.AppID == ResourceManagerAppID && scope == "user_impersonation"
}

// isBuiltin reports whether it is a built-in resource that nobody has registered.
func (a *Application) isBuiltin() bool {
	b, is := FindBuiltin(string(a.AppID))
	return is && a.ID == b.objectID(a.Tenant, "application")
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
