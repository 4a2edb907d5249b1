package manifest

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// applyApplications makes and changes registrations and their service principals; what
// they ask of one another comes later, when all of them are there.
func (w *work) applyApplications() error {
	for _, a := range w.file.applications {
		if err := w.applyApplication(a); err != nil {
			return err
		}
		if err := w.applyPrincipal(a); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) applyApplication(a *application) error {
	found := w.applications[a]
	var attempted *directory.Application // to find its place in the file
	fill := func(next *directory.Application) error {
		attempted = next
		w.fillApplication(a, next, found == nil)
		return nil
	}
	var written *directory.Application
	var err error
	if found == nil {
		next := directory.Application{Tenant: w.tenant.ID, ID: directory.ObjectID(a.id), AppID: directory.AppID(a.appID)}
		_ = fill(&next) // it objects to nothing
		written, err = w.editor.Applications().Create(next)
	} else {
		written, err = w.editor.Applications().Edit(w.tenant.ID, found.ID, fill)
	}
	if err != nil {
		return w.ruled(err, func(field string) position { return a.field(field, attempted) })
	}
	for _, name := range replaced(written) {
		if found == nil || !slices.Contains(replaced(found), name) {
			w.result.Replaced = append(w.result.Replaced, Replacement{w.tenant.Name, cmp.Or(a.name, written.Label()), name})
		}
	}
	w.applications[a] = written
	return nil
}

// replaced are the names of the built-in resources whose app id or identifiers a
// registration has.
func replaced(app *directory.Application) (names []string) {
	for _, identifier := range append([]string{string(app.AppID)}, app.IdentifierURIs...) {
		if b, is := directory.FindBuiltin(identifier); is && !slices.Contains(names, b.Name) {
			names = append(names, b.Name)
		}
	}
	return names
}

// fillApplication brings a registration to the file's state.
func (w *work) fillApplication(a *application, next *directory.Application, isNew bool) {
	if a.has("name") {
		next.Name = a.name
	}
	if w.says(a.place, "displayName", isNew) {
		next.DisplayName = a.displayName
	}
	next.IdentifierURIs = merge(next.IdentifierURIs, a.uris, sameText, setText, w.prune)
	next.RedirectURIs = merge(next.RedirectURIs, a.redirects, equalText, setText, w.prune)
	next.OptionalClaims = merge(next.OptionalClaims, a.claims, sameClaim, w.setClaim, w.prune)
	next.AppRoles = merge(next.AppRoles, a.roles, sameRole, w.setRole, false) // see pruneRoles
	next.Scopes = merge(next.Scopes, a.scopes, sameScope, w.setScope, false)  // as well
	if w.says(a.place, "requestedAccessTokenVersion", isNew) {
		next.TokenVersion = a.tokenVersion
	}
	next.SPARedirectURIs = merge(next.SPARedirectURIs, a.spa, equalText, setText, w.prune)
	next.NativeRedirectURIs = merge(next.NativeRedirectURIs, a.native, equalText, setText, w.prune)
	if a.uniqueName != "" {
		next.UniqueName = a.uniqueName
	}
	if w.says(a.place, "signInAudience", isNew) {
		next.SignInAudience = directory.SignInAudience(a.audience)
	}
	w.remark(a.place, &a.remarks, remarked{&next.Description, &next.Notes, &next.Tags, &next.Settings}, isNew)
	if w.says(a.place, "public", isNew) {
		next.Public = a.public
	}
	if w.says(a.place, "strictAssertions", isNew) {
		next.StrictAssertions = a.strictAssertions
	}
	if w.says(a.place, "idTokens", isNew) {
		next.IDTokens = a.idTokens
	}
}

// applyPrincipal lets the application take part in its tenant.
func (w *work) applyPrincipal(a *application) error {
	app := w.applications[a]
	found, err := w.editor.ServicePrincipals().Find(w.tenant.ID, string(app.AppID))
	isNew := errors.Is(err, directory.ErrNotFound)
	switch {
	case a.registeredOnly && isNew:
		return nil
	case a.registeredOnly && err == nil:
		return w.ruled(w.editor.ServicePrincipals().Delete(w.tenant.ID, found.ID), a.of)
	case isNew:
		found, err = w.editor.ServicePrincipals().Create(directory.ServicePrincipal{
			Tenant: w.tenant.ID, ID: directory.ObjectID(a.principal.id), AppID: app.AppID, Type: directory.PrincipalApplication,
		})
	}
	if err != nil {
		return w.ruled(err, a.ofPrincipal)
	}
	w.principals[a], err = w.editor.ServicePrincipals().Edit(w.tenant.ID, found.ID, func(next *directory.ServicePrincipal) error {
		if w.says(a.place, "enabled", isNew) {
			next.Enabled = a.enabled
		}
		if w.says(a.place, "assignmentRequired", isNew) {
			next.AssignmentRequired = a.assignmentRequired
		}
		p := &a.principal
		w.remark(p.place, &p.remarks, remarked{&next.Description, &next.Notes, &next.Tags, &next.Settings}, isNew)
		next.AlternativeNames = merge(next.AlternativeNames, p.alternatives, equalText, setText, w.prune)
		return nil
	})
	return w.ruled(err, a.ofPrincipal)
}

// ofPrincipal gives the place of what a rule of service principals objects to.
func (a *application) ofPrincipal(field string) position {
	if a.principal.has(field) {
		return a.principal.of(field)
	}
	return a.of(field)
}

func sameClaim(current directory.OptionalClaim, wanted *claim) bool {
	return current.Name == wanted.name
}

func (a *applier) setClaim(current *directory.OptionalClaim, wanted *claim) {
	current.Name = wanted.name
	if a.says(wanted.place, "properties", false) {
		current.Properties = texts(wanted.properties)
	}
}

func sameRole(current directory.AppRole, wanted *role) bool {
	if wanted.id != "" {
		return string(current.ID) == wanted.id
	}
	return strings.EqualFold(current.Value, wanted.value)
}

func (a *applier) setRole(current *directory.AppRole, wanted *role) {
	isNew := current.ID == ""
	if isNew || wanted.has("value") {
		current.Value = wanted.value
	}
	if isNew {
		current.ID = directory.RoleID(wanted.id)
	}
	if a.says(wanted.place, "displayName", isNew) {
		current.DisplayName = wanted.displayName
	}
	if a.says(wanted.place, "description", isNew) {
		current.Description = wanted.description
	}
	if a.says(wanted.place, "enabled", isNew) {
		current.Enabled = wanted.enabled
	}
	if a.says(wanted.place, "members", isNew) {
		current.Members = wanted.memberTypes()
	}
}

// memberTypes returns who may hold the role: applications, where the file does not say.
func (r *role) memberTypes() []directory.MemberType {
	if !r.has("members") {
		return []directory.MemberType{directory.MemberApplication}
	}
	var types []directory.MemberType
	for _, member := range texts(r.holders) {
		types = append(types, directory.MemberType(member))
	}
	return types
}

func sameScope(current directory.Scope, wanted *scope) bool {
	if wanted.id != "" {
		return string(current.ID) == wanted.id
	}
	return strings.EqualFold(current.Value, wanted.value)
}

func (a *applier) setScope(current *directory.Scope, wanted *scope) {
	isNew := current.ID == ""
	if isNew || wanted.has("value") {
		current.Value = wanted.value
	}
	if isNew {
		current.ID = directory.ScopeID(wanted.id)
	}
	if a.says(wanted.place, "userDisplayName", isNew) {
		current.UserDisplayName = wanted.userDisplayName
	}
	if a.says(wanted.place, "userDescription", isNew) {
		current.UserDescription = wanted.userDescription
	}
	if a.says(wanted.place, "displayName", isNew) {
		current.DisplayName = wanted.displayName
	}
	if a.says(wanted.place, "description", isNew) {
		current.Description = wanted.description
	}
	if a.says(wanted.place, "enabled", isNew) {
		current.Enabled = wanted.enabled
	}
	if a.says(wanted.place, "consent", isNew) {
		current.AdminOnly = wanted.consent == consentAdmin
	}
}

// field returns the place of what a rule names in a registration that was written.
func (a *application) field(field string, written *directory.Application) position {
	name, index, member := splitField(field)
	switch name {
	case "tokenVersion":
		return a.of("requestedAccessTokenVersion")
	case "identifierUris":
		if index >= 0 && index < len(written.IdentifierURIs) {
			return placeOf(a.uris, written.IdentifierURIs[index], a.of(name))
		}
	case "redirectUris":
		if index >= 0 && index < len(written.RedirectURIs) {
			return placeOf(a.redirects, written.RedirectURIs[index], a.of(name))
		}
	case "tags":
		if index >= 0 && index < len(written.Tags) {
			return placeOf(a.tags, written.Tags[index], a.of(name))
		}
	case "optionalClaims":
		if index >= 0 && index < len(written.OptionalClaims) {
			i := slices.IndexFunc(a.claims, func(c *claim) bool { return sameClaim(written.OptionalClaims[index], c) })
			if i >= 0 {
				return a.claims[i].of(member)
			}
		}
	case "appRoles":
		if index >= 0 && index < len(written.AppRoles) {
			i := slices.IndexFunc(a.roles, func(r *role) bool { return sameRole(written.AppRoles[index], r) })
			if i >= 0 {
				return a.roles[i].of(member)
			}
		}
	case "scopes":
		if index >= 0 && index < len(written.Scopes) {
			i := slices.IndexFunc(a.scopes, func(s *scope) bool { return sameScope(written.Scopes[index], s) })
			if i >= 0 {
				return a.scopes[i].of(member)
			}
		}
	}
	return a.of(name)
}
