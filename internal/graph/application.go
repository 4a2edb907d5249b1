package graph

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// An applicationDraft is an application between the directory and the wire.
type applicationDraft struct {
	*directory.Application
	tenant *directory.Tenant
}

// applicationFields is the table of an application's members, in the order in which the
// service gives them.
func applicationFields() []field[*applicationDraft] {
	type draft = *applicationDraft
	null := func(draft) any { return nil }
	return []field[draft]{
		{name: "id", read: func(d draft) any { return d.ID }, silent: true},
		{name: "deletedDateTime", read: null},
		{name: "appId", read: func(d draft) any { return d.AppID }},
		{name: "applicationTemplateId", read: null},
		{name: "disabledByMicrosoftStatus", read: null},
		{name: "createdDateTime", read: func(d draft) any { return date(d.Created) }, silent: true},
		{name: "displayName", read: func(d draft) any { return d.Label() }, write: writeDisplayName},
		{
			name: "identifierUris", read: func(d draft) any { return orEmpty(d.IdentifierURIs) },
			write: func(d draft, in input) (err error) { d.IdentifierURIs, err = in.texts(); return err },
		},
		{
			name: "isFallbackPublicClient", read: func(d draft) any { return d.Public },
			write: func(d draft, in input) (err error) { d.Public, err = in.optionalBool(); return err },
		},
		{name: "publisherDomain", read: func(d draft) any { return publisherDomain(d.tenant) }, silent: true},
		{name: "api", inner: []field[draft]{
			{
				name: "oauth2PermissionScopes", read: func(d draft) any { return renderAll(scopeFields(), d.Scopes) },
				write: func(d draft, in input) (err error) {
					d.Scopes, err = applyAll(scopeFields(), in, directory.Scope{Enabled: true})
					return err
				},
			},
			{
				name: "requestedAccessTokenVersion", read: func(d draft) any { return tokenVersion(d.TokenVersion) },
				write: writeTokenVersion,
			},
		}},
		{
			name: "appRoles", read: func(d draft) any { return renderAll(roleFields(), d.AppRoles) },
			write: func(d draft, in input) (err error) {
				d.AppRoles, err = applyAll(roleFields(), in, directory.AppRole{Enabled: true})
				return err
			},
		},
		{name: "keyCredentials", read: func(d draft) any { return keyCredentials(d.Certificates) }},
		{name: "passwordCredentials", read: func(d draft) any { return passwordCredentials(d.Secrets) }},
		{
			name: "requiredResourceAccess", read: func(d draft) any { return requiredAccess(d.Permissions) },
			write: func(d draft, in input) (err error) { d.Permissions, err = each(in, readRequiredAccess); return err },
		},
		{name: "web", inner: []field[draft]{
			{
				name: "redirectUris", read: func(d draft) any { return orEmpty(d.RedirectURIs) },
				write: func(d draft, in input) (err error) { d.RedirectURIs, err = in.texts(); return err },
			},
			{name: "implicitGrantSettings", inner: []field[draft]{
				{
					name: "enableIdTokenIssuance", read: func(d draft) any { return d.IDTokens },
					write: func(d draft, in input) (err error) { d.IDTokens, err = in.optionalBool(); return err },
				},
			}},
		}},
	}
}

// writeDisplayName sets what people are shown. The name by which rolecall.yaml and commands
// know the application stays what it is.
func writeDisplayName(d *applicationDraft, in input) error {
	name, err := in.text()
	if err != nil {
		return err
	}
	if strings.TrimSpace(name) == "" {
		return invalid(in.path, "Invalid value specified for property 'displayName' of resource 'Application': it is empty.")
	}
	d.DisplayName = name
	return nil
}

// tokenVersion is a version on the wire, where null means 1.
func tokenVersion(version int) any {
	if version == 1 {
		return nil
	}
	return version
}

