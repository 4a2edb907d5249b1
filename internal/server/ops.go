package server

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/loopback"
)

// readyLimit is how long /readyz gives the store.
const readyLimit = 2 * time.Second

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
	s.asked.Store(time.Now().Unix())
	ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
	defer cancel()
	if problem := s.unready(ctx); problem != "" {
		answer(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready", "reason": problem})
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ready"})
}

func (s *Server) unready(ctx context.Context) string {
	if s.stopping.Load() {
		return "the server is stopping"
	}
	if problem := s.data.store.problem(); problem != "" {
		return problem
	}
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

// status tells the newest change that this server has taken in. It changes nothing and waits
// for nothing, because any program on this machine, and any web page in its browsers, can ask.
func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	now := Status{Instance: s.instance, Applied: s.data.Directory.Applied(), Version: s.cfg.Version, Authority: s.endpoints.Authority}
	if s.authority != nil {
		now.LostSignIns = s.authority.LostSignIns()
	}
	answer(w, http.StatusOK, now)
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
