package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// DeletedKept is how long what was discarded can be restored.
const DeletedKept = 30 * 24 * time.Hour

// DeletedView reads what was discarded. What has been so for longer than DeletedKept is not
// there, whether or not it was removed already.
type DeletedView struct{ Objects[Deleted] }

// Of returns a page of the discarded things of one kind (KindApplication, KindServicePrincipal,
// KindUser), in the order of their ids. Query.Prefix is of no effect.
func (d DeletedView) Of(tenant TenantID, kind string, q Query) (Page[Deleted], error) {
	return d.under(tenant, makePrefix("kind", kind), q)
}

// A DeletedEditor reads, restores and purges what was discarded.
type DeletedEditor struct {
	DeletedView
	*editor
}

func (d *Deleted) target() target {
	t := target{kind: KindDeleted, tenant: d.Tenant, id: string(d.ID)}
	switch {
	case d.Application != nil:
		t.name = d.Application.ref()
	case d.Principal != nil:
		t.name = d.Principal.ref()
	case d.User != nil:
		t.name = d.User.PrincipalName
	}
	return t
}

// Called names what was discarded, with its kind: "the application orders".
func (d *Deleted) Called() string {
	kind := map[string]string{KindApplication: "application", KindServicePrincipal: "service principal", KindUser: "user"}[d.Kind]
	return fmt.Sprintf("the %s %s", kind, d.target().name)
}

// as is the target in words about what was discarded.
func (d *Deleted) as() target {
	t := d.target()
	t.kind = d.Kind
	return t
}

// noun is what discarding, restoring and purging take a right to.
func (d *Deleted) noun() Noun {
	return map[string]Noun{KindApplication: Applications, KindServicePrincipal: ServicePrincipals, KindUser: Users}[d.Kind]
}

// Discard deletes a registration with its service principal as Delete does, and keeps all of it
// for a while, in which it can be restored. Nobody gets a token meanwhile, and nobody else its
// ids and identifier URIs.
func (e ApplicationEditor) Discard(tenant TenantID, id ObjectID) (*Deleted, error) {
	return acting(e.editor, Delete, Applications, func() (*Deleted, error) {
		app, err := e.get(tenant, id)
		if err != nil {
			return nil, err
		}
		if err := e.version.check(app.version); err != nil {
			return nil, err
		}
		gone := &Deleted{ID: app.value.ID, Tenant: app.value.Tenant, Kind: KindApplication, Application: app.value}
		principal, err := e.principals().of(app.value)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return nil, err
		default:
			if err := e.gather(gone, principal.value); err != nil {
				return nil, err
			}
			if err := e.principals().delete(principal); err != nil {
				return nil, err
			}
			if app, err = e.get(tenant, id); err != nil { // it may have been the principal's own
				return nil, err
			}
		}
		if err := e.remove(app.value, app.version); err != nil {
			return nil, err
		}
		return gone, e.keep(gone)
	})
}

// Discard deletes the service principal of an application as Delete does, and keeps all of it for
// a while, in which it can be restored. Managed identities go for good, as in Entra.
func (e PrincipalEditor) Discard(tenant TenantID, id ObjectID) (*Deleted, error) {
	return acting(e.editor, Delete, ServicePrincipals, func() (*Deleted, error) {
		found, err := e.get(tenant, id)
		if err != nil {
			return nil, err
		}
		if err := e.version.check(found.version); err != nil {
			return nil, err
		}
		p := found.value
		if p.Type == PrincipalManagedIdentity {
			return nil, &RuleError{Field: "type", What: fmt.Sprintf("%s is a managed identity, and cannot be restored once it is deleted.", p.ref()), Advice: "Delete it for good."}
		}
		gone := &Deleted{ID: p.ID, Tenant: p.Tenant, Kind: KindServicePrincipal}
		if err := e.gather(gone, p); err != nil {
			return nil, err
		}
		if err := e.delete(found); err != nil {
			return nil, err
		}
		return gone, e.keep(gone)
	})
}

// Discard deletes a user as Delete does, and keeps all of it for a while, in which the user can
// be restored.
func (e UserEditor) Discard(tenant TenantID, id ObjectID) (*Deleted, error) {
	return acting(e.editor, Delete, Users, func() (*Deleted, error) {
		found, err := e.get(tenant, id)
		if err != nil {
			return nil, err
		}
		user := found.value
		if err := e.version.check(found.version); err != nil {
			return nil, err
		}
		gone := &Deleted{ID: user.ID, Tenant: user.Tenant, Kind: KindUser, User: user}
		if err := e.gatherOf(gone, user.ID, "principal"); err != nil {
			return nil, err
		}
		if err := e.delete(found); err != nil {
			return nil, err
		}
		return gone, e.keep(gone)
	})
}

