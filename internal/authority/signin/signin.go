package signin

import (
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/authority/userauth"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Config says what a Handler works with. All fields are required.
type Config struct {
	Directory *directory.Directory // keeps what users consent to
	Resolver  *resolve.Resolver
	Users     *userauth.Authenticator
	Issuer    *issuance.Issuer
	Records   *records.Records
	Sealer    *records.Sealer
	State     coordination.State
	Now       func() time.Time
}

// A Handler takes browsers through their sign-ins. It is safe for concurrent use.
type Handler struct {
	directory *directory.Directory
	resolver  *resolve.Resolver
	users     *userauth.Authenticator
	issuer    *issuance.Issuer
	records   *records.Records
	sealer    *records.Sealer
	failures  coordination.Failures
	devices   coordination.Budget // of codes that nobody has answered
	sessions  sessions
	forms     forms
	pages     pages
	now       func() time.Time
}

// New returns a handler.
func New(cfg Config) (*Handler, error) {
	templates, err := parsePages()
	if err != nil {
		return nil, err
	}
	return &Handler{
		directory: cfg.Directory, resolver: cfg.Resolver, users: cfg.Users, issuer: cfg.Issuer,
		records: cfg.Records, sealer: cfg.Sealer, failures: cfg.State.Failures, devices: cfg.State.DeviceCodes,
		sessions: sessions{cfg.Records, cfg.Resolver, cfg.Now}, forms: forms{cfg.Sealer}, pages: templates, now: cfg.Now,
	}, nil
}

// The URLs of pages. They belong to no tenant.
const (
	signInPath  = "/signin"
	consentPath = "/consent"
	confirmPath = "/confirm"
	signOutPath = "/signout"
	stylePath   = "/rolecall.css"
)

// Mount adds the URLs of the pages.
func (h *Handler) Mount(m *exchange.Mux) {
	m.Tenant("/oauth2/authorize", exchange.Endpoint{Method: exchange.GetOrPost, Serve: h.authorizeV1, Page: true})
	m.Tenant("/oauth2/v2.0/authorize", exchange.Endpoint{Method: exchange.GetOrPost, Serve: h.authorizeV2, Page: true})
	m.Root(signInPath, exchange.Endpoint{Method: http.MethodPost, Serve: h.signInForm, Page: true})
	m.Root(consentPath, exchange.Endpoint{Method: http.MethodPost, Serve: h.consentForm, Page: true})
	m.Root(confirmPath, exchange.Endpoint{Method: http.MethodPost, Serve: h.confirmForm, Page: true})
	m.Root(records.DevicePage, exchange.Endpoint{Method: exchange.GetOrPost, Serve: h.device, Page: true})
	out := signOutHandler{h.resolver, h.issuer, h.sessions, h.forms, h.pages}
	m.Tenant("/oauth2/logout", exchange.Endpoint{Method: http.MethodGet, Serve: out.logout, Page: true})
	m.Tenant("/oauth2/v2.0/logout", exchange.Endpoint{Method: http.MethodGet, Serve: out.logout, Page: true})
	m.Root(signOutPath, exchange.Endpoint{Method: http.MethodPost, Serve: out.form, Page: true})
	m.Root("/", exchange.Endpoint{Method: http.MethodGet, Serve: h.pages.front})
	m.Root(exchange.ErrorPath, exchange.Endpoint{Method: http.MethodGet, Serve: h.pages.explain, Page: true})
	m.Root(stylePath, exchange.Endpoint{Method: http.MethodGet, Serve: style})
}

// ProblemPage tells a person what a client would be told.
func (h *Handler) ProblemPage(x *exchange.Exchange, p *aadsts.Problem) exchange.Answer {
	return h.pages.problem(x, p)
}
