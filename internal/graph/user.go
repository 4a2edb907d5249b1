package graph

import (
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

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
			"ownedobjects":       func(u *directory.User) ([]object, error) { return firstOf(c.ownedBy(whole, u.ID)) },
			"approleassignments": func(u *directory.User) ([]object, error) { return firstOf(c.assignmentsOf("users", u.ID)) },
		},
	}
}
