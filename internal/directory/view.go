package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A View reads the directory on behalf of one request: the same whether it comes from
// [Directory.View], which reads the store as it is at each call, or from [Editor.View],
// which also sees what its transaction has done. It asks the store each time; what a
// token needs is answered from memory by the Directory itself ([Directory.Instance] and
// those beside it).
//
// Each noun has Get (by id), Find (by whatever people call it) and List (by name, in
// pages). A value that is returned bears its version, and is the caller's own. What is not
// there is a [NotFoundError], which says what was asked for, where, and what has a name
// like it:
//
//	app, err := dir.View(ctx).Applications().Find(tenant.ID, "orders-server")
//	if errors.Is(err, directory.ErrNotFound) { … } // err and its Fix() are fit to be shown
type View struct {
	ctx  context.Context // of the one request this View is made for
	from Reader
	now  func() time.Time
}

// View returns the reading face of the directory for one request.
func (d *Directory) View(ctx context.Context) *View {
	return &View{ctx: ctx, from: d.cfg.Store, now: d.now}
}

// Tenants reads the tenants. Find takes a GUID, a verified domain or a name.
func (v *View) Tenants() TenantView {
	return TenantView{Objects[Tenant]{v, noun[Tenant]{kind: KindTenant, called: "tenant", space: "name", refs: func(ref string) []string { return []string{tenantKey(ref)} }}}}
}

// Applications reads registrations. Find takes an object id, an app id, a name or an
// identifier URI.
func (v *View) Applications() ApplicationView {
	return ApplicationView{Objects[Application]{v, noun[Application]{kind: KindApplication, called: "application", space: "name", refs: func(ref string) []string {
		if keys, is := idKeys(ref); is {
			return keys
		}
		return []string{makeKey("name", fold(ref)), makeKey("uri", foldURI(ref))}
	}}}}
}

// ServicePrincipals reads the service principals of applications and managed identities.
// Find takes an object id, an app id, a name or the ARM id of a managed identity.
func (v *View) ServicePrincipals() PrincipalView {
	return PrincipalView{Objects[ServicePrincipal]{v, principalNoun("service principal", nil)}}
}

// Identities reads the managed identities among the service principals.
func (v *View) Identities() IdentityView {
	return IdentityView{Objects[ServicePrincipal]{v, principalNoun("managed identity", func(p *ServicePrincipal) bool { return p.Type == PrincipalManagedIdentity })}}
}

func principalNoun(called string, keep func(*ServicePrincipal) bool) noun[ServicePrincipal] {
	return noun[ServicePrincipal]{kind: KindServicePrincipal, called: called, space: "name", keep: keep, refs: func(ref string) []string {
		if keys, is := idKeys(ref); is {
			return keys
		}
		keys := []string{makeKey("name", fold(ref))}
		if strings.HasPrefix(ref, "/") {
			keys = append(keys, makeKey("arm", foldURI(ref)))
		}
		return keys
	}}
}

// Users reads users. Find takes an object id or a user principal name, by which they are
// listed.
func (v *View) Users() Objects[User] {
	return Objects[User]{v, noun[User]{kind: KindUser, called: "user", space: "upn", refs: func(ref string) []string { return []string{userKey(ref)} }}}
}

// Hosts reads hosts. Find takes an object id or a name.
func (v *View) Hosts() Objects[Host] {
	return Objects[Host]{v, noun[Host]{kind: KindHost, called: "host", space: "name", refs: func(ref string) []string {
		if id, is := guid.Parse(ref); is {
			return []string{makeKey("id", id)}
		}
		return []string{makeKey("name", fold(ref))}
	}}}
}

// ResourceGroups reads the resource groups that were made. Find takes an object id or a name.
func (v *View) ResourceGroups() Objects[ResourceGroup] {
	return Objects[ResourceGroup]{v, noun[ResourceGroup]{kind: KindResourceGroup, called: "resource group", space: "name", refs: func(ref string) []string {
		if id, is := guid.Parse(ref); is {
			return []string{makeKey("id", id)}
		}
		return []string{makeKey("name", fold(ref))}
	}}}
}

// Deleted reads what was discarded and can be restored.
func (v *View) Deleted() DeletedView {
	return DeletedView{Objects[Deleted]{v, noun[Deleted]{kind: KindDeleted, called: "deleted object", space: "id", keep: func(d *Deleted) bool { return d.Until.After(v.now()) }, refs: func(ref string) []string {
		return []string{makeKey("id", fold(ref))}
	}}}}
}

