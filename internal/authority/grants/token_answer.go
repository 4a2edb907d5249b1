package grants

import (
	"context"
	"strconv"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
)

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

func newTokenAnswerV2(made *issuance.Token, binding issuance.Binding, lifetime time.Duration) tokenAnswerV2 {
	seconds := int64(lifetime / time.Second)
	return tokenAnswerV2{
		TokenType: binding.TokenType(),
		ExpiresIn: seconds, ExtExpiresIn: seconds, RefreshIn: refreshIn(lifetime),
		AccessToken: made.Raw,
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

func newTokenAnswerV1(made *issuance.Token, binding issuance.Binding, resource string, lifetime time.Duration) tokenAnswerV1 {
	seconds := strconv.FormatInt(int64(lifetime/time.Second), 10)
	return tokenAnswerV1{
		TokenType: binding.TokenType(),
		ExpiresIn: seconds, ExtExpiresIn: seconds, RefreshIn: refreshIn(lifetime),
		ExpiresOn: strconv.FormatInt(made.Expires, 10), NotBefore: strconv.FormatInt(made.NotBefore, 10),
		Resource: resource, AccessToken: made.Raw,
	}
}

func refreshIn(lifetime time.Duration) int64 {
	if lifetime < longLived {
		return 0
	}
	return int64(lifetime / time.Second / 2)
}

// issueForUser answers a client that acts for a user.
func (e *tokenEndpoint) issueForUser(ctx context.Context, x *exchange.Exchange, r *redemption, req *tokenRequest) (exchange.Answer, error) {
	r.Scopes.Identifier = req.audience(r.Scopes.Identifier)
	lifetime := e.issuer.Lifetime()
	access, err := e.issuer.UserToken(ctx, x, &r.UserAccess, lifetime)
	if err != nil {
		return exchange.Answer{}, err
	}
	tokens := userTokens{Scope: r.Scopes.Text(r.Granted), AccessToken: access.Raw, RefreshToken: r.refresh}
	if r.Scopes.Has("openid") {
		if tokens.IDToken, err = e.issuer.IDToken(ctx, x, &r.UserAccess, req.version, ""); err != nil {
			return exchange.Answer{}, err
		}
	}
	if req.clientInfo {
		if tokens.ClientInfo, err = r.ClientInfo(); err != nil {
			return exchange.Answer{}, err
		}
	}
	if req.version == 1 {
		return exchange.JSON(newUserAnswerV1(&access, req.binding, r.Scopes.Identifier, lifetime, tokens), exchange.NeverCached)
	}
	return exchange.JSON(newUserAnswerV2(req.binding, lifetime, tokens), exchange.NeverCached)
}

// userTokens is what answers of both versions say in the same way.
type userTokens struct {
	Scope        string `json:"scope"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	ClientInfo   string `json:"client_info,omitempty"`
}

type userAnswerV2 struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	ExtExpiresIn int64  `json:"ext_expires_in"`
	userTokens
}

func newUserAnswerV2(binding issuance.Binding, lifetime time.Duration, tokens userTokens) userAnswerV2 {
	seconds := int64(lifetime / time.Second)
	return userAnswerV2{TokenType: binding.TokenType(), ExpiresIn: seconds, ExtExpiresIn: seconds, userTokens: tokens}
}

type userAnswerV1 struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    string `json:"expires_in"`
	ExtExpiresIn string `json:"ext_expires_in"`
	ExpiresOn    string `json:"expires_on"`
	NotBefore    string `json:"not_before"`
	Resource     string `json:"resource,omitempty"`
	userTokens
}

// newUserAnswerV1 makes the body of the v1 endpoint, whose scopes stand without resource.
func newUserAnswerV1(access *issuance.Token, binding issuance.Binding, resource string, lifetime time.Duration, tokens userTokens) userAnswerV1 {
	seconds := strconv.FormatInt(int64(lifetime/time.Second), 10)
	tokens.Scope = access.Scopes
	return userAnswerV1{
		TokenType: binding.TokenType(), ExpiresIn: seconds, ExtExpiresIn: seconds,
		ExpiresOn: strconv.FormatInt(access.Expires, 10), NotBefore: strconv.FormatInt(access.NotBefore, 10),
		Resource: resource, userTokens: tokens,
	}
}
