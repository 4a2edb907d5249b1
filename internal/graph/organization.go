package graph

import (
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// organizationRoutes are the routes of the tenant and its domains, which are read here and
// changed on the server's machine.
func organizationRoutes() []route {
	organization := &permit{permissions: anyOf("Organization.Read.All", directoryRead, directoryReadWrite)}
	domains := &permit{permissions: anyOf("Domain.Read.All", directoryRead, directoryReadWrite)}
	return []route{
		{http.MethodGet, "organization", organization, listOrganization},
		{http.MethodGet, "organization/{organization}", organization, getOrganization},
		{http.MethodGet, "domains", domains, listDomains},
		{http.MethodGet, "domains/{domain}", domains, getDomain},
	}
}

// organization is the tenant as lists and links read it: the only one there is.
func (c *call) organization() source[directory.Tenant] {
	return source[directory.Tenant]{
		set: "organization", render: renderOrganization,
		members: []string{"id", "deletedDateTime", "createdDateTime", "displayName", "tenantType", "countryLetterCode", "verifiedDomains"},
		all:     []access[directory.Tenant]{these(func() ([]*directory.Tenant, error) { return []*directory.Tenant{c.caller.tenant}, nil })},
	}
}

func renderOrganization(t *directory.Tenant) (object, error) {
	domains := make([]object, len(t.Domains))
	for i, name := range t.Domains {
		domains[i] = object{{"capabilities", ""}, {"isDefault", i == 0}, {"isInitial", i == 0}, {"name", name}, {"type", "Managed"}}
	}
	return object{
		{"id", t.ID}, {"deletedDateTime", nil}, {"createdDateTime", date(t.Created)}, {"displayName", t.Name}, {"tenantType", "AAD"},
		{"countryLetterCode", nil}, {"verifiedDomains", domains},
	}, nil
}

func listOrganization(c *call) (answer, error) { return listing(c, c.organization()) }

func getOrganization(c *call) (answer, error) {
	at := c.refs["organization"]
	if at.by != "" || !strings.EqualFold(at.value, string(c.tenant())) {
		return answer{}, notThere(at.value)
	}
	return showing(c, c.organization(), c.caller.tenant)
}

// A domain is one of the tenant's, of which the first is the one it began with.
type domain struct {
	name  string
	first bool
}

func (c *call) domains() source[domain] {
	return source[domain]{
		set: "domains", render: renderDomain,
		members: []string{
			"authenticationType", "availabilityStatus", "id", "isAdminManaged", "isDefault", "isInitial", "isRoot", "isVerified", "supportedServices",
		},
		all: []access[domain]{these(func() ([]*domain, error) {
			all := make([]*domain, len(c.caller.tenant.Domains))
			for i, name := range c.caller.tenant.Domains {
				all[i] = &domain{name, i == 0}
			}
			return all, nil
		})},
	}
}

func renderDomain(d *domain) (object, error) {
	return object{
		{"authenticationType", "Managed"}, {"availabilityStatus", nil}, {"id", d.name}, {"isAdminManaged", true}, {"isDefault", d.first}, {"isInitial", d.first},
		{"isRoot", true}, {"isVerified", true}, {"supportedServices", []string{}},
	}, nil
}

func listDomains(c *call) (answer, error) { return listing(c, c.domains()) }

func getDomain(c *call) (answer, error) {
	at := c.refs["domain"]
	for i, name := range c.caller.tenant.Domains {
		if at.by == "" && strings.EqualFold(name, at.value) {
			return showing(c, c.domains(), &domain{name, i == 0})
		}
	}
	return answer{}, notThere(at.value)
}
