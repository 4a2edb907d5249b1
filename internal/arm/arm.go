package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// Resource is what tools name when they ask for a token to come here with. A tenant whose
// people use them needs an application with this identifier URI.
const Resource = "https://management.core.windows.net/"

// Config says what a Manager works with.
type Config struct {
	Authority  string               // required: root of the authority, such as https://localhost:8443
	URL        string               // required: where the manager itself is
	Directory  *directory.Directory // required
	HTTPClient *http.Client         // required: reaches the authority
	Now        func() time.Time     // nil means time.Now
	Log        *slog.Logger         // nil means discard
}

// A Manager stands in for Azure Resource Manager. It is safe for concurrent use.
type Manager struct {
	cfg    Config
	life   context.Context // of the guards
	cancel context.CancelFunc

	mu     sync.Mutex
	guards map[directory.TenantID]*guard.Guard // guarded by mu; of tenants that exist
}

// New checks the configuration and returns a manager. It reaches out for keys only when
// somebody shows a token.
func New(cfg Config) (*Manager, error) {
	switch {
	case cfg.Authority == "":
		return nil, errors.New("arm: Authority is missing")
	case cfg.URL == "":
		return nil, errors.New("arm: URL is missing")
	case cfg.Directory == nil:
		return nil, errors.New("arm: Directory is missing")
	case cfg.HTTPClient == nil:
		return nil, errors.New("arm: HTTPClient is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{cfg: cfg, guards: map[directory.TenantID]*guard.Guard{}}
	m.life, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

// Close lets the guards go, and their connections to the authority.
func (m *Manager) Close() {
	m.cancel()
	m.cfg.HTTPClient.CloseIdleConnections()
}

// Handler serves the API.
func (m *Manager) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metadata/endpoints", m.endpoints)
	mux.HandleFunc("GET /tenants", m.tenants)
	mux.HandleFunc("GET /subscriptions", m.subscriptions)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "NotFound", "There are no resources here, only /tenants, /subscriptions and /metadata/endpoints.")
	})
	return mux
}

// endpoints tells tools about this cloud. It is asked before anybody has a token.
func (m *Manager) endpoints(w http.ResponseWriter, _ *http.Request) {
	type authentication struct {
		Login     string   `json:"loginEndpoint"`
		Audiences []string `json:"audiences"`
		Tenant    string   `json:"tenant"`
		Provider  string   `json:"identityProvider"`
	}
	answer(w, http.StatusOK, struct {
		Name            string            `json:"name"`
		Authentication  authentication    `json:"authentication"`
		ResourceManager string            `json:"resourceManager"`
		Suffixes        map[string]string `json:"suffixes"`
	}{"Rolecall", authentication{m.cfg.Authority, []string{Resource}, "organizations", "AAD"}, m.cfg.URL, map[string]string{}})
}

// A tenant is how one is listed.
type tenant struct {
	ID          string             `json:"id"`
	TenantID    directory.TenantID `json:"tenantId"`
	DisplayName string             `json:"displayName"`
	Domain      string             `json:"defaultDomain,omitempty"`
	Category    string             `json:"tenantCategory"`
}

// tenants lists the caller's own.
func (m *Manager) tenants(w http.ResponseWriter, r *http.Request) {
	from := m.enter(w, r)
	if from == nil {
		return
	}
	listed := tenant{ID: "/tenants/" + string(from.ID), TenantID: from.ID, DisplayName: from.Name, Category: "Home"}
	if len(from.Domains) > 0 {
		listed.Domain = from.Domains[0]
	}
	answer(w, http.StatusOK, list{[]any{listed}})
}

// subscriptions lists none.
func (m *Manager) subscriptions(w http.ResponseWriter, r *http.Request) {
	if m.enter(w, r) != nil {
		answer(w, http.StatusOK, list{[]any{}})
	}
}

// enter returns the tenant of a caller who is let in. Everybody else has had an answer.
func (m *Manager) enter(w http.ResponseWriter, r *http.Request) *directory.Tenant {
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		m.refuse(w, "There is no bearer token in the request.")
		return nil
	}
	from, err := m.home(r.Context(), raw)
	if errors.Is(err, directory.ErrNotFound) {
		m.refuse(w, "The token is not one of a tenant known here.")
		return nil
	}
	if err != nil {
		m.unavailable(w, err)
		return nil
	}
	door, err := m.guardOf(from.ID)
	if err != nil {
		m.unavailable(w, err)
		return nil
	}
	decision := door.Check(r.Context(), raw, guard.Rule{Caller: guard.CallerAny})
	switch {
	case decision.Allowed(), decision.Reason == guard.NoPermissions:
		// Everybody may list what they may see, be that nothing: no role is needed.
		return from
	case decision.Outcome == guard.Unavailable:
		m.unavailable(w, fmt.Errorf("check a token: %s", decision.Reason))
	default:
		m.refuse(w, "The token is not good here: "+string(decision.Reason)+".")
	}
	return nil
}

// home finds the tenant that a token says it is from. The guard of that tenant then sees
// whether it is.
func (m *Manager) home(ctx context.Context, raw string) (*directory.Tenant, error) {
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return nil, directory.ErrNotFound
	}
	value, _ := parsed.Claims.Get("tid")
	id, _ := value.String()
	from, err := m.cfg.Directory.Tenant(ctx, id)
	if err == nil && !from.Enabled {
		return nil, directory.ErrNotFound
	}
	return from, err
}

// guardOf returns the guard for callers from one tenant.
func (m *Manager) guardOf(id directory.TenantID) (*guard.Guard, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g, ok := m.guards[id]; ok {
		return g, nil
	}
	g, err := guard.New(m.life, guard.Config{
		Authority: m.cfg.Authority + "/" + string(id), Audience: []string{Resource}, Caller: guard.CallerAny,
		HTTPClient: m.cfg.HTTPClient, Now: m.cfg.Now, // and no log: what is refused is said here
	})
	if err != nil {
		return nil, err
	}
	m.guards[id] = g
	return g, nil
}

// list is the envelope of every list.
type list struct {
	Value []any `json:"value"`
}

func (m *Manager) refuse(w http.ResponseWriter, message string) {
	m.cfg.Log.Info("resource manager refused a caller", "reason", message)
	w.Header().Set("WWW-Authenticate", `Bearer authorization_uri="`+m.cfg.Authority+`/organizations", error="invalid_token"`)
	refuse(w, http.StatusUnauthorized, "AuthenticationFailed", message)
}

func (m *Manager) unavailable(w http.ResponseWriter, err error) {
	m.cfg.Log.Error("resource manager cannot check a caller", "error", err)
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, "ServiceUnavailable", "The token cannot be checked at the moment.")
}

// refuse words a refusal as Resource Manager does.
func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"error": map[string]string{"code": code, "message": message}})
}

func answer(w http.ResponseWriter, status int, body any) {
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may be gone
}
