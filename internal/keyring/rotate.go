package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// ErrTooSoon says that the next key has not been published for long enough to sign.
var ErrTooSoon = errors.New("the next key was not published long enough ago")

// ErrUnknownKey says that the ring has no key with that id.
var ErrUnknownKey = errors.New("no such key in the ring")

// maxAttempts limits how often a change is retried because another node's came first. Each time,
// that other node made progress.
const maxAttempts = 16

// itself is the actor of automatic changes.
func itself() audit.Actor { return audit.Actor{Kind: "system", Name: "system:keyring"} }

// An edit computes the next document from the present one. An empty action means that there is
// nothing to do, perhaps no longer.
type edit func(present document, now time.Time) (changed document, action, detail string, err error)

// Ensure makes the keys that a tenant lacks: one to sign with and one to follow it.
func (r *Ring) Ensure(ctx context.Context, tenant string) error {
	_, err := r.ensure(ctx, tenant)
	return err
}

func (r *Ring) ensure(ctx context.Context, tenant string) (*snapshot, error) {
	return r.change(ctx, tenant, itself(), func(present document, _ time.Time) (document, string, string, error) {
		if present.complete() {
			return present, "", "", nil
		}
		doc, err := r.fill(ctx, present)
		return doc, "keyring.create", describe(doc), err
	})
}

// fill adds the keys that a document lacks.
func (r *Ring) fill(ctx context.Context, doc document) (document, error) {
	doc = doc.clone()
	// A next key that has been published is better than one that no validator knows.
	if next := doc.find(Next); doc.find(Current) == nil && next != nil {
		next.State, next.Activated = Current, r.cfg.Now()
	}
	var missing []State
	for _, state := range []State{Current, Next} {
		if doc.find(state) == nil {
			missing = append(missing, state)
		}
	}
	fresh, err := r.generate(ctx, len(missing))
	if err != nil {
		return document{}, err
	}
	now := r.cfg.Now()
	for i, state := range missing {
		fresh[i].State, fresh[i].Created = state, now
		if state == Current {
			fresh[i].Activated = now
		}
	}
	doc.Keys = append(doc.Keys, fresh...)
	return doc, nil
}

// RotateOptions modify a rotation.
type RotateOptions struct {
	// Force lets the next key sign, however recently it was published. Validators that
	// cached the keys earlier may refuse its tokens until they fetch the keys again.
	Force bool
	// DryRun checks what a rotation checks and rotates nothing. The key returned is the one that
	// would sign; none where there are no keys yet.
	DryRun bool
}

// Rotate lets the next key sign, retires the current one and publishes a new next key.
// It returns the key that signs now. When another node rotates at the same moment, there is one
// rotation, and both get its result. It returns [ErrTooSoon] if validators may not know the next
// key yet.
func (r *Ring) Rotate(ctx context.Context, tenant string, actor audit.Actor, opts RotateOptions) (KeyInfo, error) {
	if !opts.DryRun {
		if err := r.Ensure(ctx, tenant); err != nil {
			return KeyInfo{}, err
		}
	}
	replaced := "" // the key that this call replaces
	s, err := r.change(ctx, tenant, actor, func(present document, now time.Time) (document, string, string, error) {
		current, next := present.find(Current), present.find(Next)
		if opts.DryRun && next == nil {
			return present, "", "", nil
		}
		if current == nil || next == nil {
			return document{}, "", "", errors.New("the ring lacks a key: ensure it first")
		}
		if replaced == "" {
			replaced = current.ID
		}
		if replaced != current.ID {
			return present, "", "", nil // another node was first
		}
		usable := next.Created.Add(r.cfg.PublishAhead)
		if now.Before(usable) && !opts.Force {
			return document{}, "", "", fmt.Errorf("%w: key %s can sign from %s on, when every validator has fetched it; to use it now, at the cost of refusals by validators with cached keys, force the rotation",
				ErrTooSoon, next.ID, usable.UTC().Format(time.RFC3339))
		}
		if opts.DryRun {
			return present, "", "", nil
		}
		doc, err := r.advance(ctx, present)
		if err != nil {
			return document{}, "", "", err
		}
		detail := describe(doc)
		if now.Before(usable) {
			detail += fmt.Sprintf("; forced %s before the key was published for %s", usable.Sub(now).Round(time.Second), r.cfg.PublishAhead)
		}
		return doc, "keyring.rotate", detail, nil
	})
	if err != nil {
		return KeyInfo{}, err
	}
	if !opts.DryRun {
		return s.document.find(Current).info(), nil
	}
	if s == nil || s.document.find(Next) == nil {
		return KeyInfo{}, nil
	}
	return s.document.find(Next).info(), nil
}