// gather notes a service principal and what goes with it.
func (e *editor) gather(gone *Deleted, p *ServicePrincipal) error {
	gone.Principal = p
	return e.gatherOf(gone, p.ID, "client")
}

// gatherOf notes the assignments, grants and possessions of somebody. Grants are found in a space
// of keys, and by their resource.
func (e *editor) gatherOf(gone *Deleted, id ObjectID, space string) error {
	for _, side := range []string{"principal", "resource"} {
		rows, err := list[Assignment](e, gone.Tenant, KindAssignment, makePrefix(side, string(id)))
		if err != nil {
			return err
		}
		for _, a := range rows {
			if !slices.ContainsFunc(gone.Assignments, func(other Assignment) bool { return other.ID == a.value.ID }) {
				gone.Assignments = append(gone.Assignments, *a.value)
			}
		}
	}
	for _, side := range []string{space, "resource"} {
		rows, err := list[DelegatedGrant](e, gone.Tenant, KindDelegatedGrant, makePrefix(side, string(id)))
		if err != nil {
			return err
		}
		for _, g := range rows {
			if !slices.ContainsFunc(gone.Grants, func(other DelegatedGrant) bool { return other.ID == g.value.ID }) {
				gone.Grants = append(gone.Grants, *g.value)
			}
		}
	}
	applications, err := list[Application](e, gone.Tenant, KindApplication, makePrefix("owner", string(id)))
	if err != nil {
		return err
	}
	for _, app := range applications {
		gone.OwnApplications = append(gone.OwnApplications, app.value.ID)
	}
	principals, err := list[ServicePrincipal](e, gone.Tenant, KindServicePrincipal, makePrefix("owner", string(id)))
	if err != nil {
		return err
	}
	for _, p := range principals {
		gone.OwnPrincipals = append(gone.OwnPrincipals, p.value.ID)
	}
	return nil
}

// keep stores what was discarded.
func (e *editor) keep(gone *Deleted) error {
	gone.Deleted, gone.Until = e.now, e.now.Add(DeletedKept)
	if err := e.put(gone, 0); err != nil {
		return err
	}
	return e.record("discard", gone.as(), "can be restored until "+shownTime(gone.Until))
}

// Restore brings back what was discarded, with its credentials, and with those assignments,
// grants and owners whose other side is there. Where a name is taken meanwhile, it says so and
// changes nothing.
func (e DeletedEditor) Restore(tenant TenantID, id ObjectID) (*Deleted, error) {
	found, err := e.get(tenant, id)
	if err != nil {
		return nil, err
	}
	return acting(e.editor, Create, found.value.noun(), func() (*Deleted, error) {
		gone := found.value
		if err := e.remove(gone, found.version); err != nil {
			return nil, err
		}
		for _, step := range []func(*Deleted) error{e.restoreApplication, e.restorePrincipal, e.restoreUser, e.restoreAssignments, e.restoreGrants, e.restorePossessions} {
			if err := step(gone); err != nil {
				return nil, err
			}
		}
		return gone, e.record("restore", gone.as(), "")
	})
}

func (e DeletedEditor) restoreApplication(gone *Deleted) error {
	if gone.Application == nil {
		return nil
	}
	app := *gone.Application
	app.Stored = Stored{}
	editor := e.applications()
	if err := editor.checkNewIDs(&app); err != nil {
		return err
	}
	var err error
	if app.Owners, err = e.present(app.Owners, app.target(), gone); err != nil {
		return err
	}
	if err := editor.checkApplication(&app, &app); err != nil {
		return err
	}
	gone.Application = &app
	return e.put(&app, 0)
}

func (e DeletedEditor) restorePrincipal(gone *Deleted) error {
	if gone.Principal == nil {
		return nil
	}
	p := *gone.Principal
	p.Stored = Stored{}
	app, err := e.applications().byAppID(p.Tenant, p.AppID)
	if errors.Is(err, ErrNotFound) || err == nil && app.value.ID != p.Application {
		return &RuleError{Field: "appId", What: fmt.Sprintf("The application of the service principal %s is gone.", p.ref()), Advice: "Restore the application first.", Cause: ErrNotFound}
	}
	if err != nil {
		return err
	}
	p.Name, p.DisplayName = app.value.Name, app.value.DisplayName
	if err := e.principals().checkPrincipalFree(&p); err != nil {
		return err
	}
	if p.Owners, err = e.present(p.Owners, p.target(), gone); err != nil {
		return err
	}
	gone.Principal = &p
	return e.put(&p, 0)
}