func writeTokenVersion(d *applicationDraft, in input) error {
	if in.value == nil {
		d.TokenVersion = 1
		return nil
	}
	version, err := in.integer()
	if err != nil {
		return err
	}
	if version != 1 && version != 2 {
		return in.wrong("1, 2 or null")
	}
	d.TokenVersion = version
	return nil
}

func publisherDomain(t *directory.Tenant) any {
	if len(t.Domains) == 0 {
		return nil
	}
	return t.Domains[0]
}

// roleFields is the table of an app role's members.
func roleFields() []field[*directory.AppRole] {
	type role = *directory.AppRole
	return []field[role]{
		{
			name: "allowedMemberTypes", read: func(r role) any { return orEmpty(r.Members) },
			write: func(r role, in input) error {
				members, err := in.texts()
				r.Members = nil
				for _, m := range members {
					r.Members = append(r.Members, directory.MemberType(m))
				}
				return err
			},
		},
		{name: "description", read: func(r role) any { return r.Description }, write: func(r role, in input) (err error) { r.Description, err = in.optionalText(); return err }},
		{name: "displayName", read: func(r role) any { return r.DisplayName }, write: func(r role, in input) (err error) { r.DisplayName, err = in.optionalText(); return err }},
		{name: "id", read: func(r role) any { return r.ID }, write: func(r role, in input) error {
			id, err := in.guid()
			r.ID = directory.RoleID(id)
			return err
		}},
		{name: "isEnabled", read: func(r role) any { return r.Enabled }, write: func(r role, in input) (err error) { r.Enabled, err = in.bool(); return err }},
		{name: "origin", read: func(role) any { return "Application" }, silent: true},
		{name: "value", read: func(r role) any { return orNull(r.Value) }, write: func(r role, in input) (err error) { r.Value, err = in.optionalText(); return err }},
	}
}

// scopeFields is the table of a scope's members.
func scopeFields() []field[*directory.Scope] {
	type scope = *directory.Scope
	return []field[scope]{
		{name: "adminConsentDescription", read: func(s scope) any { return orNull(s.Description) }, write: func(s scope, in input) (err error) { s.Description, err = in.optionalText(); return err }},
		{name: "adminConsentDisplayName", read: func(s scope) any { return orNull(s.DisplayName) }, write: func(s scope, in input) (err error) { s.DisplayName, err = in.optionalText(); return err }},
		{name: "id", read: func(s scope) any { return s.ID }, write: func(s scope, in input) error {
			id, err := in.guid()
			s.ID = directory.ScopeID(id)
			return err
		}},
		{name: "isEnabled", read: func(s scope) any { return s.Enabled }, write: func(s scope, in input) (err error) { s.Enabled, err = in.bool(); return err }},
		{name: "origin", read: func(scope) any { return "Application" }, silent: true},
		{name: "type", read: func(s scope) any { return scopeType(s.AdminOnly) }, write: func(s scope, in input) error {
			given, err := in.text()
			if err == nil && given != "Admin" && given != "User" {
				err = in.wrong("Admin or User")
			}
			s.AdminOnly = given == "Admin"
			return err
		}},
		{name: "value", read: func(s scope) any { return orNull(s.Value) }, write: func(s scope, in input) (err error) { s.Value, err = in.optionalText(); return err }},
	}
}

func scopeType(adminOnly bool) string {
	if adminOnly {
		return "Admin"
	}
	return "User"
}

// renderAll is render for a collection.
func renderAll[T any](fields []field[*T], all []T) []object {
	list := make([]object, len(all))
	for i := range all {
		list[i] = render(fields, &all[i])
	}
	return list
}

// applyAll reads a collection, each element of which begins as the given one.
func applyAll[T any](fields []field[*T], in input, from T) ([]T, error) {
	return each(in, func(one input) (T, error) {
		value := from
		err := apply(fields, &value, one)
		return value, err
	})
}

