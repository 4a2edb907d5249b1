package graph

import (
	"errors"
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// principalRoutes are the routes of service principals.
func principalRoutes() []route {
	return []route{
		{http.MethodGet, "servicePrincipals", readsApplications(), listPrincipals},
		{http.MethodGet, "servicePrincipals/$count", readsApplications(), countPrincipals},
		{http.MethodPost, "servicePrincipals", createsApplications(), createPrincipal},
		{http.MethodGet, "servicePrincipals/{principal}", readsApplications(), getPrincipal},
		{http.MethodPatch, "servicePrincipals/{principal}", changesApplications(), updatePrincipal},
		{http.MethodDelete, "servicePrincipals/{principal}", changesApplications(), deletePrincipal},
		{http.MethodPost, "servicePrincipals/{principal}/addPassword", changesApplications(), addPrincipalPassword},
		{http.MethodPost, "servicePrincipals/{principal}/removePassword", changesApplications(), removePrincipalPassword},
		{http.MethodPost, "servicePrincipals/{principal}/addKey", rollsKeys(), addPrincipalKey},
		{http.MethodPost, "servicePrincipals/{principal}/removeKey", rollsKeys(), removePrincipalKey},
		{http.MethodGet, "servicePrincipals/{principal}/appRoles", readsApplications(), listPrincipalRoles},
		{http.MethodGet, "servicePrincipals/{principal}/oauth2PermissionScopes", readsApplications(), listPrincipalScopes},
		{http.MethodGet, "servicePrincipals/{principal}/owners", readsApplications(), listPrincipalOwners},
		{http.MethodPost, "servicePrincipals/{principal}/owners/$ref", changesApplications(), addPrincipalOwner},
		{http.MethodDelete, "servicePrincipals/{principal}/owners/{owner}/$ref", changesApplications(), removePrincipalOwner},
		{http.MethodGet, "servicePrincipals/{principal}/federatedIdentityCredentials", readsApplications(), listPrincipalFederated},
		{http.MethodGet, "servicePrincipals/{principal}/ownedObjects", readsApplications(), listOwnedObjects},
		{http.MethodGet, "servicePrincipals/{principal}/createdObjects", readsApplications(), listNoObjects},
		{http.MethodGet, "servicePrincipals/{principal}/memberOf", readsApplications(), listNoObjects},
		{http.MethodGet, "servicePrincipals/{principal}/transitiveMemberOf", readsApplications(), listNoObjects},
	}
}

// principal finds the service principal that the path names, in what is read or changed.
func (c *call) principal(in *directory.View) (*directory.ServicePrincipal, error) {
	at := c.refs["principal"]
	id, is := guid.Parse(at.value)
	switch {
	case !is:
	case at.by == "":
		p, err := c.principalWith(in, directory.ObjectID(id))
		return p, renamed(err, at.value)
	case at.by == "appid":
		p, err := in.ServicePrincipals().ByAppID(c.tenant(), directory.AppID(id))
		if errors.Is(err, directory.ErrNotFound) {
			b, err := in.Builtin(c.tenant(), id)
			if err != nil {
				return nil, renamed(err, at.value)
			}
			return b.Principal, nil
		}
		return p, err
	}
	return nil, notThere(at.value)
}

// renamed tells of what is not there by the name that the client gave.
func renamed(err error, ref string) error {
	if errors.Is(err, directory.ErrNotFound) {
		return notThere(ref)
	}
	return err
}

// ownPrincipal finds the service principal that is to be changed: one that is registered, is no
// managed identity and that the caller may change.
func ownPrincipal(c *call, e *directory.Editor) (*directory.ServicePrincipal, error) {
	p, err := registeredPrincipal(c, e.View())
	if err != nil {
		return nil, err
	}
	return p, c.owns(p.Owners)
}

// registeredPrincipal finds the service principal that the path names, if it can be changed at
// all.
func registeredPrincipal(c *call, in *directory.View) (*directory.ServicePrincipal, error) {
	p, err := c.principal(in)
	if err != nil {
		return nil, err
	}
	if p.Type == directory.PrincipalManagedIdentity {
		return nil, &problem{status: http.StatusForbidden, code: codeDenied, message: saysDenied +
			" Managed identities are changed by the resource manager alone; here they are given app roles."}
	}
	if _, err := in.ServicePrincipals().Get(c.tenant(), p.ID); errors.Is(err, directory.ErrNotFound) {
		return nil, &problem{status: http.StatusForbidden, code: codeDenied, message: saysDenied + " " + quote(p.Label()) + " is one of Microsoft's own resources."}
	}
	return p, nil
}

func addPrincipalPassword(c *call) (answer, error)    { return addPassword(c, c.principalHolder) }
func removePrincipalPassword(c *call) (answer, error) { return removePassword(c, c.principalHolder) }
func addPrincipalKey(c *call) (answer, error)         { return addKey(c, c.principalHolder) }
func removePrincipalKey(c *call) (answer, error)      { return removeKey(c, c.principalHolder) }

// principalHolder is the service principal that the path names as an owner of credentials.
func (c *call) principalHolder(in *directory.View) (holder, error) {
	p, err := registeredPrincipal(c, in)
	if err != nil {
		return holder{}, err
	}
	return holder{p.ID, p.AppID, p.Owners, p.Secrets, p.Certificates}, nil
}

func listPrincipals(c *call) (answer, error)  { return listing(c, c.principals()) }
func countPrincipals(c *call) (answer, error) { return counting(c, c.principals()) }

func getPrincipal(c *call) (answer, error) {
	p, err := c.principal(c.view())
	if err != nil {
		return answer{}, err
	}
	return showing(c, c.principals(), p)
}

func createPrincipal(c *call) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	appID, given, err := takeAppID(given)
	if err != nil {
		return answer{}, err
	}
	var made *directory.ServicePrincipal
	var shown object
	err = c.change(func(e *directory.Editor) error {
		app, err := backing(c, e.View(), appID)
		if err != nil {
			return err
		}
		if made, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: c.tenant(), AppID: app.AppID}); err != nil {
			return err
		}
		owners, err := firstOwners(c, given)
		if err != nil {
			return err
		}
		if made, err = editPrincipal(c, e, made.ID, given, owners); err != nil {
			return err
		}
		shown, err = c.renderPrincipal(e.View(), made)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return created("servicePrincipals", c.base()+"/servicePrincipals/"+string(made.ID), shown), nil
}

