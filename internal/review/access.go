package review

import (
	"context"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// The kinds of principals that may call an API.
const (
	ByApplication = "application"
	ByIdentity    = "managedIdentity"
	ByUser        = "user"
	ByEveryone    = "everyone" // who signs in to the client
	ByAnyone      = "anyone"   // any application of the tenant
)

// An Access is one permission that somebody has of an API.
type Access struct {
	Tenant      string             `json:"tenant"`
	API         string             `json:"api"`
	APIAppID    directory.AppID    `json:"apiAppId"`
	Role        string             `json:"role,omitempty"`  // either
	Scope       string             `json:"scope,omitempty"` // or; neither: a token without any
	Principal   string             `json:"principal"`
	PrincipalID directory.ObjectID `json:"principalId,omitempty"`
	Kind        string             `json:"kind"`
	Client      string             `json:"client,omitempty"` // of a scope: who acts for the principal
	ID          directory.ObjectID `json:"id,omitempty"`     // of the assignment or grant
	Since       time.Time          `json:"since,omitzero"`
	// Idle says why it stands in no token now; empty: it does.
	Idle string `json:"idle,omitempty"`
}

// Permission is the role or the scope.
func (a Access) Permission() string { return a.Role + a.Scope }

// An AccessFilter chooses among what there is. Zero fields choose all.
type AccessFilter struct {
	API    *directory.Application      // what may be called
	Client *directory.ServicePrincipal // who may call: an application or a managed identity
	User   *directory.User             // or a user
	Open   bool                        // with a row for each API that anyone may call
}

// Access lets f see who may call what.
func (r *Reviewer) Access(ctx context.Context, filter AccessFilter, f func(Access) error) error {
	v := r.Directory.View(ctx)
	for _, tenant := range r.Tenants {
		w := &accessWalk{ctx: ctx, view: v, tenant: tenant, filter: filter, yield: f, principals: map[directory.ObjectID]*directory.ServicePrincipal{}, users: map[directory.ObjectID]*directory.User{}}
		if err := w.walk(); err != nil {
			return err
		}
	}
	return nil
}

// An accessWalk goes through the APIs of one tenant.
type accessWalk struct {
	ctx    context.Context // of the one Access
	view   *directory.View
	tenant *directory.Tenant
	filter AccessFilter
	yield  func(Access) error
	// Those that were looked up, a few at a time.
	principals map[directory.ObjectID]*directory.ServicePrincipal
	users      map[directory.ObjectID]*directory.User
}

// walk begins at the end that has less.
func (w *accessWalk) walk() error {
	switch {
	case w.filter.Client != nil:
		return w.held(w.filter.Client.ID, true)
	case w.filter.User != nil:
		return w.held(w.filter.User.ID, false)
	case w.filter.API != nil:
		p, err := present(w.view.ServicePrincipals().FindAPI(w.tenant.ID, w.filter.API.AppID))
		if p == nil || err != nil {
			return err
		}
		return w.api(w.filter.API, p)
	}
	return each(w.view.ServicePrincipals(), w.tenant.ID, w.resource)
}

// held goes through what a client, or a user, has.
func (w *accessWalk) held(holder directory.ObjectID, client bool) error {
	assignments, err := w.view.Assignments().AllOf(w.tenant.ID, holder)
	if err != nil {
		return err
	}
	for _, a := range assignments {
		if err := w.ofAPI(a.Resource, func(base Access, app *directory.Application) error { return w.assignment(base, app, a) }); err != nil {
			return err
		}
	}
	list := func(q directory.Query) (directory.Page[directory.DelegatedGrant], error) {
		if client {
			return w.view.DelegatedGrants().Of(w.tenant.ID, holder, q)
		}
		return w.view.DelegatedGrants().For(w.tenant.ID, holder, q)
	}
	grants, err := list(directory.Query{})
	if err != nil {
		return err
	}
	for _, g := range grants.Items {
		if err := w.ofAPI(g.Resource, func(base Access, app *directory.Application) error { return w.grant(base, app, g) }); err != nil {
			return err
		}
	}
	return nil
}

// ofAPI begins a row about the API with a service principal, if it is one that is asked for.
func (w *accessWalk) ofAPI(id directory.ObjectID, f func(Access, *directory.Application) error) error {
	if builtin, is := directory.FindBuiltinPrincipal(w.tenant.ID, id); is {
		if w.filter.API != nil && w.filter.API.AppID != builtin.Application.AppID {
			return nil
		}
		return f(w.base(builtin.Application, builtin.Principal), builtin.Application)
	}
	p, err := w.principal(id)
	if p == nil || err != nil {
		return err
	}
	if w.filter.API != nil && w.filter.API.AppID != p.AppID {
		return nil
	}
	app, err := apiOf(w.view, p)
	if app == nil || err != nil {
		return err
	}
	return f(w.base(app, p), app)
}

func (w *accessWalk) base(app *directory.Application, p *directory.ServicePrincipal) Access {
	base := Access{Tenant: w.tenant.Name, API: app.Label(), APIAppID: app.AppID}
	if !p.Enabled {
		base.Idle = "the API is disabled"
	}
	return base
}

// resource goes through what others have of one API.
func (w *accessWalk) resource(p *directory.ServicePrincipal) error {
	if p.Type != directory.PrincipalApplication {
		return nil
	}
	app, err := apiOf(w.view, p)
	if app == nil || err != nil {
		return err
	}
	return w.api(app, p)
}

func (w *accessWalk) api(app *directory.Application, p *directory.ServicePrincipal) error {
	base := w.base(app, p)
	assigned := 0
	assignments := toResource[directory.Assignment]{w.view.Assignments(), p.ID}
	err := each(assignments, w.tenant.ID, func(a *directory.Assignment) error {
		assigned++
		return w.assignment(base, app, a)
	})
	if err != nil {
		return err
	}
	grants := toResource[directory.DelegatedGrant]{w.view.DelegatedGrants(), p.ID}
	if err := each(grants, w.tenant.ID, func(g *directory.DelegatedGrant) error { return w.grant(base, app, g) }); err != nil {
		return err
	}
	if !w.filter.Open || !isOpen(app, p, assigned) {
		return nil
	}
	base.Principal, base.Kind = "any application of the tenant", ByAnyone
	return w.yield(base)
}

// A toResource lists the relations to one API.
type toResource[T any] struct {
	all interface {
		To(directory.TenantID, directory.ObjectID, directory.Query) (directory.Page[T], error)
	}
	resource directory.ObjectID
}

// List is that of a lister.
func (t toResource[T]) List(tenant directory.TenantID, q directory.Query) (directory.Page[T], error) {
	return t.all.To(tenant, t.resource, q)
}

func (w *accessWalk) assignment(base Access, app *directory.Application, a *directory.Assignment) error {
	base.ID, base.Since, base.PrincipalID, base.Role = a.ID, a.Created, a.Principal, string(a.Role)
	if role, ok := app.Role(string(a.Role)); ok {
		base.Role = role.Value
		if !role.Enabled {
			base.Idle = "the role is disabled"
		}
	}
	principal, err := w.principal(a.Principal)
	if err != nil {
		return err
	}
	if principal == nil {
		return w.userRow(base, a.Principal)
	}
	base.Principal, base.Kind = principal.Label(), ByApplication
	if principal.Type == directory.PrincipalManagedIdentity {
		base.Kind = ByIdentity
	}
	if !principal.Enabled {
		base.Idle = "the principal is disabled"
	}
	return w.yield(base)
}

func (w *accessWalk) grant(base Access, app *directory.Application, g *directory.DelegatedGrant) error {
	client, err := w.principal(g.Client)
	if client == nil || err != nil {
		return err
	}
	base.ID, base.Since, base.Client = g.ID, g.Created, client.Label()
	if !client.Enabled {
		base.Idle = "the client is disabled"
	}
	for _, value := range g.Scopes {
		row := base
		row.Scope = value
		if scope, ok := app.Scope(value); !ok || !scope.Enabled {
			row.Idle = "the scope is disabled"
		}
		if g.Principal == "" {
			row.Principal, row.Kind = "every user", ByEveryone
			err = w.yield(row)
		} else {
			row.PrincipalID = g.Principal
			err = w.userRow(row, g.Principal)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// userRow completes a row that is a user's. Whose is gone has none.
func (w *accessWalk) userRow(row Access, id directory.ObjectID) error {
	user, err := cached(w.users, id, func() (*directory.User, error) { return present(w.view.Users().Get(w.tenant.ID, id)) })
	if user == nil || err != nil {
		return err
	}
	row.Principal, row.Kind = user.PrincipalName, ByUser
	if !user.Enabled {
		row.Idle = "the user is disabled"
	}
	return w.yield(row)
}

func (w *accessWalk) principal(id directory.ObjectID) (*directory.ServicePrincipal, error) {
	return cached(w.principals, id, func() (*directory.ServicePrincipal, error) {
		return present(w.view.ServicePrincipals().Get(w.tenant.ID, id))
	})
}

// cached remembers some of what was looked up.
func cached[T any](kept map[directory.ObjectID]*T, id directory.ObjectID, find func() (*T, error)) (*T, error) {
	if found, known := kept[id]; known {
		return found, nil
	}
	found, err := find()
	if err != nil {
		return nil, err
	}
	if len(kept) >= 10*page {
		clear(kept)
	}
	kept[id] = found
	return found, nil
}

// An Open is an API that any application of its tenant gets tokens for, without a role.
type Open struct {
	Tenant string             `json:"tenant"`
	API    string             `json:"api"`
	AppID  directory.AppID    `json:"appId"`
	ID     directory.ObjectID `json:"id"`    // of its service principal
	Roles  int                `json:"roles"` // app roles that it offers
	Fix    string             `json:"fix"`
}

// Open returns the APIs that demand no assignment and of which nobody holds a role: whether
// their code looks at roles or not, it lets in everybody or nobody.
func (r *Reviewer) Open(ctx context.Context) ([]Open, error) {
	v := r.Directory.View(ctx)
	open := []Open{}
	for _, tenant := range r.Tenants {
		err := each(v.ServicePrincipals(), tenant.ID, func(p *directory.ServicePrincipal) error {
			if p.Type != directory.PrincipalApplication || p.AssignmentRequired || !p.Enabled {
				return nil
			}
			app, err := apiOf(v, p)
			if app == nil || err != nil {
				return err
			}
			assigned, err := v.Assignments().To(tenant.ID, p.ID, directory.Query{Limit: 1})
			if err != nil || !isOpen(app, p, len(assigned.Items)) {
				return err
			}
			open = append(open, Open{
				Tenant: tenant.Name, API: app.Label(), AppID: app.AppID, ID: p.ID, Roles: len(app.AppRoles),
				Fix: fmt.Sprintf("Set assignmentRequired: true for %s (rolecall sp update %s --app-role-assignment-required), or let it demand an app role and grant that.", app.Label(), app.AppID),
			})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return open, nil
}

// isOpen reports whether any application gets a token for the API that nothing tells from
// another's. What has no identifier and offers nothing is a client, and no API.
func isOpen(app *directory.Application, p *directory.ServicePrincipal, assigned int) bool {
	return p.Enabled && !p.AssignmentRequired && assigned == 0 && len(app.IdentifierURIs)+len(app.AppRoles)+len(app.Scopes) > 0
}
