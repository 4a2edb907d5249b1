package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

// A Revocation says which tokens count no more although they have not ended. It is written
// in the transaction that takes something away, for APIs that ask; tokens are issued by what
// the directory says anyway.
type Revocation struct {
	Stored
	ID     ObjectID       `json:"id"`
	Tenant TenantID       `json:"tenant"`
	Kind   RevocationKind `json:"kind"`
	// Principal is whose tokens are meant. Of a RevokedRole or RevokedScope, none means all of them.
	Principal ObjectID `json:"principal,omitempty"`
	Client    AppID    `json:"client,omitempty"`   // of a service principal: tokens that it got for users are meant too; of a RevokedScope: those alone
	Resource  ObjectID `json:"resource,omitempty"` // of a RevokedRole or RevokedScope: the API's service principal
	Role      string   `json:"role,omitempty"`     // of a RevokedRole: what tokens carry
	Scope     string   `json:"scope,omitempty"`    // of a RevokedScope: likewise
	Key       string   `json:"key,omitempty"`      // of a RevokedKey: its id
	// Before is the time before which the tokens were issued that are meant. All of a
	// RevokedKey are.
	Before time.Time `json:"before"`
	Until  time.Time `json:"until"` // when the last of them has ended
}

// A RevocationKind says what was taken away.
type RevocationKind string

// The kinds of revocations.
const (
	RevokedPrincipal RevocationKind = "principal"  // a service principal or user was disabled or deleted, or its tokens or sessions were ended
	RevokedRole      RevocationKind = "assignment" // a principal lost an app role, or the role itself is gone or disabled
	RevokedScope     RevocationKind = "scope"      // a client lost a scope, for a user or for all, or the scope itself is gone or disabled
	RevokedKey       RevocationKind = "key"        // a signing key was revoked
	RevokedTenant    RevocationKind = "tenant"     // a tenant was disabled
)

const (
	// RevocationsKept is how long revocations are kept: as long as the longest token lives,
	// with an hour for clocks that differ.
	RevocationsKept = 25 * time.Hour

	// revocationLag is for tokens that another node issues in the moments before it has heard
	// of a change. They are revoked too, and so is what is granted anew that soon.
	revocationLag = 2 * time.Second
)

func (r *Revocation) keys() []string {
	keys := []string{makeKey("until", fmt.Sprintf("%020d", r.Until.Unix()), string(r.ID))}
	switch {
	case r.Kind == RevokedTenant:
		return append(keys, makeKey("all", string(r.ID)))
	case r.Principal != "":
		keys = append(keys, makeKey("principal", string(r.Principal), string(r.ID)))
	case r.Resource != "" && r.Client == "":
		keys = append(keys, makeKey("resource", string(r.Resource), string(r.ID)))
	}
	if r.Client != "" {
		keys = append(keys, makeKey("client", string(r.Client), string(r.ID)))
	}
	return keys
}

func (r *Revocation) target() target {
	return target{kind: KindRevocation, tenant: r.Tenant, id: string(r.ID), name: string(r.Kind)}
}

// revoke writes a revocation, and removes a few that have ended.
func (e *editor) revoke(r Revocation) error {
	r.ID = ObjectID(guid.New())
	r.Before = e.now.Add(revocationLag + time.Second - 1).Truncate(time.Second) // tokens have whole seconds
	r.Until = r.Before.Add(RevocationsKept)
	if err := e.put(&r, 0); err != nil {
		return err
	}
	const few = 4 // more than one, so that there are fewer and fewer
	ended, err := endedRevocations(e, r.Tenant, few)
	if err != nil {
		return err
	}
	for _, old := range ended {
		if err := e.remove(old.value, old.version); err != nil {
			return err
		}
	}
	return nil
}

func endedRevocations(e *editor, tenant TenantID, limit int) ([]row[Revocation], error) {
	objects, _, err := e.tx.List(e.ctx, string(tenant), KindRevocation, "until/", "", limit)
	if err != nil {
		return nil, err
	}
	var ended []row[Revocation]
	for _, object := range objects {
		old, err := decodeRow[Revocation](object)
		if err != nil {
			return nil, err
		}
		if old.value.Until.After(e.now) {
			break
		}
		ended = append(ended, old)
	}
	return ended, nil
}

