package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

// An Instance is an application together with its service principal in one tenant. A
// managed identity has a principal only: its Application is nil. The credentials of both
// prove the client, so that Application has those of the principal too where a [Directory]
// made the instance; the registration itself is read with a [View].
type Instance struct {
	Application *Application
	Principal   *ServicePrincipal

	// roles are the values of the app roles that applications may hold now; nil when
	// this one was not made by a Directory.
	roles map[RoleID]string
}

// Tenant returns the tenant that a GUID (any case), a verified domain or a name names, or ErrNotFound.
func (d *Directory) Tenant(ctx context.Context, ref string) (*Tenant, error) {
	if len(ref) > maxKeyPart {
		return nil, ErrNotFound
	}
	key := cacheKey{"", KindTenant, tenantKey(ref)}
	if hit := d.cache.get(key); hit != nil {
		return answer[*Tenant](hit)
	}
	return load(ctx, d, key, func(ctx context.Context) (*Tenant, int64, error) {
		return lookupOne[Tenant](ctx, d.cfg.Store, key.tenant, key.kind, key.key)
	})
}

// Tenants returns all tenants, by name.
func (d *Directory) Tenants(ctx context.Context) ([]*Tenant, error) {
	key := cacheKey{"", KindTenant, "name/"}
	if hit := d.cache.get(key); hit != nil {
		return answer[[]*Tenant](hit)
	}
	return load(ctx, d, key, func(ctx context.Context) ([]*Tenant, int64, error) {
		return listAll[Tenant](ctx, d.cfg.Store, key.tenant, key.kind, key.key)
	})
}

// TenantsWith returns the ids of the tenants that have a service principal with the app id. It
// is for anonymous requests that name no tenant, each of which may name another app id, and
// asks the store each time.
func (d *Directory) TenantsWith(ctx context.Context, app AppID) ([]TenantID, error) {
	id, ok := guid.Parse(string(app))
	if !ok {
		return nil, nil
	}
	return d.cfg.Store.TenantsWith(ctx, KindServicePrincipal, makeKey("appid", id))
}

// Instance returns the application with that app id (any case) in the tenant, or
// ErrNotFound. Principal is nil when the application has no service principal there;
// Application is nil when the app id is that of a managed identity. [CLIAppID] is in every tenant.
func (d *Directory) Instance(ctx context.Context, tenant TenantID, app AppID) (*Instance, error) {
	id, ok := guid.Parse(string(app))
	if !ok {
		return nil, ErrNotFound
	}
	key := cacheKey{fold(string(tenant)), KindApplication, "appid/" + id}
	if hit := d.cache.get(key); hit != nil {
		return answer[*Instance](hit)
	}
	return load(ctx, d, key, func(ctx context.Context) (*Instance, int64, error) {
		return d.readInstance(ctx, key.tenant, key.key)
	})
}

// Resource returns the application that an identifier names as an API: its app id, or
// one of its identifier URIs. Case and one trailing slash do not matter. Resources of
// Microsoft's own are there without being registered; see [Builtin].
func (d *Directory) Resource(ctx context.Context, tenant TenantID, identifier string) (*Instance, error) {
	if len(identifier) > maxKeyPart {
		return nil, ErrNotFound
	}
	found, err := d.registered(ctx, tenant, identifier)
	if errors.Is(err, ErrNotFound) {
		return d.builtin(ctx, tenant, identifier)
	}
	return found, err
}

// registered is Resource for what the tenant registered by itself.
func (d *Directory) registered(ctx context.Context, tenant TenantID, identifier string) (*Instance, error) {
	app := AppID(foldURI(identifier))
	if _, is := guid.Parse(string(app)); !is {
		var err error
		if app, err = d.appID(ctx, tenant, makeKey("uri", string(app))); err != nil {
			return nil, err
		}
	}
	client, err := d.Instance(ctx, tenant, app)
	if err == nil && client.Application == nil {
		return nil, ErrNotFound // a managed identity is nobody's API
	}
	return client, err
}

