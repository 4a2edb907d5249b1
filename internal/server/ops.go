package server

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/rolecall-auth/rolecall/internal/loopback"
)

const (
	awaitLimit = 5 * time.Second       // how long /status waits for a change
	awaitLook  = 10 * time.Millisecond // how often it looks
	readyLimit = 2 * time.Second       // how long /readyz gives the store
	keepLimit  = time.Second           // how long /status waits for sign-ins to be kept
)

// ops returns the surface for operators: alive, ready, and how far the feed was followed.
func (s *Server) ops() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /status", s.status)
	return loopbackOnly(mux)
}

// readyz answers 200 when a token request would be served: the store answers and every
// tenant has signing keys.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
	defer cancel()
	if problem := s.unready(ctx); problem != "" {
		answer(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready", "reason": problem})
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ready"})
}

func (s *Server) unready(ctx context.Context) string {
	if _, err := s.data.store.Sequence(ctx); err != nil {
		s.log.ErrorContext(ctx, "store does not answer", "error", err)
		return "the store does not answer"
	}
	tenants, err := s.data.Directory.Tenants(ctx)
	if err != nil {
		s.log.ErrorContext(ctx, "list tenants", "error", err)
		return "the directory does not answer"
	}
	for _, tenant := range tenants {
		if keys, err := s.data.Keys.Published(ctx, string(tenant.ID)); err != nil || len(keys) == 0 {
			return "tenant " + tenant.Name + " has no signing key"
		}
	}
	return ""
}

// status tells the newest change that this server has taken in. With ?applied=N it first
// waits until that is N or more, so that a command which changed the store knows when the
// change counts. The sign-ins of answers given before are kept by then, so that a command
// which reads them finds its own.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	wanted, _ := strconv.ParseInt(r.URL.Query().Get("applied"), 10, 64)
	s.await(r.Context(), wanted)
	s.settle(r.Context())
	answer(w, http.StatusOK, Status{
		Instance: s.instance, Applied: s.data.Directory.Applied(), Version: s.cfg.Version, Authority: s.endpoints.Authority,
	})
}

func (s *Server) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, keepLimit)
	defer cancel()
	if err := s.authority.Settle(ctx); err != nil {
		s.log.WarnContext(ctx, "keep sign-ins", "error", err)
	}
}

func (s *Server) await(ctx context.Context, sequence int64) {
	ctx, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	look := time.NewTicker(awaitLook)
	defer look.Stop()
	if sequence > 0 {
		defer s.data.forgetKeys(context.WithoutCancel(ctx))
	}
	for s.data.Directory.Applied() < sequence {
		if _, err := s.data.Directory.Refresh(ctx); err != nil {
			s.log.WarnContext(ctx, "follow the change feed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
	if sequence > 0 && !s.cfg.Unannounced {
		if err := s.hosts.settle(ctx); err != nil {
			s.log.WarnContext(ctx, "hosts of the directory", "error", err)
		}
	}
}

// loopbackOnly refuses requests that name another host than this machine's loopback: a web
// page in a browser must not reach the surface by a name that resolves to 127.0.0.1.
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !loopback.Is(host) {
			answer(w, http.StatusMisdirectedRequest, map[string]string{"status": "refused", "reason": "this surface answers to localhost only"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone; nothing can be done about it
}
