package directory

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// A TokenRecordKind names a use of token records ("code", "refresh"); each has ids of its own.
type TokenRecordKind string

// A TokenRecord is something short-lived that a secret stands for: an authorization code,
// a device code, a refresh token, a browser session. The secret itself is kept nowhere.
//
// Token records are outside the model: they are no objects, the change feed and the cache
// know nothing of them, no audit row tells of a single one, and what is in the body is its
// maker's business.
type TokenRecord struct {
	Tenant TenantID
	Kind   TokenRecordKind
	ID     string // by TokenRecordID
	Family string // what falls together: all refresh tokens of one sign-in
	// Client and User are the service principal and the user it was made for, if any. A
	// record goes when one of them is deleted, and when the user is disabled or gets
	// another password. Of a record that names no user, whoever redeems it asks
	// [User.SessionCounts].
	Client  ObjectID
	User    ObjectID
	Expires time.Time
	Body    []byte
	Version int64 // 0 before it is first put; the store counts up
}

const (
	maxRecordBody = 64 << 10
	sweepEvery    = time.Minute
	sweepBatch    = 200 // expired records that one transaction removes
	sweepBatches  = 50  // such transactions in a row
)

// TokenRecordID is the id under which the secret of a record is kept: a keyed digest, so
// that a reader of the store learns no secret and cannot make one.
func (d *Directory) TokenRecordID(kind TokenRecordKind, secret string) string {
	sum := d.secrets.digest("token record\x00" + string(kind) + "\x00" + secret)
	return hex.EncodeToString(sum[:])
}

// PutTokenRecord keeps a new record. ErrDuplicate means that there is one of that kind and id.
func (d *Directory) PutTokenRecord(ctx context.Context, r TokenRecord) error {
	r.Tenant, r.Client, r.User = fold(r.Tenant), fold(r.Client), fold(r.User)
	r.Expires = stamp(r.Expires)
	if err := r.check(); err != nil {
		return err
	}
	return d.changeRecords(ctx, func(tx Tx) error {
		if err := checkRecordOwners(ctx, tx, &r); err != nil {
			return err
		}
		present, err := tx.TokenRecord(ctx, r.Tenant, r.Kind, r.ID)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return err
		case !present.expired(d.cfg.Now()):
			return fmt.Errorf("token record: %w", ErrDuplicate)
		}
		r.Version = present.Version
		_, err = tx.PutTokenRecord(ctx, r)
		return err
	})
}

// TokenRecord returns the record of that kind and id, or ErrNotFound, also once it has expired.
func (d *Directory) TokenRecord(ctx context.Context, tenant TenantID, kind TokenRecordKind, id string) (*TokenRecord, error) {
	return readRecord(ctx, d.cfg.Store, d.cfg.Now(), tenant, kind, id)
}

// UpdateTokenRecord replaces a record by what it was changed to since it was read.
// ErrConflict means that someone else changed it meanwhile, ErrNotFound that it is gone.
// After success the same record can be changed again.
func (d *Directory) UpdateTokenRecord(ctx context.Context, r *TokenRecord) error {
	if r.Version == 0 {
		return fmt.Errorf("token record: %w", ErrConflict) // it was never read
	}
	next := *r
	next.Expires = stamp(r.Expires)
	if err := next.check(); err != nil {
		return err
	}
	err := d.changeRecords(ctx, func(tx Tx) error {
		if _, err := readRecord(ctx, tx, d.cfg.Now(), r.Tenant, r.Kind, r.ID); err != nil {
			return err
		}
		if err := checkRecordOwners(ctx, tx, &next); err != nil {
			return err
		}
		version, err := tx.PutTokenRecord(ctx, next)
		next.Version = version
		return err
	})
	if err == nil {
		*r = next
	}
	return err
}

