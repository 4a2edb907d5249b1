// Package outside is a small API and a small daemon as somebody else would write them.
package outside

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/rolecall-auth/rolecall/guard"
)

// A Server answers orders to applications that hold the app role Orders.Read.
type Server struct {
	http.Handler
	guard *guard.Guard
}

// NewServer returns the API behind the guard that cfg describes.
func NewServer(ctx context.Context, cfg guard.Config) (*Server, error) {
	g, err := guard.New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /api/orders", func(w http.ResponseWriter, r *http.Request) {
		caller, ok := guard.CallerFrom(r.Context())
		if !ok {
			http.Error(w, "no caller", http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"for": caller.ClientID, "writes": caller.HasRole("Orders.Write")})
	})
	handler, err := g.Handler([]guard.Rule{
		{Path: "/api/orders", Methods: []string{"GET"}, Roles: []string{"Orders.Read"}},
		{Path: "/healthz", Anonymous: true},
	}, mux)
	if err != nil {
		return nil, err
	}
	return &Server{handler, g}, nil
}

// Explain tells an operator why a token is refused.
func (s *Server) Explain(ctx context.Context, token string) (failed []guard.Step) {
	for _, step := range s.guard.Explain(ctx, token, guard.Rule{Roles: []string{"Orders.Read"}}) {
		if step.Outcome == guard.StepFailed {
			failed = append(failed, step)
		}
	}
	return failed
}

// Authorize is a form of guarding that Rolecall does not have: it decides on what a proxy
// tells of a request, and names the caller in a header of its own.
func Authorize(policy *guard.Policy) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := policy.Decide(r.Context(), guard.Request{
			Method: r.Header.Get("X-Forwarded-Method"), Path: r.Header.Get("X-Forwarded-Uri"),
			Header: guard.Sanitize(r.Header),
		})
		answer := d.Answer()
		for name, lines := range answer.Header {
			w.Header()[name] = lines
		}
		if caller, ok := d.Caller(); ok && d.Allowed() {
			w.Header().Set("X-Caller", caller.ClientID)
		}
		w.WriteHeader(answer.Status)
		_, _ = w.Write(answer.Body)
	})
}