// AppManagementPolicy returns the policy of a tenant; one that is not enabled where none was made.
func (v *View) AppManagementPolicy(tenant TenantID) (*AppManagementPolicy, error) {
	found, err := v.policy(tenant)
	return found.value, err
}

// Assignments reads app-role assignments: of a holder (a service principal or a user), or
// to a resource.
func (v *View) Assignments() Relations[Assignment] {
	return Relations[Assignment]{v, noun[Assignment]{kind: KindAssignment, called: "assignment"}, "principal"}
}

// DelegatedGrants reads delegated grants: of a client, to a resource, or for a user.
func (v *View) DelegatedGrants() DelegatedGrantView {
	return DelegatedGrantView{Relations[DelegatedGrant]{v, noun[DelegatedGrant]{kind: KindDelegatedGrant, called: "delegated grant"}, "client"}}
}

// A Query chooses a page of a list.
type Query struct {
	Prefix string // of the name, without regard to case; empty: all
	Limit  int    // of the page; zero: no limit
	// After is the Next of the page before. It is a key of the store and says what things
	// are called, also things that its holder may not see: seal it where it leaves the
	// process.
	After string
}

// A Page is a part of a list, in the order of names.
type Page[T any] struct {
	Items []*T
	Next  string // for the next page; empty at the end of the list
}

// A noun says how things of one kind are found.
type noun[T any] struct {
	kind   string
	called string                    // in a NotFoundError
	space  string                    // of the keys that name each thing
	refs   func(ref string) []string // the keys under which a reference may be found, in order
	keep   func(*T) bool             // nil: all of the kind
}

// Objects reads the things of one kind in a tenant.
type Objects[T any] struct {
	v    *View
	noun noun[T]
}

// Get returns the one with the object id.
func (o Objects[T]) Get(tenant TenantID, id ObjectID) (*T, error) {
	found, err := o.get(tenant, id)
	return found.value, err
}

// Find returns the one that a reference of any kind means.
func (o Objects[T]) Find(tenant TenantID, ref string) (*T, error) {
	found, err := o.find(tenant, ref)
	return found.value, err
}

// List returns a page of them.
func (o Objects[T]) List(tenant TenantID, q Query) (Page[T], error) {
	return listPage(o.v, fold(tenant), o.noun, makePrefix(o.noun.space), q)
}

// InOrder returns a page of them in the order of their ids, which no change of a name moves.
// Query.Prefix is of no effect, as in the lists below.
func (o Objects[T]) InOrder(tenant TenantID, q Query) (Page[T], error) {
	return o.under(tenant, makePrefix("id"), q)
}

// Displayed returns a page of those that people are shown under a name, in any case.
func (o Objects[T]) Displayed(tenant TenantID, name string, q Query) (Page[T], error) {
	return o.under(tenant, makePrefix("display", fold(name)), q)
}

// DisplayedFrom returns a page of those that people are shown under a name with that prefix, in
// any case and in the order of names.
func (o Objects[T]) DisplayedFrom(tenant TenantID, prefix string, q Query) (Page[T], error) {
	return o.from(tenant, "display", prefix, q)
}

// OwnedBy returns a page of those that a service principal or a user owns.
func (o Objects[T]) OwnedBy(tenant TenantID, owner ObjectID, q Query) (Page[T], error) {
	return o.under(tenant, makePrefix("owner", string(fold(owner))), q)
}

// Tagged returns a page of those with a tag, in any case.
func (o Objects[T]) Tagged(tenant TenantID, tag string, q Query) (Page[T], error) {
	return o.under(tenant, makePrefix("tag", fold(tag)), q)
}

// under returns a page of those with a key under a prefix.
func (o Objects[T]) under(tenant TenantID, prefix string, q Query) (Page[T], error) {
	if len(prefix) > maxKeyPart {
		return Page[T]{}, nil
	}
	q.Prefix = ""
	return listPage(o.v, fold(tenant), o.noun, prefix, q)
}

// from returns a page of those with a key in a space that begins with a prefix in any case.
func (o Objects[T]) from(tenant TenantID, space, prefix string, q Query) (Page[T], error) {
	if len(prefix) > maxKeyPart {
		return Page[T]{}, nil
	}
	q.Prefix = prefix
	return listPage(o.v, fold(tenant), o.noun, makePrefix(space), q)
}