// TakeTokenRecord removes a record and returns it. However many ask at a time, one gets
// it, and the others ErrNotFound.
func (d *Directory) TakeTokenRecord(ctx context.Context, tenant TenantID, kind TokenRecordKind, id string) (*TokenRecord, error) {
	var taken *TokenRecord
	err := d.changeRecords(ctx, func(tx Tx) (err error) {
		if taken, err = readRecord(ctx, tx, d.cfg.Now(), tenant, kind, id); err != nil {
			return err
		}
		return tx.DeleteTokenRecord(ctx, taken.Tenant, taken.Kind, taken.ID)
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// DropFamily removes all records of a family, and writes an audit row if there were any:
// somebody's sessions end here.
func (d *Directory) DropFamily(ctx context.Context, tenant TenantID, family string) error {
	if family == "" {
		return nil
	}
	tenant = fold(tenant)
	return d.changeRecords(ctx, func(tx Tx) error {
		dropped, err := tx.DropTokenRecords(ctx, tenant, RecordsOfFamily, family)
		if err != nil || dropped == 0 {
			return err
		}
		return tx.Audit(ctx, d.cfg.Audit, audit.Event{
			Time: d.now(), Tenant: string(tenant), Actor: "directory", Action: "tokenFamily.delete",
			Kind: "tokenFamily", Target: family, Name: family, Detail: fmt.Sprintf("token records: %d", dropped),
		})
	})
}

func (r *TokenRecord) check() error {
	switch {
	case r.Kind == "" || r.ID == "":
		return &RuleError{Field: "id", What: "The token record has no kind or no id.", Advice: "Give it both; TokenRecordID makes the id of a secret."}
	case len(r.Kind)+len(r.ID)+len(r.Family) > maxKeyPart:
		return &RuleError{Field: "id", What: "The token record's kind, id and family are too long.", Advice: "Use digests."}
	case r.Expires.IsZero():
		return &RuleError{Field: "expires", What: "The token record never expires.", Advice: "Give it a time to end."}
	case len(r.Body) > maxRecordBody:
		return &RuleError{Field: "body", What: "The token record's body is too large.", Advice: fmt.Sprintf("Give it at most %d bytes.", maxRecordBody)}
	}
	return nil
}

func (r *TokenRecord) expired(now time.Time) bool { return !now.Before(r.Expires) }

// changeRecords runs a transaction without an Editor: its acts are none of the model's.
func (d *Directory) changeRecords(ctx context.Context, f func(Tx) error) error {
	_, err := d.cfg.Store.Update(ctx, f)
	return err
}

// checkRecordOwners requires the tenant, client and user of a record to exist, so that one
// which is made while a user is being deleted does not outlive the user.
func checkRecordOwners(ctx context.Context, tx Tx, r *TokenRecord) error {
	for _, owner := range []struct{ tenant, kind, id string }{
		{"", KindTenant, string(r.Tenant)},
		{string(r.Tenant), KindServicePrincipal, string(r.Client)},
		{string(r.Tenant), KindUser, string(r.User)},
	} {
		if owner.id == "" && owner.kind != KindTenant || owner.kind == KindServicePrincipal && isBuiltinClient(r.Tenant, r.Client) {
			continue
		}
		if _, err := tx.Get(ctx, owner.tenant, owner.kind, owner.id); err != nil {
			return err
		}
	}
	return nil
}

func readRecord(ctx context.Context, from TokenRecordReader, now time.Time, tenant TenantID, kind TokenRecordKind, id string) (*TokenRecord, error) {
	if len(kind)+len(id) > maxKeyPart {
		return nil, ErrNotFound
	}
	r, err := from.TokenRecord(ctx, fold(tenant), kind, id)
	if err != nil {
		return nil, err
	}
	if r.expired(now) {
		return nil, fmt.Errorf("token record: %w", ErrNotFound)
	}
	return &r, nil
}

// dropRecords removes the token records of a service principal or user.
func (e *editor) dropRecords(tenant TenantID, owner ObjectID) error {
	_, err := e.tx.DropTokenRecords(e.ctx, tenant, RecordsOfOwner, string(owner))
	return err
}

// sweep removes expired records, a few at a time so that nobody else waits long for the
// store.
func (d *Directory) sweep(ctx context.Context) error {
	for range sweepBatches {
		// Looking before opening a transaction: nearly always there is nothing to do.
		if expired, err := d.cfg.Store.HasExpiredTokenRecords(ctx, d.now()); err != nil || !expired {
			return err
		}
		err := d.changeRecords(ctx, func(tx Tx) error { return tx.SweepTokenRecords(ctx, d.now(), sweepBatch) })
		if err != nil {
			return err
		}
	}
	return nil
}
