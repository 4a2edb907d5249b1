package keyring

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Run maintains the rings that this process uses until the context ends: it reads changes of
// other nodes, rotates keys that have signed for long enough, and removes retired keys that no
// valid token needs. Every node may run it. It returns nil when the context ends; errors are
// logged, and the work is tried again.
func (r *Ring) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.maintainAll(ctx)
		}
	}
}

func (r *Ring) maintainAll(ctx context.Context) {
	for key := range r.tenants.Range {
		tenant := key.(string)
		if err := r.Maintain(ctx, tenant); err != nil && ctx.Err() == nil {
			r.cfg.Log.ErrorContext(ctx, "key ring not maintained", "tenant", tenant, "err", err)
		}
	}
}

// Maintain does once, for one tenant, what Run does for all. A tenant without a ring gets none.
func (r *Ring) Maintain(ctx context.Context, tenant string) error {
	if err := r.Refresh(ctx, tenant); err != nil {
		return err
	}
	s := r.holder(tenant).snapshot.Load()
	if s == nil {
		r.tenants.Delete(tenant)
		return nil
	}
	return errors.Join(r.rotateDue(ctx, tenant, s), r.removeExpired(ctx, tenant, s))
}

func (r *Ring) rotateDue(ctx context.Context, tenant string, s *snapshot) error {
	if !s.document.complete() {
		return r.Ensure(ctx, tenant)
	}
	if !r.due(s.document, r.cfg.Now()) {
		return nil
	}
	_, err := r.change(ctx, tenant, itself(), func(present document, now time.Time) (document, string, string, error) {
		if !r.due(present, now) {
			return present, "", "", nil // another node was first
		}
		doc, err := r.advance(ctx, present)
		return doc, "keyring.rotate", describe(doc), err
	})
	return err
}

// due reports whether the current key has signed for long enough and the next one has
// been published for long enough.
func (r *Ring) due(doc document, now time.Time) bool {
	current, next := doc.find(Current), doc.find(Next)
	return r.cfg.RotateEvery > 0 && current != nil && next != nil &&
		!now.Before(current.Activated.Add(r.cfg.RotateEvery)) &&
		!now.Before(next.Created.Add(r.cfg.PublishAhead))
}

func (r *Ring) removeExpired(ctx context.Context, tenant string, s *snapshot) error {
	if len(s.document.expired(r.cfg.Now())) == 0 {
		return nil
	}
	_, err := r.change(ctx, tenant, itself(), func(present document, now time.Time) (document, string, string, error) {
		ids := present.expired(now)
		if len(ids) == 0 {
			return present, "", "", nil
		}
		return present.without(ids), "keyring.remove", "removed " + strings.Join(ids, ", "), nil
	})
	return err
}
