package arm

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
)

// Resource is the resource for which tools request a token before they call. A tenant whose
// users run them needs an application with this identifier URI.
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

// A Manager answers in place of Azure Resource Manager. It is safe for concurrent use.
type Manager struct {
	cfg   Config
	guard *selfguard.Guard
}

// New checks the configuration and returns a manager. It fetches keys only when a token is
// presented.
func New(cfg Config) (*Manager, error) {
	if cfg.URL == "" {
		return nil, errors.New("arm: URL is missing")
	}
	admission, err := selfguard.New(selfguard.Config{
		Authority: cfg.Authority, Audience: []string{Resource}, Directory: cfg.Directory, HTTPClient: cfg.HTTPClient, Now: cfg.Now,
		WithoutPermissions: true, // everybody may list what they may see, which may be nothing
	})
	if err != nil {
		return nil, fmt.Errorf("arm: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{cfg: cfg, guard: admission}, nil
}

// Close ends the guards and their connections to the authority.
func (m *Manager) Close() { m.guard.Close() }

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

// endpoints describes this cloud. Tools ask for it before they have a token. Terraform stops
// without a Graph; there is none here, and the address of this server keeps tokens of ours from
// Microsoft's.
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
		Graph           string            `json:"microsoftGraphResourceId"`
		Suffixes        map[string]string `json:"suffixes"`
	}{"Rolecall", authentication{m.cfg.Authority, []string{Resource}, "organizations", "AAD"}, m.cfg.URL, m.cfg.URL, map[string]string{}})
}

// A tenant is an entry of the list of tenants.
type tenant struct {
	ID          string             `json:"id"`
	TenantID    directory.TenantID `json:"tenantId"`
	DisplayName string             `json:"displayName"`
	Domain      string             `json:"defaultDomain,omitempty"`
	Category    string             `json:"tenantCategory"`
}

// tenants lists the caller's own tenant.
func (m *Manager) tenants(w http.ResponseWriter, r *http.Request) {
	from := m.admit(w, r)
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
	if m.admit(w, r) != nil {
		answer(w, http.StatusOK, list{[]any{}})
	}
}

// admit returns the tenant of a caller who is admitted. Everybody else gets an answer.
func (m *Manager) admit(w http.ResponseWriter, r *http.Request) *directory.Tenant {
	caller, err := m.guard.Admit(r.Context(), r.Header, guard.Rule{Caller: guard.CallerAny})
	var refusal *selfguard.Refusal
	switch {
	case errors.As(err, &refusal):
		m.refuse(w, refusal.What)
	case err != nil:
		m.unavailable(w, err)
	}
	return caller.Tenant
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
