package authority

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/directory"
)

// finish notes an exchange before its answer is written: a log line always, a sign-in
// row when it was a token request to a known tenant. Attempts that had to wait make no
// rows: those that made them wait did, and a flood must not fill the store.
func (a *Authority) finish(x *exchange, err error) {
	row := x.signIn
	level, status := slog.LevelInfo, http.StatusOK
	var cause error
	if err != nil {
		problem := problemOf(err)
		status, cause = problem.Status, problem.Cause
		row.Code = problem.Code
		row.Reason = clean(problem.What, maxQuoted)
		if status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
	}
	if row.Tenant == "" && level == slog.LevelInfo {
		level = slog.LevelDebug
	}
	row.Time, row.TraceID, row.CorrelationID, row.Source = x.start, x.trace, x.correlation, x.source
	if row.Tenant != "" && row.Code != codeThrottled {
		a.signIns.add(row)
	}
	ctx := x.http.Context()
	if !a.log.Enabled(ctx, level) {
		return
	}
	a.log.LogAttrs(ctx, level, "answered", a.attributes(x, row, status, cause)...)
}

// attributes are those of the log line of an exchange. Everything that came from outside
// is cleaned; secrets, assertions and tokens are not among it.
func (a *Authority) attributes(x *exchange, row directory.SignIn, status int, cause error) []slog.Attr {
	attributes := []slog.Attr{
		slog.String("method", clean(x.http.Method, maxNoted)),
		slog.String("path", clean(x.http.URL.Path, maxNoted)),
		slog.Int("status", status),
		slog.String("source", x.source),
		slog.String("trace", x.trace),
		slog.String("correlation", x.correlation),
		slog.Duration("took", a.now().Sub(x.start)),
	}
	if row.Code != 0 {
		attributes = append(attributes, slog.Int("code", row.Code))
	}
	for _, text := range []struct{ name, value string }{
		{"tenant", string(row.Tenant)}, {"app", string(row.AppID)}, {"credential", row.Credential},
		{"resource", row.Resource}, {"version", row.Version}, {"tokenId", row.TokenID},
		{"library", row.Client}, {"reason", row.Reason},
	} {
		if text.value != "" {
			attributes = append(attributes, slog.String(text.name, text.value))
		}
	}
	if cause != nil {
		attributes = append(attributes, slog.String("cause", clean(cause.Error(), maxCause)))
	}
	return attributes
}

// maxCause is how much of a cause goes into a log line: enough for the frames of a panic.
const maxCause = 4 << 10

// The sizes of the sign-in queue.
const (
	signInQueueLength = 4096
	signInBatch       = 256
	signInFlush       = 5 * time.Second
)

// A signInQueue carries sign-in rows to the store without making anybody wait for it.
type signInQueue struct {
	directory *directory.Directory
	log       *slog.Logger
	rows      chan directory.SignIn
	dropped   atomic.Int64 // rows that found the queue full
}

func newSignInQueue(d *directory.Directory, log *slog.Logger) *signInQueue {
	return &signInQueue{directory: d, log: log, rows: make(chan directory.SignIn, signInQueueLength)}
}

// add queues a row, or drops it when the queue is full: the store may be slow, tokens not.
func (q *signInQueue) add(row directory.SignIn) {
	select {
	case q.rows <- row:
	default:
		q.dropped.Add(1)
	}
}

// run writes rows until the context ends, and then what is queued.
func (q *signInQueue) run(ctx context.Context) error {
	for {
		select {
		case row := <-q.rows:
			q.write(ctx, q.batch(row))
		case <-ctx.Done():
			q.flush(ctx)
			return nil
		}
	}
}

// flush writes what is queued although the context has ended.
func (q *signInQueue) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signInFlush)
	defer cancel()
	for {
		select {
		case row := <-q.rows:
			q.write(ctx, q.batch(row))
		default:
			return
		}
	}
}

// batch takes what is queued behind a row, up to a limit.
func (q *signInQueue) batch(first directory.SignIn) []directory.SignIn {
	rows := []directory.SignIn{first}
	for len(rows) < signInBatch {
		select {
		case row := <-q.rows:
			rows = append(rows, row)
		default:
			return rows
		}
	}
	return rows
}

// write keeps rows in the store, and says how many were lost.
func (q *signInQueue) write(ctx context.Context, rows []directory.SignIn) {
	err := q.directory.AddSignIns(context.WithoutCancel(ctx), rows)
	if err != nil {
		q.log.LogAttrs(ctx, slog.LevelError, "sign-ins not kept", slog.Int("rows", len(rows)), slog.String("cause", clean(err.Error(), maxNoted)))
	}
	if dropped := q.dropped.Swap(0); dropped > 0 {
		q.log.LogAttrs(ctx, slog.LevelWarn, "sign-ins dropped, the store is slower than the callers", slog.Int64("rows", dropped))
	}
}