// Past is the After of a Query that goes on behind all names that begin so.
func (o Objects[T]) Past(prefix string) string {
	return makePrefix(o.noun.space) + escaped(fold(prefix)) + string(utf8.MaxRune)
}

// PastDisplayed is Past for DisplayedFrom.
func (o Objects[T]) PastDisplayed(prefix string) string {
	return makePrefix("display") + escaped(fold(prefix)) + string(utf8.MaxRune)
}

// All returns all of them, by name.
func (o Objects[T]) All(tenant TenantID) ([]*T, error) {
	page, err := o.List(tenant, Query{})
	return page.Items, err
}

func (o Objects[T]) get(tenant TenantID, id ObjectID) (row[T], error) {
	return o.first(tenant, string(id), o.byID)
}

func (o Objects[T]) find(tenant TenantID, ref string) (row[T], error) {
	return o.first(tenant, ref, o.byRef)
}

func (o Objects[T]) first(tenant TenantID, ref string, read func(tenant, ref string) (row[T], error)) (row[T], error) {
	found, err := read(string(fold(tenant)), ref)
	if errors.Is(err, ErrNotFound) {
		return row[T]{}, o.missing(tenant, ref)
	}
	return found, err
}

func (o Objects[T]) byID(tenant, id string) (row[T], error) {
	if len(id) > maxKeyPart {
		return row[T]{}, ErrNotFound
	}
	return o.kept(o.v.from.Get(o.v.ctx, tenant, o.noun.kind, fold(id)))
}

func (o Objects[T]) byRef(tenant, ref string) (row[T], error) {
	if ref == "" || len(ref) > maxKeyPart {
		return row[T]{}, ErrNotFound
	}
	keys := o.noun.refs(ref)
	if own := withSubscription(TenantID(tenant), ref); own != ref {
		keys = append(keys, o.noun.refs(own)...)
	}
	for _, key := range keys {
		found, err := o.kept(o.v.from.Lookup(o.v.ctx, tenant, o.noun.kind, key))
		if !errors.Is(err, ErrNotFound) {
			return found, err
		}
	}
	return row[T]{}, ErrNotFound
}

func (o Objects[T]) kept(object Object, err error) (row[T], error) {
	if err != nil {
		return row[T]{}, o.v.failed(err)
	}
	found, err := decodeRow[T](object)
	if err == nil && o.noun.keep != nil && !o.noun.keep(found.value) {
		return row[T]{}, ErrNotFound
	}
	return found, err
}

// ApplicationView reads registrations.
type ApplicationView struct{ Objects[Application] }

// Unique returns the application with a unique name, in any case.
func (a ApplicationView) Unique(tenant TenantID, name string) (*Application, error) {
	return a.byKey(tenant, name, makeKey("unique", fold(name)))
}

// Identified returns the application that has an identifier URI, in any case.
func (a ApplicationView) Identified(tenant TenantID, uri string) (*Application, error) {
	return a.byKey(tenant, uri, makeKey("uri", foldURI(uri)))
}

// ByAppID returns the application with an app id.
func (a ApplicationView) ByAppID(tenant TenantID, id AppID) (*Application, error) {
	return a.byKey(tenant, string(id), makeKey("appid", string(fold(id))))
}

// byKey returns the one with a key, or says that there is none by the reference.
func (o Objects[T]) byKey(tenant TenantID, ref, key string) (*T, error) {
	found, err := o.first(tenant, ref, func(tenant, _ string) (row[T], error) {
		if len(key) > maxKeyPart {
			return row[T]{}, ErrNotFound
		}
		return o.kept(o.v.from.Lookup(o.v.ctx, tenant, o.noun.kind, key))
	})
	return found.value, err
}

// PrincipalView reads service principals.
type PrincipalView struct{ Objects[ServicePrincipal] }

// ByAppID returns the service principal with an app id.
func (p PrincipalView) ByAppID(tenant TenantID, id AppID) (*ServicePrincipal, error) {
	return p.byKey(tenant, string(id), makeKey("appid", string(fold(id))))
}

