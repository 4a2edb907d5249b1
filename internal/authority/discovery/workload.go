package discovery

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
)

// workloadMetadata is the discovery document of the workload issuer.
type workloadMetadata struct {
	Issuer            string   `json:"issuer"`
	KeysURI           string   `json:"jwks_uri"`
	ResponseTypes     []string `json:"response_types_supported"`
	SubjectTypes      []string `json:"subject_types_supported"`
	IDTokenAlgorithms []string `json:"id_token_signing_alg_values_supported"`
	Claims            []string `json:"claims_supported"`
}

// workloadMetadata serves the discovery document of the tenant's workload issuer.
func (h *Handler) workloadMetadata(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	tenant, err := h.resolver.Tenant(ctx, x.Tenant)
	if err != nil {
		return exchange.Answer{}, refusal(err)
	}
	issuer := x.Origin.WorkloadIssuer(tenant.ID)
	return exchange.JSON(workloadMetadata{
		Issuer: issuer, KeysURI: issuer + "/keys",
		ResponseTypes: []string{"id_token"}, SubjectTypes: []string{"public"}, IDTokenAlgorithms: []string{"RS256"},
		Claims: []string{"iss", "sub", "aud", "iat", "nbf", "exp", "jti"},
	}, exchange.DayCached)
}

// workloadKeys serves the keys of the tenant's workload issuer, none before the first of its
// assertions: to ask is open to everybody, and to make a key is work.
func (h *Handler) workloadKeys(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	tenant, err := h.resolver.Tenant(ctx, x.Tenant)
	if err != nil {
		return exchange.Answer{}, refusal(err)
	}
	keys, err := h.keys.Present(ctx, x.Origin.WorkloadRing(string(tenant.ID)))
	if err != nil {
		return exchange.Answer{}, err
	}
	return keysAnswer(keys, exchange.KeysCached)
}
