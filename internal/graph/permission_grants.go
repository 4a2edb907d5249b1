package graph

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// grantRoutes are the routes of delegated grants: which scopes of an API a client may use for
// users.
func grantRoutes() []route {
	return []route{
		{http.MethodGet, "oauth2PermissionGrants", readsGrants(), listGrants},
		{http.MethodPost, "oauth2PermissionGrants", changesGrants(), createGrant},
		{http.MethodGet, "oauth2PermissionGrants/{grant}", readsGrants(), getGrant},
		{http.MethodPatch, "oauth2PermissionGrants/{grant}", changesGrants(), updateGrant},
		{http.MethodDelete, "oauth2PermissionGrants/{grant}", changesGrants(), deleteGrant},
		{http.MethodGet, "servicePrincipals/{principal}/oauth2PermissionGrants", readsGrants(), listGrantsOf},
		{http.MethodGet, "users/{user}/oauth2PermissionGrants", readsGrants(), listGrantsOf},
		{http.MethodGet, "me/oauth2PermissionGrants", readsGrants(), listGrantsOf},
	}
}

const grantRead = "DelegatedPermissionGrant.Read.All"

func readsGrants() *permit {
	return &permit{permissions: anyOf(grantReadWrite, grantRead, directoryRead, directoryReadWrite)}
}

func changesGrants() *permit {
	return &permit{
		permissions: anyOf(grantReadWrite), users: append(applicationAdministrators(), privilegedRoleAdministrator),
		rights: directory.Manage(directory.DelegatedGrants),
	}
}

const (
	forAll = "AllPrincipals"
	forOne = "Principal"
)

func consentType(principal directory.ObjectID) string {
	if principal == "" {
		return forAll
	}
	return forOne
}

// renderGrant is a delegated grant on the wire.
func renderGrant(g *directory.DelegatedGrant) (object, error) {
	return object{
		{"clientId", g.Client}, {"consentType", consentType(g.Principal)}, {"id", pairID(g.Client, g.ID)},
		{"principalId", orNull(g.Principal)}, {"resourceId", g.Resource}, {"scope", strings.Join(g.Scopes, " ")},
	}, nil
}

// grants are the delegated grants as lists and links read them.
func (c *call) grants() source[directory.DelegatedGrant] {
	view, tenant := c.view().DelegatedGrants(), c.tenant()
	type read = access[directory.DelegatedGrant]
	folded := func(keyed func(string) read) func(string) []read {
		return alone(func(value string) read { return keyed(strings.ToLower(value)) })
	}
	return source[directory.DelegatedGrant]{
		set: "oauth2PermissionGrants", render: renderGrant,
		members: []string{"clientId", "consentType", "id", "principalId", "resourceId", "scope"},
		keys: map[string]func(string) []read{
			"clientid":    folded(among(tenant, view.Of)),
			"resourceid":  folded(among(tenant, view.To)),
			"principalid": folded(among(tenant, view.For)),
			"id": alone(func(id string) read {
				return one(func() (*directory.DelegatedGrant, error) { return grantWith(c, c.view(), id) })
			}),
		},
		all: []read{func(q directory.Query) (directory.Page[directory.DelegatedGrant], error) {
			return view.InOrder(tenant, q)
		}},
	}
}

// grantWith is the delegated grant with an id.
func grantWith(c *call, in *directory.View, id string) (*directory.DelegatedGrant, error) {
	client, own, ok := parsePairID(id)
	if !ok {
		return nil, directory.ErrNotFound
	}
	g, err := in.DelegatedGrants().Get(c.tenant(), own)
	if err == nil && g.Client != client {
		return nil, directory.ErrNotFound
	}
	return g, err
}

// grant is the one that the path names.
func (c *call) grant(in *directory.View) (*directory.DelegatedGrant, error) {
	id := c.refs["grant"].value
	g, err := grantWith(c, in, id)
	return g, renamed(err, id)
}

func listGrants(c *call) (answer, error) { return listing(c, c.grants()) }

// listGrantsOf lists the grants of a client, or those for a user.
func listGrantsOf(c *call) (answer, error) {
	id, err := c.owner(c.view())
	if err != nil {
		return answer{}, err
	}
	from, view := c.grants(), c.view().DelegatedGrants()
	read := among(c.tenant(), view.For)
	if _, of := c.refs["principal"]; of {
		read = among(c.tenant(), view.Of)
	}
	from.all, from.keys = []access[directory.DelegatedGrant]{read(string(id))}, nil
	return listing(c, from)
}

func getGrant(c *call) (answer, error) {
	g, err := c.grant(c.view())
	if err != nil {
		return answer{}, err
	}
	return showing(c, c.grants(), g)
}

// A wantedGrant is what a client asks to grant.
type wantedGrant struct {
	client, resource, principal directory.ObjectID
	consent                     string
	scopes                      []string
}

