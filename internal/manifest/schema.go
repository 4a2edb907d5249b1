package manifest

import (
	"go.yaml.in/yaml/v3"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// each returns a reader of a list whose elements are parsed by parse.
func each[T any](d *decoder, into *[]T, parse func(*yaml.Node) T) reader {
	return d.list(func(n *yaml.Node) { *into = append(*into, parse(n)) })
}

func (d *decoder) tenant(n *yaml.Node) *tenant {
	t := &tenant{enabled: true}
	t.place, _ = d.object(n, schema{what: "a tenant", members: map[string]reader{
		"name":              d.text(&t.name),
		"id":                d.guid(&t.id),
		"enabled":           d.boolean(&t.enabled),
		"domains":           d.texts(&t.domains),
		"applications":      each(d, &t.applications, d.application),
		"managedIdentities": each(d, &t.identities, d.identity),
		"hosts":             each(d, &t.hosts, d.host),
		"users":             each(d, &t.users, d.user),
	}, required: []string{"name"}})
	return t
}

func (d *decoder) application(n *yaml.Node) *application {
	a := &application{enabled: true, tokenVersion: 2}
	var ok bool
	a.place, ok = d.object(n, schema{what: "an application", members: map[string]reader{
		"name":                        d.text(&a.name),
		"displayName":                 d.text(&a.displayName),
		"id":                          d.guid(&a.id),
		"appId":                       d.guid(&a.appID),
		"identifierUris":              d.texts(&a.uris),
		"redirectUris":                d.texts(&a.redirects),
		"requestedAccessTokenVersion": d.integer(&a.tokenVersion, 1, 2),
		"assignmentRequired":          d.boolean(&a.assignmentRequired),
		"enabled":                     d.boolean(&a.enabled),
		"public":                      d.boolean(&a.public),
		"strictAssertions":            d.boolean(&a.strictAssertions),
		"idTokens":                    d.boolean(&a.idTokens),
		"appRoles":                    each(d, &a.roles, d.role),
		"scopes":                      each(d, &a.scopes, d.scope),
		"optionalClaims":              each(d, &a.claims, d.claim),
		"secrets":                     each(d, &a.secrets, d.secret),
		"certificates":                each(d, &a.certificates, d.certificate),
		"federatedCredentials":        each(d, &a.federated, d.federated),
		"permissions":                 each(d, &a.permissions, d.permission),
		"assignments":                 each(d, &a.assignments, d.assignment),
		"delegatedGrants":             each(d, &a.grants, d.delegatedGrant),
		"registeredOnly":              d.boolean(&a.registeredOnly),
		"servicePrincipal":            d.principal(&a.principal),
	}})
	if ok {
		d.named(a.place, "an application")
	}
	if a.registeredOnly {
		d.absent(a)
	}
	return a
}

// named requires a name, or the id of something that has none.
func (d *decoder) named(p place, what string) {
	if !p.has("name") && !p.has("appId") {
		d.add(p.at, what+" lacks its name.", "Add name.")
	}
}

// absent reports what an application that takes no part in its tenant cannot have there.
func (d *decoder) absent(a *application) {
	for _, p := range a.permissions {
		if p.consent {
			d.add(p.of("consent"), "an application without a service principal is granted nothing.", "Remove the consent, or registeredOnly.")
		}
	}
	for _, member := range []string{"assignments", "delegatedGrants", "servicePrincipal", "assignmentRequired", "enabled"} {
		if a.has(member) {
			d.add(a.of(member), "an application without a service principal has no "+member+".", "Remove it, or registeredOnly.")
		}
	}
}

// principal reads what a service principal has of its own.
func (d *decoder) principal(into *principal) reader {
	return func(n *yaml.Node) {
		into.place, _ = d.object(n, schema{what: "a service principal", members: map[string]reader{
			"id": d.guid(&into.id),
		}})
	}
}

func (d *decoder) role(n *yaml.Node) *role {
	r := &role{enabled: true}
	r.place, _ = d.object(n, schema{what: "an app role", members: map[string]reader{
		"id":          d.guid(&r.id),
		"value":       d.text(&r.value),
		"displayName": d.text(&r.displayName),
		"description": d.text(&r.description),
		"enabled":     d.boolean(&r.enabled),
		"members":     d.choices(&r.holders, string(directory.MemberApplication), string(directory.MemberUser)),
	}, required: []string{"value"}})
	return r
}

func (d *decoder) scope(n *yaml.Node) *scope {
	s := &scope{enabled: true, consent: consentUser}
	s.place, _ = d.object(n, schema{what: "a scope", members: map[string]reader{
		"id":          d.guid(&s.id),
		"value":       d.text(&s.value),
		"displayName": d.text(&s.displayName),
		"description": d.text(&s.description),
		"enabled":     d.boolean(&s.enabled),
		"consent":     d.choice(&s.consent, consentAdmin, consentUser),
	}, required: []string{"value"}})
	return s
}

func (d *decoder) claim(n *yaml.Node) *claim {
	c := &claim{}
	c.place, _ = d.object(n, schema{what: "an optional claim", members: map[string]reader{
		"name":       d.text(&c.name),
		"properties": d.texts(&c.properties),
	}, required: []string{"name"}})
	return c
}

func (d *decoder) permission(n *yaml.Node) *permission {
	p := &permission{}
	var ok bool
	if p.place, ok = d.object(n, schema{what: "a permission", members: map[string]reader{
		"api":     d.text(&p.api),
		"roles":   d.values(&p.roles, "role"),
		"scopes":  d.values(&p.scopes, "scope"),
		"consent": d.boolean(&p.consent),

		"allowDisabled": d.boolean(&p.disabled),
	}, required: []string{"api"}}); ok && !p.has("roles") && !p.has("scopes") {
		d.add(p.at, "a permission lacks its roles and its scopes.", "Add roles, scopes or both.")
	}
	return p
}

// assignment reads a permission that is granted by being there.
func (d *decoder) assignment(n *yaml.Node) *permission {
	p := &permission{consent: true}
	p.place, _ = d.object(n, schema{what: "an assignment", members: map[string]reader{
		"api":   d.text(&p.api),
		"roles": d.values(&p.roles, "role"),

		"allowDisabled": d.boolean(&p.disabled),
	}, required: []string{"api", "roles"}})
	return p
}

// delegatedGrant reads scopes that are granted by being there.
func (d *decoder) delegatedGrant(n *yaml.Node) *permission {
	p := &permission{consent: true}
	p.place, _ = d.object(n, schema{what: "a delegated grant", members: map[string]reader{
		"api":    d.text(&p.api),
		"scopes": d.values(&p.scopes, "scope"),
		"user":   d.text(&p.user),

		"allowDisabled": d.boolean(&p.disabled),
	}, required: []string{"api", "scopes"}})
	return p
}

func (d *decoder) identity(n *yaml.Node) *identity {
	i := &identity{enabled: true}
	var ok bool
	i.place, ok = d.object(n, schema{what: "a managed identity", members: map[string]reader{
		"name":        d.text(&i.name),
		"id":          d.guid(&i.id),
		"appId":       d.guid(&i.appID),
		"displayName": d.text(&i.displayName),
		"type":        d.choice(&i.kind, kindSystem, kindUser),
		"resourceId":  d.text(&i.resourceID),
		"enabled":     d.boolean(&i.enabled),
		"assignments": each(d, &i.assignments, d.assignment),

		"federatedCredentials": each(d, &i.federated, d.federated),
	}, required: []string{"type"}})
	if ok {
		d.named(i.place, "a managed identity")
	}
	return i
}

func (d *decoder) host(n *yaml.Node) *host {
	h := &host{}
	var platforms []string
	for _, platform := range directory.Platforms() {
		platforms = append(platforms, string(platform))
	}
	h.place, _ = d.object(n, schema{what: "a host", members: map[string]reader{
		"name":       d.text(&h.name),
		"id":         d.guid(&h.id),
		"via":        d.choice(&h.platform, platforms...),
		"listen":     d.text(&h.listen),
		"identities": d.values(&h.identities, "identity"),
		"names":      d.texts(&h.names),
		"from":       d.texts(&h.from),
		"user":       d.text(&h.user),
		"node":       d.text(&h.node),
	}, required: []string{"name"}})
	return h
}

func (d *decoder) user(n *yaml.Node) *user {
	u := &user{enabled: true}
	u.place, _ = d.object(n, schema{what: "a user", members: map[string]reader{
		"userPrincipalName": d.text(&u.principalName),
		"id":                d.guid(&u.id),
		"displayName":       d.text(&u.displayName),
		"enabled":           d.boolean(&u.enabled),
		"password":          func(n *yaml.Node) { u.password = d.password(n) },
		"directoryRoles":    d.texts(&u.directoryRoles),
		"assignments":       each(d, &u.assignments, d.assignment),
	}, required: []string{"userPrincipalName"}})
	return u
}

// values reads the roles or scopes of a permission: at least one, each once.
func (d *decoder) values(into *[]item, what string) reader {
	read := d.texts(into)
	return func(n *yaml.Node) {
		before := len(d.problems)
		read(n)
		if len(*into) == 0 && len(d.problems) == before {
			d.add(positionOf(n), "the list names no "+what+".", "List at least one, or remove the element.")
		}
		values := d.registry("the " + what)
		for _, value := range *into {
			values.claim(value.text, value.at)
		}
	}
}
