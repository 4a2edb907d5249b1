package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/graphclient"
)

// A Server is one that somebody is signed in to. It is safe for concurrent use.
type Server struct {
	Record

	store *Store
	web   *http.Client

	mu     sync.Mutex
	tokens map[string]token // guarded by mu; by scope
}

func (s *Store) open(r Record) (*Server, error) {
	var bundle []byte
	if r.Bundle {
		var err error
		if bundle, err = os.ReadFile(s.path(r.Name + bundleSuffix)); err != nil {
			return nil, failure(err, "sign in again: `"+r.again()+" --ca-bundle FILE`", "the certificates to trust at %s are gone: %v", r.Name, err)
		}
	}
	web, err := client(bundle)
	if err != nil {
		return nil, err
	}
	return &Server{Record: r, store: s, web: web, tokens: map[string]token{}}, nil
}

// BundleFile is the file with the certificates to trust; empty: those of the system.
func (s *Server) BundleFile() string {
	if !s.Bundle {
		return ""
	}
	return s.store.path(s.Name + bundleSuffix)
}

// Folder is where what is lent by the server is kept on this machine, until the sign-in is removed.
func (s *Server) Folder() string { return s.store.path(s.Name + lentSuffix) }

// HTTP returns a client that trusts the server. It carries no token.
func (s *Server) HTTP() *http.Client { return s.web }

// Close ends the connections to the server.
func (s *Server) Close() { s.web.CloseIdleConnections() }

// GraphClient returns a client of the server's Microsoft Graph that carries the tokens of who
// signed in.
func (s *Server) GraphClient() *graphclient.Client {
	return &graphclient.Client{Base: s.Graph + "/v1.0", HTTP: s.carrying(s.Graph, graphScope)}
}

// ManagerClient is GraphClient for the server's resource manager, at [Record.ResourceManager].
func (s *Server) ManagerClient() *http.Client { return s.carrying(s.ResourceManager, managerScope) }

func (s *Server) carrying(at, scope string) *http.Client {
	web := *s.web
	web.Transport = &carrier{server: s, at: at, scope: scope, next: s.web.Transport}
	return &web
}

// renewBefore is how long before its end a token counts as expired.
const renewBefore = 5 * time.Minute

// Token returns a token of who signed in for the scope of an API, such as
// "api://orders/.default".
func (s *Server) Token(ctx context.Context, scope string) (value string, expires time.Time, err error) {
	got, err := s.token(ctx, scope, "")
	return got.value, got.expires, err
}

// token returns a token that is not the refused one, if any.
func (s *Server) token(ctx context.Context, scope, refused string) (token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, there := s.tokens[scope]
	if there && kept.value != refused && s.store.cfg.Now().Before(kept.expires.Add(-renewBefore)) {
		return kept, nil
	}
	var got token
	err := s.store.alone(ctx, s.Name, func() (err error) {
		got, err = s.renew(ctx, scope, refused)
		return err
	})
	if err != nil {
		return token{}, err
	}
	s.tokens[scope] = got
	return got, nil
}

// renew gets a token from what is kept of the sign-in, and keeps what came of it. No other process
// does so at the same time: a refresh token is good for once.
func (s *Server) renew(ctx context.Context, scope, refused string) (token, error) {
	now, err := s.store.find(s.Name) // another process may have signed in anew, or out
	if err != nil {
		return token{}, err
	}
	key, err := s.store.key(now)
	if err != nil {
		return token{}, err
	}
	kept, err := s.store.readSecrets(now, key)
	if err != nil {
		return token{}, err
	}
	held := &heldCache{content: kept.Cache}
	held.drop(refused)
	got, err := acquire(ctx, s.web, now, kept.Secret, held, scope)
	if err != nil {
		return token{}, s.refused(ctx, now, err)
	}
	if !held.changed {
		return got, nil
	}
	kept.Cache = held.content
	if err := s.store.writeSecrets(s.Name, key, kept); err != nil {
		return token{}, fmt.Errorf("keep the sign-in at %s: %w", s.Name, err)
	}
	err = s.store.change(ctx, func(all *state) {
		if r := all.find(s.Name); r != nil {
			r.Renewed, r.Ended = s.store.cfg.Now().UTC().Truncate(time.Second), ""
		}
	})
	return got, err
}

// refused says why there is no token, and notes when the sign-in has ended.
func (s *Server) refused(ctx context.Context, r *Record, err error) error {
	if _, known := errors.AsType[*Error](err); known || errors.Is(err, context.Canceled) {
		return err
	}
	found, is := refusalOf(err)
	if errors.Is(err, errSignedOut) {
		found, is = refusal{code: "invalid_grant", text: "nothing is left to renew it with"}, true
	}
	switch {
	case !is:
		return unreached(r.URL, err, r.again())
	case !found.ends():
		return failure(ErrRefused, "", "%s gives no token: %s", r.URL, found.text)
	}
	ended := failure(ErrEnded, "sign in again: `"+r.again()+"`", "the sign-in of %s at %s has ended: %s", r.Who, r.Name, found.text)
	return errors.Join(ended, s.store.change(ctx, func(all *state) {
		if r := all.find(s.Name); r != nil {
			r.Ended = found.text
		}
	}))
}

// A carrier gives requests to one place the token for it.
type carrier struct {
	server    *Server
	at, scope string
	next      http.RoundTripper
}

// RoundTrip implements http.RoundTripper. A request whose token the server does not take is sent
// once more with another one.
func (c *carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.at == "" || !strings.HasPrefix(r.URL.String(), c.at+"/") {
		return nil, fmt.Errorf("%s is not a place for the tokens of %s", r.URL.Host, c.server.Name)
	}
	got, err := c.server.token(r.Context(), c.scope, "")
	if err != nil {
		return nil, err
	}
	answer, err := c.send(r, got.value)
	if err != nil || answer.StatusCode != http.StatusUnauthorized || r.Body != nil && r.GetBody == nil {
		return answer, err
	}
	other, err := c.server.token(r.Context(), c.scope, got.value)
	if err != nil {
		return nil, errors.Join(err, answer.Body.Close())
	}
	const most = 64 << 10 // of a refusal: the connection is used again
	_, _ = io.CopyN(io.Discard, answer.Body, most)
	if err := answer.Body.Close(); err != nil {
		return nil, err
	}
	return c.send(r, other.value)
}

func (c *carrier) send(r *http.Request, bearer string) (*http.Response, error) {
	next := r.Clone(r.Context())
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		next.Body = body
	}
	next.Header.Set("Authorization", "Bearer "+bearer)
	answer, err := c.next.RoundTrip(next)
	if err != nil {
		return nil, unreached(c.at, err, c.server.again())
	}
	return answer, nil
}
