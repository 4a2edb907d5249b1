package directory

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

// AddSignIns keeps sign-in rows, all or none.
func (d *Directory) AddSignIns(ctx context.Context, rows []SignIn) error {
	if len(rows) == 0 {
		return nil
	}
	return d.cfg.Store.AppendSignIns(ctx, rows)
}

// SignIns returns the newest rows first that the filter keeps.
func (d *Directory) SignIns(ctx context.Context, filter SignInFilter) ([]SignIn, error) {
	return d.cfg.Store.SignIns(ctx, filter)
}

// AuditRows returns at most limit rows of the audit chain after a sequence, oldest
// first; audit.Verify tells whether they are whole.
func (d *Directory) AuditRows(ctx context.Context, after int64, limit int) ([]audit.Row, error) {
	return d.cfg.Store.AuditRows(ctx, after, limit)
}
