package authority

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

func (a *Authority) tokenV1(ctx context.Context, x *exchange) (answer, error) {
	return a.token(ctx, x, 1)
}

func (a *Authority) tokenV2(ctx context.Context, x *exchange) (answer, error) {
	return a.token(ctx, x, 2)
}

// token answers a token request. Its order is the order in which problems win: a wrong
// tenant beats a wrong secret, a wrong secret beats an unknown resource.
func (a *Authority) token(ctx context.Context, x *exchange, version int) (answer, error) {
	parameters, unreadable := readForm(x.writer, x.http)
	a.noteCorrelation(x, parameters)
	if err := a.checkFresh(ctx); err != nil {
		return answer{}, err
	}
	tenant, err := a.tokenTenant(ctx, x.tenant, parameters)
	if err != nil {
		return answer{}, err
	}
	x.signIn.Tenant = tenant.ID
	if unreadable != nil {
		return answer{}, unreadable
	}
	req, err := parse(parameters, x.http.Header, version)
	if err != nil {
		return answer{}, err
	}
	x.signIn.Library = req.library
	proven, err := a.authenticate(ctx, x, tenant, req)
	if err != nil {
		return answer{}, err
	}
	if req.grant != grantClientCredentials {
		granted, err := a.redeem(ctx, x, tenant, proven, req)
		if err != nil {
			return answer{}, err
		}
		return a.userToken(ctx, x, granted, req)
	}
	granted, err := a.authorize(ctx, x, tenant, proven, req)
	if err != nil {
		return answer{}, err
	}
	return a.issue(ctx, x, granted, version)
}

// noteCorrelation takes the caller's name for a request from its form (MSAL for Node).
func (a *Authority) noteCorrelation(x *exchange, parameters form) {
	if id := parameters["client-request-id"]; x.correlation == "" && guid.Is(id) {
		x.correlation = id
	}
}

// tokenTenant gives the tenant that a token request is about: the one in the path, or at
// an alias the one of the user that it speaks for. No application has an alias for a home.
func (a *Authority) tokenTenant(ctx context.Context, ref string, parameters form) (*directory.Tenant, error) {
	if !isShared(ref) {
		return a.tenantOf(ctx, ref)
	}
	req := &request{
		code: parameters["code"], refreshToken: parameters["refresh_token"], deviceCode: parameters["device_code"],
	}
	switch parameters["grant_type"] {
	case grantPassword:
		tenant, err := a.homeOf(ctx, parameters["username"])
		return tenant, err
	case grantCode:
		return a.artifactTenant(ctx, req, ticketCode, "code")
	case grantRefresh:
		return a.artifactTenant(ctx, req, ticketRefresh, "refresh_token")
	case grantDevice, grantDeviceShort:
		if req.deviceCode == "" {
			req.deviceCode = req.code
		}
		device, ticket, err := a.deviceOf(ctx, req)
		if err == nil {
			err = a.settled(device, ticket)
		}
		if err != nil {
			return nil, err
		}
		return a.tenantOf(ctx, string(cmp.Or(device.Home, ticket.Tenant)))
	}
	return a.tenantOf(ctx, ref)
}

// artifactTenant gives the tenant where something was handed out.
func (a *Authority) artifactTenant(ctx context.Context, req *request, kind directory.TokenRecordKind, parameter string) (*directory.Tenant, error) {
	v, err := req.artifact(kind, parameter, nil)
	if err != nil {
		return nil, err
	}
	return a.tenantOf(ctx, string(v.tenant))
}

// issue signs a token for a grant and wraps it as the endpoint of that version does.
func (a *Authority) issue(ctx context.Context, x *exchange, g grant, version int) (answer, error) {
	lifetime := a.lifetimeNow()
	c, raw, err := a.seal(ctx, x, g, lifetime)
	if err != nil {
		return answer{}, err
	}
	if version == 1 {
		return jsonAnswer(newTokenAnswerV1(c, g.identifier, lifetime, raw), neverCached)
	}
	return jsonAnswer(newTokenAnswerV2(lifetime, raw), neverCached)
}

// seal makes a token for a grant and notes what it says.
func (a *Authority) seal(ctx context.Context, x *exchange, g grant, lifetime time.Duration) (claims, string, error) {
	c := a.claims(g, a.issueTime(ctx), lifetime)
	raw, err := a.sign(ctx, g, c)
	if err != nil {
		return claims{}, "", err
	}
	x.signIn.Roles, x.signIn.Version, x.signIn.TokenID = c.Roles, c.Version, c.TokenID
	return c, raw, nil
}

// issueTime is when tokens of the request are issued: now, unless a test wants them old.
func (a *Authority) issueTime(ctx context.Context) time.Time {
	return a.now().Add(-a.age(ctx))
}

// age is how long before now that is.
func (a *Authority) age(ctx context.Context) time.Duration {
	if a.cfg.Age == nil {
		return 0
	}
	return a.cfg.Age(ctx)
}

// sign makes the token: a compact JWS with the tenant's current key. Tokens of version
// 1.0 name it twice, as kid and x5t.
func (a *Authority) sign(ctx context.Context, g grant, c claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	signer, err := a.keys.Signer(ctx, string(g.tenant.ID))
	if err != nil {
		return "", fmt.Errorf("signing key: %w", err)
	}
	return signer.Sign(payload, c.Version == "1.0")
}

// longLived is the lifetime from which an answer says when to renew ahead of expiry.
const longLived = 2 * time.Hour

// tokenAnswerV2 is the body of the v2.0 endpoint: numbers are numbers.
type tokenAnswerV2 struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	ExtExpiresIn int64  `json:"ext_expires_in"`
	RefreshIn    int64  `json:"refresh_in,omitempty"`
	AccessToken  string `json:"access_token"`
}

func newTokenAnswerV2(lifetime time.Duration, raw string) tokenAnswerV2 {
	seconds := int64(lifetime / time.Second)
	return tokenAnswerV2{
		TokenType: "Bearer",
		ExpiresIn: seconds, ExtExpiresIn: seconds, RefreshIn: refreshIn(lifetime),
		AccessToken: raw,
	}
}

// tokenAnswerV1 is the body of the v1 endpoint: numbers are strings. ADAL for Go goes by
// expires_on alone.
type tokenAnswerV1 struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    string `json:"expires_in"`
	ExtExpiresIn string `json:"ext_expires_in"`
	ExpiresOn    string `json:"expires_on"`
	NotBefore    string `json:"not_before"`
	RefreshIn    int64  `json:"refresh_in,omitempty"`
	Resource     string `json:"resource"`
	AccessToken  string `json:"access_token"`
}

func newTokenAnswerV1(c claims, resource string, lifetime time.Duration, raw string) tokenAnswerV1 {
	seconds := strconv.FormatInt(int64(lifetime/time.Second), 10)
	return tokenAnswerV1{
		TokenType: "Bearer",
		ExpiresIn: seconds, ExtExpiresIn: seconds, RefreshIn: refreshIn(lifetime),
		ExpiresOn: strconv.FormatInt(c.Expires, 10), NotBefore: strconv.FormatInt(c.NotBefore, 10),
		Resource: resource, AccessToken: raw,
	}
}

func refreshIn(lifetime time.Duration) int64 {
	if lifetime < longLived {
		return 0
	}
	return int64(lifetime / time.Second / 2)
}
