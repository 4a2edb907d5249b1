package directory

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// A TicketKind names a use of tickets ("code", "refresh"); each has ids of its own.
type TicketKind string

// A Ticket is something short-lived that a secret stands for: an authorization code, a
// device code, a refresh token, a browser session. The secret itself is kept nowhere.
//
// Tickets are outside the model: no audit row tells of one, no cache has it, and what is
// in the body is its maker's business.
type Ticket struct {
	Tenant TenantID   `json:"tenant"`
	Kind   TicketKind `json:"kind"`
	ID     string     `json:"id"`               // by TicketID
	Family string     `json:"family,omitempty"` // what falls together: all refresh tokens of one sign-in
	// Client and User are the service principal and the user it was made for, if any. A
	// ticket goes when one of them is deleted, and when the user is disabled or gets
	// another password.
	Client  ObjectID  `json:"client,omitempty"`
	User    ObjectID  `json:"user,omitempty"`
	Expires time.Time `json:"expires"`
	Body    []byte    `json:"body,omitempty"`

	version int64 // at which it was read
}

const (
	maxTicketBody = 64 << 10
	sweepEvery    = time.Minute
	sweepBatch    = 200 // expired tickets that one transaction removes
	sweepBatches  = 50  // such transactions in a row
)

// TicketID is the id under which the secret of a ticket is kept: a keyed digest, so that
// who reads the store learns no secret and can make none.
func (d *Directory) TicketID(kind TicketKind, secret string) string {
	sum := d.secrets.digest("ticket\x00" + string(kind) + "\x00" + secret)
	return hex.EncodeToString(sum[:])
}

