package guard

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// Revocations lets a guard follow what its authority takes away: a token that
// has not ended is refused (token_revoked) within seconds of its client being
// disabled or deleted, of the loss of an app role or scope that it carries, and of the
// revocation of the key that signed it, or of its client's tokens being ended. A
// client that is enabled again, or whose tokens were ended, gets in with a token that it
// gets then.
//
// Entra tells nobody, so with an Authority of Entra nothing is followed. While
// an authority does not answer, what it has told before counts, and for
// Config.MaxKeyAge requests are decided without what it could tell.
type Revocations struct {
	// Token returns an access token for [RevocationScope] that the application
	// of this API itself has got: with its own secret, certificate or federated
	// credential. It is asked for one every half minute, so it should keep it.
	// Required.
	Token func(context.Context) (string, error)
}

// RevocationScope is what the application of an API asks its authority for, to
// read revocations.
const RevocationScope = "api://rolecall/.default"

// When revocations are asked for. The authority holds a request until there is
// something to tell.
const (
	revocationTimeout  = time.Minute
	revocationGap      = 500 * time.Millisecond // between two requests at least
	revocationIdle     = 2 * time.Second        // from one that was not held and told nothing
	revocationBackoff  = time.Second
	revocationWait     = 30 * time.Second // at most, after failures
	maxRevocationsSize = 16 << 20
	revocationsDepth   = 4
)

// check returns what is wrong with the settings.
func (r *Revocations) check(authority string) error {
	u, err := url.Parse(authority)
	switch {
	case r.Token == nil:
		return errors.New("Revocations has no Token: give a function that gets the API's own application a token for " + RevocationScope)
	case authority == "":
		return errors.New("Revocations needs Authority: the tenant whose revocations are followed")
	case err == nil && !inEntra(authority) && !isGUID(strings.ToLower(strings.Trim(u.Path, "/"))):
		return fmt.Errorf("Revocations are those of one tenant, and the Authority %q names none by its id", authority)
	}
	return nil
}

// A cutOff ends tokens that were issued before a time. It is of no use once
// the last of them has ended.
type cutOff struct{ before, until int64 }

// A holding is a role of a principal, or with no principal of all.
type holding struct{ principal, role string }

// A permission is a scope of a client for a user; empty fields mean all.
type permission struct{ client, principal, scope string }

// revoked is what was revoked. It is never changed.
type revoked struct {
	all        cutOff
	principals map[string]cutOff // by oid
	clients    map[string]cutOff // by appid or azp
	roles      map[holding]cutOff
	scopes     map[permission]cutOff
	keys       map[string]cutOff // by kid
}

// An event is one revocation, as the authority tells it.
type event struct {
	kind, principal, client, role, scope, key string
	cutOff
}

// with returns what is revoked after some more events, without what has ended.
func (r *revoked) with(events []event, now int64) *revoked {
	next := &revoked{principals: fresh(r.principals, now), clients: fresh(r.clients, now), roles: fresh(r.roles, now), scopes: fresh(r.scopes, now), keys: fresh(r.keys, now)}
	if r.all.until > now {
		next.all = r.all
	}
	for _, e := range events {
		if e.until <= now {
			continue
		}
		switch e.kind {
		case "principal":
			later(next.principals, e.principal, e.cutOff)
			later(next.clients, e.client, e.cutOff)
		case "assignment":
			later(next.roles, holding{e.principal, e.role}, e.cutOff)
		case "scope":
			later(next.scopes, permission{e.client, e.principal, e.scope}, e.cutOff)
		case "key":
			later(next.keys, e.key, e.cutOff)
		case "tenant":
			next.all = latest(next.all, e.cutOff)
		}
	}
	return next
}

func fresh[K comparable](old map[K]cutOff, now int64) map[K]cutOff {
	kept := make(map[K]cutOff, len(old))
	for key, c := range old {
		if c.until > now {
			kept[key] = c
		}
	}
	return kept
}

func later[K comparable](all map[K]cutOff, key K, c cutOff) {
	var none K
	if key != none {
		all[key] = latest(all[key], c)
	}
}

func latest(a, b cutOff) cutOff { return cutOff{max(a.before, b.before), max(a.until, b.until)} }

// ends says why a token counts no more, and from when another one would; an
// empty reason if it counts, and no time if only another key helps.
func (r *revoked) ends(c *Caller, kid string) (why string, before int64) {
	if _, gone := r.keys[kid]; gone {
		return "the key that signed it was revoked", 0
	}
	var issued int64
	if !c.IssuedAt.IsZero() {
		issued = c.IssuedAt.Unix()
	}
	note := func(cut cutOff, reason string) {
		if issued < cut.before && before < cut.before {
			why, before = reason, cut.before
		}
	}
	note(r.all, "its tenant was disabled after it was issued")
	note(r.clients[c.ClientID], "its client was disabled or deleted, or its tokens were ended, after it was issued")
	note(r.principals[c.ObjectID], "its principal was disabled or deleted, or its tokens or sessions were ended, after it was issued")
	for _, role := range c.Roles {
		note(r.roles[holding{c.ObjectID, role}], "its principal has lost a role after it was issued")
		note(r.roles[holding{"", role}], "one of its roles was disabled or removed after it was issued")
	}
	for _, scope := range c.Scopes {
		note(r.scopes[permission{c.ClientID, c.ObjectID, scope}], "its client has lost a scope after it was issued")
		note(r.scopes[permission{c.ClientID, "", scope}], "its client has lost a scope after it was issued")
		note(r.scopes[permission{"", "", scope}], "one of its scopes was disabled or removed after it was issued")
	}
	return why, before
}

// readRevocations reads an answer of the authority: what is new, and what to
// ask with next time.
func readRevocations(body []byte) (cursor string, events []event, err error) {
	document, err := token.ParseObject(body, revocationsDepth, len(body))
	if err != nil {
		return "", nil, err
	}
	v, _ := document.Get("cursor")
	next, ok := v.Integer()
	if !ok {
		return "", nil, fmt.Errorf("cursor is %s, not a number", shown(v))
	}
	v, _ = document.Get("events")
	all, ok := v.Elements()
	if !ok {
		return "", nil, fmt.Errorf("events is %s, not a list", shown(v))
	}
	for _, element := range all {
		members, ok := element.Object()
		if !ok {
			return "", nil, fmt.Errorf("an event is %s", shown(element))
		}
		e, err := readEvent(members)
		if err != nil {
			return "", nil, err
		}
		events = append(events, e)
	}
	return strconv.FormatInt(next, 10), events, nil
}

// readEvent reads one event. A kind that is not known here is of no effect.
func readEvent(members token.Object) (event, error) {
	var e event
	for name, text := range map[string]*string{"kind": &e.kind, "principal": &e.principal, "client": &e.client, "role": &e.role, "scope": &e.scope, "key": &e.key} {
		v, present := members.Get(name)
		var ok bool
		if *text, ok = v.String(); present && !ok {
			return e, fmt.Errorf("%s of an event is %s, not a text", name, shown(v))
		}
	}
	for name, number := range map[string]*int64{"before": &e.before, "until": &e.until} {
		v, present := members.Get(name)
		var ok bool
		if *number, ok = v.Integer(); present && !ok {
			return e, fmt.Errorf("%s of an event is %s, not a time", name, shown(v))
		}
	}
	return e, nil
}
