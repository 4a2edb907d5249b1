package resolve

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A Resolver finds what requests name. It is safe for concurrent use.
type Resolver struct {
	directory *directory.Directory
	maxStale  time.Duration
	places    map[string]directory.AppID
}

// New returns a resolver that goes by a view of the directory that is at most so old. Places
// are URLs at which built-in resources are answered here, which name them as their own
// identifiers do.
func New(d *directory.Directory, maxStale time.Duration, places map[string]directory.AppID) *Resolver {
	r := &Resolver{directory: d, maxStale: maxStale, places: map[string]directory.AppID{}}
	for url, app := range places {
		r.places[place(url)] = app
	}
	return r
}

// place is a URL without what makes no difference to where it leads.
func place(url string) string { return strings.ToLower(strings.TrimSuffix(url, "/")) }

// Fresh runs a check that rests on the directory and, when it refuses, once more if the
// directory had fallen behind: no refusal rests on a stale view.
func Fresh[T any](ctx context.Context, d *directory.Directory, check func() (T, error)) (T, error) {
	value, err := check()
	if err == nil || aadsts.Of(err).Code == aadsts.CodeThrottled {
		return value, err
	}
	if changed, failed := d.Refresh(ctx); failed != nil || !changed {
		return value, err
	}
	return check()
}

// Tenant returns the tenant that a path names by id, domain or name.
func (r *Resolver) Tenant(ctx context.Context, ref string) (*directory.Tenant, error) {
	return Fresh(ctx, r.directory, func() (*directory.Tenant, error) { return r.findTenant(ctx, ref) })
}

func (r *Resolver) findTenant(ctx context.Context, ref string) (*directory.Tenant, error) {
	switch strings.ToLower(ref) {
	case AliasCommon, aliasConsumers, ConsumersTenant:
		return nil, aadsts.Tenantless(ref)
	case AliasOrganizations:
		return nil, aadsts.SingleTenant(ref)
	}
	if !IsTenantName(ref) {
		return nil, aadsts.TenantName(ref)
	}
	tenant, err := r.directory.Tenant(ctx, ref)
	switch {
	case err == nil && tenant.Enabled:
		return tenant, nil
	case err == nil:
		return nil, aadsts.TenantDisabled(ref)
	case !errors.Is(err, directory.ErrNotFound):
		return nil, err
	case guid.Is(ref) || strings.Contains(ref, "."):
		return nil, aadsts.TenantUnknown(ref)
	}
	return nil, aadsts.TenantName(ref)
}

// TenantOfClient returns the home tenant of the client, where a path names an alias and the user,
// whose tenant it should be, is not known yet. It costs one look at the store: anybody may ask,
// for app ids that nobody ever asked for.
func (r *Resolver) TenantOfClient(ctx context.Context, alias, id string) (*directory.Tenant, error) {
	home, err := r.homeOfClient(ctx, id)
	if err != nil {
		return nil, err
	}
	if home != nil && home.Enabled {
		if _, err := r.ClientNow(ctx, home, id); err == nil {
			return home, nil
		}
	}
	switch {
	case id == "":
		return nil, aadsts.Missing("client_id")
	case !guid.Is(id):
		return nil, aadsts.ClientNoGUID(alias)
	}
	return nil, aadsts.ClientUnknown(id, alias)
}

// homeOfClient returns the tenant that registered an app id before any other did, nil when none
// did: one that bears the id later, wherever, never answers in its place, not even while the home
// tenant is disabled.
func (r *Resolver) homeOfClient(ctx context.Context, id string) (home *directory.Tenant, err error) {
	with, err := r.directory.TenantsWith(ctx, directory.AppID(id))
	everywhere := strings.EqualFold(id, string(directory.CLIAppID))
	if err != nil || len(with) == 0 && !everywhere {
		return nil, err
	}
	tenants, err := r.directory.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	if everywhere { // any tenant can keep its request until the user is known
		i := slices.IndexFunc(tenants, func(t *directory.Tenant) bool { return t.Enabled })
		if i < 0 {
			return nil, nil //nolint:nilnil // as where none registered it
		}
		return tenants[i], nil
	}
	var since time.Time
	for _, tenant := range tenants {
		if _, has := slices.BinarySearch(with, tenant.ID); !has {
			continue
		}
		client, err := r.directory.Instance(ctx, tenant.ID, directory.AppID(strings.ToLower(id)))
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			return nil, err
		}
		if err != nil || client.Application == nil {
			continue
		}
		if registered := client.Application.Created; home == nil || registered.Before(since) {
			home, since = tenant, registered
		}
	}
	return home, nil
}

