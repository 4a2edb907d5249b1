package grants

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// issueForApplication answers an application that asks for itself (RFC 6749 section 4.4).
func (e *tokenEndpoint) issueForApplication(ctx context.Context, x *exchange.Exchange, tenant *directory.Tenant, proof clientauth.Proof, req *tokenRequest) (exchange.Answer, error) {
	identifier, err := scope.Resource(req.version, req.scope, req.resource)
	if err != nil {
		return exchange.Answer{}, err
	}
	identifier = req.audience(identifier)
	x.SignIn.Resource = exchange.Noted(identifier)
	claims, err := issuance.ParseClaimsRequest(req.claims)
	if err != nil {
		return exchange.Answer{}, err
	}
	access, err := e.issuer.ResolveAccess(ctx, tenant, proof, identifier, claims)
	if err != nil {
		return exchange.Answer{}, err
	}
	access.Binding = req.binding
	lifetime := e.issuer.Lifetime()
	made, err := e.issuer.ApplicationToken(ctx, x, &access, lifetime)
	if err != nil {
		return exchange.Answer{}, err
	}
	if req.version == 1 {
		return exchange.JSON(newTokenAnswerV1(&made, req.binding, identifier, lifetime), exchange.NeverCached)
	}
	return exchange.JSON(newTokenAnswerV2(&made, req.binding, lifetime), exchange.NeverCached)
}
