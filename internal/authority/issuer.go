package authority

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// tenantPlaceholder stands for a tenant's id in an issuer that is good for any tenant.
// Client libraries and resource servers look for it letter by letter.
const tenantPlaceholder = "{tenantid}"

// checkIssuer refuses a template that would give two tenants one issuer.
func checkIssuer(template string) error {
	u, err := url.Parse(strings.ReplaceAll(template, tenantPlaceholder, "tenant"))
	if err == nil && u.Scheme != "" && u.Host != "" && strings.Count(template, tenantPlaceholder) == 1 {
		return nil
	}
	return fmt.Errorf("authority: V1Issuer is %q, want a URL with %s in it, such as https://sts.windows.net/%s/", template, tenantPlaceholder, tenantPlaceholder)
}

// issuerV1 is the issuer of the tenant's version 1.0 tokens. It ends in a slash.
func (a *Authority) issuerV1(tenant directory.TenantID) string {
	return strings.ReplaceAll(a.cfg.V1Issuer, tenantPlaceholder, string(tenant))
}

// issuerV2 is the issuer of the tenant's version 2.0 tokens. It does not end in a slash.
func (a *Authority) issuerV2(tenant directory.TenantID) string {
	return a.base + "/" + string(tenant) + "/v2.0"
}

// tokenURLs lists what a client may call this authority in the audience of its
// assertion: the token endpoints and issuers of the tenant, by each of its names. The
// last is the one to recommend.
func (a *Authority) tokenURLs(x *exchange, tenant *directory.Tenant) []string {
	names := append([]string{x.tenant, tenant.Name}, tenant.Domains...)
	urls := []string{a.issuerV1(tenant.ID)}
	for _, name := range append(names, string(tenant.ID)) {
		root := a.base + "/" + name
		if query := x.http.URL.RawQuery; query != "" {
			urls = append(urls, root+"/oauth2/token?"+query, root+"/oauth2/v2.0/token?"+query)
		}
		urls = append(urls, root, root+"/", root+"/v2.0", root+"/oauth2/token", root+"/oauth2/v2.0/token")
	}
	return urls
}
