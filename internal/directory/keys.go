package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"
)

// The kinds of objects in the store, of which a Change tells.
const (
	KindTenant           = "tenant"
	KindApplication      = "application"
	KindServicePrincipal = "servicePrincipal"
	KindAssignment       = "assignment"
	KindDelegatedGrant   = "delegatedGrant"
	KindUser             = "user"
	KindHost             = "host"
	KindKeyring          = "keyring"
	KindRevocation       = "revocation"
	KindResourceGroup    = "resourceGroup"
	KindPolicy           = "policy"
	KindDeleted          = "deleted"
)

// maxKeyPart bounds what is looked up: nothing longer is ever kept as a key part.
const maxKeyPart = 1024

// makeKey joins parts to a store key. Every part is escaped, so that no value can pose
// as two parts: "name", "a/b" and "name/a", "b" stay apart.
func makeKey(space string, parts ...string) string {
	var b strings.Builder
	size := len(space) + len(parts) + 1 // one for makePrefix
	for _, part := range parts {
		size += len(part)
	}
	b.Grow(size)
	b.WriteString(space)
	for _, part := range parts {
		b.WriteByte('/')
		writeEscaped(&b, part)
	}
	return b.String()
}

// makePrefix is the prefix under which makeKey puts all keys with these first parts.
func makePrefix(space string, parts ...string) string { return makeKey(space, parts...) + "/" }

// escaped is a part as it stands in a key.
func escaped(part string) string {
	var b strings.Builder
	writeEscaped(&b, part)
	return b.String()
}

func writeEscaped(b *strings.Builder, part string) {
	const hex = "0123456789ABCDEF"
	if plain(part) {
		b.WriteString(part)
		return
	}
	valid := utf8.ValidString(part)
	for i := range len(part) {
		c := part[i]
		if c == '/' || c == '%' || c < ' ' || c == 0x7f || (!valid && c >= utf8.RuneSelf) {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
			continue
		}
		b.WriteByte(c)
	}
}

