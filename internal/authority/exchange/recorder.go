package exchange

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// ByPassword is how people prove themselves, in sign-in rows; of a refused one also how they
// tried to.
const ByPassword = "password"

// A Recorder notes what was answered: in the log, in the sign-ins, and to a hook. It is safe
// for concurrent use.
type Recorder struct {
	log      *slog.Logger
	now      func() time.Time
	failures coordination.Failures
	signIns  *signInQueue
	onAnswer func(Answered)
}

// NewRecorder returns a recorder that keeps sign-ins in a directory. The hook may be nil.
func NewRecorder(d *directory.Directory, failures coordination.Failures, log *slog.Logger, now func() time.Time, onAnswer func(Answered)) *Recorder {
	return &Recorder{log: log, now: now, failures: failures, signIns: newSignInQueue(d, log), onAnswer: onAnswer}
}

// Run writes sign-ins until the context ends, then writes what is left and returns.
func (r *Recorder) Run(ctx context.Context) error { return r.signIns.run(ctx) }

// Flush returns when the sign-ins of all answers given before are kept. It needs Run.
func (r *Recorder) Flush(ctx context.Context) error { return r.signIns.flush(ctx) }

// LostSignIns is how many sign-ins were never written since the start: the store was too
// slow for them, or refused them.
func (r *Recorder) LostSignIns() int64 { return r.signIns.lost.Load() }

// An Answered tells of one answer, for metrics. It holds no secrets and nothing that a
// caller chose freely.
type Answered struct {
	// Endpoint is the path that was served, without its tenant; empty for a path at which
	// nothing is, and for a token that this machine vouched for.
	Endpoint string
	Status   int                // of the HTTP answer
	Code     int                // AADSTS number of a refusal, which a redirect may carry; 0: none
	Tenant   directory.TenantID // empty: none was found
	Version  string             // of the access token; empty: none was issued
	Took     time.Duration
}

// Finish notes an exchange before its answer is written: a log line, a sign-in row when it
// was a token request to a known tenant or a refusal, which carries an id that people look
// for, and a call of the hook. The status is that of an
// answer; an error has its own.
//
// Refusals with a number are logged for operators; what went well is in the sign-ins
// already, and a second account of it would cost as much as a tenth of a signature.
func (r *Recorder) Finish(ctx context.Context, x *Exchange, status int, err error) {
	row, level := x.SignIn, slog.LevelDebug
	var cause error
	if err != nil {
		problem := aadsts.Of(err)
		status, cause = problem.Status, problem.Cause
		noteRefusal(&row, problem)
		if row.Tenant == "" && x.Tenant != "" {
			row.Presented = &directory.Presented{Tenant: Noted(x.Tenant)}
		}
		switch {
		case status >= http.StatusInternalServerError:
			level = slog.LevelError
		case row.Code != 0:
			level = slog.LevelInfo
		}
	}
	row.Time, row.TraceID, row.CorrelationID, row.Source = x.Start, x.Trace, x.Correlation, x.Source
	row.Cloud = string(x.Origin.Cloud())
	if (row.Tenant != "" || row.Refused()) && r.keepsRow(ctx, x, row) {
		r.signIns.add(row)
	}
	if r.onAnswer != nil {
		r.onAnswer(Answered{
			Endpoint: x.endpoint, Status: status, Code: row.Code, Tenant: row.Tenant, Version: row.Version, Took: r.now().Sub(x.Start),
		})
	}
	if r.log.Enabled(ctx, level) {
		r.log.LogAttrs(ctx, level, "answered", r.attributes(x, row, status, cause)...)
	}
}

// Refused keeps a row about a refusal that another endpoint gave, such as one of managed
// identities, under the same limits as those given here.
func (r *Recorder) Refused(ctx context.Context, row directory.SignIn) {
	if r.keepsRow(ctx, &Exchange{Source: row.Source}, row) {
		r.signIns.add(row)
	}
}

// keepsRow reports whether a sign-in is kept. The store has room for so many, and a flood
// must not push out what tells something: attempts that had to wait make no rows, because
// the failures before them did, and requests without a credential make few.
func (r *Recorder) keepsRow(ctx context.Context, x *Exchange, row directory.SignIn) bool {
	switch {
	case row.Code == aadsts.CodeThrottled:
		return false
	case !row.Refused() || row.Credential != "" && row.Credential != ByPassword:
		return true
	default:
		return r.failures.Noteworthy(ctx, row.Tenant, x.Source, x.Attempted || row.Credential == ByPassword)
	}
}

// attributes are those of the log line of an exchange. Everything that came from outside
// is cleaned; secrets, assertions and tokens are not among it.
func (r *Recorder) attributes(x *Exchange, row directory.SignIn, status int, cause error) []slog.Attr {
	var attributes []slog.Attr
	if x.Request != nil { // a token that was minted has no request here
		attributes = append(attributes,
			slog.String("method", Noted(x.Request.Method)),
			slog.String("path", Noted(x.Request.URL.Path)))
	}
	attributes = append(attributes,
		slog.Int("status", status),
		slog.String("source", x.Source),
		slog.String("trace", x.Trace),
		slog.String("correlation", x.Correlation),
		slog.Duration("took", r.now().Sub(x.Start)))
	if row.Code != 0 {
		attributes = append(attributes, slog.Int("code", row.Code))
	}
	for _, a := range []struct{ name, value string }{
		{"tenant", string(row.Tenant)}, {"app", string(row.AppID)}, {"credential", row.Credential},
		{"resource", row.Resource}, {"version", row.Version}, {"tokenId", row.TokenID},
		{"library", row.Library}, {"reason", row.Reason},
	} {
		if a.value != "" {
			attributes = append(attributes, slog.String(a.name, a.value))
		}
	}
	if cause != nil {
		attributes = append(attributes, slog.String("cause", text.Line(cause.Error(), maxCause)))
	}
	return attributes
}

// maxCause is how much of a cause goes into a log line: enough for the frames of a panic.
const maxCause = 4 << 10
