package manifest

import (
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// A registry remembers where names of one sort were first used.
type registry struct {
	d    *decoder
	what string // "application name"
	seen map[string]position
}

func (d *decoder) registry(what string) *registry {
	return &registry{d, what, make(map[string]position)}
}

// claim reports a name that is taken. What the file leaves out is not compared.
func (r *registry) claim(name string, at position) { r.claimAs(name, name, at) }

// claimFolded is claim for names that are compared without regard to case.
func (r *registry) claimFolded(name string, at position) { r.claimAs(strings.ToLower(name), name, at) }

func (r *registry) claimAs(key, name string, at position) {
	if key == "" {
		return
	}
	if first, taken := r.seen[key]; taken {
		r.d.add(at, fmt.Sprintf("%s %q is used twice, first in line %d.", r.what, text.Shown(name), first.line), "Give each its own.")
		return
	}
	r.seen[key] = at
}

// unique reports names that are used twice within one file, so that both places are told;
// what is taken in the directory is for its rules to say.
func (d *decoder) unique(file *File) {
	names, ids, domains := d.registry("the tenant name"), d.registry("the tenant id"), d.registry("the domain")
	for _, t := range file.tenants {
		names.claimFolded(t.name, t.of("name"))
		ids.claim(t.id, t.of("id"))
		for _, domain := range t.domains {
			domains.claimFolded(domain.text, domain.at)
		}
		d.uniqueInTenant(t)
	}
}

func (d *decoder) uniqueInTenant(t *tenant) {
	// Applications and managed identities share their names and ids: both are service
	// principals, and one word must name one of them.
	names, appIDs := d.registry("the name"), d.registry("the app id")
	ids, uris := d.registry("the id"), d.registry("the identifier URI")
	for _, a := range t.applications {
		names.claimFolded(a.name, a.of("name"))
		appIDs.claim(a.appID, a.of("appId"))
		ids.claim(a.id, a.of("id"))
		for _, uri := range a.uris {
			uris.claimAs(strings.ToLower(strings.TrimSuffix(uri.text, "/")), uri.text, uri.at)
		}
		d.uniqueInApplication(a)
	}
	groups := d.registry("the resource group")
	for _, g := range t.groups {
		groups.claimFolded(g.name, g.of("name"))
	}
	for _, i := range t.identities {
		names.claimFolded(i.name, i.of("name"))
		appIDs.claim(i.appID, i.of("appId"))
		ids.claim(i.id, i.of("id"))
		d.uniqueTrusts(i.federated)
	}
	hosts, places := d.registry("the host name"), d.registry("the address")
	for _, h := range t.hosts {
		hosts.claimFolded(h.name, h.of("name"))
		places.claim(h.listen, h.of("listen"))
		ids.claim(h.id, h.of("id"))
	}
	users := d.registry("the user principal name")
	for _, u := range t.users {
		users.claimFolded(u.principalName, u.of("userPrincipalName"))
		ids.claim(u.id, u.of("id"))
	}
}

func (d *decoder) uniqueInApplication(a *application) {
	values, ids, claims := d.registry("the role value"), d.registry("the role id"), d.registry("the optional claim")
	for _, r := range a.roles {
		values.claimFolded(r.value, r.of("value"))
		ids.claim(r.id, r.of("id"))
	}
	scopes, scopeIDs, redirects := d.registry("the scope value"), d.registry("the scope id"), d.registry("the redirect URI")
	for _, s := range a.scopes {
		scopes.claimFolded(s.value, s.of("value"))
		scopeIDs.claim(s.id, s.of("id"))
	}
	for _, uri := range a.redirects {
		redirects.claim(uri.text, uri.at)
	}
	for _, c := range a.claims {
		claims.claim(c.name, c.of("name"))
	}
	d.uniqueKeys(&a.keys)
	d.uniqueKeys(&a.principal.keys)
	d.uniqueTrusts(a.federated)
}

func (d *decoder) uniqueKeys(k *keys) {
	secrets, certificates := d.registry("the secret name"), d.registry("the certificate name")
	for _, s := range k.secrets {
		secrets.claim(s.name, s.of("name"))
	}
	for _, c := range k.certificates {
		certificates.claim(c.name, c.of("name"))
	}
}

func (d *decoder) uniqueTrusts(all []*federated) {
	trusts := d.registry("the credential name")
	for _, f := range all {
		trusts.claimFolded(f.name, f.of("name"))
	}
}
