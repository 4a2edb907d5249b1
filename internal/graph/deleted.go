package graph

import (
	"errors"
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// deletedRoutes are the routes of what was deleted and can be restored.
func deletedRoutes() []route {
	return []route{
		{http.MethodGet, "directory/deletedItems/microsoft.graph.application", readsApplications(), listDeleted},
		{http.MethodGet, "directory/deletedItems/microsoft.graph.servicePrincipal", readsApplications(), listDeleted},
		{http.MethodGet, "directory/deletedItems/microsoft.graph.user", readsUsers(), listDeleted},
		{http.MethodGet, "directory/deletedItems/{deleted}", readsObjects(), getDeleted},
		{http.MethodPost, "directory/deletedItems/{deleted}/restore", restores(), restore},
		{http.MethodDelete, "directory/deletedItems/{deleted}", restores(), purge},
	}
}

// restores is the permit for what was deleted: that for applications. Users take another one
// besides, see mayRestore.
func restores() *permit {
	p := changesApplications()
	p.rights = directory.Manage(
		directory.Applications, directory.ServicePrincipals, directory.Credentials, directory.Users, directory.Passwords, directory.Assignments, directory.DelegatedGrants,
	)
	p.permissions = append(p.permissions, []string{userReadWrite}, []string{directoryReadWrite})
	p.users = append(p.users, userAdministrator)
	return p
}

// mayRestore requires what changing a thing of its kind takes.
func mayRestore(c *call, d *directory.Deleted) error {
	permit := changesApplications()
	if d.Kind == directory.KindUser {
		permit = changesUsers()
	}
	within := *c
	within.permit = permit
	var err error
	if within.extent, err = c.caller.check(permit); err != nil {
		return err
	}
	if d.Kind == directory.KindUser {
		return mayChange(&within, d.User)
	}
	return within.owns(ownersOf(d))
}

func ownersOf(d *directory.Deleted) []directory.ObjectID {
	if d.Application != nil {
		return d.Application.Owners
	}
	return d.Principal.Owners
}

// renderDeleted is a deleted thing on the wire, with its type.
func renderDeleted(c *call, in *directory.View, d *directory.Deleted) (object, error) {
	o, err := renderUndeleted(c, in, d)
	if err != nil {
		return nil, err
	}
	return o.replace("deletedDateTime", date(d.Deleted)), nil
}

// renderUndeleted is the thing as it is again once it is restored.
func renderUndeleted(c *call, in *directory.View, d *directory.Deleted) (object, error) {
	switch d.Kind {
	case directory.KindApplication:
		return typed(kindApplication, c.renderApplication(d.Application)), nil
	case directory.KindServicePrincipal:
		draft, err := c.principalDraft(in, d.Principal)
		if errors.Is(err, directory.ErrNotFound) { // its application went later
			draft, err = &principalDraft{ServicePrincipal: d.Principal, tenant: c.caller.tenant, settings: readSettings(d.Principal.Settings)}, nil
		}
		if err != nil {
			return nil, err
		}
		return typed(kindPrincipal, render(principalTable, draft)), nil
	}
	return typed(kindUser, c.renderUser(d.User)), nil
}

func listDeleted(c *call) (answer, error) {
	view := c.view()
	kind, members := directory.KindApplication, names(applicationTable)
	switch c.path[strings.LastIndexByte(c.path, '.')+1:] {
	case kindPrincipal:
		kind, members = directory.KindServicePrincipal, names(principalTable)
	case kindUser:
		kind, members = directory.KindUser, names(userTable)
	}
	return listing(c, source[directory.Deleted]{
		set: "directoryObjects", members: members,
		all:    []access[directory.Deleted]{among(c.tenant(), view.Deleted().Of)(kind)},
		render: func(d *directory.Deleted) (object, error) { return renderDeleted(c, view, d) },
	})
}

// deleted is the deleted thing that the path names.
func (c *call) deleted(in directory.DeletedView) (*directory.Deleted, error) {
	at := c.refs["deleted"]
	id, is := guid.Parse(at.value)
	if !is || at.by != "" {
		return nil, notThere(at.value)
	}
	d, err := in.Get(c.tenant(), directory.ObjectID(id))
	return d, renamed(err, at.value)
}

func getDeleted(c *call) (answer, error) {
	view := c.view()
	d, err := c.deleted(view.Deleted())
	if err != nil {
		return answer{}, err
	}
	if d.Kind == directory.KindUser {
		if _, err := c.caller.check(readsUsers()); err != nil {
			return answer{}, err
		}
	}
	o, err := renderDeleted(c, view, d)
	if err != nil {
		return answer{}, err
	}
	return entity("directoryObjects", o), nil
}

func restore(c *call) (answer, error) {
	var shown object
	err := c.change(func(e *directory.Editor) error {
		d, err := c.deleted(e.Deleted().DeletedView)
		if err != nil {
			return err
		}
		if err := mayRestore(c, d); err != nil {
			return err
		}
		if d, err = e.Deleted().Restore(c.tenant(), d.ID); err != nil {
			return err
		}
		shown, err = renderUndeleted(c, e.View(), d)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return entity("directoryObjects", shown), nil
}

func purge(c *call) (answer, error) {
	return done(), c.change(func(e *directory.Editor) error {
		d, err := c.deleted(e.Deleted().DeletedView)
		if err != nil {
			return err
		}
		if err := mayRestore(c, d); err != nil {
			return err
		}
		return e.Deleted().Purge(c.tenant(), d.ID)
	})
}