// takeAppID takes the app id, which is said at creation alone, out of a body.
func takeAppID(given body) (appID directory.AppID, rest body, err error) {
	for _, m := range given {
		if !strings.EqualFold(m.name, "appId") {
			rest = append(rest, m)
			continue
		}
		id, err := input{m.name, m.value}.guid()
		if err != nil {
			return "", nil, err
		}
		appID = directory.AppID(id)
	}
	if appID == "" {
		return "", nil, invalid("appId", "A value is required for property 'appId' of resource 'ServicePrincipal'.")
	}
	return appID, rest, nil
}

// backing finds the application that a new service principal stands for.
func backing(c *call, in *directory.View, appID directory.AppID) (*directory.Application, error) {
	_, err := in.ServicePrincipals().ByAppID(c.tenant(), appID)
	if errors.Is(err, directory.ErrNotFound) {
		_, err = in.Builtin(c.tenant(), string(appID))
	}
	switch {
	case err == nil:
		return nil, (&problem{status: http.StatusConflict, code: codeDuplicate, message: "The service principal cannot be created, updated, or restored because the service principal name " +
			string(appID) + " is already in use."}).with(codeObjectConflict, "servicePrincipalNames", saysConflict)
	case !errors.Is(err, directory.ErrNotFound):
		return nil, err
	}
	app, err := in.Applications().ByAppID(c.tenant(), appID)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, invalid("appId", "The appId '"+string(appID)+"' of the service principal does not reference a valid application object.")
	}
	if err != nil {
		return nil, err
	}
	return app, c.owns(app.Owners)
}

// editPrincipal sets what a client sent.
func editPrincipal(c *call, e *directory.Editor, id directory.ObjectID, given body, owners []directory.ObjectID) (*directory.ServicePrincipal, error) {
	var draft *principalDraft
	p, err := e.ServicePrincipals().Edit(c.tenant(), id, func(next *directory.ServicePrincipal) (err error) {
		if draft, err = c.principalDraft(e.View(), next); err != nil {
			return err
		}
		if err := apply(principalTable, draft, input{"", given}); err != nil {
			return err
		}
		next.Owners = append(next.Owners, owners...)
		next.Settings, err = draft.settings.keep()
		return err
	})
	if err != nil || draft.keys == nil {
		return p, err
	}
	if err := replaceKeys(c, e, id, p.Certificates, *draft.keys); err != nil {
		return nil, err
	}
	return e.View().ServicePrincipals().Get(c.tenant(), id)
}