// plain reports whether a part needs no escaping, as GUIDs and most names do.
func plain(part string) bool {
	for i := range len(part) {
		if c := part[i]; c == '/' || c == '%' || c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// fold is how names are compared: without regard to case.
func fold[T ~string](name T) T {
	for i := range len(name) {
		if c := name[i]; 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			return T(strings.ToLower(string(name)))
		}
	}
	return name
}

// foldURI is how identifier URIs are compared: without regard to case and to one
// trailing slash, for clients ask with and without.
func foldURI(uri string) string { return strings.TrimSuffix(fold(uri), "/") }

func (t *Tenant) keys() []string {
	keys := []string{makeKey("id", string(t.ID)), makeKey("name", fold(t.Name)), makeKey("ref", fold(t.Name)), t.shapeKey()}
	for _, domain := range t.Domains {
		if domain != fold(t.Name) {
			keys = append(keys, makeKey("ref", domain))
		}
	}
	return keys
}

// nameKey is the key by which something is named and listed. What has no name is listed
// by its display name and id, under a key that no name makes.
func nameKey(name, display string, id ObjectID) string {
	if name != "" {
		return makeKey("name", fold(name))
	}
	return makeKey("name", "", fold(display), string(id))
}

func (a *Application) keys() []string {
	keys := []string{makeKey("id", string(a.ID)), makeKey("appid", string(a.AppID)), nameKey(a.Name, a.DisplayName, a.ID)}
	for _, uri := range a.IdentifierURIs {
		keys = append(keys, makeKey("uri", foldURI(uri)))
	}
	if a.UniqueName != "" {
		keys = append(keys, makeKey("unique", fold(a.UniqueName)))
	}
	for _, p := range a.PreAuthorized {
		keys = append(keys, makeKey("preauth", string(p.App), string(a.ID)))
	}
	return append(keys, sharedKeys(a.ID, a.Label(), a.Owners, a.Tags)...)
}

// sharedKeys are those under which any number of things may be found, each by its id.
func sharedKeys(id ObjectID, label string, owners []ObjectID, tags []string) []string {
	keys := []string{makeKey("display", fold(label), string(id))}
	for _, owner := range owners {
		keys = append(keys, makeKey("owner", string(owner), string(id)))
	}
	for _, tag := range tags {
		keys = append(keys, makeKey("tag", fold(tag), string(id)))
	}
	return MergeKeys(keys, nil) // tags that differ in case have one
}

func (p *ServicePrincipal) keys() []string {
	keys := []string{makeKey("id", string(p.ID)), makeKey("appid", string(p.AppID)), nameKey(p.Name, p.DisplayName, p.ID)}
	if p.ResourceID != "" {
		keys = append(keys, makeKey("arm", foldURI(p.ResourceID)))
	}
	keys = append(keys, makeKey("type", string(p.Type), string(p.ID)))
	for _, name := range p.Alternatives() {
		keys = append(keys, makeKey("alternative", fold(name), string(p.ID)))
	}
	return append(keys, sharedKeys(p.ID, p.Label(), p.Owners, p.Tags)...)
}

func (a *Assignment) keys() []string {
	return []string{
		makeKey("principal", string(a.Principal), string(a.Resource), string(a.Role)),
		makeKey("resource", string(a.Resource), string(a.Principal), string(a.Role)),
	}
}

// everyone stands for all users in the keys of a grant; no object id reads so.
const everyone = ObjectID("*")

func (g *DelegatedGrant) keys() []string {
	principal := cmp.Or(g.Principal, everyone)
	return []string{
		makeKey("id", string(g.ID)),
		makeKey("client", string(g.Client), string(g.Resource), string(principal)),
		makeKey("resource", string(g.Resource), string(g.Client), string(principal)),
		makeKey("principal", string(principal), string(g.Client), string(g.Resource)),
	}
}

func (u *User) keys() []string {
	return append([]string{makeKey("id", string(u.ID)), makeKey("upn", u.PrincipalName)}, sharedKeys(u.ID, u.DisplayName, nil, nil)...)
}

func (h *Host) keys() []string {
	keys := []string{makeKey("id", string(h.ID)), makeKey("name", fold(h.Name))}
	if h.Listen != "" {
		keys = append(keys, h.listenKey())
	}
	for _, identity := range h.Identities {
		keys = append(keys, makeKey("identity", string(identity), string(h.ID)))
	}
	return keys
}

func (g *ResourceGroup) keys() []string {
	return []string{makeKey("id", string(g.ID)), makeKey("name", fold(g.Name))}
}

// keys of a deleted thing are also those that nothing else may have meanwhile.
func (d *Deleted) keys() []string {
	keys := []string{
		makeKey("id", string(d.ID)), makeKey("kind", d.Kind, string(d.ID)), makeKey("until", fmt.Sprintf("%020d", d.Until.Unix()), string(d.ID)),
	}
	if d.Principal != nil && d.Principal.ID != d.ID {
		keys = append(keys, makeKey("part", string(d.Principal.ID)))
	}
	if d.Application != nil {
		keys = append(keys, makeKey("appid", string(d.Application.AppID)))
		for _, uri := range d.Application.IdentifierURIs {
			keys = append(keys, makeKey("uri", foldURI(uri)))
		}
	}
	return keys
}

func (p *AppManagementPolicy) keys() []string { return []string{makeKey("id", appManagement)} }

// listenKey keeps the addresses of different nodes apart.
func (h *Host) listenKey() string {
	if h.Node == "" {
		return makeKey("listen", h.Listen)
	}
	return makeKey("listen", h.Node, h.Listen)
}

// keyShape is the shape of the keys that this version writes. A tenant bears it as a key once
// all that is in it has such keys; an older version that changes the tenant takes it away.
const keyShape = "2"

func (t *Tenant) shapeKey() string { return makeKey("shape", keyShape, string(t.ID)) }

// A keyRenewal gives what an older version has kept the keys of this one. Each step leaves a
// store that both versions read, so that it may end anywhere and begins anew next time. A store
// that is open for reading alone is left as it is.
type keyRenewal struct {
	store Store
	log   *slog.Logger
}

func (r keyRenewal) run(ctx context.Context) error {
	tenants, _, err := r.store.List(ctx, "", KindTenant, "id/", "", 0)
	if err != nil {
		return err
	}
	for _, object := range tenants {
		tenant, err := decode[Tenant](object)
		if err != nil {
			return err
		}
		if slices.Contains(object.Keys, tenant.shapeKey()) {
			continue
		}
		r.log.InfoContext(ctx, "renewing the keys that an older version has kept", "tenant", tenant.Name)
		if err := r.tenant(ctx, tenant); errors.Is(err, ErrReadOnly) {
			r.log.WarnContext(ctx, "the store cannot be written: what is looked for by display name or owner may not be found", "tenant", tenant.Name)
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (r keyRenewal) tenant(ctx context.Context, tenant *Tenant) error {
	id := string(tenant.ID)
	for kind, read := range map[string]func(Object) (entity, error){
		KindApplication: readEntity[*Application], KindServicePrincipal: readEntity[*ServicePrincipal], KindUser: readEntity[*User],
	} {
		if err := r.kind(ctx, id, kind, read); err != nil {
			return err
		}
	}
	_, err := r.store.Update(ctx, func(tx Tx) error {
		object, err := tx.Get(ctx, "", KindTenant, id)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return renew(ctx, tx, object, readEntity[*Tenant])
	})
	return err
}

// kind goes through the objects of a kind, some at a time: other writers wait no longer
// than that.
func (r keyRenewal) kind(ctx context.Context, tenant, kind string, read func(Object) (entity, error)) error {
	const batch = 500
	for after, more := "", true; more; {
		_, err := r.store.Update(ctx, func(tx Tx) error {
			objects, keys, err := tx.List(ctx, tenant, kind, "id/", after, batch)
			if err != nil {
				return err
			}
			for _, object := range objects {
				if err := renew(ctx, tx, object, read); err != nil {
					return err
				}
			}
			if more = len(objects) == batch; more {
				after = keys[len(keys)-1]
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func renew(ctx context.Context, tx Tx, object Object, read func(Object) (entity, error)) error {
	value, err := read(object)
	if err != nil {
		return err
	}
	keys := MergeKeys(value.keys(), nil)
	if slices.Equal(keys, MergeKeys(object.Keys, nil)) {
		return nil
	}
	object.Keys = keys
	_, err = tx.Put(ctx, object)
	return err
}

// readEntity is decode for what is known by its pointer alone.
func readEntity[P interface {
	*T
	entity
}, T any](object Object) (entity, error) {
	value, err := decode[T](object)
	return P(value), err
}
