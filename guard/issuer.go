package guard

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// An Issuer is one that [Config] trusts by name instead of through Authority.
type Issuer struct {
	// Issuer is the exact value of iss. It names its tenant: it holds the
	// tenant's GUID, or {tenantid} for any tenant of Config.Tenants. One that
	// ends in /v2.0 issues tokens of version 2.0, any other one of 1.0.
	Issuer string

	// Metadata is the URL of the discovery document. Empty means Issuer
	// followed by /.well-known/openid-configuration.
	Metadata string

	// Keys is the URL of the keys document, for an issuer without discovery.
	Keys string

	// AppID is the application id of an API that has signing keys of its own
	// in Entra. It asks for those instead of the tenant's.
	AppID string
}

const tenantPlaceholder = "{tenantid}"

// An issuer is one value of iss, or one family of them, and the keys that may
// sign for it.
type issuer struct {
	name      string // the value of iss; may hold tenantPlaceholder; presumed if learns
	learns    bool   // whether its metadata says what its name is
	alternate string // the v2 form of the same issuer, which Entra's v1 keys may name
	tenant    string // the tenant it names; empty if name is a template
	version   string // the ver its tokens carry
	keys      *keySource
}

// called returns the value of iss, as far as it is known.
func (i *issuer) called() string {
	if i.learns {
		if set := i.keys.set.Load(); set != nil {
			return set.issuer
		}
	}
	return i.name
}

// match returns the tenant that iss names, if iss is of this issuer.
func (i *issuer) match(iss string) (tenant string, ok bool) {
	name := i.called()
	if i.tenant != "" {
		return i.tenant, iss == name
	}
	before, after, _ := strings.Cut(name, tenantPlaceholder)
	if len(iss) != len(before)+guidLength+len(after) || !strings.HasPrefix(iss, before) || !strings.HasSuffix(iss, after) {
		return "", false
	}
	tenant = iss[len(before) : len(before)+guidLength]
	return tenant, isGUID(tenant)
}

// mayUse reports whether a key that names an issuer (as Entra's do) may sign
// for iss. Metadata for all tenants names keys of several clouds and tenants.
func (i *issuer) mayUse(keyIssuer, iss, tenant string) bool {
	if keyIssuer == "" {
		return true
	}
	named := strings.ReplaceAll(keyIssuer, tenantPlaceholder, tenant)
	return named == iss || named == strings.ReplaceAll(i.alternate, tenantPlaceholder, tenant)
}

const discovery = "/.well-known/openid-configuration"

// authorityIssuers returns the two issuers behind an authority URL, that of
// v1.0 tokens first.
func authorityIssuers(authority string, tenants []string) ([]Issuer, error) {
	u, err := url.Parse(authority)
	if err != nil {
		return nil, fmt.Errorf("the Authority %q is not a URL: %w", authority, err)
	}
	tenant := strings.Trim(u.Path, "/")
	if err := checkURL("Authority", authority); err != nil {
		return nil, err
	}
	if u.Scheme != "https" { // which checkURL takes for a loopback address
		return nil, fmt.Errorf("the Authority %q is not https, and an authority's tokens name an issuer that is: write https://%s%s and, if its certificate is not one that this machine trusts, set CABundle. "+
			"An issuer whose name does begin with http:// belongs into Issuers", authority, u.Host, u.Path)
	}
	if u.RawQuery != "" || strings.Contains(tenant, "/") || tenant == "" {
		return nil, fmt.Errorf("the Authority %q does not end in the tenant: write https://%s/<tenant id>", authority, u.Host)
	}
	tenant = strings.ToLower(tenant)
	placed := tenant
	switch {
	case tenant == "common" || tenant == "organizations":
		if len(tenants) == 0 {
			return nil, fmt.Errorf("the Authority %q means every tenant there is: list in Tenants which of them may call", authority)
		}
		placed = tenantPlaceholder
	case !isGUID(tenant):
		return nil, fmt.Errorf("the Authority %q names no tenant id: write the tenant's GUID, which its tokens carry as tid", authority)
	}
	host := token.Origin(u)
	v1, v2 := host+"/", host+"/" // the first is presumed: the metadata may say otherwise
	if cloud, ok := entraCloud(host); ok {
		v1, v2 = cloud.v1, cloud.login
		host = strings.TrimSuffix(cloud.login, "/")
	}
	return []Issuer{
		{Issuer: v1 + placed + "/", Metadata: host + "/" + tenant + discovery},
		{Issuer: v2 + placed + "/v2.0", Metadata: host + "/" + tenant + "/v2.0" + discovery},
	}, nil
}

// authorizationURI returns where a client of the authority begins to get a
// token. The authority is one that authorityIssuers has taken.
func authorizationURI(authority string) string {
	u, err := url.Parse(authority)
	if err != nil {
		return ""
	}
	host := token.Origin(u)
	if cloud, ok := entraCloud(host); ok {
		host = strings.TrimSuffix(cloud.login, "/")
	}
	return host + "/" + strings.ToLower(strings.Trim(u.Path, "/")) + "/oauth2/v2.0/authorize"
}