// Called returns the service principal that has a service principal name: its app id, or an
// identifier URI of its application. Case and one trailing slash do not matter.
func (p PrincipalView) Called(tenant TenantID, name string) (*ServicePrincipal, error) {
	if id, is := guid.Parse(name); is {
		return p.ByAppID(tenant, AppID(id))
	}
	app, err := p.v.Applications().Identified(tenant, name)
	if errors.Is(err, ErrNotFound) {
		return nil, p.missing(tenant, name)
	}
	if err != nil {
		return nil, err
	}
	return p.ByAppID(tenant, app.AppID)
}

// Alternative returns a page of those with an alternative name, in any case: of managed
// identities the id of a resource is one.
func (p PrincipalView) Alternative(tenant TenantID, name string, q Query) (Page[ServicePrincipal], error) {
	return p.under(tenant, makePrefix("alternative", fold(name)), q)
}

// AlternativeFrom returns a page of those with an alternative name of that prefix, once for
// each of their names.
func (p PrincipalView) AlternativeFrom(tenant TenantID, prefix string, q Query) (Page[ServicePrincipal], error) {
	return p.from(tenant, "alternative", prefix, q)
}

// OfType returns a page of those of a type.
func (p PrincipalView) OfType(tenant TenantID, kind PrincipalType, q Query) (Page[ServicePrincipal], error) {
	return p.under(tenant, makePrefix("type", string(kind)), q)
}

// TenantView reads the tenants themselves.
type TenantView struct{ objects Objects[Tenant] }

// Get returns the tenant with the id.
func (t TenantView) Get(id TenantID) (*Tenant, error) { return t.objects.Get("", ObjectID(id)) }

// Find returns the tenant that a GUID, a verified domain or a name means.
func (t TenantView) Find(ref string) (*Tenant, error) { return t.objects.Find("", ref) }

// List returns a page of tenants.
func (t TenantView) List(q Query) (Page[Tenant], error) { return t.objects.List("", q) }

// All returns all tenants, by name.
func (t TenantView) All() ([]*Tenant, error) { return t.objects.All("") }

// Relations reads what stands between two things of a tenant, from either side. In its
// pages Query.Prefix is of no effect.
type Relations[T any] struct {
	v      *View
	noun   noun[T]
	holder string // the space of the keys that begin with who has it
}

// Get returns the one with the id.
func (r Relations[T]) Get(tenant TenantID, id ObjectID) (*T, error) {
	return Objects[T]{r.v, r.noun}.Get(tenant, id)
}

// Of returns a page of those that a holder (a principal, a client) has.
func (r Relations[T]) Of(tenant TenantID, holder ObjectID, q Query) (Page[T], error) {
	return r.list(r.holder, tenant, holder, q)
}

// To returns a page of those to a resource: who may call an API.
func (r Relations[T]) To(tenant TenantID, resource ObjectID, q Query) (Page[T], error) {
	return r.list("resource", tenant, resource, q)
}

// AllOf returns all that a holder has.
func (r Relations[T]) AllOf(tenant TenantID, holder ObjectID) ([]*T, error) {
	page, err := r.Of(tenant, holder, Query{})
	return page.Items, err
}

// AllTo returns all to a resource.
func (r Relations[T]) AllTo(tenant TenantID, resource ObjectID) ([]*T, error) {
	page, err := r.To(tenant, resource, Query{})
	return page.Items, err
}

func (r Relations[T]) list(space string, tenant TenantID, id ObjectID, q Query) (Page[T], error) {
	if len(id) > maxKeyPart {
		return Page[T]{}, nil
	}
	q.Prefix = ""
	return listPage(r.v, fold(tenant), r.noun, makePrefix(space, string(fold(id))), q)
}

// DelegatedGrantView reads delegated grants.
type DelegatedGrantView struct{ Relations[DelegatedGrant] }

// For returns a page of the grants for one user. Those for everyone are of no user.
func (g DelegatedGrantView) For(tenant TenantID, user ObjectID, q Query) (Page[DelegatedGrant], error) {
	return g.list("principal", tenant, user, q)
}

// InOrder returns a page of all grants, in the order of their ids.
func (g DelegatedGrantView) InOrder(tenant TenantID, q Query) (Page[DelegatedGrant], error) {
	return Objects[DelegatedGrant]{g.v, g.noun}.InOrder(tenant, q)
}

// IdentityView reads managed identities.
type IdentityView struct{ Objects[ServicePrincipal] }

