package server

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rolecall-auth/rolecall/internal/fix"
)

const (
	turnLimit = 20 * time.Second       // how long a session waits for its turn to run a server
	turnLook  = 100 * time.Millisecond // how often it looks
)

// A SessionConfig says on which folder to work.
type SessionConfig struct {
	Dir string // required: the data folder
	// Prepare runs before a server of the session's own listens. It does not run when a server
	// is found.
	Prepare func(context.Context, *Data) error
	// NewKey makes the private keys of tenants; see keyring.Config. Nil means fresh ones.
	NewKey func() (*rsa.PrivateKey, error)
	Say    func(string)     // what people should know, in one line; nil means nobody is told
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil means discard
}

// A Session is a data folder as a command works on it: its directory, and the server that
// serves it, which is the one that runs or one for this session alone.
type Session struct {
	Data      *Data
	Endpoints Endpoints

	found *Found  // the running server, or
	own   *Server // the session's own
	say   func(string)
}

// Connect begins a session with the folder's running server, or with a server for this
// session alone.
func Connect(ctx context.Context, cfg SessionConfig) (*Session, error) {
	if cfg.Say == nil {
		cfg.Say = func(string) {}
	}
	turn, cancel := context.WithTimeout(ctx, turnLimit) // of the wait alone: a busy machine opens a folder slowly
	defer cancel()
	for waited := false; ; waited = true {
		s, err := ConnectRunning(ctx, cfg)
		if s != nil || err != nil {
			return s, err
		}
		s, err = startOwn(ctx, cfg)
		var inUse *InUseError
		if !errors.As(err, &inUse) {
			return s, err
		}
		if !waited {
			cfg.Say(fmt.Sprintf("another command runs a server on %s for itself; waiting for it to end", cfg.Dir))
		}
		select { // or a server is just starting
		case <-turn.Done():
			return nil, &refusedError{
				what: err.Error(), fix: "`rolecall serve --data " + cfg.Dir + "` in a terminal of its own serves any number of commands at once", cause: err,
			}
		case <-time.After(turnLook):
		}
	}
}

// ConnectRunning begins a session with the folder's running server. The session is nil when
// there is none.
func ConnectRunning(ctx context.Context, cfg SessionConfig) (*Session, error) {
	found, err := Find(ctx, cfg.Dir)
	if found == nil || err != nil {
		return nil, err
	}
	data, err := OpenData(ctx, DataConfig{Dir: cfg.Dir, NewKey: cfg.NewKey, Now: cfg.Now, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	return &Session{Data: data, Endpoints: found.Endpoints, found: found, say: cfg.Say}, nil
}

// startOwn runs a server on the usual port, so that the issuer in tokens is the usual one,
// or on a free port where that is taken. It outlives ctx, which bounds the start.
func startOwn(ctx context.Context, cfg SessionConfig) (*Session, error) {
	server := Config{Dir: cfg.Dir, Prepare: cfg.Prepare, Port: DefaultPort, Unannounced: true, NewKey: cfg.NewKey, Now: cfg.Now, Log: cfg.Log}
	own, err := Start(context.WithoutCancel(ctx), server)
	if errors.Is(err, ErrListen) {
		server.Port = 0
		own, err = Start(context.WithoutCancel(ctx), server)
	}
	if err != nil {
		return nil, err
	}
	cfg.Say(fmt.Sprintf("no server runs on %s; using one of this command's own at %s", cfg.Dir, own.Endpoints().Authority))
	return &Session{Data: own.Data(), Endpoints: own.Endpoints(), own: own}, nil
}

// Own reports whether the server is the session's own, which is stopped with it.
func (s *Session) Own() bool { return s.own != nil }

// Dir is the data folder.
func (s *Session) Dir() string { return s.Data.Dir }

// Close ends the session, and the server if it is the session's own.
func (s *Session) Close() error {
	if s.own != nil {
		return s.own.Close()
	}
	return s.Data.Close()
}

// Await returns once the server acts on a change, or has turned out not to answer: the
// change is made all the same, so that is said and is no error. The session's own server
// makes its changes itself, so it need not be waited for.
func (s *Session) Await(ctx context.Context, sequence int64) error {
	if s.found == nil {
		return nil
	}
	err := s.found.Sync(ctx, sequence)
	if errors.Is(err, ErrUnreachable) && s.say != nil {
		s.say(fmt.Sprintf("warning: the change is made, but %s", fix.InOneLine(err)))
		return nil
	}
	return err
}
