package selfguard

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A Holder is a caller as the directory knows it at the moment: a token outlives what it says.
type Holder struct {
	Caller
	Client *directory.Instance // the application that calls; enabled
	User   *directory.User     // for whom it calls; nil: for itself
	// GraphRoles are the app roles of Microsoft Graph that the client holds, where it calls for
	// itself. Our own APIs have none of their own: what lets somebody change something by Graph
	// lets them change it by any other way.
	GraphRoles []string
}

// Holder looks a caller up. There is none (nil) if the client or the user is not there any more,
// or is disabled.
func (g *Guard) Holder(ctx context.Context, c Caller) (*Holder, error) {
	h := &Holder{Caller: c}
	var err error
	if h.Client, err = g.cfg.Directory.Instance(ctx, c.Tenant.ID, directory.AppID(c.ClientID)); err != nil {
		return nil, gone(err)
	}
	if h.Client.Principal == nil || !h.Client.Principal.Enabled {
		return nil, nil //nolint:nilnil // nobody is there, and that is no error
	}
	switch c.Kind {
	case guard.CallerUser:
		if h.User, err = g.cfg.Directory.User(ctx, c.Tenant.ID, c.ObjectID); err != nil {
			return nil, gone(err)
		}
		if !h.User.Enabled {
			return nil, nil //nolint:nilnil // as above
		}
	case guard.CallerApplication:
		if string(h.Client.Principal.ID) != c.ObjectID {
			return nil, nil //nolint:nilnil // as above
		}
		graph, err := g.cfg.Directory.Resource(ctx, c.Tenant.ID, string(directory.GraphAppID))
		if err != nil {
			return h, gone(err)
		}
		if h.GraphRoles, _, err = g.cfg.Directory.Roles(ctx, h.Client, graph); err != nil {
			return nil, err
		}
	default:
		return nil, nil //nolint:nilnil // as above
	}
	return h, nil
}

// gone is no error if it says that something is not there.
func gone(err error) error {
	if errors.Is(err, directory.ErrNotFound) {
		return nil
	}
	return err
}

// Actor is the holder as one who changes the directory, with rights.
func (h *Holder) Actor(rights directory.Rights) directory.Actor {
	if h.User != nil {
		return directory.Actor{Kind: directory.ActorUser, Name: h.User.PrincipalName, ID: h.User.ID, Rights: rights}
	}
	return directory.Actor{Kind: directory.ActorApplication, Name: h.Client.Principal.Label(), ID: h.Client.Principal.ID, Rights: rights}
}

// HasDirectoryRole reports whether the user has one of the directory roles. Their names are
// compared without regard to case.
func (h *Holder) HasDirectoryRole(names ...string) bool {
	return h.User != nil && slices.ContainsFunc(h.User.DirectoryRoles, func(role string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(role, name) })
	})
}

// GraphResources are what tokens for Microsoft Graph can be for in a tenant: the resource itself,
// and an application that is registered by its URI in its place.
func GraphResources(ctx context.Context, d *directory.Directory, tenant directory.TenantID) (all []*directory.Instance, err error) {
	for _, name := range []string{string(directory.GraphAppID), "https://graph.microsoft.com"} {
		found, err := d.Resource(ctx, tenant, name)
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			return nil, err
		}
		known := func(one *directory.Instance) bool { return one.Principal.ID == found.Principal.ID }
		if err == nil && found.Principal != nil && found.Application != nil && !slices.ContainsFunc(all, known) {
			all = append(all, found)
		}
	}
	return all, nil
}

// RolesAt are the app roles that a principal holds at some resources. They are read from the store
// and not from what was cached: a role that was given a moment ago counts. One that is not offered
// any more is named by its id.
func RolesAt(in *directory.View, tenant directory.TenantID, holder directory.ObjectID, resources []*directory.Instance) ([]string, error) {
	assignments, err := in.Assignments().AllOf(tenant, holder)
	if err != nil {
		return nil, err
	}
	var held []string
	for _, a := range assignments {
		for _, resource := range resources {
			if a.Resource == resource.Principal.ID && a.Role != directory.NoRole {
				role, _ := resource.Application.Role(string(a.Role))
				held = append(held, cmp.Or(role.Value, string(a.Role)))
			}
		}
	}
	return held, nil
}
