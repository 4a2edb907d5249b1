package guardserver

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// readyLimit is how long /readyz waits for keys.
const readyLimit = 2 * time.Second

// opsHandler answers operators: alive, ready, metrics, and the key of the signed identity.
func (s *Server) opsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		s.metrics.write(w, s.current.Load(), s.cfg.Traces, s.cfg.Now())
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		document, err := s.keys.document()
		if err != nil {
			writeJSON(w, http.StatusInternalServerError, nil)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document) // who has gone needs no answer
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if loopback.IsAddr(s.opsListener.Addr()) && !loopback.Is(hostOf(r.Host)) {
			// A web page must not reach this by a name of its own that leads to this machine.
			writeJSON(w, http.StatusMisdirectedRequest, map[string]string{"error": "misdirected", "error_description": "Ask by an address of this machine."})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// hostOf is a host without its port.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// A readiness is what /readyz says.
type readiness struct {
	Status   string        `json:"status"`
	Settings string        `json:"settings,omitempty"` // why the newest are not used
	Issuers  []issuerState `json:"issuers"`
	// Revocations are of the APIs that follow them.
	Revocations []revocationState `json:"revocations,omitempty"`
}

type revocationState struct {
	Host  string `json:"host,omitempty"`
	Known bool   `json:"known"`      // whether the authority has told what there is
	Age   int64  `json:"ageSeconds"` // since it last did
	Error string `json:"error,omitempty"`
}

type issuerState struct {
	Issuer string `json:"issuer"`
	Keys   int    `json:"keys"`
	Age    int64  `json:"ageSeconds"` // since they were last fetched
	Usable bool   `json:"usable"`
	Error  string `json:"error,omitempty"` // why the last fetch failed
}

// readyz answers 200 when every issuer's keys are there. It fetches those that are not.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	now := s.current.Load()
	ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
	defer cancel()
	for _, a := range now.all() {
		_ = a.guard.Ready(ctx) // the state below says it
	}
	state := readiness{Status: "ready", Settings: text.Line(s.unused(), maxDetail), Issuers: []issuerState{}}
	status := http.StatusOK
	for _, key := range now.issuers() {
		one := issuerState{Issuer: key.Issuer, Keys: key.Keys, Usable: key.Usable}
		if !key.Fetched.IsZero() {
			one.Age = int64(time.Since(key.Fetched).Seconds())
		}
		if key.Err != nil {
			one.Error = text.Line(key.Err.Error(), maxDetail)
		}
		if state.Issuers = append(state.Issuers, one); !key.Usable {
			state.Status, status = "not ready: keys are missing", http.StatusServiceUnavailable
		}
	}
	for _, a := range now.all() {
		if followed := a.guard.Revocations(); followed.Followed {
			one := revocationState{Host: a.settings.Host, Known: !followed.Fetched.IsZero()}
			if one.Known {
				one.Age = int64(time.Since(followed.Fetched).Seconds())
			}
			if followed.Err != nil {
				one.Error = text.Line(followed.Err.Error(), maxDetail)
			}
			state.Revocations = append(state.Revocations, one)
		}
	}
	if s.stopping.Load() {
		state.Status, status = "stopping", http.StatusServiceUnavailable
	}
	writeJSON(w, status, state)
}