// Named returns the application or managed identity that a name, an app id, an object id
// or the ARM id of a managed identity (case does not matter) names, or ErrNotFound.
func (d *Directory) Named(ctx context.Context, tenant TenantID, ref string) (*Instance, error) {
	if len(ref) > maxKeyPart {
		return nil, ErrNotFound
	}
	keys := []string{makeKey("name", fold(ref))}
	if id, is := guid.Parse(ref); is {
		found, err := d.Instance(ctx, tenant, AppID(id))
		if !errors.Is(err, ErrNotFound) {
			return found, err
		}
		keys[0] = makeKey("id", id)
	} else if strings.HasPrefix(ref, "/") {
		keys = append(keys, makeKey("arm", foldURI(ref)), makeKey("arm", foldURI(withSubscription(tenant, ref))))
	}
	for _, key := range keys {
		app, err := d.appID(ctx, tenant, key)
		if err == nil {
			return d.Instance(ctx, tenant, app)
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	return nil, ErrNotFound
}

// Identity is Named for managed identities alone.
func (d *Directory) Identity(ctx context.Context, tenant TenantID, ref string) (*Instance, error) {
	found, err := d.Named(ctx, tenant, ref)
	if err == nil && found.Application != nil {
		return nil, ErrNotFound
	}
	return found, err
}

// Roles returns the values of the enabled app roles of the resource that are assigned to
// the client and that applications may hold, sorted. Assigned reports whether the
// client has any assignment to the resource at all.
func (d *Directory) Roles(ctx context.Context, client, resource *Instance) (roles []string, assigned bool, err error) {
	if client.Principal == nil || resource.Principal == nil || client.Principal.Tenant != resource.Principal.Tenant {
		return nil, false, nil
	}
	ids, err := d.assignedRoles(ctx, client.Principal.ID, resource.Principal)
	if err != nil || len(ids) == 0 {
		return nil, false, err
	}
	offered := resource.roles
	if offered == nil {
		offered = offeredRoles(resource.Application)
	}
	for _, id := range ids {
		if value, ok := offered[id]; ok {
			roles = append(roles, value)
		}
	}
	slices.Sort(roles)
	return roles, true, nil
}

// UserRoles is Roles for a user: the enabled app roles of the resource that are assigned
// to the user and that users may hold.
func (d *Directory) UserRoles(ctx context.Context, user *User, resource *Instance) (roles []string, assigned bool, err error) {
	if resource.Principal == nil || resource.Application == nil || user.Tenant != resource.Principal.Tenant {
		return nil, false, nil
	}
	ids, err := d.assignedRoles(ctx, user.ID, resource.Principal)
	if err != nil || len(ids) == 0 {
		return nil, false, err
	}
	for _, role := range resource.Application.AppRoles {
		if role.Enabled && role.Value != "" && role.Allows(MemberUser) && slices.Contains(ids, role.ID) {
			roles = append(roles, role.Value)
		}
	}
	slices.Sort(roles)
	return roles, true, nil
}

// User returns the user that an object id or a user principal name names, or ErrNotFound.
func (d *Directory) User(ctx context.Context, tenant TenantID, ref string) (*User, error) {
	if len(ref) > maxKeyPart {
		return nil, ErrNotFound
	}
	key := cacheKey{fold(string(tenant)), KindUser, userKey(ref)}
	if hit := d.cache.get(key); hit != nil {
		return answer[*User](hit)
	}
	return load(ctx, d, key, func(ctx context.Context) (*User, int64, error) {
		return lookupOne[User](ctx, d.cfg.Store, key.tenant, key.kind, key.key)
	})
}

// assignedRoles returns the ids of the roles of a resource that somebody in its tenant holds.
func (d *Directory) assignedRoles(ctx context.Context, holder ObjectID, resource *ServicePrincipal) ([]RoleID, error) {
	key := cacheKey{string(resource.Tenant), KindAssignment, "principal/" + string(holder) + "/" + string(resource.ID) + "/"}
	if hit := d.cache.get(key); hit != nil {
		return answer[[]RoleID](hit)
	}
	return load(ctx, d, key, func(ctx context.Context) ([]RoleID, int64, error) {
		assignments, _, err := listAll[Assignment](ctx, d.cfg.Store, key.tenant, key.kind, key.key)
		ids := make([]RoleID, len(assignments))
		for i, a := range assignments {
			ids[i] = a.Role
		}
		return ids, 64 * int64(len(ids)), err
	})
}

// appID returns the app id of what has a key: a name, an identifier URI, an id.
func (d *Directory) appID(ctx context.Context, tenant TenantID, name string) (AppID, error) {
	key := cacheKey{fold(string(tenant)), KindApplication, name}
	if hit := d.cache.get(key); hit != nil {
		return answer[AppID](hit)
	}
	return load(ctx, d, key, func(ctx context.Context) (AppID, int64, error) {
		app, _, err := lookupOne[Application](ctx, d.cfg.Store, key.tenant, KindApplication, key.key)
		if err == nil {
			return app.AppID, 64, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return "", 0, err
		}
		principal, _, err := lookupOne[ServicePrincipal](ctx, d.cfg.Store, key.tenant, KindServicePrincipal, key.key)
		if err != nil {
			return "", 0, err
		}
		return principal.AppID, 64, nil
	})
}

// readInstance puts together what the store has under an app id. The two halves are read
// one after the other; a principal of another registration than the one read (it was
// deleted and made anew meanwhile) is none of its business.
func (d *Directory) readInstance(ctx context.Context, tenant, key string) (*Instance, int64, error) {
	app, appBytes, err := lookupOne[Application](ctx, d.cfg.Store, tenant, KindApplication, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, 0, err
	}
	principal, principalBytes, err := lookupOne[ServicePrincipal](ctx, d.cfg.Store, tenant, KindServicePrincipal, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, 0, err
	}
	switch {
	case app != nil && principal != nil && principal.Application != app.ID:
		principal = nil
	case app == nil && principal == nil && key == makeKey("appid", string(CLIAppID)):
		b, _ := FindBuiltin(string(CLIAppID))
		return b.In(TenantID(tenant)), 0, nil
	case app == nil && (principal == nil || principal.Type != PrincipalManagedIdentity):
		return nil, 0, ErrNotFound
	}
	return newInstance(app, principal), appBytes + principalBytes, nil
}

func newInstance(app *Application, principal *ServicePrincipal) *Instance {
	if app != nil && principal != nil && len(principal.Secrets)+len(principal.Certificates) > 0 {
		both := *app
		both.Secrets = slices.Concat(app.Secrets, principal.Secrets)
		both.Certificates = slices.Concat(app.Certificates, principal.Certificates)
		app = &both
	}
	return &Instance{Application: app, Principal: principal, roles: offeredRoles(app)}
}

// offeredRoles are the app roles that applications may hold now, by id.
func offeredRoles(app *Application) map[RoleID]string {
	if app == nil || len(app.AppRoles) == 0 {
		return nil
	}
	roles := make(map[RoleID]string, len(app.AppRoles))
	for _, role := range app.AppRoles {
		if role.Enabled && role.Value != "" && role.Allows(MemberApplication) {
			roles[role.ID] = role.Value
		}
	}
	return roles
}

// answer unpacks what the cache had.
func answer[T any](hit *cached) (T, error) {
	if hit.value == nil {
		var none T
		return none, ErrNotFound
	}
	return hit.value.(T), nil
}

// load asks the store and keeps the answer, also that there is none; but not an error,
// and not an answer that a change has overtaken.
func load[T any](ctx context.Context, d *Directory, key cacheKey, read func(context.Context) (T, int64, error)) (T, error) {
	epoch := d.cache.epoch(key)
	value, bytes, err := read(ctx)
	switch {
	case err == nil:
		d.cache.add(key, &cached{value: value, bytes: bytes}, epoch)
		return value, nil
	case errors.Is(err, ErrNotFound):
		d.cache.add(key, &cached{}, epoch)
		return value, ErrNotFound
	default:
		return value, fmt.Errorf("read the directory: %w", err)
	}
}

// decodedBytes is roughly what a decoded object takes: its strings, and the structures
// around them.
func decodedBytes(object Object) int64 { return 2*int64(len(object.Body)) + 200 }

func lookupOne[T any](ctx context.Context, store Store, tenant, kind, key string) (*T, int64, error) {
	object, err := store.Lookup(ctx, tenant, kind, key)
	if err != nil {
		return nil, 0, err
	}
	value, err := decode[T](object)
	return value, decodedBytes(object), err
}

func listAll[T any](ctx context.Context, store Store, tenant, kind, prefix string) (all []*T, bytes int64, err error) {
	objects, _, err := store.List(ctx, tenant, kind, prefix, "", 0)
	if err != nil {
		return nil, 0, err
	}
	all = make([]*T, len(objects))
	for i, object := range objects {
		if all[i], err = decode[T](object); err != nil {
			return nil, 0, err
		}
		bytes += decodedBytes(object)
	}
	return all, bytes, nil
}
