package guardfile

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
)

// Foreign says whose settings a file has, if it is no guard.yaml.
type Foreign string

// The settings that are read besides guard.yaml.
const (
	AuthSettings Foreign = "App Service authsettingsV2"
	Policy       Foreign = "API Management validate-azure-ad-token"
)

// A Warning is something that foreign settings leave open, or that means something else here.
type Warning struct {
	What string `json:"what"`
	Fix  string `json:"fix"`
}

func (f *File) warn(fix, format string, args ...any) {
	f.Warnings = append(f.Warnings, Warning{fmt.Sprintf(format, args...), fix})
}

// entra is where tenants are whose settings name them without an authority.
const entra = "https://login.microsoftonline.com/"

// severalTenants are the names that stand for more than one tenant.
var severalTenants = []string{"common", "organizations", "consumers"}

// tenantAuthority returns the authority of an issuer as settings name it: with or without the
// version, by the host of either version. It reports whether that is one tenant's.
func tenantAuthority(issuer string) (authority string, single bool, err error) {
	u, err := url.Parse(strings.TrimSuffix(strings.TrimSuffix(issuer, "/"), "/v2.0"))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", false, fmt.Errorf("not the https URL of a tenant")
	}
	tenant := strings.Trim(u.Path, "/")
	if tenant == "" || strings.Contains(tenant, "/") {
		return "", false, fmt.Errorf("not the https URL of a tenant")
	}
	single = !slices.Contains(severalTenants, strings.ToLower(tenant))
	if strings.EqualFold(u.Host, "sts.windows.net") {
		return entra + tenant, single, nil
	}
	return "https://" + u.Host + "/" + tenant, single, nil
}

// TenantsVariable is the app setting in which App Service has the tenants that may call.
const TenantsVariable = "WEBSITE_AUTH_AAD_ALLOWED_TENANTS"

// AllowTenants takes over the app setting of that name, which stands beside an authsettingsV2
// document and not in it: ids with commas between them. It has no meaning for other settings.
func (f *File) AllowTenants(setting string) {
	if f.Foreign != AuthSettings || strings.TrimSpace(setting) == "" {
		return
	}
	for i := range f.APIs {
		f.APIs[i].Tenants = trimmed(strings.Split(setting, ","))
	}
	f.Warnings = slices.DeleteFunc(f.Warnings, func(w Warning) bool { return w.What == anyTenant })
}

// anyTenant is what settings leave open that are for several tenants.
const anyTenant = "the settings are for several tenants and name none of them, so they let in a token of any tenant there is"

// warnOfTenants says that settings are for several tenants.
func (f *File) warnOfTenants() {
	f.warn("Name the tenant in place of it, write a guard.yaml with tenants, or set "+TenantsVariable+": the guard does not start without.", anyTenant)
}

// warnOfRoles says that nothing but being in the tenant is asked for.
func (f *File) warnOfRoles(rule *guard.Rule) {
	if len(rule.Roles)+len(rule.AllRoles)+len(rule.Scopes) > 0 {
		return
	}
	if len(rule.Clients)+len(rule.Principals) > 0 {
		f.warn("Write a guard.yaml whose rules name roles.", "no app role is enforced: those that are named may do everything")
		return
	}
	f.warn("Write a guard.yaml whose rules name roles, or name the applications that may call.",
		"no app role is enforced, and no application is named: every application of the tenant may call (with this guard, every one that has a role or scope)")
}
