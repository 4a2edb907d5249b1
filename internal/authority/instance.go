package authority

import (
	"context"
	"net/url"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
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
func (a *Authority) instance(_ context.Context, x *exchange) (answer, error) {
	query := x.http.URL.Query()
	document := instanceDocument{APIVersion: query.Get("api-version")}
	switch document.APIVersion {
	case "", "1.0":
		document.APIVersion = "1.0"
	case "1.1":
		document.Metadata = []instanceHost{{PreferredNetwork: a.host, PreferredCache: a.host, Aliases: []string{a.host}}}
	default:
		return answer{}, aadsts.InstanceRequest()
	}
	authorize, err := url.Parse(query.Get("authorization_endpoint"))
	if err != nil || authorize.Scheme != "https" || authorize.Host == "" {
		return answer{}, aadsts.InstanceRequest()
	}
	tenant, rest, _ := strings.Cut(strings.TrimPrefix(authorize.Path, "/"), "/")
	if !isTenantName(tenant) {
		return answer{}, aadsts.InstanceRequest()
	}
	// MSAL for Python leaves the port out.
	if !strings.EqualFold(authorize.Host, a.host) && !strings.EqualFold(authorize.Host, hostname(a.host)) {
		return answer{}, aadsts.InstanceUnknown(authorize.Host)
	}
	document.DiscoveryEndpoint = a.base + "/" + tenant
	if strings.HasPrefix(strings.ToLower(rest), "oauth2/v2.0") {
		document.DiscoveryEndpoint += "/v2.0"
	}
	document.DiscoveryEndpoint += "/.well-known/openid-configuration"
	return jsonAnswer(document, neverCached)
}

// userRealm tells a client library how the user of a name signs in: here, or not at all.
func (a *Authority) userRealm(ctx context.Context, x *exchange) (answer, error) {
	user := cleanPath(x.http.URL.Path)[len(userRealmPath):]
	_, domain, _ := strings.Cut(user, "@")
	realm := struct {
		Version     string `json:"ver"`
		AccountType string `json:"account_type"`
		Domain      string `json:"domain_name"`
		Cloud       string `json:"cloud_instance_name"`
		Audience    string `json:"cloud_audience_urn"`
	}{"1.0", "Unknown", strings.ToLower(text.Line(domain, aadsts.MaxNoted)), hostname(a.host), "urn:federation:MicrosoftOnline"}
	tenant, err := a.tenantOf(ctx, domain)
	switch {
	case err == nil && owns(tenant, domain):
		realm.AccountType = "Managed"
	case err != nil && aadsts.Of(err).IsOutage(): // nobody knows
		return answer{}, err
	}
	return jsonAnswer(realm, neverCached)
}

// owns reports whether a domain is one of the tenant's.
func owns(tenant *directory.Tenant, domain string) bool {
	for _, d := range tenant.Domains {
		if strings.EqualFold(d, domain) {
			return true
		}
	}
	return false
}
