package origin

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/loopback"
)

// TenantPlaceholder stands for a tenant's id in an issuer that is good for any tenant.
// Client libraries and resource servers look for it letter by letter.
const TenantPlaceholder = "{tenantid}"

// An Origin is a name under which tokens are issued. Origins are comparable.
type Origin struct {
	BaseURL string // https and a host, without a slash at the end
	Host    string // of BaseURL, with its port unless it is the scheme's own
	v1      string // template of version 1.0 issuers
	local   bool   // the host is no name of a site: localhost, or an address
	aliases string // other hosts that mean this authority, with their ports, separated by blanks
	cloud   Cloud  // whose names these are; empty: the operator's own
}

// WithAliases returns the origin with other hosts, with their ports, by which clients reach
// the authority. They are no issuers.
func (o Origin) WithAliases(hosts ...string) Origin {
	o.aliases = strings.ToLower(strings.Join(hosts, " "))
	return o
}

// Hosts lists the hosts that mean this authority, with their ports; its own comes first.
func (o Origin) Hosts() []string {
	return append([]string{o.Host}, strings.Fields(o.aliases)...)
}

// Answers reports whether a host means this authority. The port may be left out, as MSAL for
// Python does.
func (o Origin) Answers(host string) bool {
	host = strings.ToLower(host)
	return slices.ContainsFunc(o.Hosts(), func(own string) bool { return host == own || host == hostname(own) })
}

// New returns the origin at a base URL. The issuer of version 1.0 tokens has
// [TenantPlaceholder] where the tenant's id goes; empty means the base URL and the tenant.
func New(baseURL, v1Issuer string) (Origin, error) {
	u, err := parseBaseURL(baseURL)
	if err != nil {
		return Origin{}, err
	}
	o := Origin{BaseURL: u.String(), Host: u.Host, v1: v1Issuer, local: isLocal(u.Hostname())}
	if o.v1 == "" {
		o.v1 = o.BaseURL + "/" + TenantPlaceholder + "/"
	}
	return o, checkIssuer(o.v1)
}

// parseBaseURL refuses a URL that clients could not work with.
func parseBaseURL(raw string) (*url.URL, error) {
	bad := func(why string) error {
		return fmt.Errorf("authority: BaseURL is %q: %s; a good one is https://localhost:8443", raw, why)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, bad("it is not a URL")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	u.Host = WithoutDefaultPort(u.Scheme, strings.ToLower(u.Host))
	switch {
	case u.Host == "" || u.Hostname() == "":
		return nil, bad("it has no host")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback.Is(u.Hostname())):
		return nil, bad("it must be https, because client libraries refuse anything else")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, bad("it must be the root of a host, because client libraries take the first path segment for the tenant")
	}
	return u, CheckHost(u.Hostname())
}

// WithoutDefaultPort leaves out the port of a host where it is the scheme's own, or none
// (RFC 3986 section 6.2.3). Client libraries do so before they compare.
func WithoutDefaultPort(scheme, host string) string {
	port := map[string]string{"https": ":443", "http": ":80"}[scheme]
	if bare := strings.TrimSuffix(host, port); bare != host && bare == hostname(host) {
		return bare
	}
	return strings.TrimSuffix(host, ":")
}

