package arm

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
)

// Resource is the resource for which tools request a token before they call, whatever the
// manager's own address is.
const Resource = "https://management.core.windows.net/"

// azureURL is the other name of the resource, which Microsoft's client libraries use.
const azureURL = "https://management.azure.com/"

// Config says what a Manager works with.
type Config struct {
	Cloud      Cloud                // required: what the metadata say; an empty Audience means Resource
	Others     []Cloud              // further clouds that the metadata list
	Directory  *directory.Directory // required
	HTTPClient *http.Client         // required: reaches the authority
	Now        func() time.Time     // nil means time.Now
	Log        *slog.Logger         // nil means discard
}

// A Manager answers in place of Azure Resource Manager. It is safe for concurrent use.
type Manager struct {
	cfg    Config
	guard  *selfguard.Guard
	routes []route
}

// New checks the configuration and returns a manager. It fetches keys only when a token is
// presented.
func New(cfg Config) (*Manager, error) {
	switch {
	case cfg.Cloud.Name == "":
		return nil, errors.New("arm: the cloud has no name")
	case cfg.Cloud.Manager == "":
		return nil, errors.New("arm: the cloud has no URL of its manager")
	case cfg.Cloud.Graph == "":
		return nil, errors.New("arm: the cloud has no URL of Graph")
	}
	cfg.Cloud.complete()
	for i := range cfg.Others {
		cfg.Others[i].complete()
	}
	admission, err := selfguard.New(selfguard.Config{
		Authority: cfg.Cloud.Login, Audience: audiences(cfg.Cloud), Directory: cfg.Directory, HTTPClient: cfg.HTTPClient, Now: cfg.Now,
		WithoutPermissions: true, // everybody may read; who may write, the directory is asked
	})
	if err != nil {
		return nil, fmt.Errorf("arm: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{cfg: cfg, guard: admission, routes: routes()}, nil
}

// audiences are what tokens for the manager may name: the resource under each of its names, as it
// was asked for, or by its app id.
func audiences(cloud Cloud) []string {
	all := []string{Resource}
	add := func(audience string) {
		for _, one := range all {
			if one == audience {
				return
			}
		}
		all = append(all, audience)
	}
	builtin, _ := directory.FindBuiltin(Resource)
	for _, identifier := range append([]string{cloud.Audience[:len(cloud.Audience)-1]}, builtin.Identifiers...) {
		add(identifier)
		add(identifier + "/")
	}
	add(string(builtin.AppID))
	return all
}

// Close ends the guards and their connections to the authority.
func (m *Manager) Close() { m.guard.Close() }

// Handler serves the API.
func (m *Manager) Handler() http.Handler { return http.HandlerFunc(m.serve) }

const maxBody = 1 << 20

func (m *Manager) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Ms-Request-Id", guid.New())
	header.Set("X-Ms-Correlation-Request-Id", correlation(r))
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	path, err := parsePath(r.URL.EscapedPath())
	if err != nil {
		refusal(http.StatusBadRequest, "InvalidRequestUri", "The path of the request names no resource: it has an empty or a malformed segment.").write(w)
		return
	}
	version := r.URL.Query().Get("api-version")
	if version == "" {
		refusal(http.StatusBadRequest, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.").write(w)
		return
	}
	if newPattern("/metadata/endpoints").match(path) != nil && r.Method == http.MethodGet {
		m.endpoints(w, version)
		return
	}
	reply, err := m.reply(r, path)
	if err != nil {
		p := problemOf(err)
		if p.status >= http.StatusInternalServerError {
			m.cfg.Log.ErrorContext(r.Context(), "resource manager cannot answer", "error", err)
		}
		p.write(w)
		return
	}
	answer(w, reply.status, reply.body)
}

// correlation is the id that goes through a caller's requests: its own, if it is a GUID.
func correlation(r *http.Request) string {
	if id, is := guid.Parse(r.Header.Get("X-Ms-Correlation-Request-Id")); is {
		return id
	}
	return guid.New()
}