// revokePrincipal revokes the tokens of a service principal.
func (e *editor) revokePrincipal(p *ServicePrincipal) error {
	return e.revoke(Revocation{Tenant: p.Tenant, Kind: RevokedPrincipal, Principal: p.ID, Client: p.AppID})
}

// revokeUser revokes the tokens of a user.
func (e *editor) revokeUser(u *User) error {
	return e.revoke(Revocation{Tenant: u.Tenant, Kind: RevokedPrincipal, Principal: u.ID})
}

// revokeAssignment revokes the tokens that carry a role because of an assignment.
func (e *editor) revokeAssignment(a *Assignment) error {
	api, err := e.resource(a.Tenant, a.Resource, "app roles")
	if errors.Is(err, ErrNotFound) {
		return nil // there is nobody to ask
	}
	if err != nil {
		return err
	}
	role, ok := api.Application.Role(string(a.Role))
	if !ok || !role.Enabled || role.Value == "" {
		return nil // no token carries it
	}
	return e.revoke(Revocation{Tenant: a.Tenant, Kind: RevokedRole, Principal: a.Principal, Resource: a.Resource, Role: role.Value})
}

// revokeRoles revokes the tokens that carry roles which the application offers no more.
func (e *editor) revokeRoles(was, a *Application) error {
	for _, old := range was.AppRoles {
		if !old.Enabled || slices.ContainsFunc(a.AppRoles, func(role AppRole) bool { return role.replaces(&old) }) {
			continue
		}
		api, err := e.principals().of(was)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		err = e.revoke(Revocation{Tenant: was.Tenant, Kind: RevokedRole, Resource: api.value.ID, Role: old.Value})
		if err != nil {
			return err
		}
	}
	return nil
}

// revokeScopes revokes the tokens that carry scopes which the application offers no more.
func (e *editor) revokeScopes(was, a *Application) error {
	for _, old := range was.Scopes {
		if !old.Enabled || slices.ContainsFunc(a.Scopes, func(s Scope) bool { return s.ID == old.ID && s.Value == old.Value && s.Enabled }) {
			continue
		}
		api, err := e.principals().of(was)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := e.revoke(Revocation{Tenant: was.Tenant, Kind: RevokedScope, Resource: api.value.ID, Scope: old.Value}); err != nil {
			return err
		}
	}
	return nil
}

// revokeGrant revokes the tokens that carry scopes which a client had and has no more.
func (e *editor) revokeGrant(was, g *DelegatedGrant) error {
	client, err := e.principals().get(was.Tenant, was.Client)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, scope := range was.Scopes {
		if slices.Contains(g.Scopes, scope) {
			continue
		}
		err := e.revoke(Revocation{Tenant: was.Tenant, Kind: RevokedScope, Client: client.value.AppID, Principal: was.Principal, Resource: was.Resource, Scope: scope})
		if err != nil {
			return err
		}
	}
	return nil
}

// replaces reports whether all who hold the old role hold this one, under the same value.
func (r *AppRole) replaces(old *AppRole) bool {
	return r.ID == old.ID && r.Value == old.Value && r.Enabled && !slices.ContainsFunc(old.Members, func(m MemberType) bool { return !r.Allows(m) })
}

// Revocations returns what was revoked, to be read and waited for.
func (d *Directory) Revocations() RevocationLog { return RevocationLog{d} }

// A RevocationLog tells what was revoked and has not ended.
type RevocationLog struct{ d *Directory }

// Since returns the revocations of a tenant that came after a sequence, none of which has ended,
// and the sequence to ask with next time. Where the feed does not lead back to the sequence,
// or it is none (0), it returns all that there are.
func (l RevocationLog) Since(ctx context.Context, tenant TenantID, since int64) (all []*Revocation, next int64, err error) {
	tenant = fold(tenant)
	newest, err := l.d.cfg.Store.Sequence(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read revocations: %w", err)
	}
	if since > 0 && since <= newest && newest-since <= maxFeedBehind {
		all, next, err = l.after(ctx, tenant, since, newest)
		if !errors.Is(err, ErrFeedTrimmed) {
			return all, next, err
		}
	}
	kept, _, err := listAll[Revocation](ctx, l.d.cfg.Store, string(tenant), KindRevocation, "until/")
	if err != nil {
		return nil, 0, fmt.Errorf("read revocations: %w", err)
	}
	return slices.DeleteFunc(kept, l.ended), newest, nil // what came meanwhile comes again
}

