package authority

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// How long what is handed out lives.
const (
	codeLife    = 10 * time.Minute
	deviceLife  = 15 * time.Minute
	refreshLife = 90 * 24 * time.Hour // from its last use
	sessionLife = 8 * time.Hour
)

// A session says who signed in, when, and how.
type session struct {
	ID   string             `json:"id"` // a GUID: "sid"
	User directory.ObjectID `json:"user"`
	At   int64              `json:"at"` // Unix seconds
}

// A lease is what a client may have on behalf of a user, until it is revoked.
type lease struct {
	Session session         `json:"session"`
	Client  directory.AppID `json:"client"`
	// Proven leases were redeemed with the client's credential, and are good with one only.
	Proven bool `json:"proven,omitempty"`
	Ask    ask  `json:"ask"`
}

// newTicket makes the ticket of an artifact for a client and user of its tenant.
func (a *Authority) newTicket(v artifact, client directory.ObjectID, user directory.ObjectID, life time.Duration, body any) (directory.TokenRecord, error) {
	encoded, err := encodeBody(body)
	if err != nil {
		return directory.TokenRecord{}, err
	}
	return directory.TokenRecord{
		Tenant: v.tenant, Kind: v.kind, ID: a.directory.TokenRecordID(v.kind, v.String()), Family: v.familyID(),
		Client: client, User: user, Expires: a.now().Add(life), Body: encoded,
	}, nil
}

func encodeBody(body any) ([]byte, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode a ticket: %w", err)
	}
	return encoded, nil
}

// keep hands an artifact out: its ticket is in the store.
func (a *Authority) keep(ctx context.Context, v artifact, client, user directory.ObjectID, life time.Duration, body any) error {
	ticket, err := a.newTicket(v, client, user, life, body)
	if err != nil {
		return err
	}
	return a.directory.PutTokenRecord(ctx, ticket)
}

// keepFamily notes that a family is good. It lives as long as what may come of it.
func (a *Authority) keepFamily(ctx context.Context, v artifact, client, user directory.ObjectID, life time.Duration, l lease) error {
	ticket, err := a.newTicket(v, client, user, life, l)
	if err != nil {
		return err
	}
	ticket.Kind, ticket.ID = ticketFamily, v.familyID()
	return a.directory.PutTokenRecord(ctx, ticket)
}

// extendFamily lets a family live on. It fails when the family was revoked meanwhile.
func (a *Authority) extendFamily(ctx context.Context, v artifact, life time.Duration) error {
	ticket, err := a.directory.TokenRecord(ctx, v.tenant, ticketFamily, v.familyID())
	if err != nil {
		return err
	}
	ticket.Expires = a.now().Add(life)
	return a.updateTicket(ctx, ticket)
}

// updateTicket lets a ticket live on. Who else does so at the same time does as well.
func (a *Authority) updateTicket(ctx context.Context, ticket *directory.TokenRecord) error {
	err := a.directory.UpdateTokenRecord(ctx, ticket)
	if errors.Is(err, directory.ErrConflict) {
		return nil
	}
	return err
}

// ticket finds the ticket of an artifact and reads its body. It returns nil when there
// is none: it never was, was taken, or has expired.
func (a *Authority) ticket(ctx context.Context, v artifact, body any) (*directory.TokenRecord, error) {
	return a.ticketNamed(ctx, v.tenant, v.kind, a.directory.TokenRecordID(v.kind, v.String()), body)
}

func (a *Authority) ticketNamed(ctx context.Context, tenant directory.TenantID, kind directory.TokenRecordKind, id string, body any) (*directory.TokenRecord, error) {
	ticket, err := a.directory.TokenRecord(ctx, tenant, kind, id)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(ticket.Body, body); err != nil {
		return nil, fmt.Errorf("read a ticket: %w", err)
	}
	return ticket, nil
}

// take consumes a ticket; false means that somebody else did.
func (a *Authority) take(ctx context.Context, ticket *directory.TokenRecord) (bool, error) {
	_, err := a.directory.TakeTokenRecord(ctx, ticket.Tenant, ticket.Kind, ticket.ID)
	if errors.Is(err, directory.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// familyOf gives the lease of an artifact's family, or nil when that is revoked or over.
func (a *Authority) familyOf(ctx context.Context, v artifact) (*lease, error) {
	l := new(lease)
	ticket, err := a.ticketNamed(ctx, v.tenant, ticketFamily, v.familyID(), l)
	if err != nil || ticket == nil {
		return nil, err
	}
	return l, nil
}
