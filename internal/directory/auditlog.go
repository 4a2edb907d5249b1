package directory

import (
	"context"
	"errors"
	"fmt"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// VerifyAudit reads the whole audit log and returns an error that says what was done to it,
// if anything: audit.ErrUnsigned where nobody has signed it yet.
func (d *Directory) VerifyAudit(ctx context.Context) (audit.Report, error) {
	return d.cfg.Audit.Verify(
		func() (audit.Head, error) { return d.cfg.Store.AuditHead(ctx) },
		func(after int64, limit int) ([]audit.Row, error) { return d.cfg.Store.AuditRows(ctx, after, limit) },
	)
}

// AdoptAudit signs an audit log of an older version as it is, by a row that says so, and
// reports how many rows it had. One that is signed, or was changed, is left alone.
func (d *Directory) AdoptAudit(ctx context.Context) (adopted int64, err error) {
	if head, err := d.cfg.Store.AuditHead(ctx); err != nil || len(head.Code) != 0 {
		return 0, err
	}
	report, err := d.VerifyAudit(ctx)
	if !errors.Is(err, audit.ErrUnsigned) {
		return 0, err
	}
	_, err = d.cfg.Store.Update(ctx, func(tx Tx) error {
		return tx.Audit(ctx, d.cfg.Audit, audit.Event{
			Time: d.now(), Actor: "directory", ActorKind: string(ActorSystem), Action: "audit.sign", Kind: "audit", Target: "audit",
			Detail: fmt.Sprintf("the %d rows before this one were written without a key", report.Rows),
		})
	})
	return report.Rows, err
}
