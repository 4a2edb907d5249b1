package authority

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// finish notes an exchange before its answer is written: a log line, and a sign-in row
// when it was a token request to a known tenant.
//
// Refusals with a number are logged for operators; what went well is in the sign-ins
// already, and a second account of it would cost as much as a tenth of a signature.
func (a *Authority) finish(ctx context.Context, x *exchange, err error) {
	row := x.signIn
	level, status := slog.LevelDebug, http.StatusOK
	var cause error
	if err != nil {
		err := aadsts.Of(err)
		status, cause = err.Status, err.Cause
		row.Code = err.Code
		row.Reason = text.Line(err.What, text.MaxQuoted)
		switch {
		case status >= http.StatusInternalServerError:
			level = slog.LevelError
		case err.Code != 0:
			level = slog.LevelInfo
		}
	}
	row.Time, row.TraceID, row.CorrelationID, row.Source = x.start, x.trace, x.correlation, x.source
	if row.Tenant != "" && a.keepsRow(x, row) {
		a.signIns.add(row)
	}
	if !a.log.Enabled(ctx, level) {
		return
	}
	a.log.LogAttrs(ctx, level, "answered", a.attributes(x, row, status, cause)...)
}

// keepsRow reports whether a sign-in is kept. The store has room for so many, and a flood
// must not push out what tells something: attempts that had to wait make no rows, for
// those that made them wait did, and who presents no credential makes few.
func (a *Authority) keepsRow(x *exchange, row directory.SignIn) bool {
	switch {
	case row.Code == aadsts.CodeThrottled:
		return false
	case row.Code == 0 || row.Credential != "" || x.attempted:
		return true
	default:
		return a.throttle.noteworthy(x.source)
	}
}

// attributes are those of the log line of an exchange. Everything that came from outside
// is cleaned; secrets, assertions and tokens are not among it.
func (a *Authority) attributes(x *exchange, row directory.SignIn, status int, cause error) []slog.Attr {
	var attributes []slog.Attr
	if x.http != nil { // a token that was minted has no request here
		attributes = append(attributes,
			slog.String("method", text.Line(x.http.Method, aadsts.MaxNoted)),
			slog.String("path", text.Line(x.http.URL.Path, aadsts.MaxNoted)))
	}
	attributes = append(attributes,
		slog.Int("status", status),
		slog.String("source", x.source),
		slog.String("trace", x.trace),
		slog.String("correlation", x.correlation),
		slog.Duration("took", a.now().Sub(x.start)))
	if row.Code != 0 {
		attributes = append(attributes, slog.Int("code", row.Code))
	}
	for _, text := range []struct{ name, value string }{
		{"tenant", string(row.Tenant)}, {"app", string(row.AppID)}, {"credential", row.Credential},
		{"resource", row.Resource}, {"version", row.Version}, {"tokenId", row.TokenID},
		{"library", row.Library}, {"reason", row.Reason},
	} {
		if text.value != "" {
			attributes = append(attributes, slog.String(text.name, text.value))
		}
	}
	if cause != nil {
		attributes = append(attributes, slog.String("cause", text.Line(cause.Error(), maxCause)))
	}
	return attributes
}

// maxCause is how much of a cause goes into a log line: enough for the frames of a panic.
const maxCause = 4 << 10