func wantedGrantFields() []field[*wantedGrant] {
	type wanted = *wantedGrant
	id := func(of func(wanted) *directory.ObjectID) func(wanted, input) error {
		return func(w wanted, in input) error {
			*of(w) = ""
			if in.value == nil {
				return nil
			}
			id, err := in.guid()
			*of(w) = directory.ObjectID(id)
			return err
		}
	}
	nothing := func(wanted) any { return nil }
	return []field[wanted]{
		{name: "clientId", read: func(w wanted) any { return w.client }, write: id(func(w wanted) *directory.ObjectID { return &w.client })},
		{name: "resourceId", read: func(w wanted) any { return w.resource }, write: id(func(w wanted) *directory.ObjectID { return &w.resource })},
		{name: "principalId", read: func(w wanted) any { return orNull(w.principal) }, write: id(func(w wanted) *directory.ObjectID { return &w.principal })},
		{name: "consentType", read: func(w wanted) any { return w.consent }, write: func(w wanted, in input) (err error) {
			if w.consent, err = in.text(); err == nil && w.consent != forAll && w.consent != forOne {
				err = in.wrong(forAll + " or " + forOne)
			}
			return err
		}},
		{name: "scope", write: func(w wanted, in input) error {
			given, err := in.optionalText()
			w.scopes = strings.Fields(given)
			slices.Sort(w.scopes)
			w.scopes = slices.Compact(w.scopes)
			return err
		}},
		// Tools send back what they have read, and times that count for nothing.
		{name: "id", read: nothing, silent: true}, {name: "startTime", read: nothing, silent: true}, {name: "expiryTime", read: nothing, silent: true},
	}
}

func createGrant(c *call) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var wanted wantedGrant
	if err := apply(wantedGrantFields(), &wanted, input{"", given}); err != nil {
		return answer{}, err
	}
	for _, required := range [][2]string{{"clientId", string(wanted.client)}, {"resourceId", string(wanted.resource)}, {"consentType", wanted.consent}} {
		if required[1] == "" {
			return answer{}, invalid(required[0], "A value is required for property '"+required[0]+"' of resource 'OAuth2PermissionGrant'.")
		}
	}
	switch {
	case (wanted.consent == forAll) != (wanted.principal == ""):
		return answer{}, invalid("principalId", saysInvalid+" 'principalId' goes with the consentType Principal, and with no other.")
	case len(wanted.scopes) == 0:
		return answer{}, invalid("scope", saysInvalid+" 'scope' names no scope.")
	}
	var made *directory.DelegatedGrant
	err = c.change(func(e *directory.Editor) error {
		if err := admitGrant(c, e.View(), wanted); err != nil {
			return err
		}
		made, err = e.DelegatedGrants().Add(c.tenant(), wanted.client, wanted.resource, wanted.principal, wanted.scopes)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	o, err := renderGrant(made)
	return created("oauth2PermissionGrants", c.base()+"/oauth2PermissionGrants/"+pairID(made.Client, made.ID), o), err
}

// admitGrant requires both ends of a new grant, and that there is none between them.
func admitGrant(c *call, in *directory.View, wanted wantedGrant) error {
	for _, id := range []directory.ObjectID{wanted.client, wanted.resource} {
		if _, err := c.principalWith(in, id); err != nil {
			return renamed(err, string(id))
		}
	}
	if wanted.principal != "" {
		if _, err := in.Users().Get(c.tenant(), wanted.principal); err != nil {
			return renamed(err, string(wanted.principal))
		}
	}
	present, err := in.DelegatedGrants().AllOf(c.tenant(), wanted.client)
	if err != nil {
		return err
	}
	for _, g := range present {
		if g.Resource == wanted.resource && g.Principal == wanted.principal {
			return (&problem{status: http.StatusConflict, code: codeDuplicate, message: "Permission entry already exists. Change the one with the id " + pairID(g.Client, g.ID) + "."}).
				with(codeObjectConflict, "", saysConflict)
		}
	}
	return nil
}

// updateGrant replaces the scopes of a grant; nothing else of one can be changed.
func updateGrant(c *call) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	return done(), c.change(func(e *directory.Editor) error {
		g, err := c.grant(e.View())
		if err != nil {
			return err
		}
		before := wantedGrant{client: g.Client, resource: g.Resource, principal: g.Principal, consent: consentType(g.Principal), scopes: g.Scopes}
		next := before
		if err := apply(wantedGrantFields(), &next, input{"", given}); err != nil {
			return err
		}
		switch {
		case next.client != before.client || next.resource != before.resource || next.principal != before.principal || next.consent != before.consent:
			return invalid("", "Only 'scope' of a grant can be changed. Create another one, and delete this one.")
		case len(next.scopes) == 0:
			return invalid("scope", saysInvalid+" 'scope' names no scope. Delete the grant in place of emptying it.")
		}
		return setScopes(c, e, g, next.scopes)
	})
}

func setScopes(c *call, e *directory.Editor, g *directory.DelegatedGrant, scopes []string) error {
	added := slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return slices.Contains(g.Scopes, s) })
	removed := slices.DeleteFunc(slices.Clone(g.Scopes), func(s string) bool { return slices.Contains(scopes, s) })
	if len(added) > 0 {
		if _, err := e.DelegatedGrants().Add(c.tenant(), g.Client, g.Resource, g.Principal, added); err != nil {
			return err
		}
	}
	if len(removed) == 0 {
		return nil
	}
	return e.DelegatedGrants().Remove(c.tenant(), g.Client, g.Resource, g.Principal, removed)
}

func deleteGrant(c *call) (answer, error) {
	return done(), c.change(func(e *directory.Editor) error {
		g, err := c.grant(e.View())
		if err != nil {
			return err
		}
		err = e.DelegatedGrants().Remove(c.tenant(), g.Client, g.Resource, g.Principal, nil)
		if errors.Is(err, directory.ErrNotFound) {
			return notThere(c.refs["grant"].value)
		}
		return err
	})
}
