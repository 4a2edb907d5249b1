package discovery

import (
	"context"
	"net/url"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
)

// instanceDocument tells a client library that it may trust this host, and where the
// discovery document of its tenant is.
type instanceDocument struct {
	DiscoveryEndpoint string         `json:"tenant_discovery_endpoint"`
	APIVersion        string         `json:"api-version"`
	Metadata          []instanceHost `json:"metadata,omitempty"` // from version 1.1
}

type instanceHost struct {
	PreferredNetwork string   `json:"preferred_network"`
	PreferredCache   string   `json:"preferred_cache"`
	Aliases          []string `json:"aliases"`
}

// instance serves instance discovery. The document that it points to follows the version
// of the authorize endpoint asked about.
func (h *Handler) instance(_ context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	query := x.Request.URL.Query()
	document := instanceDocument{APIVersion: query.Get("api-version")}
	switch document.APIVersion {
	case "", "1.0":
		document.APIVersion = "1.0"
	case "1.1":
		for _, host := range x.Origin.Instances() {
			document.Metadata = append(document.Metadata, instanceHost{PreferredNetwork: host.Network, PreferredCache: host.Cache, Aliases: host.Aliases})
		}
	default:
		return exchange.Answer{}, aadsts.InstanceRequest()
	}
	authorize, err := url.Parse(query.Get("authorization_endpoint"))
	if err != nil || authorize.Scheme != "https" || authorize.Host == "" {
		return exchange.Answer{}, aadsts.InstanceRequest()
	}
	// The host is judged before the tenant. MSAL for Python leaves the port out.
	if !x.Origin.Answers(origin.WithoutDefaultPort(authorize.Scheme, authorize.Host)) {
		return exchange.Answer{}, aadsts.InstanceUnknown(authorize.Host)
	}
	tenant, rest, _ := strings.Cut(strings.TrimPrefix(authorize.Path, "/"), "/")
	if !resolve.IsTenantName(tenant) {
		return exchange.Answer{}, aadsts.InstanceRequest()
	}
	document.DiscoveryEndpoint = x.Origin.BaseURL + "/" + tenant
	if strings.HasPrefix(strings.ToLower(rest), "oauth2/v2.0") {
		document.DiscoveryEndpoint += "/v2.0"
	}
	document.DiscoveryEndpoint += "/.well-known/openid-configuration"
	return exchange.JSON(document, exchange.NeverCached)
}

const userRealmPath = "/common/userrealm/"

// userRealm tells a client library how the user of a name signs in: here, or not at all.
func (h *Handler) userRealm(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	user := exchange.CleanPath(x.Request.URL.Path)[len(userRealmPath):]
	_, domain, _ := strings.Cut(user, "@")
	realm := struct {
		Version     string `json:"ver"`
		AccountType string `json:"account_type"`
		Domain      string `json:"domain_name"`
		Cloud       string `json:"cloud_instance_name"`
		Audience    string `json:"cloud_audience_urn"`
	}{"1.0", "Unknown", strings.ToLower(exchange.Noted(domain)), x.Origin.CloudInstance(), "urn:federation:MicrosoftOnline"}
	tenant, err := h.resolver.Tenant(ctx, domain)
	switch {
	case err == nil && resolve.HasDomain(tenant, domain):
		realm.AccountType = "Managed"
	case err != nil && aadsts.Of(err).IsOutage(): // nobody knows
		return exchange.Answer{}, err
	}
	return exchange.JSON(realm, exchange.NeverCached)
}
