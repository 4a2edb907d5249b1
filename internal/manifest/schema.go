package manifest

import (
	"encoding/json"

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
		"resourceGroups":    each(d, &t.groups, d.resourceGroup),
		"applications":      each(d, &t.applications, d.application),
		"managedIdentities": each(d, &t.identities, d.identity),
		"hosts":             each(d, &t.hosts, d.host),
		"users":             each(d, &t.users, d.user),

		"appManagementPolicy": func(n *yaml.Node) { t.policy = d.policy(n) },
	}, required: []string{"name"}})
	return t
}

func (d *decoder) policy(n *yaml.Node) *policy {
	p := &policy{}
	p.place, _ = d.object(n, schema{what: "an app management policy", members: map[string]reader{
		"enabled":                d.boolean(&p.enabled),
		"secretsForbidden":       d.boolean(&p.secretsForbidden),
		"maxSecretLifetime":      d.duration(&p.secretLife),
		"maxCertificateLifetime": d.duration(&p.certificateLife),
		"settings":               d.settings(&p.settings),
	}})
	return p
}

func (d *decoder) resourceGroup(n *yaml.Node) *resourceGroup {
	g := &resourceGroup{}
	g.place, _ = d.object(n, schema{what: "a resource group", members: map[string]reader{
		"name":     d.text(&g.name),
		"location": d.text(&g.location),
		"tags":     d.tags(&g.tags),
	}, required: []string{"name"}})
	return g
}

func (d *decoder) application(n *yaml.Node) *application {
	a := &application{enabled: true, tokenVersion: 2}
	var ok bool
	a.place, ok = d.object(n, schema{what: "an application", members: d.remarked(&a.remarks, map[string]reader{
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
		"uniqueName":                  d.text(&a.uniqueName),
		"signInAudience":              d.choice(&a.audience, audiences()...),
		"spaRedirectUris":             d.texts(&a.spa),
		"nativeRedirectUris":          d.texts(&a.native),
		"preAuthorized":               each(d, &a.preAuthorized, d.preAuthorization),
	})})
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

// audiences are the choices of signInAudience.
func audiences() []string {
	return []string{
		string(directory.AudienceMyOrg), string(directory.AudienceMultipleOrgs), string(directory.AudienceMultipleOrgsAndPersonal), string(directory.AudiencePersonalMicrosoftAccounts),
	}
}

// remarked adds the readers of remarks to others.
func (d *decoder) remarked(into *remarks, members map[string]reader) map[string]reader {
	members["description"] = d.text(&into.description)
	members["notes"] = d.text(&into.notes)
	members["tags"] = d.texts(&into.tags)
	members["owners"] = d.texts(&into.owners)
	members["settings"] = d.settings(&into.settings)
	return members
}

// settings reads an object of any members, as JSON.
func (d *decoder) settings(into *json.RawMessage) reader {
	return func(n *yaml.Node) {
		if n = d.resolve(n); n == nil {
			return
		}
		var value map[string]any
		if n.Kind != yaml.MappingNode || n.Decode(&value) != nil {
			d.mismatch(n, "an object", "Write {name: value}, or remove the member.")
			return
		}
		b, err := json.Marshal(value)
		if err != nil {
			d.add(positionOf(n), "this object has something that JSON cannot have.", "Use texts, numbers, true, false, lists and objects with texts as names.")
			return
		}
		*into = canonical(b)
	}
}

func (d *decoder) preAuthorization(n *yaml.Node) *preAuthorization {
	p := &preAuthorization{}
	p.place, _ = d.object(n, schema{what: "a pre-authorized client", members: map[string]reader{
		"client": d.text(&p.client),
		"scopes": d.values(&p.scopes, "scope"),
	}, required: []string{"client", "scopes"}})
	return p
}

// principal reads what a service principal has of its own.
func (d *decoder) principal(into *principal) reader {
	return func(n *yaml.Node) {
		into.place, _ = d.object(n, schema{what: "a service principal", members: d.remarked(&into.remarks, map[string]reader{
			"id":               d.guid(&into.id),
			"alternativeNames": d.texts(&into.alternatives),
			"secrets":          each(d, &into.secrets, d.secret),
			"certificates":     each(d, &into.certificates, d.certificate),
		})})
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
	}})
	d.valued(r.place, "an app role")
	return r
}

// valued requires a value, or the id of something that has none.
func (d *decoder) valued(p place, what string) {
	if p.members != nil && !p.has("value") && !p.has("id") {
		d.add(p.at, what+" lacks its value.", "Add value.")
	}
}

func (d *decoder) scope(n *yaml.Node) *scope {
	s := &scope{enabled: true, consent: consentUser}
	s.place, _ = d.object(n, schema{what: "a scope", members: map[string]reader{
		"id":              d.guid(&s.id),
		"value":           d.text(&s.value),
		"displayName":     d.text(&s.displayName),
		"description":     d.text(&s.description),
		"enabled":         d.boolean(&s.enabled),
		"consent":         d.choice(&s.consent, consentAdmin, consentUser),
		"userDisplayName": d.text(&s.userDisplayName),
		"userDescription": d.text(&s.userDescription),
	}})
	d.valued(s.place, "a scope")
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
	i.place, ok = d.object(n, schema{what: "a managed identity", members: d.remarked(&i.remarks, map[string]reader{
		"name":        d.text(&i.name),
		"id":          d.guid(&i.id),
		"appId":       d.guid(&i.appID),
		"displayName": d.text(&i.displayName),
		"type":        d.choice(&i.kind, kindSystem, kindUser),
		"resourceId":  d.text(&i.resourceID),
		"enabled":     d.boolean(&i.enabled),
		"assignments": each(d, &i.assignments, d.assignment),

		"federatedCredentials": each(d, &i.federated, d.federated),
		"alternativeNames":     d.texts(&i.alternatives),
		"location":             d.text(&i.location),
		"resourceTags":         d.tags(&i.resourceTags),
	}), required: []string{"type"}})
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
		"settings":          d.settings(&u.settings),
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
