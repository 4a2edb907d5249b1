package lookup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A Remote finds through Microsoft Graph, with what its caller may read. What it finds has the
// members that Graph tells and no others.
type Remote struct {
	Client *graphclient.Client
	Tenant *directory.Tenant // whose tokens the client has
}

var _ Finder = Remote{}

// FindTenant is the tenant of the tokens.
func (g Remote) FindTenant(context.Context) (*directory.Tenant, error) { return g.Tenant, nil }

// What is read of each kind.
const (
	ofApplications = "id,appId,displayName,uniqueName,identifierUris,appRoles,api,requiredResourceAccess"
	ofPrincipals   = "id,appId,displayName,servicePrincipalType,servicePrincipalNames,accountEnabled,appRoles,oauth2PermissionScopes"
	ofUsers        = "id,userPrincipalName,displayName,accountEnabled"
)

// A graphRole is an app role as Graph has it.
type graphRole struct {
	ID          directory.RoleID       `json:"id"`
	Value       string                 `json:"value"`
	DisplayName string                 `json:"displayName"`
	Enabled     bool                   `json:"isEnabled"`
	Members     []directory.MemberType `json:"allowedMemberTypes"`
}

func roles(all []graphRole) (list []directory.AppRole) {
	for _, r := range all {
		list = append(list, directory.AppRole{ID: r.ID, Value: r.Value, DisplayName: r.DisplayName, Enabled: r.Enabled, Members: r.Members})
	}
	return list
}

// A graphScope is a scope as Graph has it.
type graphScope struct {
	ID      directory.ScopeID `json:"id"`
	Value   string            `json:"value"`
	Enabled bool              `json:"isEnabled"`
}

func scopes(all []graphScope) (list []directory.Scope) {
	for _, s := range all {
		list = append(list, directory.Scope{ID: s.ID, Value: s.Value, Enabled: s.Enabled})
	}
	return list
}

// A graphApplication is a registration as Graph has it.
type graphApplication struct {
	ID             directory.ObjectID `json:"id"`
	AppID          directory.AppID    `json:"appId"`
	DisplayName    string             `json:"displayName"`
	UniqueName     string             `json:"uniqueName"`
	IdentifierURIs []string           `json:"identifierUris"`
	Roles          []graphRole        `json:"appRoles"`
	API            struct {
		Scopes []graphScope `json:"oauth2PermissionScopes"`
	} `json:"api"`
}

func (a *graphApplication) application(tenant directory.TenantID) *directory.Application {
	return &directory.Application{
		Tenant: tenant, ID: a.ID, AppID: a.AppID, Name: a.DisplayName, DisplayName: a.DisplayName, UniqueName: a.UniqueName,
		IdentifierURIs: a.IdentifierURIs, AppRoles: roles(a.Roles), Scopes: scopes(a.API.Scopes),
	}
}

// A graphPrincipal is a service principal as Graph has it.
type graphPrincipal struct {
	ID          directory.ObjectID `json:"id"`
	AppID       directory.AppID    `json:"appId"`
	DisplayName string             `json:"displayName"`
	Type        string             `json:"servicePrincipalType"`
	Names       []string           `json:"servicePrincipalNames"`
	Enabled     bool               `json:"accountEnabled"`
	Roles       []graphRole        `json:"appRoles"`
	Scopes      []graphScope       `json:"oauth2PermissionScopes"`
}

func (p *graphPrincipal) principal(tenant directory.TenantID) *directory.ServicePrincipal {
	return &directory.ServicePrincipal{
		Tenant: tenant, ID: p.ID, AppID: p.AppID, Name: p.DisplayName, DisplayName: p.DisplayName,
		Type: directory.PrincipalType(p.Type), Enabled: p.Enabled,
	}
}

// api is the application behind a service principal, as far as that tells of it.
func (p *graphPrincipal) api(tenant directory.TenantID) *directory.Application {
	a := &directory.Application{
		Tenant: tenant, AppID: p.AppID, Name: p.DisplayName, DisplayName: p.DisplayName, AppRoles: roles(p.Roles), Scopes: scopes(p.Scopes),
	}
	for _, name := range p.Names {
		if !strings.EqualFold(name, string(p.AppID)) {
			a.IdentifierURIs = append(a.IdentifierURIs, name)
		}
	}
	return a
}

