package discovery

import (
	"context"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// metadata is an OpenID Connect discovery document, which tells client libraries the
// endpoints and resource servers the issuer and keys of a tenant.
type metadata struct {
	TokenEndpoint         string   `json:"token_endpoint"`
	TokenEndpointAuth     []string `json:"token_endpoint_auth_methods_supported"`
	KeysURI               string   `json:"jwks_uri"`
	ResponseModes         []string `json:"response_modes_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	Scopes                []string `json:"scopes_supported"`
	Issuer                string   `json:"issuer"`
	MultiRefreshToken     bool     `json:"microsoft_multi_refresh_token,omitempty"` // version 1 only
	RequestURIParameter   bool     `json:"request_uri_parameter_supported"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"`
	HTTPLogout            bool     `json:"http_logout_supported"`
	FrontChannelLogout    bool     `json:"frontchannel_logout_supported"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	Claims                []string `json:"claims_supported"`
	TenantRegion          *string  `json:"tenant_region_scope"`
	CloudInstance         string   `json:"cloud_instance_name"`
	CloudGraphHost        string   `json:"cloud_graph_host_name"`
	GraphHost             string   `json:"msgraph_host"`
	ProofAlgorithms       []string `json:"dpop_signing_alg_values_supported,omitempty"`          // version 2 only
	CertificateBound      bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"` // where clients are asked for certificates
}

// newMetadata fills in what is the same for every tenant and version. The root is the
// URL of the tenant, with its id or alias.
func newMetadata(o origin.Origin, root string) metadata {
	graph, predecessor := o.GraphHosts()
	return metadata{
		TokenEndpointAuth:  []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		ResponseModes:      []string{"query", "fragment", "form_post"},
		SubjectTypes:       []string{"pairwise"},
		IDTokenAlgorithms:  []string{"RS256"},
		ResponseTypes:      []string{"code", "id_token", "code id_token"},
		Scopes:             []string{"openid", "profile", "email", "offline_access"},
		UserInfoEndpoint:   root + "/openid/userinfo",
		HTTPLogout:         true,
		FrontChannelLogout: true,
		Claims: []string{
			"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host",
			"aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash",
			"c_hash", "email",
		},
		CloudInstance:  o.CloudInstance(),
		CloudGraphHost: predecessor,
		GraphHost:      graph,
	}
}

// metadataV1 serves the discovery document of version 1.
func (h *Handler) metadataV1(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	name, err := h.metadataName(ctx, x)
	if err != nil {
		return exchange.Answer{}, err
	}
	root := x.Origin.BaseURL + "/" + name
	m := newMetadata(x.Origin, root)
	m.Issuer = x.Origin.IssuerV1(issuerName(name))
	m.AuthorizationEndpoint = root + "/oauth2/authorize"
	m.TokenEndpoint = root + "/oauth2/token"
	m.DeviceEndpoint = root + "/oauth2/devicecode"
	m.EndSessionEndpoint = root + "/oauth2/logout"
	m.KeysURI = root + "/discovery/keys"
	m.MultiRefreshToken = true
	return exchange.JSON(m, exchange.DayCached)
}

// metadataV2 serves the discovery document of version 2.
func (h *Handler) metadataV2(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	name, err := h.metadataName(ctx, x)
	if err != nil {
		return exchange.Answer{}, err
	}
	root := x.Origin.BaseURL + "/" + name
	m := newMetadata(x.Origin, root)
	m.Issuer = x.Origin.IssuerV2(issuerName(name))
	m.AuthorizationEndpoint = root + "/oauth2/v2.0/authorize"
	m.TokenEndpoint = root + "/oauth2/v2.0/token"
	m.DeviceEndpoint = root + "/oauth2/v2.0/devicecode"
	m.EndSessionEndpoint = root + "/oauth2/v2.0/logout"
	m.KeysURI = root + "/discovery/v2.0/keys"
	m.ProofAlgorithms = token.ProofAlgorithms()
	if h.mutualTLS {
		m.TokenEndpointAuth = append(m.TokenEndpointAuth, "self_signed_tls_client_auth")
		m.CertificateBound = true
	}
	return exchange.JSON(m, exchange.DayCached)
}

// metadataName gives what stands for the tenant in a discovery document: its id, also
// when it was asked for by domain, or the alias as asked.
func (h *Handler) metadataName(ctx context.Context, x *exchange.Exchange) (string, error) {
	if resolve.IsShared(x.Tenant) || resolve.IsConsumers(x.Tenant) {
		return strings.ToLower(x.Tenant), nil
	}
	tenant, err := h.resolver.Tenant(ctx, x.Tenant)
	if err != nil {
		return "", refusal(err)
	}
	return string(tenant.ID), nil
}

// issuerName gives what stands for the tenant in an issuer: for an alias the placeholder, unless
// it is the alias of one tenant.
func issuerName(name string) directory.TenantID {
	if resolve.IsConsumers(name) {
		return resolve.ConsumersTenant
	}
	if guid.Is(name) {
		return directory.TenantID(name)
	}
	return origin.TenantPlaceholder
}
