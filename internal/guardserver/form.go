package guardserver

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

// Handler returns what answers in the form that f says, for a guard that is there already. The
// requests of f's trusted peers are believed, and f has one API with its rules.
func Handler(g *guard.Guard, f *guardfile.File) (http.Handler, error) {
	s := &Server{cfg: Config{Now: time.Now}, log: slog.New(slog.DiscardHandler), metrics: newMetrics()}
	var err error
	if s.keys, err = openAssertionKeys(f, time.Now); err != nil {
		return nil, err
	}
	now := &setup{file: f, trusted: trustedPeers(f)}
	settings := f.APIs[0]
	now.only = &api{settings: settings, guard: &guarded{Guard: g, cancel: func() {}}, identity: newIdentity(f, settings, s.keys), forward: f.ForwardToken}
	if now.only.policy, err = g.Policy(settings.Rules); err != nil {
		return nil, err
	}
	if f.Mode == guardfile.ModeProxy {
		if now.only.upstream, err = newUpstream(settings.Upstream, nil, s); err != nil {
			return nil, err
		}
	}
	s.current.Store(now)
	return http.HandlerFunc(s.serve), nil
}
