package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	followLimit = 5 * time.Second       // how long /sync waits for a change, and for the hosts
	followLook  = 10 * time.Millisecond // how often it looks
	flushLimit  = time.Second           // how long /sync waits for sign-ins to be written
)

// Synced is the answer to POST /sync.
type Synced struct {
	Applied int64 `json:"applied"` // sequence of the newest change taken in
}

// sync is what commands ask for when they have changed the store (sequence is that of their
// change) or are about to read what the server writes (sequence is 0): the change counts,
// and the sign-ins of answers given before are written, when it returns nil.
func (s *Server) sync(ctx context.Context, sequence int64) (Synced, error) {
	var err error
	if sequence > 0 {
		err = s.takeIn(ctx, sequence)
	}
	err = errors.Join(err, s.flushSignIns(ctx))
	return Synced{Applied: s.data.Directory.Applied()}, err
}

// takeIn follows the feed up to a change, then looks up signing keys again and brings the
// hosts to the directory's state.
func (s *Server) takeIn(ctx context.Context, sequence int64) error {
	ctx, cancel := context.WithTimeout(ctx, followLimit)
	defer cancel()
	defer s.data.forgetKeys(context.WithoutCancel(ctx))
	if err := s.follow(ctx, sequence); err != nil {
		return err
	}
	if s.cfg.Unannounced { // it opens no hosts
		return nil
	}
	if err := s.hosts.reconcile(ctx); err != nil {
		return &refusedError{what: "the server could not open and close the directory's hosts", fix: readLog, cause: err}
	}
	return nil
}

const readLog = "see the server's log; it takes the change in as soon as its store answers"

// follow returns once the directory's view has the change, or says why it has not.
func (s *Server) follow(ctx context.Context, sequence int64) error {
	look := time.NewTicker(followLook)
	defer look.Stop()
	var failure error
	for s.data.Directory.Applied() < sequence {
		if _, err := s.data.Directory.Refresh(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "follow the change feed", "error", err)
			failure = err
		}
		select {
		case <-ctx.Done():
			what := fmt.Sprintf("the server has not taken in the change yet (it is at %d of %d)", s.data.Directory.Applied(), sequence)
			if failure != nil {
				what += ": its store does not answer"
			}
			return &refusedError{what: what, fix: readLog, cause: errors.Join(failure, ctx.Err())}
		case <-look.C:
		}
	}
	return nil
}

func (s *Server) flushSignIns(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	if err := s.authority.Flush(ctx); err != nil {
		s.log.WarnContext(ctx, "write sign-ins", "error", err)
		return &refusedError{what: "the server could not write its latest sign-ins", fix: "see the server's log, and try again", cause: err}
	}
	return nil
}

// sequenceOf reads ?sequence=N.
func sequenceOf(r *http.Request) (int64, error) {
	text := r.URL.Query().Get("sequence")
	if text == "" {
		return 0, nil
	}
	sequence, err := strconv.ParseInt(text, 10, 64)
	if err != nil || sequence < 0 {
		return 0, fmt.Errorf("%.20q is no sequence", text)
	}
	return sequence, nil
}

// Sync returns once the server acts on the change with that sequence (0: on none in
// particular) and has written the sign-ins of all answers it has given.
// The error is ErrUnreachable when the server does not answer.
func (f *Found) Sync(ctx context.Context, sequence int64) error {
	limited, cancel := context.WithTimeout(ctx, followLimit+flushLimit+findLimit)
	defer cancel()
	query := url.Values{"sequence": {strconv.FormatInt(sequence, 10)}}
	synced, err := askAdmin[Synced](limited, f.Dir, http.MethodPost, "/sync?"+query.Encode(), nil)
	if err != nil && !isAnswer(err) && ctx.Err() == nil {
		return unreachable(f.Dir, f.PID, err)
	}
	if err != nil {
		return fmt.Errorf("wait for the server of %s: %w", f.Dir, err)
	}
	if synced.Applied < sequence {
		return fmt.Errorf("the server of %s is at change %d of %d", f.Dir, synced.Applied, sequence)
	}
	return nil
}

// isAnswer reports whether an error is what the server said.
func isAnswer(err error) bool {
	_, is := errors.AsType[*refusedError](err)
	return is && !errors.Is(err, ErrNoServer)
}
