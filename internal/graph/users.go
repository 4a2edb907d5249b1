package graph

import (
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

const (
	userReadBasic     = "User.ReadBasic.All"
	userReadAll       = "User.Read.All"
	userReadWrite     = "User.ReadWrite.All"
	userReadSelf      = "User.Read"
	userAdministrator = "User Administrator"
)

// userRoutes are the routes of users, and of the user who is signed in.
func userRoutes() []route {
	all := []route{
		{http.MethodGet, "users", readsUsers(), (*call).listUsers},
		{http.MethodGet, "users/$count", readsUsers(), (*call).countUsers},
		{http.MethodPost, "users", changesUsers(), (*call).createUser},
		{http.MethodGet, "users/{user}", readsUsers(), (*call).getUser},
		{http.MethodPatch, "users/{user}", changesUsers(), (*call).updateUser},
		{http.MethodDelete, "users/{user}", changesUsers(), (*call).deleteUser},
		{http.MethodPost, "users/{user}/revokeSignInSessions", changesUsers(), (*call).revokeSessions},
		{http.MethodPost, "me/revokeSignInSessions", isMe(), (*call).revokeSessions},
		{http.MethodGet, "me", isMe(), (*call).getUser},
	}
	for _, who := range []struct {
		path   string
		permit *permit
	}{{"users/{user}", readsUsers()}, {"me", isMe()}} {
		for _, owned := range []string{"ownedObjects", "ownedObjects/microsoft.graph.application", "ownedObjects/microsoft.graph.servicePrincipal"} {
			all = append(all, route{http.MethodGet, who.path + "/" + owned, who.permit, (*call).listOwnedObjects})
		}
		for _, none := range []string{"createdObjects", "memberOf", "transitiveMemberOf"} {
			all = append(all, route{http.MethodGet, who.path + "/" + none, who.permit, (*call).listNoObjects})
		}
	}
	return all
}

func readsUsers() *permit {
	return &permit{permissions: anyOf(userReadAll, userReadWrite, directoryRead, directoryReadWrite, userReadBasic)}
}

func changesUsers() *permit {
	return &permit{
		permissions: anyOf(userReadWrite, directoryReadWrite), users: []string{globalAdministrator, userAdministrator},
		rights: directory.Manage(directory.Users, directory.Passwords),
	}
}

// isMe admits everyone: what an application is told is that it is no user.
func isMe() *permit {
	return &permit{permissions: [][]string{{}}, rights: directory.Manage(directory.Users)}
}

// me is the user on whose behalf the caller acts.
func (c *call) me() (*directory.User, error) {
	if c.caller.user == nil {
		return nil, badURL("/me request is only valid with delegated authentication flow.")
	}
	permit := &permit{permissions: anyOf(userReadSelf, userReadBasic, userReadAll, userReadWrite, directoryRead, directoryReadWrite, applicationRead, applicationReadWrite)}
	if _, err := c.caller.check(permit); err != nil {
		return nil, err
	}
	return c.caller.user, nil
}

// user finds the user that the path names: by object id or principal name, or the caller.
func (c *call) user(in *directory.View) (*directory.User, error) {
	at, has := c.refs["user"]
	if !has {
		return c.me()
	}
	if at.by != "" && at.by != "userprincipalname" {
		return nil, notThere(at.value)
	}
	u, err := in.Users().Find(c.tenant(), at.value)
	return u, renamed(err, at.value)
}

func (c *call) listUsers() (answer, error)  { return listing(c, c.users()) }
func (c *call) countUsers() (answer, error) { return counting(c, c.users()) }

func (c *call) getUser() (answer, error) {
	u, err := c.user(c.view())
	if err != nil {
		return answer{}, err
	}
	return showing(c, c.users(), u)
}

// mayChange keeps those who manage users from those with directory roles: a new password would
// make the one the other.
func (c *call) mayChange(u *directory.User) error {
	if len(u.DirectoryRoles) == 0 || c.caller.command != "" || c.caller.hasRole(globalAdministrator) || c.caller.user != nil && c.caller.user.ID == u.ID {
		return nil
	}
	return c.caller.denied(&permit{permissions: c.permit.permissions, users: []string{globalAdministrator}},
		"The user has a directory role: "+strings.Join(u.DirectoryRoles, ", ")+". Only a Global Administrator changes such users through Microsoft Graph; `rolecall user` does on the server's machine.")
}

// draftUser reads what a client sent onto a user.
func draftUser(u *directory.User, given body) (*userDraft, error) {
	draft := &userDraft{User: u, settings: readSettings(u.Settings)}
	if err := apply(userTable, draft, input{"", given}); err != nil {
		return nil, err
	}
	kept, err := draft.settings.keep()
	u.Settings = kept
	return draft, err
}

func (c *call) createUser() (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	u := directory.User{Tenant: c.tenant(), Enabled: true}
	draft, err := draftUser(&u, given)
	if err != nil {
		return answer{}, err
	}
	for name, missing := range map[string]bool{"userPrincipalName": u.PrincipalName == "", "displayName": u.DisplayName == "", "passwordProfile": draft.password == nil} {
		if missing {
			return answer{}, invalid(name, "A value is required for property '"+name+"' of resource 'User'.")
		}
	}
	if err := c.api.cfg.Directory.Prepare(c.ctx(), draft.password); err != nil {
		return answer{}, err
	}
	var made *directory.User
	err = c.change(func(e *directory.Editor) (err error) {
		if made, err = e.Users().Create(u, draft.password); err != nil || u.Enabled {
			return err
		}
		made, err = e.Users().Edit(c.tenant(), made.ID, func(next *directory.User) error { next.Enabled = false; return nil })
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return created("users", c.base()+"/users/"+string(made.ID), c.renderUser(made)), nil
}

func (c *call) updateUser() (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	probe, err := draftUser(&directory.User{}, given) // a slow hash is made before the transaction
	if err != nil {
		return answer{}, err
	}
	if probe.password != nil {
		if err := c.api.cfg.Directory.Prepare(c.ctx(), probe.password); err != nil {
			return answer{}, err
		}
	}
	return done(), c.change(func(e *directory.Editor) error {
		u, err := c.user(e.View())
		if err != nil {
			return err
		}
		if err := c.mayChange(u); err != nil {
			return err
		}
		if _, err := e.Users().Edit(c.tenant(), u.ID, func(next *directory.User) error {
			_, err := draftUser(next, given)
			return err
		}); err != nil || probe.password == nil {
			return err
		}
		return e.Users().SetPassword(c.tenant(), u.ID, probe.password)
	})
}

func (c *call) deleteUser() (answer, error) {
	return done(), c.change(func(e *directory.Editor) error {
		u, err := c.user(e.View())
		if err != nil {
			return err
		}
		if err := c.mayChange(u); err != nil {
			return err
		}
		_, err = e.Users().Discard(c.tenant(), u.ID)
		return err
	})
}

// revokeSessions ends all sessions of a user that have begun until now.
func (c *call) revokeSessions() (answer, error) {
	err := c.change(func(e *directory.Editor) error {
		u, err := c.user(e.View())
		if err != nil {
			return err
		}
		if err := c.mayChange(u); err != nil {
			return err
		}
		return e.Users().EndSessions(c.tenant(), u.ID)
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, context: "Edm.Boolean", body: object{{"value", true}}}, nil
}