func updatePrincipal(c *call) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	return done(), c.change(func(e *directory.Editor) error {
		p, err := ownPrincipal(c, e)
		if err != nil {
			return err
		}
		_, err = editPrincipal(c, e, p.ID, given, nil)
		return err
	})
}

func deletePrincipal(c *call) (answer, error) {
	return done(), c.change(func(e *directory.Editor) error {
		p, err := ownPrincipal(c, e)
		if err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Discard(c.tenant(), p.ID)
		return err
	})
}

// listPrincipalFederated lists whose tokens are trusted in place of a secret: those of the
// managed identity, or of the application. They are changed there.
func listPrincipalFederated(c *call) (answer, error) {
	view := c.view()
	p, err := c.principal(view)
	if err != nil {
		return answer{}, err
	}
	draft, err := c.principalDraft(view, p)
	if err != nil {
		return answer{}, err
	}
	all := p.Federated
	if draft.app != nil {
		all = draft.app.Federated
	}
	return listing(c, sourceOfFederated(c, "servicePrincipals('"+string(p.ID)+"')/federatedIdentityCredentials", all))
}

func listPrincipalOwners(c *call) (answer, error) {
	view := c.view()
	p, err := c.principal(view)
	if err != nil {
		return answer{}, err
	}
	return listing(c, sourceOfObjects(func() ([]object, error) { return c.objects(view, p.Owners, kindUser, kindPrincipal) }))
}

func addPrincipalOwner(c *call) (answer, error) {
	owner, err := c.reference()
	if err != nil {
		return answer{}, err
	}
	return done(), c.change(func(e *directory.Editor) error {
		p, err := ownPrincipal(c, e)
		if err != nil {
			return err
		}
		return ownerProblem(e.ServicePrincipals().AddOwner(c.tenant(), p.ID, owner), owner)
	})
}

func removePrincipalOwner(c *call) (answer, error) {
	id, is := guid.Parse(c.refs["owner"].value)
	if !is {
		return answer{}, notThere(c.refs["owner"].value)
	}
	owner := directory.ObjectID(id)
	return done(), c.change(func(e *directory.Editor) error {
		p, err := ownPrincipal(c, e)
		if err != nil {
			return err
		}
		return ownerProblem(e.ServicePrincipals().RemoveOwner(c.tenant(), p.ID, owner), owner)
	})
}

// listOwnedObjects lists what a service principal or a user owns.
func listOwnedObjects(c *call) (answer, error) {
	view := c.view()
	id, err := c.owner(view)
	if err != nil {
		return answer{}, err
	}
	return listing(c, ownedBy(c, view, id))
}

// owner is who the path names.
func (c *call) owner(in *directory.View) (directory.ObjectID, error) {
	if _, has := c.refs["principal"]; has {
		p, err := c.principal(in)
		if err != nil {
			return "", err
		}
		return p.ID, nil
	}
	user, err := c.user(in)
	if err != nil {
		return "", err
	}
	return user.ID, nil
}

// ownedBy are the applications and service principals that somebody owns.
func ownedBy(c *call, in *directory.View, owner directory.ObjectID) source[object] {
	from := sourceOfObjects(nil)
	applications := func(q directory.Query) (directory.Page[object], error) {
		page, err := in.Applications().OwnedBy(c.tenant(), owner, q)
		shown := directory.Page[object]{Next: page.Next}
		for _, app := range page.Items {
			o := typed(kindApplication, c.renderApplication(app))
			shown.Items = append(shown.Items, &o)
		}
		return shown, err
	}
	principals := func(q directory.Query) (directory.Page[object], error) {
		page, err := in.ServicePrincipals().OwnedBy(c.tenant(), owner, q)
		shown := directory.Page[object]{Next: page.Next}
		for _, p := range page.Items {
			o, err := c.renderPrincipal(in, p)
			if err != nil {
				return shown, err
			}
			o = typed(kindPrincipal, o)
			shown.Items = append(shown.Items, &o)
		}
		return shown, err
	}
	switch {
	case strings.HasSuffix(strings.ToLower(c.path), "/microsoft.graph.application"):
		from.all = []access[object]{applications}
	case strings.HasSuffix(strings.ToLower(c.path), "/microsoft.graph.serviceprincipal"):
		from.all = []access[object]{principals}
	default:
		from.all = []access[object]{applications, principals}
	}
	return from
}

// listNoObjects is the list of what there can be none of, such as groups, of somebody who is there.
func listNoObjects(c *call) (answer, error) {
	if _, err := c.owner(c.view()); err != nil {
		return answer{}, err
	}
	return listing(c, sourceOfObjects(func() ([]object, error) { return nil, nil }))
}
