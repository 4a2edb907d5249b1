package issuance

import (
	"context"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// ReadToken verifies that a token was issued here for a tenant, and returns its claims.
// Whom it is for and how long it lasts, the caller checks.
func (i *Issuer) ReadToken(ctx context.Context, o origin.Origin, raw string, tenant *directory.Tenant) (token.Object, error) {
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return token.Object{}, aadsts.OnBehalfSignature().Because(err)
	}
	issuer, version := TextClaim(parsed.Claims, "iss"), TextClaim(parsed.Claims, "ver")
	wanted := map[string]string{"1.0": o.IssuerV1(tenant.ID), "2.0": o.IssuerV2(tenant.ID)}[version]
	if issuer == "" || issuer != wanted || TextClaim(parsed.Claims, "tid") != string(tenant.ID) {
		return token.Object{}, aadsts.OnBehalfSignature()
	}
	key, err := i.own.Key(ctx, o, o.TenantOf(issuer), TextClaim(parsed.Header, "kid"))
	if err != nil {
		return token.Object{}, aadsts.OnBehalfSignature().Because(err)
	}
	if alg := TextClaim(parsed.Header, "alg"); alg != "RS256" || parsed.Verify(alg, key.Public) != nil {
		return token.Object{}, aadsts.OnBehalfSignature()
	}
	return parsed.Claims, nil
}

// CheckBearer requires claims to be those of a user's access token that is good now, for the
// application. An id token is for its client as well, but it has no scopes.
func (i *Issuer) CheckBearer(claims token.Object, application *directory.Instance) error {
	expires, ok := IntegerClaim(claims, "exp")
	from, valid := IntegerClaim(claims, "nbf")
	audience, now := TextClaim(claims, "aud"), i.now().Unix()
	switch {
	case !ok || !valid || now >= expires || now < from:
		return aadsts.OnBehalfExpired()
	case isBound(claims):
		return aadsts.OnBehalfBound()
	case clientauth.IsAppOnly(claims):
		return aadsts.OnBehalfApp()
	case TextClaim(claims, "scp") == "":
		return aadsts.OnBehalfSignature()
	case !isAudience(application.Application, audience):
		return aadsts.OnBehalfAudience(audience, string(application.Principal.AppID))
	case !i.isBound(claims, application):
		return aadsts.OnBehalfOfAnother(audience)
	}
	return nil
}

// CheckUserInfo is CheckBearer for the userinfo endpoint.
func (i *Issuer) CheckUserInfo(claims token.Object) error {
	return i.CheckBearer(claims, userInfoResource())
}

// isAudience reports whether an audience names an application.
func isAudience(app *directory.Application, audience string) bool {
	audience, _ = scope.CutSPN(audience)
	if audience == string(app.AppID) {
		return true
	}
	for _, uri := range app.IdentifierURIs {
		if strings.TrimSuffix(uri, "/") == strings.TrimSuffix(audience, "/") {
			return true
		}
	}
	return false
}

// isBound reports whether a token is bound to a key: without a request that the key signed it
// proves nothing, and no endpoint here takes such requests.
func isBound(claims token.Object) bool {
	_, bound := claims.Get("cnf")
	return bound
}

// TextClaim is the value of a claim that is a string; empty when it is not there.
func TextClaim(claims token.Object, name string) string {
	value, _ := claims.Get(name)
	text, _ := value.String()
	return text
}

// IntegerClaim is the value of a claim that is an integer.
func IntegerClaim(claims token.Object, name string) (int64, bool) {
	value, present := claims.Get(name)
	if !present {
		return 0, false
	}
	return value.Integer()
}
