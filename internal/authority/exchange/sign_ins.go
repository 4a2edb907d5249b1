package exchange

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// The sizes of the sign-in queue.
const (
	signInQueueLength = 4096
	signInBatch       = 256
	signInGather      = 100 * time.Millisecond // a synced write costs as much for one row as for many
	signInFlush       = 5 * time.Second
)

// A signInQueue carries sign-in rows to the store without making anybody wait for it.
type signInQueue struct {
	directory *directory.Directory
	log       *slog.Logger
	rows      chan directory.SignIn
	waiting   chan chan struct{} // callers of flush; each is closed when the rows before it are kept
	dropped   atomic.Int64       // rows that found the queue full, since that was last said
	lost      atomic.Int64       // all rows that were never written, for whatever reason
}

func newSignInQueue(d *directory.Directory, log *slog.Logger) *signInQueue {
	return &signInQueue{directory: d, log: log, rows: make(chan directory.SignIn, signInQueueLength), waiting: make(chan chan struct{})}
}

// add queues a row, or drops it when the queue is full: the store may be slow, tokens not.
func (q *signInQueue) add(row directory.SignIn) {
	select {
	case q.rows <- row:
	default:
		q.dropped.Add(1)
		q.lost.Add(1)
	}
}

// flush returns when every row that was added before is in the store, as long as run runs.
func (q *signInQueue) flush(ctx context.Context) error {
	kept := make(chan struct{})
	select {
	case q.waiting <- kept:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-kept:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run writes rows until the context ends, and then what is queued.
func (q *signInQueue) run(ctx context.Context) error {
	writing, cancel := outliving(ctx, signInFlush)
	defer cancel()
	for {
		select {
		case row := <-q.rows:
			rows, kept := q.gather(ctx, row)
			q.write(writing, rows)
			if kept != nil {
				q.drain(writing)
				close(kept)
			}
		case kept := <-q.waiting:
			q.drain(writing)
			close(kept)
		case <-ctx.Done():
			q.drain(writing)
			return nil
		}
	}
}

// outliving returns a context that ends that long after the given one: what has begun is
// finished, but nobody waits for ever for a store that hangs.
func outliving(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return longer, func() { stop(); cancel() }
}

// gather takes the rows that arrive within a moment of the first, up to a limit. It ends
// early for somebody who waits, and returns who.
func (q *signInQueue) gather(ctx context.Context, first directory.SignIn) (rows []directory.SignIn, kept chan struct{}) {
	rows = []directory.SignIn{first}
	moment := time.NewTimer(signInGather)
	defer moment.Stop()
	for len(rows) < signInBatch {
		select {
		case row := <-q.rows:
			rows = append(rows, row)
		case kept = <-q.waiting:
			return rows, kept
		case <-moment.C:
			return rows, nil
		case <-ctx.Done():
			return rows, nil
		}
	}
	return rows, nil
}

// drain writes what is queued.
func (q *signInQueue) drain(ctx context.Context) {
	for {
		select {
		case row := <-q.rows:
			q.write(ctx, q.batch(row))
		default:
			return
		}
	}
}

// batch takes what is queued behind a row already, up to a limit.
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
	err := q.directory.AddSignIns(ctx, rows)
	if err != nil {
		total := q.lost.Add(int64(len(rows)))
		q.log.LogAttrs(ctx, slog.LevelError, "sign-ins not kept", slog.Int("rows", len(rows)), slog.Int64("lost since start", total), slog.String("cause", Noted(err.Error())))
	}
	if dropped := q.dropped.Swap(0); dropped > 0 {
		q.log.LogAttrs(ctx, slog.LevelWarn, "sign-ins dropped, the store is slower than the callers", slog.Int64("rows", dropped), slog.Int64("lost since start", q.lost.Load()))
	}
}
