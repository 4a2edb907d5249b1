package authority

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/directory"
)

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