// isLocal reports whether a host is this machine by name, or any address.
func isLocal(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// CheckHost refuses the names of hosts and domains that client libraries trip over.
func CheckHost(name string) error {
	if strings.Contains(strings.ToLower(name), "token") {
		return fmt.Errorf(`authority: the name %q contains "token": MSAL for Go makes the device code URL by replacing that word in the URL of the token endpoint; choose another name`, name)
	}
	return nil
}

// checkIssuer refuses a template that would give two tenants one issuer.
func checkIssuer(template string) error {
	u, err := url.Parse(strings.ReplaceAll(template, TenantPlaceholder, "tenant"))
	if err == nil && u.Scheme != "" && u.Host != "" && strings.Count(template, TenantPlaceholder) == 1 {
		return nil
	}
	return fmt.Errorf("authority: V1Issuer is %q, want a URL with %s in it, such as https://sts.windows.net/%s/", template, TenantPlaceholder, TenantPlaceholder)
}

// IsLocal reports whether the host is localhost, a name below it, or an address. What a browser
// is told to remember about such a host would count for all that listens there.
func (o Origin) IsLocal() bool { return o.local }

// Hostname is the host without its port.
func (o Origin) Hostname() string { return hostname(o.Host) }

func hostname(host string) string {
	if end := strings.LastIndexByte(host, ':'); end > strings.LastIndexByte(host, ']') {
		return host[:end]
	}
	return host
}

// IssuerV1 is the issuer of the tenant's version 1.0 tokens. It ends in a slash.
func (o Origin) IssuerV1(tenant directory.TenantID) string {
	return strings.ReplaceAll(o.v1, TenantPlaceholder, string(tenant))
}

// IssuerV2 is the issuer of the tenant's version 2.0 tokens. It does not end in a slash.
func (o Origin) IssuerV2(tenant directory.TenantID) string {
	return o.BaseURL + "/" + string(tenant) + "/v2.0"
}

// WorkloadPath follows a tenant in the issuer of its workloads' assertions.
const WorkloadPath = "/workload"

// WorkloadIssuer is the issuer of the assertions of the tenant's workloads.
func (o Origin) WorkloadIssuer(tenant directory.TenantID) string {
	return o.BaseURL + "/" + string(tenant) + WorkloadPath
}

// TenantOf returns the tenant whose tokens an issuer signs here, by the look of it, or
// nothing.
func (o Origin) TenantOf(issuer string) directory.TenantID {
	if id := tenantIn(issuer, o.BaseURL+"/", "/v2.0"); id != "" {
		return id
	}
	before, after, _ := strings.Cut(o.v1, TenantPlaceholder)
	return tenantIn(issuer, before, after)
}

// WorkloadTenantOf returns the tenant whose workload issuer an issuer is, or nothing.
func (o Origin) WorkloadTenantOf(issuer string) directory.TenantID {
	return tenantIn(issuer, o.BaseURL+"/", WorkloadPath)
}

// tenantIn returns the tenant's id between two parts of an issuer. An id in capitals is
// another issuer.
func tenantIn(issuer, before, after string) directory.TenantID {
	id, prefixed := strings.CutPrefix(issuer, before)
	id, suffixed := strings.CutSuffix(id, after)
	if prefixed && suffixed && guid.Is(id) && id == strings.ToLower(id) {
		return directory.TenantID(id)
	}
	return ""
}

// Audiences lists what a client may call this authority in the audience of its assertion:
// the token endpoints and issuers of the tenant, by each of its names and by the one in the
// request's path, with the request's query. The last one is the one to recommend.
func (o Origin) Audiences(tenant *directory.Tenant, path, query string) []string {
	names := append([]string{path, tenant.Name}, tenant.Domains...)
	names = append(names, string(tenant.ID))
	var urls []string
	for _, alias := range strings.Fields(o.aliases) {
		urls = appendAudiences(urls, "https://"+alias, names, query)
	}
	return appendAudiences(append(urls, o.IssuerV1(tenant.ID)), o.BaseURL, names, query)
}

// appendAudiences adds the URLs of a tenant at one host, by each of its names.
func appendAudiences(urls []string, base string, names []string, query string) []string {
	for _, name := range names {
		root := base + "/" + name
		if query != "" {
			urls = append(urls, root+"/oauth2/token?"+query, root+"/oauth2/v2.0/token?"+query)
		}
		urls = append(urls, root, root+"/", root+"/v2.0", root+"/oauth2/token", root+"/oauth2/v2.0/token")
	}
	return urls
}
