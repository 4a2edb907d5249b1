package server

import (
	"context"
	"errors"
	"log/slog"

	"github.com/rolecall-auth/rolecall/internal/audit"
)

const auditChanged = "THE AUDIT LOG WAS CHANGED by somebody other than Rolecall: find out who could write to the database, and compare it with a backup (`rolecall audit verify`)"

// checkAudit looks at the audit log while a server runs. If it was changed, that is said,
// and the server goes on.
func (d *Data) checkAudit(ctx context.Context) {
	report, err := d.Directory.VerifyAudit(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		d.log.LogAttrs(ctx, slog.LevelInfo, "the audit log is whole", slog.Int64("rows", report.Rows), slog.Int64("keyed from", report.Keyed))
	case isChanged(err):
		d.log.LogAttrs(ctx, slog.LevelError, auditChanged, slog.Any("error", err))
	default:
		d.log.LogAttrs(ctx, slog.LevelWarn, "the audit log could not be checked", slog.Any("error", err))
	}
}

func isChanged(err error) bool {
	_, is := errors.AsType[*audit.ChangedError](err)
	return is
}

// adoptAudit signs the log of an older version as it is, before anything is added to it.
func (d *Data) adoptAudit(ctx context.Context) {
	rows, err := d.Directory.AdoptAudit(ctx)
	switch {
	case err != nil && isChanged(err):
		d.log.LogAttrs(ctx, slog.LevelError, auditChanged, slog.Any("error", err))
	case err != nil:
		d.log.LogAttrs(ctx, slog.LevelWarn, "the audit log could not be signed", slog.Any("error", err))
	case rows > 0:
		d.log.LogAttrs(ctx, slog.LevelWarn, "the audit log was not signed, as before an upgrade; it is signed from here on", slog.Int64("unsigned rows", rows))
	}
}