// In returns a page of the user-assigned ones whose ARM id is below a scope, such as that of a
// resource group, in the order of those ids. Query.Prefix is of no effect.
func (i IdentityView) In(tenant TenantID, scope string, q Query) (Page[ServicePrincipal], error) {
	n := i.noun
	n.keep = func(p *ServicePrincipal) bool { return p.IdentityKind == IdentityUser }
	q.Prefix = foldURI(scope) + "/"
	return listPage(i.v, fold(tenant), n, makePrefix("arm"), q)
}

// Below returns what follows a scope in ARM ids of managed identities of either kind, each once
// and as it is first spelled there: below "/subscriptions", the ids of subscriptions.
func (i IdentityView) Below(tenant TenantID, scope string) ([]string, error) {
	var names []string
	start := makeKey("arm", foldURI(scope)+"/")
	for after := start; ; {
		objects, keys, err := i.v.from.List(i.v.ctx, string(fold(tenant)), i.noun.kind, makePrefix("arm"), after, 1)
		if err != nil {
			return nil, i.v.failed(err)
		}
		if len(keys) == 0 || !strings.HasPrefix(keys[0], start) {
			return names, nil
		}
		found, err := decodeRow[ServicePrincipal](objects[0])
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(found.value.ResourceID[len(foldURI(scope))+1:], "/")
		names = append(names, name)
		after = start + escaped(fold(name)+"/") + "\x7f" // which no id holds: behind all that is below the name
	}
}

// failed tells a store that does not answer from one that has nothing there.
func (v *View) failed(err error) error {
	if errors.Is(err, ErrNotFound) {
		return ErrNotFound
	}
	return fmt.Errorf("read the directory: %w", err)
}

// listPage returns the things with a key under the prefix, those of a name with its
// prefix, a page of them.
func listPage[T any](v *View, tenant TenantID, n noun[T], prefix string, q Query) (Page[T], error) {
	l := lister[T]{view: v, tenant: string(tenant), noun: n, prefix: prefix, start: prefix + escaped(fold(q.Prefix)), limit: q.Limit}
	after := q.After
	if q.Prefix != "" && after == "" {
		// The store lists what comes after a key; the name that is the prefix comes first.
		after = l.start
		switch object, err := v.from.Lookup(v.ctx, l.tenant, n.kind, l.start); {
		case err == nil:
			if _, err := l.add(object, l.start); err != nil {
				return Page[T]{}, err
			}
		case !errors.Is(err, ErrNotFound):
			return Page[T]{}, v.failed(err)
		}
	}
	err := l.fill(after)
	return l.page, err
}

// A lister fills one page.
type lister[T any] struct {
	view          *View
	tenant        string
	noun          noun[T]
	prefix, start string // of keys; start goes on with the beginning of the name
	limit         int
	page          Page[T]
	last          string // key that was added
}

func (l *lister[T]) fill(after string) error {
	for {
		want := 0
		if l.limit > 0 {
			want = l.limit - len(l.page.Items) + 1 // one more tells whether there is a next page
		}
		objects, keys, err := l.view.from.List(l.view.ctx, l.tenant, l.noun.kind, l.prefix, after, want)
		if err != nil {
			return l.view.failed(err)
		}
		for i, object := range objects {
			if !strings.HasPrefix(keys[i], l.start) {
				return nil
			}
			if full, err := l.add(object, keys[i]); full || err != nil {
				return err
			}
		}
		if want == 0 || len(keys) < want {
			return nil
		}
		after = keys[len(keys)-1]
	}
}

// add adds a thing to the page, or reports that there is no more room for it.
func (l *lister[T]) add(object Object, key string) (full bool, err error) {
	found, err := decodeRow[T](object)
	if err != nil || l.noun.keep != nil && !l.noun.keep(found.value) {
		return false, err
	}
	if l.limit > 0 && len(l.page.Items) == l.limit {
		l.page.Next = l.last
		return true, nil
	}
	l.page.Items, l.last = append(l.page.Items, found.value), key
	return false, nil
}

// idKeys are the keys under which an application or service principal with that GUID may
// be found, in order.
func idKeys(ref string) (keys []string, is bool) {
	id, is := guid.Parse(ref)
	if !is {
		return nil, false
	}
	return []string{makeKey("id", id), makeKey("appid", id)}, true
}
