package authority

import (
	"context"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// onBehalfUse is the only use of a bearer assertion there is.
const onBehalfUse = "on_behalf_of"

// redeemOnBehalf lets an API that a user's client called call another API for that user.
// What it presents is the access token it was called with.
func (a *Authority) redeemOnBehalf(ctx context.Context, x *exchange, g userGrant, req *request) (userGrant, error) {
	switch {
	case req.onBehalfOf == "":
		return g, aadsts.Missing("assertion")
	case req.use == "":
		return g, aadsts.Missing("requested_token_use")
	case req.use != onBehalfUse:
		return g, aadsts.Malformed("The requested_token_use " + text.Quote(req.use) + " is not supported; send on_behalf_of.")
	}
	claims, err := a.readAccessToken(ctx, req.onBehalfOf, g.tenant)
	if err != nil {
		return g, err
	}
	if err := checkOnBehalf(claims, g.client, a.now()); err != nil {
		return g, err
	}
	w, err := parseAsk(req.version, req.scope, req.resource)
	if err != nil {
		return g, err
	}
	issued, _ := integerClaim(claims, "iat")
	g.session = session{ID: guid.New(), User: directory.ObjectID(textClaim(claims, "oid")), At: issued}
	if err := a.entrust(ctx, x, &g, w); err != nil {
		return g, err
	}
	return g, a.found(ctx, &g)
}

// readAccessToken verifies that a token was made by this authority for a tenant, and
// gives its claims. Whom it is for and how long, the caller looks at.
func (a *Authority) readAccessToken(ctx context.Context, raw string, tenant *directory.Tenant) (token.Object, error) {
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return token.Object{}, aadsts.OnBehalfSignature().Because(err)
	}
	issuer, version := textClaim(parsed.Claims, "iss"), textClaim(parsed.Claims, "ver")
	wanted := map[string]string{"1.0": a.issuerV1(tenant.ID), "2.0": a.issuerV2(tenant.ID)}[version]
	if issuer == "" || issuer != wanted || textClaim(parsed.Claims, "tid") != string(tenant.ID) {
		return token.Object{}, aadsts.OnBehalfSignature()
	}
	key, err := a.assertions.own.key(ctx, issuer, textClaim(parsed.Header, "kid"))
	if err != nil {
		return token.Object{}, aadsts.OnBehalfSignature().Because(err)
	}
	if alg := textClaim(parsed.Header, "alg"); alg != "RS256" || parsed.Verify(alg, key.Public) != nil {
		return token.Object{}, aadsts.OnBehalfSignature()
	}
	return parsed.Claims, nil
}

// checkOnBehalf wants a user's access token for the client that presents it. An id token
// is for its client as well, but it has no scopes.
func checkOnBehalf(claims token.Object, client *directory.Instance, now time.Time) error {
	expires, ok := integerClaim(claims, "exp")
	from, valid := integerClaim(claims, "nbf")
	audience := textClaim(claims, "aud")
	switch {
	case !ok || !valid || now.Unix() >= expires || now.Unix() < from:
		return aadsts.OnBehalfExpired()
	case isAppOnly(claims):
		return aadsts.OnBehalfApp()
	case textClaim(claims, "scp") == "":
		return aadsts.OnBehalfSignature()
	case !isAudience(client.Application, audience):
		return aadsts.OnBehalfAudience(audience, string(client.Principal.AppID))
	}
	return nil
}

// isAudience reports whether an audience names an application.
func isAudience(app *directory.Application, audience string) bool {
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

// textClaim is the value of a claim that is a string; empty when it is not there.
func textClaim(claims token.Object, name string) string {
	value, _ := claims.Get(name)
	text, _ := value.String()
	return text
}

func integerClaim(claims token.Object, name string) (int64, bool) {
	value, present := claims.Get(name)
	if !present {
		return 0, false
	}
	return value.Integer()
}