func (e DeletedEditor) restoreUser(gone *Deleted) error {
	if gone.User == nil {
		return nil
	}
	user := *gone.User
	user.Stored = Stored{}
	user.SessionsFrom = e.now // sessions from before have ended
	tenant, err := e.tenantByID(user.Tenant)
	if err != nil {
		return err
	}
	if err := e.users().checkUser(tenant, &user); err != nil {
		return err
	}
	gone.User = &user
	return e.put(&user, 0)
}

// present are those owners who are there, or are about to be. Those who were discarded too get
// what they own back with their own return.
func (e DeletedEditor) present(owners []ObjectID, owned target, gone *Deleted) (there []ObjectID, err error) {
	for _, owner := range owners {
		_, err := e.assignments().holderOf(owned.tenant, owner)
		if err == nil || gone.Principal != nil && gone.Principal.ID == owner {
			there = append(there, owner)
			continue
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		err = e.changeDiscarded(owned.tenant, owner, func(waiting *Deleted) {
			if owned.kind == KindApplication {
				waiting.OwnApplications = append(waiting.OwnApplications, ObjectID(owned.id))
			} else {
				waiting.OwnPrincipals = append(waiting.OwnPrincipals, ObjectID(owned.id))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return there, nil
}

// changeDiscarded changes what was discarded, if the id is that of such a thing.
func (e DeletedEditor) changeDiscarded(tenant TenantID, id ObjectID, f func(*Deleted)) error {
	found, err := e.discarded(tenant, id)
	if err != nil {
		return ignoreNotFound(err)
	}
	f(found.value)
	return e.put(found.value, found.version)
}

// restoreAssignments brings back the assignments of roles that are there. One whose other side
// was discarded too comes back with that.
func (e DeletedEditor) restoreAssignments(gone *Deleted) error {
	for _, a := range gone.Assignments {
		a.Stored = Stored{}
		ends, err := e.ends(gone, a.Principal, a.Resource)
		if err != nil {
			return err
		}
		if ends.waiting != nil {
			ends.waiting.value.Assignments = append(ends.waiting.value.Assignments, a)
			if err := e.put(ends.waiting.value, ends.waiting.version); err != nil {
				return err
			}
			continue
		}
		if ends.api == nil {
			continue
		}
		role, ok := ends.api.Application.Role(string(a.Role))
		if !ok {
			continue
		}
		if err := e.put(&a, 0); err != nil {
			return err
		}
		if err := e.record("create", assignmentTarget(&a, string(a.Principal), ends.api.Principal, role.Value), "restored"); err != nil {
			return err
		}
	}
	return nil
}

// restoreGrants is restoreAssignments for delegated grants.
func (e DeletedEditor) restoreGrants(gone *Deleted) error {
	for _, g := range gone.Grants {
		g.Stored = Stored{}
		ids := []ObjectID{g.Client, g.Resource}
		if g.Principal != "" {
			ids = append(ids, g.Principal)
		}
		ends, err := e.ends(gone, ids...)
		if err != nil {
			return err
		}
		if ends.waiting != nil {
			ends.waiting.value.Grants = append(ends.waiting.value.Grants, g)
			if err := e.put(ends.waiting.value, ends.waiting.version); err != nil {
				return err
			}
			continue
		}
		if ends.api == nil {
			continue
		}
		g.Scopes = slices.DeleteFunc(slices.Clone(g.Scopes), func(value string) bool {
			return !slices.ContainsFunc(ends.api.Application.Scopes, func(s Scope) bool { return s.Value == value })
		})
		if len(g.Scopes) == 0 {
			continue
		}
		if err := e.put(&g, 0); err != nil {
			return err
		}
		if err := e.record("create", e.grants().describe(&g), "restored: "+strings.Join(g.Scopes, " ")); err != nil {
			return err
		}
	}
	return nil
}

// ends are what stands at the ends of an assignment or a grant that is about to come back.
type ends struct {
	api     *Instance     // the resource; nil when an end is gone for good
	waiting *row[Deleted] // an end that was discarded itself
}

// ends looks for those who hold something, and for the resource, which is the second of the ids.
// Somebody who bears the id of one who was there then is not meant.
func (e DeletedEditor) ends(gone *Deleted, ids ...ObjectID) (found ends, err error) {
	for i, id := range ids {
		created, err := e.createdOf(gone.Tenant, id)
		if err == nil && created.After(gone.Deleted) {
			return ends{}, nil
		}
		if errors.Is(err, ErrNotFound) {
			waiting, err := e.discarded(gone.Tenant, id)
			if errors.Is(err, ErrNotFound) {
				return ends{}, nil
			}
			return ends{waiting: &waiting}, err
		}
		if err == nil && i == 1 {
			found.api, err = e.resource(gone.Tenant, id, "permissions")
		}
		if err != nil {
			return ends{}, err
		}
	}
	return found, nil
}

// createdOf returns when a service principal or a user was created; a built-in one was always there.
func (e DeletedEditor) createdOf(tenant TenantID, id ObjectID) (time.Time, error) {
	principal, err := e.principals().get(tenant, id)
	if err == nil {
		return principal.value.Created, nil
	}
	if !errors.Is(err, ErrNotFound) || builtinWith(tenant, id) != nil {
		return time.Time{}, ignoreNotFound(err)
	}
	user, err := e.users().get(tenant, id)
	if err != nil {
		return time.Time{}, err
	}
	return user.value.Created, nil
}

func ignoreNotFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// discarded finds what was discarded by its id, or by that of its service principal.
func (e *editor) discarded(tenant TenantID, id ObjectID) (row[Deleted], error) {
	found, err := lookup[Deleted](e, tenant, KindDeleted, makeKey("id", string(id)))
	if errors.Is(err, ErrNotFound) {
		return lookup[Deleted](e, tenant, KindDeleted, makeKey("part", string(id)))
	}
	return found, err
}

// restorePossessions makes somebody an owner again of what is there.
func (e DeletedEditor) restorePossessions(gone *Deleted) error {
	owner := gone.ID
	if gone.Principal != nil {
		owner = gone.Principal.ID
	}
	for _, id := range gone.OwnApplications {
		err := e.applications().AddOwner(gone.Tenant, id, owner)
		if errors.Is(err, ErrNotFound) {
			err = e.changeDiscarded(gone.Tenant, id, func(waiting *Deleted) {
				if app := waiting.Application; app != nil {
					app.Owners = append(app.Owners, owner)
				}
			})
		}
		if err != nil && !errors.Is(err, ErrDuplicate) {
			return err
		}
	}
	for _, id := range gone.OwnPrincipals {
		err := e.principals().AddOwner(gone.Tenant, id, owner)
		if errors.Is(err, ErrNotFound) {
			err = e.changeDiscarded(gone.Tenant, id, func(waiting *Deleted) {
				if p := waiting.Principal; p != nil {
					p.Owners = append(p.Owners, owner)
				}
			})
		}
		if err != nil && !errors.Is(err, ErrDuplicate) {
			return err
		}
	}
	return nil
}

// Purge removes for good what was discarded. Its ids and identifier URIs are free from now on.
func (e DeletedEditor) Purge(tenant TenantID, id ObjectID) error {
	found, err := e.get(tenant, id)
	if err != nil {
		return err
	}
	return e.purge(found)
}

func (e DeletedEditor) purge(found row[Deleted]) error {
	return e.act(Delete, found.value.noun(), func() error {
		gone := found.value
		if err := e.remove(gone, found.version); err != nil {
			return err
		}
		knownBy := ""
		if app := gone.Application; app != nil {
			if err := e.applications().dropPreAuthorized(app); err != nil {
				return err
			}
			knownBy = deletedDetail(app.AppID, app.IdentifierURIs)
		}
		return e.record("purge", gone.as(), knownBy)
	})
}

// sweepDeleted purges what can be restored no longer, a few at a time.
func (d *Directory) sweepDeleted(ctx context.Context) error {
	tenants, err := d.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		for range sweepBatches {
			ended, err := endedDeleted(ctx, d.cfg.Store, tenant.ID, d.now())
			if err != nil {
				return err
			}
			if len(ended) == 0 {
				break
			}
			_, err = d.Change(ctx, System("sweep"), func(e *Editor) error {
				for _, id := range ended {
					found, err := lookup[Deleted](e.editor, tenant.ID, KindDeleted, makeKey("id", string(id)))
					if errors.Is(err, ErrNotFound) || err == nil && found.value.Until.After(e.editor.now) {
						continue // another node was first
					}
					if err != nil {
						return err
					}
					if err := e.Deleted().purge(found); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// endedDeleted returns some of those whose time is over by now.
func endedDeleted(ctx context.Context, from Reader, tenant TenantID, now time.Time) (ended []ObjectID, err error) {
	objects, _, err := from.List(ctx, string(tenant), KindDeleted, "until/", "", sweepBatch)
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		gone, err := decode[Deleted](object)
		if err != nil {
			return nil, err
		}
		if gone.Until.After(now) {
			break
		}
		ended = append(ended, gone.ID)
	}
	return ended, nil
}
