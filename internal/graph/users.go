package graph

import (
	"net/http"
	"slices"
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
		{http.MethodGet, "users", readsUsers(), listUsers},
		{http.MethodGet, "users/$count", readsUsers(), countUsers},
		{http.MethodPost, "users", changesUsers(), createUser},
		{http.MethodGet, "users/{user}", readsUsers(), getUser},
		{http.MethodPatch, "users/{user}", changesUsers(), updateUser},
		{http.MethodDelete, "users/{user}", changesUsers(), deleteUser},
		{http.MethodPost, "users/{user}/revokeSignInSessions", changesUsers(), revokeSessions},
		{http.MethodPost, "me/revokeSignInSessions", isMe(), revokeSessions},
		{http.MethodGet, "me", isMe(), getUser},
	}
	for _, who := range []struct {
		path   string
		permit *permit
	}{{"users/{user}", readsUsers()}, {"me", isMe()}} {
		for _, owned := range []string{"ownedObjects", "ownedObjects/microsoft.graph.application", "ownedObjects/microsoft.graph.servicePrincipal"} {
			all = append(all, route{http.MethodGet, who.path + "/" + owned, who.permit, listOwnedObjects})
		}
		for _, none := range []string{"createdObjects", "memberOf", "transitiveMemberOf"} {
			all = append(all, route{http.MethodGet, who.path + "/" + none, who.permit, listNoObjects})
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

func listUsers(c *call) (answer, error)  { return listing(c, c.users()) }
func countUsers(c *call) (answer, error) { return counting(c, c.users()) }

func getUser(c *call) (answer, error) {
	u, err := c.user(c.view())
	if err != nil {
		return answer{}, err
	}
	return showing(c, c.users(), u)
}

// mayChange keeps those who manage users from those with directory roles: a new password would
// make the one the other.
func mayChange(c *call, u *directory.User) error {
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

func createUser(c *call) (answer, error) {
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

func updateUser(c *call) (answer, error) {
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
		if err := mayChange(c, u); err != nil {
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

func deleteUser(c *call) (answer, error) {
	return done(), c.change(func(e *directory.Editor) error {
		u, err := c.user(e.View())
		if err != nil {
			return err
		}
		if err := mayChange(c, u); err != nil {
			return err
		}
		_, err = e.Users().Discard(c.tenant(), u.ID)
		return err
	})
}

// revokeSessions ends all sessions of a user that have begun until now.
func revokeSessions(c *call) (answer, error) {
	err := c.change(func(e *directory.Editor) error {
		u, err := c.user(e.View())
		if err != nil {
			return err
		}
		if _, named := c.refs["user"]; !named { // one's own, which takes more than reading who one is
			if _, err := c.caller.check(&permit{permissions: anyOf(userReadWrite, directoryReadWrite)}); err != nil {
				return err
			}
		}
		if err := mayChange(c, u); err != nil {
			return err
		}
		return e.Users().EndSessions(c.tenant(), u.ID)
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, context: "Edm.Boolean", body: object{{"value", true}}}, nil
}

// A userDraft is a user between the directory and the wire.
type userDraft struct {
	*directory.User
	settings settings
	password *directory.Chosen // that the client sent along
}

func (d *userDraft) kept() settings { return d.settings }

// renderUser is a user on the wire.
func (c *call) renderUser(u *directory.User) object {
	return render(userTable, &userDraft{User: u, settings: readSettings(u.Settings)})
}

const maxUserText = 128 // characters

// userFields is the table of a user's members. Nothing here acts on most of them; tools that
// set them find them again.
func userFields() []field[*userDraft] {
	type draft = *userDraft
	null := func(draft) any { return nil }
	fields := []field[draft]{
		setting[draft]("businessPhones", []any{}, areAll(isText(maxUserText))),
		{name: "displayName", read: func(d draft) any { return orNull(d.DisplayName) }, write: func(d draft, in input) (err error) {
			if d.DisplayName, err = in.text(); err == nil && strings.TrimSpace(d.DisplayName) == "" {
				err = invalid(in.path, "Invalid value specified for property 'displayName' of resource 'User': it is empty.")
			}
			return err
		}},
	}
	for _, name := range []string{
		"givenName", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage", "surname", "mailNickname", "department", "companyName",
		"employeeId", "employeeType", "usageLocation", "country", "city", "state", "streetAddress", "postalCode", "faxNumber", "ageGroup", "consentProvidedForMinor",
	} {
		fields = append(fields, setting[draft](name, nil, isText(maxUserText)))
	}
	return slices.Concat(fields, []field[draft]{
		setting[draft]("otherMails", []any{}, areAll(isText(maxUserText))),
		setting[draft]("passwordPolicies", nil, isText(maxUserText)),
		{name: "userPrincipalName", read: func(d draft) any { return d.PrincipalName }, write: func(d draft, in input) (err error) {
			d.PrincipalName, err = in.text()
			return err
		}},
		{name: "id", read: func(d draft) any { return d.ID }, silent: true},
		{name: "accountEnabled", read: func(d draft) any { return d.Enabled }, write: func(d draft, in input) (err error) { d.Enabled, err = in.bool(); return err }},
		{name: "createdDateTime", read: func(d draft) any { return date(d.Created) }, silent: true},
		{name: "deletedDateTime", read: null, silent: true},
		{name: "userType", read: func(draft) any { return "Member" }},
		{name: "proxyAddresses", read: func(draft) any { return []any{} }, silent: true},
		{name: "onPremisesImmutableId", read: null, silent: true},
		{name: "onPremisesSyncEnabled", read: null, silent: true},
		{name: "externalUserState", read: null, silent: true},
		{name: "signInSessionsValidFromDateTime", read: func(d draft) any {
			if d.SessionsFrom.IsZero() {
				return date(d.Created)
			}
			return date(d.SessionsFrom)
		}, silent: true},
		{name: "passwordProfile", read: null, write: writePassword},
	})
}

// writePassword reads a password. It is never given back.
func writePassword(d *userDraft, in input) error {
	type profile struct{ password string }
	var p profile
	yes := func(*profile, input) error { return nil }
	err := apply([]field[*profile]{
		{name: "password", write: func(p *profile, in input) (err error) { p.password, err = in.text(); return err }},
		// Whoever has a password may keep it here.
		{name: "forceChangePasswordNextSignIn", write: yes},
		{name: "forceChangePasswordNextSignInWithMfa", write: yes},
	}, &p, in)
	if err != nil {
		return err
	}
	if p.password != "" {
		d.password = directory.Choose(p.password)
	}
	return nil
}

// users are the users as lists and links read them.
func (c *call) users() source[directory.User] {
	type read = access[directory.User]
	whole := c.view()
	view, tenant := whole.Users(), c.tenant()
	return source[directory.User]{
		set: "users", members: names(userTable),
		keys: map[string]func(string) []read{
			"id":                alone(by(tenant, view.Get)),
			"userprincipalname": alone(by(tenant, view.Find)),
			"displayname":       alone(among(tenant, view.Displayed)),
		},
		prefixes: map[string]func(string) []read{"displayname": alone(among(tenant, view.DisplayedFrom))},
		all:      []read{every(tenant, view)},
		named:    []read{among(tenant, view.DisplayedFrom)("")},
		render:   func(u *directory.User) (object, error) { return c.renderUser(u), nil },
		expand: map[string]func(*directory.User) ([]object, error){
			"ownedobjects":       func(u *directory.User) ([]object, error) { return firstOf(ownedBy(c, whole, u.ID)) },
			"approleassignments": func(u *directory.User) ([]object, error) { return firstOf(assignmentsOf(c, "users", u.ID)) },
		},
	}
}
