package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph/linktoken"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
)

// AppID is the app id of Microsoft Graph, for which callers have a token.
const AppID = "00000003-0000-0000-c000-000000000000"

// Resource is the identifier of Microsoft Graph as a resource, wherever it is.
const Resource = "https://graph.microsoft.com"

// Config says what an API works with.
type Config struct {
	Authority  string               // required: root of the authority, such as https://localhost:8443
	URL        string               // required: where the API itself is, without a slash at the end
	Directory  *directory.Directory // required
	HTTPClient *http.Client         // required: reaches the authority
	Minter     Minter               // makes the tokens of identities that are lent; nil: none is
	Explainer  Explainer            // explains tokens and token requests; nil: nothing is explained
	Now        func() time.Time     // nil means time.Now
	Log        *slog.Logger         // nil means discard
}

// A Minter makes tokens of managed identities; an authority is one.
type Minter interface {
	Mint(ctx context.Context, req issuance.MintRequest) (issuance.Minted, error)
}

// An API answers in place of Microsoft Graph. It is safe for concurrent use.
type API struct {
	cfg    Config
	guard  *selfguard.Guard
	routes *router
	sealer *linktoken.Sealer
}

// New checks the configuration and returns an API. It fetches keys only when a token is
// presented.
func New(cfg Config) (*API, error) {
	if cfg.URL == "" || strings.HasSuffix(cfg.URL, "/") {
		return nil, fmt.Errorf("graph: URL %q is missing or ends in a slash: give an origin, such as https://localhost:8444", cfg.URL)
	}
	if cfg.Directory == nil {
		return nil, errors.New("graph: Directory is missing")
	}
	admission, err := selfguard.New(selfguard.Config{
		Authority: cfg.Authority, Audience: []string{AppID, Resource, Resource + "/"}, Directory: cfg.Directory, HTTPClient: cfg.HTTPClient, Now: cfg.Now,
		WithoutPermissions: true, // each route says what its callers need
	})
	if err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	links, err := linktoken.New(cfg.Directory)
	if err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	return &API{cfg: cfg, guard: admission, routes: newRouter(routes()), sealer: links}, nil
}

// Close ends the guards and their connections to the authority.
func (a *API) Close() { a.guard.Close() }

// Handler serves the API.
func (a *API) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := newRequestIDs(r.Header)
		answered, err := a.answer(r, who)
		if err != nil {
			answered = a.refusal(r, who, err)
		}
		a.write(w, r, who, answered)
	})
}

// answer admits the caller and lets the route answer.
func (a *API) answer(r *http.Request, who requestIDs) (answer, error) {
	admitted, err := a.guard.Admit(r.Context(), r.Header, guard.Rule{Caller: guard.CallerAny})
	if err != nil {
		return answer{}, err
	}
	from, err := a.callerOf(r.Context(), admitted)
	if err != nil {
		return answer{}, err
	}
	return a.dispatch(r, who, from)
}

// dispatch lets the route of a request answer a caller who was admitted: once for each
// request, and once for each one within a batch.
func (a *API) dispatch(r *http.Request, who requestIDs, from *caller) (answer, error) {
	at, err := a.routes.find(r.Method, r.URL)
	if err != nil {
		return answer{}, err
	}
	c := &call{api: a, request: r, ids: who, version: at.version, path: at.route.path, refs: at.refs, caller: from, permit: at.route.permit, dryRun: at.dryRun}
	if c.extent, err = from.check(at.route.permit); err != nil {
		return answer{}, err
	}
	given, err := at.route.answer(c)
	if err != nil || !c.dryRun || c.path == batchPath { // of a batch, each request is a dry run
		return given, err
	}
	return c.outcome(given.status), nil
}

// Operator serves the operator of the machine in one tenant. Whoever reaches it may do
// everything there without a token, so it is for commands that have opened the data folder,
// and never for a listener. The command stands in the audit trail: "cli:app create".
func (a *API) Operator(tenant *directory.Tenant, command string) http.Handler {
	from := &caller{tenant: tenant, command: command, client: &directory.Instance{Principal: &directory.ServicePrincipal{}}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := newRequestIDs(r.Header)
		answered, err := a.dispatch(r, who, from)
		if err != nil {
			answered = a.refusal(r, who, err)
		}
		a.write(w, r, who, answered)
	})
}

// requestIDs are what answers name a request by.
type requestIDs struct {
	request string // ours
	client  string // the client's own, or ours where it gave none
}

const maxClientID = 128 // bytes

// newRequestIDs names a request. A client's name for it is repeated if it can stand in a
// header.
func newRequestIDs(header http.Header) requestIDs {
	ids := requestIDs{request: guid.New()}
	ids.client = ids.request
	for _, name := range []string{"client-request-id", "x-ms-client-request-id"} {
		given := header.Get(name)
		if given != "" && len(given) <= maxClientID && strings.Trim(given, "0123456789abcdefABCDEFghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ-_.") == "" {
			ids.client = given
			break
		}
	}
	return ids
}
