// Package grants redeems what clients present for tokens: the token endpoint, the device
// authorization endpoint, and the userinfo endpoint.
//
// It owns the URLs
//
//	POST /{tenant}/oauth2/token, /oauth2/v2.0/token            every grant type
//	POST /{tenant}/oauth2/devicecode, /oauth2/v2.0/devicecode  starts the device flow
//	GET, POST /{tenant}/openid/userinfo                        who a token speaks for
//
// with one file for each grant type, the form of a token request and of its answers, and the
// rules by which codes and refresh tokens are used up, replaced and revoked. It refuses to
// own who asks (package clientauth), what they get (issuance), and how a user signs in and
// agrees (signin), which leaves the records that are redeemed here.
//
// A token request goes one way, and each step takes the step before as its argument:
//
//	form ▸ tenant ▸ token request ▸ proof of the client ▸ redemption ▸ access ▸ token ▸ answer
//
// Start reading at tokenEndpoint.serve, which reads like the protocol.
package grants

import (
	"context"
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/authority/userauth"
)

// Config says what a Handler works with. All fields are required.
type Config struct {
	Resolver *resolve.Resolver
	Clients  *clientauth.Authenticator
	Users    *userauth.Authenticator
	Issuer   *issuance.Issuer
	Records  *records.Records
	State    coordination.State
	// AllowPassword turns the grant type password on, for public clients.
	AllowPassword bool
	Now           func() time.Time
}

// A Handler serves the endpoints. It is safe for concurrent use.
type Handler struct {
	token    *tokenEndpoint
	device   *deviceEndpoint
	userInfo *userInfoEndpoint
}

// New returns a handler.
func New(cfg Config) *Handler {
	return &Handler{
		token: &tokenEndpoint{
			resolver: cfg.Resolver, clients: cfg.Clients, users: cfg.Users, issuer: cfg.Issuer, records: cfg.Records,
			polls: cfg.State.Polls, proofs: cfg.State.Tolerant, allowPassword: cfg.AllowPassword, now: cfg.Now,
		},
		device:   &deviceEndpoint{resolver: cfg.Resolver, clients: cfg.Clients, records: cfg.Records, budget: cfg.State.DeviceCodes},
		userInfo: &userInfoEndpoint{resolver: cfg.Resolver, issuer: cfg.Issuer},
	}
}

// Mount adds the URLs of the endpoints.
func (h *Handler) Mount(m *exchange.Mux) {
	m.Tenant("/oauth2/token", exchange.Endpoint{Method: http.MethodPost, Serve: inVersion(1, h.token.serve)})
	m.Tenant("/oauth2/v2.0/token", exchange.Endpoint{Method: http.MethodPost, Serve: inVersion(2, h.token.serve)})
	m.Tenant("/oauth2/devicecode", exchange.Endpoint{Method: http.MethodPost, Serve: inVersion(1, h.device.serve)})
	m.Tenant("/oauth2/v2.0/devicecode", exchange.Endpoint{Method: http.MethodPost, Serve: inVersion(2, h.device.serve)})
	m.Tenant("/openid/userinfo", exchange.Endpoint{Method: exchange.GetOrPost, Serve: h.userInfo.serve})
}

// inVersion makes an endpoint of one version.
func inVersion(version int, serve func(context.Context, *exchange.Exchange, int) (exchange.Answer, error)) func(context.Context, *exchange.Exchange) (exchange.Answer, error) {
	return func(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
		return serve(ctx, x, version)
	}
}