// inEntra reports whether an authority, which authorityIssuers has taken, is
// one of Microsoft's.
func inEntra(authority string) bool {
	u, err := url.Parse(authority)
	if err != nil {
		return false
	}
	_, ok := entraCloud(token.Origin(u))
	return ok
}

type cloud struct{ login, v1 string }

// entraCloud returns the issuers of the Entra cloud behind the origin of a login
// host. There the v1 issuer lives on a host of its own, which is known.
func entraCloud(origin string) (cloud, bool) {
	switch strings.TrimPrefix(origin, "https://") {
	case "login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net":
		return cloud{"https://login.microsoftonline.com/", "https://sts.windows.net/"}, true
	case "login.microsoftonline.us":
		return cloud{"https://login.microsoftonline.us/", "https://sts.windows.net/"}, true
	case "login.partner.microsoftonline.cn", "login.chinacloudapi.cn":
		return cloud{"https://login.partner.microsoftonline.cn/", "https://sts.chinacloudapi.cn/"}, true
	default:
		return cloud{}, false
	}
}

// newIssuer checks one issuer of the configuration.
func newIssuer(in Issuer, tenants []string) (*issuer, error) {
	if err := checkURL("Issuer", strings.ReplaceAll(in.Issuer, tenantPlaceholder, "tenant")); err != nil {
		return nil, err
	}
	out := &issuer{name: in.Issuer, version: "1.0"}
	if strings.HasSuffix(in.Issuer, "/v2.0") {
		out.version = "2.0"
	}
	switch strings.Count(in.Issuer, tenantPlaceholder) {
	case 0:
		if out.tenant = guidIn(in.Issuer); out.tenant == "" {
			return nil, fmt.Errorf("the Issuer %q names no tenant: it must hold a GUID in lower case, or %s", in.Issuer, tenantPlaceholder)
		}
	case 1:
		if len(tenants) == 0 {
			return nil, fmt.Errorf("the Issuer %q stands for every tenant: list in Tenants which of them may call", in.Issuer)
		}
	default:
		return nil, fmt.Errorf("the Issuer %q holds %s more than once", in.Issuer, tenantPlaceholder)
	}
	for _, source := range []struct{ name, url string }{{"Metadata", in.Metadata}, {"Keys", in.Keys}} {
		if source.url != "" {
			if err := checkURL(source.name, source.url); err != nil {
				return nil, err
			}
		}
	}
	if in.Metadata == "" && in.Keys == "" && out.tenant == "" {
		return nil, fmt.Errorf("the Issuer %q is a template: give the URL of its Metadata or Keys", in.Issuer)
	}
	if in.AppID != "" && !isGUID(strings.ToLower(in.AppID)) {
		return nil, fmt.Errorf("the AppID %q of issuer %q is not a GUID", in.AppID, in.Issuer)
	}
	return out, nil
}

// A source is where the keys of an issuer come from.
type source struct {
	issuer   string // what the issuer is called, as far as the configuration knows
	learns   bool   // whether metadata may give it another name, of the same tenant
	tenant   string // that the issuer names; empty if it is a template
	metadata string // the URL of the discovery document, or
	keys     string // that of the keys document itself
}

// source returns where the keys of an issuer come from.
func (in Issuer) source() source {
	withApp := func(address string) string {
		if in.AppID == "" {
			return address
		}
		separator := "?"
		if strings.Contains(address, "?") {
			separator = "&"
		}
		return address + separator + "appid=" + strings.ToLower(in.AppID)
	}
	s := source{issuer: in.Issuer, tenant: guidIn(in.Issuer)}
	switch {
	case in.Keys != "":
		s.keys = withApp(in.Keys)
	case in.Metadata != "":
		s.metadata = withApp(in.Metadata)
	default:
		s.metadata = withApp(strings.TrimSuffix(in.Issuer, "/") + discovery)
	}
	return s
}

// namesTenant reports whether a name that an authority gives to its issuer of
// version 1.0 tokens is one for the tenant, or, without one, for every tenant.
func namesTenant(issuer, tenant string) bool {
	if checkURL("issuer", strings.ReplaceAll(issuer, tenantPlaceholder, "tenant")) != nil || quotable(issuer) != issuer ||
		strings.ContainsAny(issuer, "?# ") || strings.HasSuffix(issuer, "/v2.0") {
		return false
	}
	if tenant == "" {
		return strings.Count(issuer, tenantPlaceholder) == 1
	}
	return guidIn(issuer) == tenant && !strings.Contains(issuer, tenantPlaceholder)
}

// checkURL refuses what cannot be fetched safely. Plain http is for a
// developer's own machine.
func checkURL(name, address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("the %s %q is not a URL such as https://login.microsoftonline.com/…", name, address)
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	default:
		return fmt.Errorf("the %s %q is not https: only a loopback address may go without", name, address)
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

const guidLength = 36

// isGUID reports whether s is a GUID in lower case.
func isGUID(s string) bool {
	if len(s) != guidLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// guidIn returns the path segment of address that is a GUID.
func guidIn(address string) string {
	segments := strings.Split(address, "/")
	if i := slices.IndexFunc(segments, isGUID); i >= 0 {
		return segments[i]
	}
	return ""
}