// PutTicket keeps a new ticket. ErrDuplicate means that there is one of that kind and id.
func (d *Directory) PutTicket(ctx context.Context, t Ticket) error {
	t.Tenant, t.Client, t.User = fold(t.Tenant), fold(t.Client), fold(t.User)
	t.Expires, t.version = stamp(t.Expires), 0
	if err := t.check(); err != nil {
		return err
	}
	return d.changeTickets(ctx, func(tx Tx) error {
		if err := checkTicketOwners(ctx, tx, &t); err != nil {
			return err
		}
		if present, err := tx.Get(ctx, string(t.Tenant), kindTicket, t.objectID()); err == nil {
			old, err := decodeTicket(present)
			if err != nil {
				return err
			}
			if !old.expired(d.cfg.Now()) {
				return fmt.Errorf("ticket: %w", ErrDuplicate)
			}
			t.version = present.Version
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		return putTicket(ctx, tx, &t)
	})
}

// Ticket returns the ticket of that kind and id, or ErrNotFound, also once it has expired.
func (d *Directory) Ticket(ctx context.Context, tenant TenantID, kind TicketKind, id string) (*Ticket, error) {
	return d.readTicket(ctx, d.cfg.Store, tenant, kind, id)
}

// UpdateTicket replaces a ticket by what it was changed to since it was read. ErrConflict
// means that someone else changed it meanwhile, ErrNotFound that it is gone. After
// success the same ticket can be changed again.
func (d *Directory) UpdateTicket(ctx context.Context, t *Ticket) error {
	if t.version == 0 {
		return fmt.Errorf("ticket: %w", ErrConflict) // it was never read
	}
	next := *t
	next.Expires = stamp(t.Expires)
	if err := next.check(); err != nil {
		return err
	}
	err := d.changeTickets(ctx, func(tx Tx) error {
		next.version = t.version
		if _, err := d.readTicket(ctx, tx, t.Tenant, t.Kind, t.ID); err != nil {
			return err
		}
		if err := checkTicketOwners(ctx, tx, &next); err != nil {
			return err
		}
		return putTicket(ctx, tx, &next)
	})
	if err == nil {
		*t = next
	}
	return err
}

// TakeTicket removes a ticket and returns it. However many ask at a time, one gets it,
// and the others ErrNotFound.
func (d *Directory) TakeTicket(ctx context.Context, tenant TenantID, kind TicketKind, id string) (*Ticket, error) {
	var taken *Ticket
	err := d.changeTickets(ctx, func(tx Tx) error {
		found, err := d.readTicket(ctx, tx, tenant, kind, id)
		if err != nil {
			return err
		}
		taken = found
		return tx.Delete(ctx, string(found.Tenant), kindTicket, found.objectID(), found.version)
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// DropFamily removes all tickets of a family, and writes an audit row if there were any:
// somebody's sessions end here.
func (d *Directory) DropFamily(ctx context.Context, tenant TenantID, family string) error {
	if family == "" {
		return nil
	}
	tenant = fold(tenant)
	return d.changeTickets(ctx, func(tx Tx) error {
		dropped, err := dropTickets(ctx, tx, tenant, makePrefix("family", family))
		if err != nil || dropped == 0 {
			return err
		}
		return tx.Audit(ctx, audit.Event{
			Time: d.now(), Tenant: string(tenant), Actor: "directory", Action: "ticketFamily.delete",
			Kind: kindTicket, Target: family, Name: family, Detail: fmt.Sprintf("tickets: %d", dropped),
		})
	})
}

func (t *Ticket) check() error {
	switch {
	case t.Kind == "" || t.ID == "":
		return &RuleError{Field: "id", What: "The ticket has no kind or no id.", Fix: "Give it both; TicketID makes the id of a secret."}
	case len(t.Kind)+len(t.ID)+len(t.Family) > maxKeyPart:
		return &RuleError{Field: "id", What: "The ticket's kind, id and family are too long.", Fix: "Use digests."}
	case t.Expires.IsZero():
		return &RuleError{Field: "expires", What: "The ticket never expires.", Fix: "Give it a time to end."}
	case len(t.Body) > maxTicketBody:
		return &RuleError{Field: "body", What: "The ticket's body is too large.", Fix: fmt.Sprintf("Give it at most %d bytes.", maxTicketBody)}
	}
	return nil
}

func (t *Ticket) expired(now time.Time) bool { return !now.Before(t.Expires) }

// objectID tells tickets of different kinds apart, whatever their ids.
func (t *Ticket) objectID() string { return makeKey(string(t.Kind), t.ID) }

func (t *Ticket) keys() []string {
	kind := string(t.Kind)
	keys := []string{makeKey("id", kind, t.ID), makeKey("expires", expiryPart(t.Expires.Add(time.Second-1)), kind, t.ID)}
	if t.Family != "" {
		keys = append(keys, makeKey("family", t.Family, kind, t.ID))
	}
	if t.Client != "" {
		keys = append(keys, makeKey("of", string(t.Client), kind, t.ID))
	}
	if t.User != "" && t.User != t.Client {
		keys = append(keys, makeKey("of", string(t.User), kind, t.ID))
	}
	return keys
}

// expiryPart is a time in whole seconds, such that times sort as their parts do.
func expiryPart(t time.Time) string { return fmt.Sprintf("%012d", max(t.Unix(), 0)) }

// changeTickets runs a transaction without an Editor: its acts are none of the model's.
func (d *Directory) changeTickets(ctx context.Context, f func(Tx) error) error {
	_, err := d.cfg.Store.Update(ctx, f)
	return err
}

// checkTicketOwners wants those there whom the ticket is made for, so that one which is
// made while a user is being deleted does not outlive the user.
func checkTicketOwners(ctx context.Context, tx Tx, t *Ticket) error {
	for _, owner := range []struct{ tenant, kind, id string }{
		{"", kindTenant, string(t.Tenant)},
		{string(t.Tenant), kindPrincipal, string(t.Client)},
		{string(t.Tenant), kindUser, string(t.User)},
	} {
		if owner.id == "" && owner.kind != kindTenant {
			continue
		}
		if _, err := tx.Get(ctx, owner.tenant, owner.kind, owner.id); err != nil {
			return err
		}
	}
	return nil
}

func putTicket(ctx context.Context, tx Tx, t *Ticket) (err error) {
	body, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("write a ticket: %w", err)
	}
	t.version, err = tx.Put(ctx, Object{
		Tenant: string(t.Tenant), Kind: kindTicket, ID: t.objectID(), Version: t.version, Body: body, Keys: t.keys(),
	})
	return err
}

func (d *Directory) readTicket(ctx context.Context, from Reader, tenant TenantID, kind TicketKind, id string) (*Ticket, error) {
	if len(kind)+len(id) > maxKeyPart {
		return nil, ErrNotFound
	}
	wanted := Ticket{Kind: kind, ID: id}
	object, err := from.Get(ctx, string(fold(tenant)), kindTicket, wanted.objectID())
	if err != nil {
		return nil, err
	}
	t, err := decodeTicket(object)
	if err != nil {
		return nil, err
	}
	if t.expired(d.cfg.Now()) {
		return nil, fmt.Errorf("ticket: %w", ErrNotFound)
	}
	return t, nil
}

func decodeTicket(object Object) (*Ticket, error) {
	t := new(Ticket)
	if err := json.Unmarshal(object.Body, t); err != nil {
		return nil, fmt.Errorf("read a ticket: %w", err)
	}
	t.version = object.Version
	return t, nil
}

// dropTickets removes the tickets with a key of that prefix.
func dropTickets(ctx context.Context, tx Tx, tenant TenantID, prefix string) (dropped int, err error) {
	objects, _, err := tx.List(ctx, string(tenant), kindTicket, prefix, "", 0)
	if err != nil {
		return 0, err
	}
	for _, object := range objects {
		if err := tx.Delete(ctx, object.Tenant, object.Kind, object.ID, object.Version); err != nil {
			return 0, err
		}
	}
	return len(objects), nil
}

// dropTickets removes the tickets of a service principal or user.
func (e *Editor) dropTickets(tenant TenantID, owner ObjectID) error {
	_, err := dropTickets(e.ctx, e.tx, tenant, makePrefix("of", string(owner)))
	return err
}

// sweep removes expired tickets of every tenant, a few at a time so that nobody else
// waits long for the store.
func (d *Directory) sweep(ctx context.Context) error {
	tenants, err := d.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		for range sweepBatches {
			if more, err := d.sweepTenant(ctx, string(tenant.ID)); err != nil || !more {
				if err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// sweepTenant removes one batch and reports whether there may be more.
func (d *Directory) sweepTenant(ctx context.Context, tenant string) (more bool, err error) {
	// Looking before opening a transaction: nearly always there is nothing to do.
	if expired, err := d.expiredTickets(ctx, d.cfg.Store, tenant); err != nil || len(expired) == 0 {
		return false, err
	}
	err = d.changeTickets(ctx, func(tx Tx) error {
		expired, err := d.expiredTickets(ctx, tx, tenant)
		if err != nil {
			return err
		}
		more = len(expired) == sweepBatch
		for _, object := range expired {
			if err := tx.Delete(ctx, object.Tenant, object.Kind, object.ID, object.Version); err != nil {
				return err
			}
		}
		return nil
	})
	return more, err
}

func (d *Directory) expiredTickets(ctx context.Context, from Reader, tenant string) ([]Object, error) {
	objects, keys, err := from.List(ctx, tenant, kindTicket, "expires/", "", sweepBatch)
	if err != nil {
		return nil, err
	}
	living := makeKey("expires", expiryPart(d.cfg.Now().Add(time.Second)))
	for i, key := range keys {
		if cmp.Compare(key, living) >= 0 {
			return objects[:i], nil
		}
	}
	return objects, nil
}