// advance makes a key and advances the document.
func (r *Ring) advance(ctx context.Context, doc document) (document, error) {
	fresh, err := r.generate(ctx, 1)
	if err != nil {
		return document{}, err
	}
	now := r.cfg.Now()
	fresh[0].State, fresh[0].Created = Next, now
	return doc.advance(now, r.cfg.Retain, fresh[0]), nil
}

// Revoke removes a key from the ring at once, whatever it has signed: the answer to a private
// key that is no longer private. Its tokens are refused as soon as validators fetch the keys
// again. The reason goes into the audit trail.
func (r *Ring) Revoke(ctx context.Context, tenant string, actor audit.Actor, id, reason string) error {
	_, err := r.change(ctx, tenant, actor, func(present document, now time.Time) (document, string, string, error) {
		doc := present.without([]string{id})
		if len(doc.Keys) == len(present.Keys) {
			return document{}, "", "", fmt.Errorf("%w: %s", ErrUnknownKey, id)
		}
		doc.Revoked = now
		doc, err := r.fill(ctx, doc)
		return doc, revokeAction, fmt.Sprintf("revoked %s (%s); %s", id, reason, describe(doc)), err
	})
	return err
}

// revokeAction is the audit trail's word for what Revoke does.
const revokeAction = "keyring.revoke"

// revokedBy returns the key that an action has revoked, or nothing.
func revokedBy(action string, before, after document) string {
	if action != revokeAction {
		return ""
	}
	for _, e := range before.Keys {
		if !slices.ContainsFunc(after.Keys, func(kept entry) bool { return kept.ID == e.ID }) {
			return e.ID
		}
	}
	return ""
}

// describe says which keys a document has, for the audit trail.
func describe(doc document) string {
	var parts []string
	for _, e := range doc.inOrder() {
		parts = append(parts, string(e.State)+" "+e.ID)
	}
	return strings.Join(parts, ", ")
}

// change applies an edit to the ring in the store, and again if another node's change came
// first. It returns the resulting ring.
func (r *Ring) change(ctx context.Context, tenant string, actor audit.Actor, edit edit) (*snapshot, error) {
	h := r.holder(tenant)
	if err := h.acquire(ctx); err != nil {
		return nil, err
	}
	defer h.release()
	present, err := r.reload(ctx, tenant, h)
	for range maxAttempts {
		if err != nil {
			return nil, err
		}
		var before document
		var version int64
		if present != nil {
			before, version = present.document, present.version
		}
		after, action, detail, err := edit(before, r.cfg.Now())
		if err != nil {
			return nil, fmt.Errorf("key ring of tenant %s: %w", tenant, err)
		}
		if action == "" {
			return present, nil
		}
		after.Revision = before.Revision + 1
		body, err := seal(r.cfg.KEK, tenant, after)
		if err != nil {
			return nil, fmt.Errorf("key ring of tenant %s: %w", tenant, err)
		}
		change := audit.Event{Actor: actor.Name, ActorKind: actor.Kind, Action: action, Detail: detail}
		failure := r.cfg.Store.SetKeyring(ctx, tenant, version, body, change, revokedBy(action, before, after))
		if present, err = r.reload(ctx, tenant, h); err != nil {
			return nil, errors.Join(failure, err)
		}
		if failure == nil {
			r.cfg.Log.InfoContext(ctx, "key ring changed", "tenant", tenant, "actor", actor.Name, "action", action, "detail", detail)
			return present, nil
		}
		// Every store refuses when the version has changed, which the ring itself shows; any
		// other failure leaves the version as it was.
		if present == nil || present.version == version {
			return nil, fmt.Errorf("write key ring of tenant %s: %w", tenant, failure)
		}
	}
	return nil, fmt.Errorf("key ring of tenant %s: other nodes changed it %d times in a row", tenant, maxAttempts)
}