// A graphUser is a user as Graph has it.
type graphUser struct {
	ID            directory.ObjectID `json:"id"`
	PrincipalName string             `json:"userPrincipalName"`
	DisplayName   string             `json:"displayName"`
	Enabled       bool               `json:"accountEnabled"`
}

// read reads one thing; nil: it is not there.
func read[T any](ctx context.Context, g Remote, path, members string) (*T, error) {
	one := new(T)
	err := g.Client.Get(ctx, path+"?$select="+members, one)
	if graphclient.NotFound(err) {
		return nil, nil
	}
	return one, err
}

// among lists the things of a set that a filter is true of, a few of them.
func among[T any](ctx context.Context, g Remote, set, members, filter string) (all []*T, err error) {
	query := url.Values{"$select": {members}, "$filter": {filter}, "$top": {fmt.Sprint(readable)}}
	enough := errors.New("enough")
	err = g.Client.Each(ctx, set, query, func(found json.RawMessage) error {
		one := new(T)
		if err := json.Unmarshal(found, one); err != nil {
			return err
		}
		if all = append(all, one); len(all) == readable {
			return enough
		}
		return nil
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return all, err
}

// only is the one thing of several that a name means; nil: there is none.
func only[T any](all []*T, name string, id func(*T) string) (*T, error) {
	if len(all) < 2 {
		return append(all, nil)[0], nil
	}
	var ids []string
	for _, one := range all {
		ids = append(ids, id(one))
	}
	return nil, twins(name, ids)
}

func named(member, name string) string { return member + " eq " + Quoted(name) }

// Quoted is a text as expressions of OData have it.
func Quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// isURI reports whether a reference is written as identifier URIs are.
func isURI(ref string) bool { return strings.Contains(ref, ":") }

// application finds a registration; nil: there is none.
func (g Remote) application(ctx context.Context, ref string) (*graphApplication, error) {
	if guid.Is(ref) {
		for _, path := range []string{"applications(appId='" + ref + "')", "applications/" + ref} {
			if found, err := read[graphApplication](ctx, g, path, ofApplications); found != nil || err != nil {
				return found, err
			}
		}
		return nil, nil
	}
	filters := []string{named("displayName", ref)}
	if isURI(ref) {
		filters = []string{"identifierUris/any(u: u eq " + Quoted(ref) + ")", filters[0]}
	} else {
		filters = []string{named("uniqueName", ref), filters[0]}
	}
	for _, filter := range filters {
		all, err := among[graphApplication](ctx, g, "applications", ofApplications, filter)
		if err != nil {
			return nil, err
		}
		found, err := only(all, ref, func(a *graphApplication) string { return string(a.AppID) })
		if found != nil || err != nil {
			return found, err
		}
	}
	return nil, nil
}

// principal finds a service principal; nil: there is none.
func (g Remote) principal(ctx context.Context, ref string) (*graphPrincipal, error) {
	if guid.Is(ref) {
		for _, path := range []string{"servicePrincipals/" + ref, "servicePrincipals(appId='" + ref + "')"} {
			if found, err := read[graphPrincipal](ctx, g, path, ofPrincipals); found != nil || err != nil {
				return found, err
			}
		}
		return nil, nil
	}
	filter := named("displayName", ref)
	if isURI(ref) {
		filter = "servicePrincipalNames/any(n: n eq " + Quoted(ref) + ")"
	}
	all, err := among[graphPrincipal](ctx, g, "servicePrincipals", ofPrincipals, filter)
	if err != nil {
		return nil, err
	}
	return only(all, ref, func(p *graphPrincipal) string { return string(p.AppID) })
}

// FindPrincipal finds a service principal or a user by its name or any of its ids.
func (g Remote) FindPrincipal(ctx context.Context, ref string) (Principal, error) {
	p, err := g.principal(ctx, ref)
	if err != nil {
		return Principal{}, err
	}
	if p != nil {
		return Principal{Tenant: g.Tenant, Service: p.principal(g.Tenant.ID)}, nil
	}
	if guid.Is(ref) || strings.Contains(ref, "@") {
		u, err := read[graphUser](ctx, g, "users/"+url.PathEscape(ref), ofUsers)
		if err != nil {
			return Principal{}, err
		}
		if u != nil {
			return Principal{Tenant: g.Tenant, User: &directory.User{
				Tenant: g.Tenant.ID, ID: u.ID, PrincipalName: u.PrincipalName, DisplayName: u.DisplayName, Enabled: u.Enabled,
			}}, nil
		}
	}
	if app, err := g.application(ctx, ref); err != nil || app != nil { // by its registration's names
		if err != nil {
			return Principal{}, err
		}
		if p, err = g.principal(ctx, string(app.AppID)); err != nil {
			return Principal{}, err
		}
		if p == nil {
			return Principal{}, withoutPrincipal(app.DisplayName, g.Tenant)
		}
		return Principal{Tenant: g.Tenant, Service: p.principal(g.Tenant.ID)}, nil
	}
	return Principal{}, g.missing(ctx, "servicePrincipals", ref, "there is no application, managed identity or user %q", "`rolecall sp list` lists applications and managed identities, `rolecall user list` users")
}

// FindAPI finds an application that others may call by its name, an id or an identifier URI.
func (g Remote) FindAPI(ctx context.Context, ref string) (API, error) {
	p, err := g.principal(ctx, ref)
	if err != nil {
		return API{}, err
	}
	if p != nil && p.Type != string(directory.PrincipalManagedIdentity) {
		return API{p.api(g.Tenant.ID), g.Tenant}, nil
	}
	app, err := g.application(ctx, ref)
	if err != nil {
		return API{}, err
	}
	if app == nil {
		return API{}, g.missing(ctx, "applications", ref, "there is no application %q", "`rolecall app list` lists them")
	}
	return API{app.application(g.Tenant.ID), g.Tenant}, nil
}

// FindApplication finds a registration by its name, an id or an identifier URI.
func (g Remote) FindApplication(ctx context.Context, ref string) (API, error) {
	app, err := g.application(ctx, ref)
	if err != nil {
		return API{}, err
	}
	if app == nil { // its service principal's id is one of its own, too
		p, err := g.principal(ctx, ref)
		if err != nil {
			return API{}, err
		}
		if p != nil {
			if app, err = read[graphApplication](ctx, g, "applications(appId='"+string(p.AppID)+"')", ofApplications); err != nil {
				return API{}, err
			}
			if app == nil {
				return API{}, noRegistration(p.DisplayName)
			}
		}
	}
	if app == nil {
		return API{}, g.missing(ctx, "applications", ref, "there is no application %q", "`rolecall app list` lists them")
	}
	return API{app.application(g.Tenant.ID), g.Tenant}, nil
}

// FindRole finds the role that API/ROLE means. Both may contain slashes; the API with the
// longest name that has the role is meant.
func (g Remote) FindRole(ctx context.Context, command string, who Principal, arg string) (Role, error) {
	var closest *directory.Application
	var wanted string
	for cut := strings.LastIndexByte(arg, '/'); cut > 0; cut = strings.LastIndexByte(arg[:cut], '/') {
		p, err := g.principal(ctx, arg[:cut])
		if err != nil {
			return Role{}, err
		}
		if p == nil {
			continue
		}
		api := p.api(g.Tenant.ID)
		if role, ok := api.Role(arg[cut+1:]); ok {
			return Role{role, api, p.ID}, nil
		}
		if closest == nil {
			closest, wanted = api, arg[cut+1:]
		}
	}
	switch {
	case closest != nil:
		return Role{}, roleMissing(command, closest, who, wanted)
	case !strings.Contains(arg, "/"):
		return Role{}, noRoleNamed(arg)
	}
	return Role{}, g.missing(ctx, "applications", arg[:strings.LastIndexByte(arg, '/')], "there is no API %q", "name the API by its name, its app id or an identifier URI")
}

// missing says that there is nothing of a name, and what has nearly that name.
func (g Remote) missing(ctx context.Context, set, ref, format, fix string) error {
	if beginning := []rune(ref); len(beginning) >= 3 && !guid.Is(ref) {
		all, err := among[graphUser](ctx, g, set, "displayName", "startswith(displayName,"+Quoted(string(beginning[:3]))+")")
		if err == nil { // it only makes a message better
			var names []string
			for _, one := range all {
				names = append(names, one.DisplayName)
			}
			if near := directory.Nearest(slices.Compact(names), ref); len(near) > 0 {
				fix = directory.DidYouMean(near)
			}
		}
	}
	return notFound(fix, format, ref)
}