// Home returns the tenant that has the domain of a user's name.
func (r *Resolver) Home(ctx context.Context, name string) (*directory.Tenant, error) {
	_, domain, _ := strings.Cut(name, "@")
	if domain == "" {
		return nil, aadsts.UserHome(name)
	}
	tenant, err := r.Tenant(ctx, domain)
	switch {
	case err != nil && aadsts.Of(err).IsOutage():
		return nil, err
	case err != nil || !HasDomain(tenant, domain):
		return nil, aadsts.UserHome(name)
	}
	return tenant, nil
}

// HasDomain reports whether a domain is one of the tenant's.
func HasDomain(tenant *directory.Tenant, domain string) bool {
	for _, d := range tenant.Domains {
		if strings.EqualFold(d, domain) {
			return true
		}
	}
	return false
}

// Client returns the client of that id, if it may ask for anything.
func (r *Resolver) Client(ctx context.Context, tenant *directory.Tenant, id string) (*directory.Instance, error) {
	return Fresh(ctx, r.directory, func() (*directory.Instance, error) { return r.ClientNow(ctx, tenant, id) })
}

// ClientNow is Client for a check that is itself repeated by [Fresh], or whose outcome is no
// refusal.
func (r *Resolver) ClientNow(ctx context.Context, tenant *directory.Tenant, id string) (*directory.Instance, error) {
	if !guid.Is(id) {
		if guid.Is(strings.TrimRight(id, "\r\n")) { // no secret: it can be shown
			return nil, aadsts.ClientUnknown(id, tenant.Name)
		}
		return nil, aadsts.ClientNoGUID(tenant.Name)
	}
	client, err := r.directory.Instance(ctx, tenant.ID, directory.AppID(strings.ToLower(id)))
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, aadsts.ClientUnknown(id, tenant.Name)
	case err != nil:
		return nil, err
	case client.Principal == nil:
		return nil, aadsts.ClientAbsent(id, tenant.Name)
	case !client.Principal.Enabled:
		return nil, aadsts.ClientDisabled(id)
	}
	return client, nil
}

// ResourceNow returns the API that an identifier names, if tokens for it may be issued. It
// is for a check that is itself repeated by [Fresh].
func (r *Resolver) ResourceNow(ctx context.Context, tenant *directory.Tenant, identifier string) (*directory.Instance, error) {
	bare, _ := scope.CutSPN(identifier)
	if app, is := r.places[place(bare)]; is { // before what a tenant registered: who asks for it means this server
		bare = string(app)
	}
	resource, err := r.directory.Resource(ctx, tenant.ID, bare)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, aadsts.ResourceUnknown(identifier, tenant.Name)
	case err != nil:
		return nil, err
	case resource.Principal == nil:
		return nil, aadsts.ResourceUnknown(identifier, tenant.Name)
	case !resource.Principal.Enabled:
		return nil, aadsts.ResourceDisabled(identifier)
	}
	return resource, nil
}

// User returns a user who may sign in and passes a check.
func (r *Resolver) User(ctx context.Context, tenant *directory.Tenant, id directory.ObjectID, check func(*directory.User) error) (*directory.User, error) {
	return Fresh(ctx, r.directory, func() (*directory.User, error) {
		user, err := r.directory.User(ctx, tenant.ID, string(id))
		switch {
		case errors.Is(err, directory.ErrNotFound):
			return nil, aadsts.UserUnknown(string(id))
		case err != nil:
			return nil, err
		case !user.Enabled:
			return nil, aadsts.UserDisabled(user.PrincipalName)
		}
		return user, check(user)
	})
}

// SessionUser returns the user of a session that began at a time. A session that was revoked
// since, and one of another user who had the same id, is refused.
func (r *Resolver) SessionUser(ctx context.Context, tenant *directory.Tenant, id directory.ObjectID, began time.Time) (*directory.User, error) {
	return r.User(ctx, tenant, id, func(user *directory.User) error {
		if !user.SessionCounts(began) {
			return aadsts.Revoked()
		}
		return nil
	})
}