// revocationsAfter reads them from the feed.
func (l RevocationLog) after(ctx context.Context, tenant TenantID, since, newest int64) (all []*Revocation, next int64, err error) {
	for since < newest {
		changes, err := l.d.cfg.Store.Changes(ctx, since, feedPage)
		if err != nil {
			return nil, 0, fmt.Errorf("read revocations: %w", err)
		}
		if len(changes) == 0 || changes[0].Sequence != since+1 {
			return nil, 0, ErrFeedTrimmed
		}
		for _, change := range changes {
			if change.Kind != KindRevocation || change.Tenant != string(tenant) {
				continue
			}
			object, err := l.d.cfg.Store.Get(ctx, change.Tenant, change.Kind, change.ID)
			if errors.Is(err, ErrNotFound) {
				continue // it has ended
			}
			if err != nil {
				return nil, 0, fmt.Errorf("read revocations: %w", err)
			}
			r, err := decode[Revocation](object)
			if err != nil {
				return nil, 0, err
			}
			if !l.ended(r) {
				all = append(all, r)
			}
		}
		since = changes[len(changes)-1].Sequence
	}
	return all, since, nil
}

func (l RevocationLog) ended(r *Revocation) bool { return !r.Until.After(l.d.cfg.Now()) }

// A TokenSubject is what a token says of whom it is for, in which revocations are told.
type TokenSubject struct {
	Tenant    TenantID
	Principal ObjectID // of the client, or of the user it acts for
	Client    AppID
	Resource  ObjectID // the API's service principal
	Roles     []string
	Scopes    []string
}

// Concerns reports whether a revocation ends tokens of the subject that are old enough. Whose
// key was revoked, a subject does not say.
func (r *Revocation) Concerns(s TokenSubject) bool {
	if r.Tenant != s.Tenant {
		return false
	}
	switch r.Kind {
	case RevokedPrincipal:
		return r.Principal == s.Principal || r.Client != "" && r.Client == s.Client
	case RevokedRole:
		return r.Resource == s.Resource && (r.Principal == "" || r.Principal == s.Principal) && slices.Contains(s.Roles, r.Role)
	case RevokedScope:
		return r.Resource == s.Resource && (r.Client == "" || r.Client == s.Client) && (r.Principal == "" || r.Principal == s.Principal) && slices.Contains(s.Scopes, r.Scope)
	case RevokedTenant:
		return true
	case RevokedKey:
	}
	return false
}

// TokensFrom returns the time from which tokens of the subject count, if something was revoked
// that has not ended: the subject has got it back since, and a token that says it is older
// would be taken for one of those that were revoked. Otherwise it is the zero time, also where
// the store does not answer. It is answered from memory.
func (l RevocationLog) TokensFrom(ctx context.Context, s TokenSubject) (from time.Time) {
	s.Tenant = fold(s.Tenant)
	for _, prefix := range []string{
		makePrefix("principal", string(s.Principal)), makePrefix("client", string(s.Client)), makePrefix("resource", string(s.Resource)), makePrefix("all"),
	} {
		found, err := l.under(ctx, s.Tenant, prefix)
		if err != nil {
			return time.Time{}
		}
		for _, r := range found {
			if r.Before.After(from) && r.Concerns(s) && !l.ended(r) {
				from = r.Before
			}
		}
	}
	return from
}

// under returns the revocations with a key of that prefix, also some that have ended.
func (l RevocationLog) under(ctx context.Context, tenant TenantID, prefix string) ([]*Revocation, error) {
	key := cacheKey{string(tenant), KindRevocation, prefix}
	if hit := l.d.cache.get(key); hit != nil {
		return answer[[]*Revocation](hit)
	}
	return load(ctx, l.d, key, func(ctx context.Context) ([]*Revocation, int64, error) {
		return listAll[Revocation](ctx, l.d.cfg.Store, key.tenant, key.kind, key.key)
	})
}

// Next returns a channel that is closed when the next revocation is taken in from the feed. It
// is to be asked for before [RevocationLog.Since].
func (l RevocationLog) Next() <-chan struct{} { return l.d.revoking.wait() }

// A signal wakes all who wait for it.
type signal struct {
	mu   sync.Mutex
	next chan struct{} // guarded by mu; nil when nobody waits
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = make(chan struct{})
	}
	return s.next
}

func (s *signal) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}