// requiredAccess is what an application asks of APIs.
func requiredAccess(permissions []directory.Permission) []object {
	list := make([]object, len(permissions))
	for i, p := range permissions {
		access := []object{}
		for _, id := range p.Scopes {
			access = append(access, object{{"id", id}, {"type", "Scope"}})
		}
		for _, id := range p.Roles {
			access = append(access, object{{"id", id}, {"type", "Role"}})
		}
		list[i] = object{{"resourceAppId", p.API}, {"resourceAccess", access}}
	}
	return list
}

func readRequiredAccess(in input) (directory.Permission, error) {
	type permission = *directory.Permission
	p := directory.Permission{}
	err := apply([]field[permission]{
		{name: "resourceAppId", write: func(p permission, in input) error {
			id, err := in.guid()
			p.API = directory.AppID(id)
			return err
		}},
		{name: "resourceAccess", write: readResourceAccess},
	}, &p, in)
	if err == nil && p.API == "" {
		err = in.wrong("an object with resourceAppId")
	}
	return p, err
}

func readResourceAccess(p *directory.Permission, in input) error {
	type access struct{ id, kind string }
	all, err := each(in, func(one input) (access, error) {
		a := access{}
		err := apply([]field[*access]{
			{name: "id", write: func(a *access, in input) (err error) { a.id, err = in.guid(); return err }},
			{name: "type", write: func(a *access, in input) (err error) { a.kind, err = in.text(); return err }},
		}, &a, one)
		if err == nil && (a.id == "" || a.kind != "Role" && a.kind != "Scope") {
			err = one.wrong("an object with an id, and Role or Scope as its type")
		}
		return a, err
	})
	for _, a := range all {
		if a.kind == "Role" {
			p.Roles = append(p.Roles, directory.RoleID(a.id))
		} else {
			p.Scopes = append(p.Scopes, directory.ScopeID(a.id))
		}
	}
	return err
}

// passwordCredentials lists secrets as they are ever shown: without their text.
func passwordCredentials(secrets []directory.Secret) []object {
	list := make([]object, len(secrets))
	for i := range secrets {
		list[i] = passwordCredential(&secrets[i], "")
	}
	return list
}

// passwordCredential is a secret, with its text where it was just made.
func passwordCredential(s *directory.Secret, value string) object {
	return object{
		{"customKeyIdentifier", nil}, {"displayName", orNull(s.Name)}, {"endDateTime", date(s.Expires)}, {"hint", orNull(s.Hint)},
		{"keyId", s.ID}, {"secretText", orNull(value)}, {"startDateTime", date(s.Created)},
	}
}

// keyCredentials lists certificates without their bytes, as the service does.
func keyCredentials(certificates []directory.Certificate) []object {
	list := make([]object, len(certificates))
	for i := range certificates {
		list[i] = keyCredential(&certificates[i])
	}
	return list
}

func keyCredential(c *directory.Certificate) object {
	return object{
		{"customKeyIdentifier", orNull(thumbprint(c.SHA1))}, {"displayName", orNull(c.Name)}, {"endDateTime", date(c.ValidUntil)}, {"key", nil},
		{"keyId", c.ID}, {"startDateTime", date(c.ValidFrom)}, {"type", "AsymmetricX509Cert"}, {"usage", "Verify"},
	}
}

// thumbprint is one as the service writes it: hexadecimal digits in capitals.
func thumbprint(base64url string) string {
	decoded, err := base64.RawURLEncoding.DecodeString(base64url)
	if err != nil {
		return ""
	}
	return strings.ToUpper(hex.EncodeToString(decoded))
}

// renderApplication is an application on the wire.
func (c *call) renderApplication(app *directory.Application) object {
	return render(applicationFields(), &applicationDraft{app, c.caller.tenant})
}

// cloneApplication is an application that can be changed without changing the other.
func cloneApplication(app *directory.Application) *directory.Application {
	next := *app
	next.AppRoles, next.Scopes = slices.Clone(app.AppRoles), slices.Clone(app.Scopes)
	return &next
}
