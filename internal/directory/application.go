package directory

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// An ApplicationEditor reads and changes registrations.
type ApplicationEditor struct {
	ApplicationView
	*editor
	version       version
	disabledFirst bool
}

// DisabledFirst makes Edit hold enabled app roles and scopes to what Graph holds them to: they
// must be disabled in a change of its own before their value or who may have them changes,
// and not only before they are removed (ErrEnabled). What people read may change.
func (e ApplicationEditor) DisabledFirst() ApplicationEditor {
	e.disabledFirst = true
	return e
}

// IfVersion makes Edit and Delete fail with ErrConflict unless that version is there.
func (e ApplicationEditor) IfVersion(expected int64) ApplicationEditor {
	e.version = version(expected)
	return e
}

// Create makes a registration. Its service principal is made apart, by that noun's Create,
// and credentials are added one by one.
func (e ApplicationEditor) Create(a Application) (*Application, error) {
	return acting(e.editor, Create, Applications, func() (*Application, error) {
		if len(a.Secrets)+len(a.Certificates)+len(a.Federated) > 0 {
			return nil, &RuleError{Field: "credentials", What: "A new application brings no credentials along.", Advice: "Create it first, then add each credential."}
		}
		tenant, err := e.tenantByID(a.Tenant)
		if err != nil {
			return nil, err
		}
		if a.ID, err = givenGUID("id", a.ID); err != nil {
			return nil, err
		}
		if a.AppID, err = givenGUID("appId", a.AppID); err != nil {
			return nil, err
		}
		a.Tenant, a.Created = tenant.ID, e.now
		if err := e.checkNewIDs(&a); err != nil {
			return nil, err
		}
		if err := e.checkApplication(&Application{}, &a); err != nil {
			return nil, err
		}
		return &a, e.create(&a)
	})
}

// Edit changes what a registration says of itself; its ids and credentials stay as they
// are. An app role or scope without an id keeps the one of the present role or scope with
// its value. One that is left out must have been disabled before; its assignments and
// grants go.
func (e ApplicationEditor) Edit(tenant TenantID, id ObjectID, f func(*Application) error) (*Application, error) {
	old, err := e.get(tenant, id)
	if err != nil {
		return nil, err
	}
	a, err := edited(old, e.version, f)
	if err != nil {
		return nil, err
	}
	return acting(e.editor, Update, Applications, func() (*Application, error) { return a, e.replace(old, a) })
}

// replace puts a registration in the place of the old one.
func (e ApplicationEditor) replace(old row[Application], a *Application) error {
	was := old.value
	if a.AppID != "" && fold(a.AppID) != was.AppID {
		return &RuleError{Field: "appId", What: "The app id of an application cannot be changed.", Advice: "Create another application."}
	}
	a.ID, a.Tenant, a.AppID, a.Created = was.ID, was.Tenant, was.AppID, was.Created
	a.Secrets, a.Certificates, a.Federated = was.Secrets, was.Certificates, was.Federated
	if err := e.checkApplication(was, a); err != nil {
		return err
	}
	if e.disabledFirst {
		if err := checkUnchanged(was, a); err != nil {
			return err
		}
	}
	if err := e.dropRemovedRoles(was, a); err != nil {
		return err
	}
	if err := e.revokeRoles(was, a); err != nil {
		return err
	}
	if err := e.revokeScopes(was, a); err != nil {
		return err
	}
	if err := e.revokePreAuthorized(was, a); err != nil {
		return err
	}
	if err := e.followScopes(was, a); err != nil {
		return err
	}
	if a.Name != was.Name || a.DisplayName != was.DisplayName {
		if err := e.principals().rename(a); err != nil {
			return err
		}
	}
	return update(e.editor, old, a, applicationDetail(was, a))
}

// Delete removes a registration with its service principal and all assignments to and of it.
func (e ApplicationEditor) Delete(tenant TenantID, id ObjectID) error {
	return e.act(Delete, Applications, func() error {
		app, err := e.get(tenant, id)
		if err != nil {
			return err
		}
		if err := e.version.check(app.version); err != nil {
			return err
		}
		principal, err := e.principals().of(app.value)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return err
		default:
			if err := e.principals().delete(principal); err != nil {
				return err
			}
			if err := e.recordDeleted(principal.value.target(), deletedDetail(principal.value.AppID, nil)); err != nil {
				return err
			}
			if app, err = e.get(tenant, id); err != nil { // it may have been the principal's own
				return err
			}
		}
		if err := e.dropPreAuthorized(app.value); err != nil {
			return err
		}
		if err := e.remove(app.value, app.version); err != nil {
			return err
		}
		return e.recordDeleted(app.value.target(), deletedDetail(app.value.AppID, app.value.IdentifierURIs))
	})
}

// deletedDetail tells by what clients still ask for what was deleted.
func deletedDetail(id AppID, uris []string) string {
	return strings.Join(append([]string{"appId: " + string(id)}, uris...), " ")
}

// byAppID finds a registration by its app id alone.
func (e ApplicationEditor) byAppID(tenant TenantID, id AppID) (row[Application], error) {
	found, err := lookup[Application](e.editor, fold(tenant), KindApplication, makeKey("appid", string(fold(id))))
	if errors.Is(err, ErrNotFound) {
		return found, e.missing(tenant, string(id))
	}
	return found, err
}

// checkNewIDs checks ids that a caller chose. An app id must also be free among
// managed identities, which have one without a registration.
func (e ApplicationEditor) checkNewIDs(a *Application) error {
	if err := e.free(a.Tenant, KindApplication, makeKey("id", string(a.ID)), ""); err != nil {
		return duplicate(err, "id", fmt.Sprintf("There is an application with the object id %s already.", a.ID), "Leave the id out to have a new one made.")
	}
	for _, kind := range []string{KindApplication, KindServicePrincipal} {
		if err := e.free(a.Tenant, kind, makeKey("appid", string(a.AppID)), ""); err != nil {
			return duplicate(err, "appId", fmt.Sprintf("The app id %s is taken in this tenant.", a.AppID), "Leave the app id out to have a new one made.")
		}
	}
	if err := e.free(a.Tenant, KindApplication, makeKey("uri", "api://"+string(a.AppID)), ""); err != nil {
		return duplicate(err, "appId", fmt.Sprintf("Another application has the identifier URI api://%s.", a.AppID), "Remove that URI there, or choose another app id.")
	}
	return nil
}

// checkApplication holds every rule of a registration that is about to replace old, and
// brings its values into the form they are kept in.
func (e ApplicationEditor) checkApplication(old, a *Application) error {
	for _, check := range []func(old, a *Application) error{
		e.checkApplicationName, e.checkUniqueName, checkRemarks, checkAudience, checkTokenVersion, e.checkURIs, checkRedirects, checkRoles, checkScopes,
		e.checkPreAuthorized, e.checkPermissions, checkOptionalClaims, e.checkApplicationOwners,
	} {
		if err := check(old, a); err != nil {
			return err
		}
	}
	return nil
}

func (e ApplicationEditor) checkApplicationName(_, a *Application) error {
	if err := checkNames(a.Name, &a.DisplayName); err != nil {
		return err
	}
	return e.nameFree(a.Tenant, KindApplication, "an application", a.Name, a.ID)
}

// checkUniqueName checks a name that tools find an application by. It is given once.
func (e ApplicationEditor) checkUniqueName(old, a *Application) error {
	const field = "uniqueName"
	if old.ID != "" && a.UniqueName != old.UniqueName {
		return &RuleError{Field: field, What: "The unique name of an application cannot be changed.", Advice: "Create another application with that name."}
	}
	if a.UniqueName == "" {
		return nil
	}
	if err := checkText(field, a.UniqueName, maxName); err != nil {
		return err
	}
	if err := e.free(a.Tenant, KindApplication, makeKey("unique", fold(a.UniqueName)), string(a.ID)); err != nil {
		return duplicate(err, field, fmt.Sprintf("There is an application with the unique name %q already.", a.UniqueName), "Choose another; case does not count.")
	}
	return nil
}

// checkRemarks checks what nothing here acts on.
func checkRemarks(_, a *Application) error {
	if err := checkRemark("description", a.Description); err != nil {
		return err
	}
	if err := checkRemark("notes", a.Notes); err != nil {
		return err
	}
	if err := checkTags(a.Tags); err != nil {
		return err
	}
	return checkSettings(&a.Settings)
}

func checkAudience(_, a *Application) error {
	switch a.SignInAudience {
	case "", AudienceMyOrg, AudienceMultipleOrgs:
	case AudienceMultipleOrgsAndPersonal, AudiencePersonalMicrosoftAccounts:
		if a.TokenVersion == 1 {
			return &RuleError{Field: "signInAudience", What: fmt.Sprintf("An application for %s cannot have access tokens of version 1.", a.SignInAudience), Advice: "Use token version 2, or another audience."}
		}
	default:
		return &RuleError{
			Field: "signInAudience", What: fmt.Sprintf("There is no sign-in audience %q.", text.Shown(string(a.SignInAudience))),
			Advice: "Use " + join([]SignInAudience{AudienceMyOrg, AudienceMultipleOrgs, AudienceMultipleOrgsAndPersonal, AudiencePersonalMicrosoftAccounts}) + ".",
		}
	}
	if a.SignInAudience == AudienceMyOrg {
		a.SignInAudience = ""
	}
	return nil
}

func (e ApplicationEditor) checkApplicationOwners(old, a *Application) error {
	return e.checkOwners(a.Tenant, old.Owners, &a.Owners)
}

func checkTokenVersion(_, a *Application) error {
	switch a.TokenVersion {
	case 0:
		a.TokenVersion = 2
	case 1, 2:
	default:
		return &RuleError{Field: "tokenVersion", What: fmt.Sprintf("There is no access token version %d.", a.TokenVersion), Advice: "Use 1 or 2."}
	}
	return nil
}

func checkOptionalClaims(_, a *Application) error {
	const most = 100
	if len(a.OptionalClaims) > most {
		return &RuleError{Field: "optionalClaims", What: fmt.Sprintf("There are more than %d optional claims.", most), Advice: "Remove some."}
	}
	for i, claim := range a.OptionalClaims {
		field := fmt.Sprintf("optionalClaims[%d]", i)
		if err := checkText(field+".name", claim.Name, maxName); err != nil {
			return err
		}
		if slices.ContainsFunc(a.OptionalClaims[:i], func(c OptionalClaim) bool { return c.Name == claim.Name }) {
			return taken(field+".name", fmt.Sprintf("The optional claim %q is listed twice.", claim.Name), "List it once.")
		}
		for _, property := range claim.Properties {
			if err := checkText(field+".properties", property, maxName); err != nil {
				return err
			}
		}
	}
	return nil
}

func applicationDetail(old, next *Application) string {
	var d detail
	d.changed("name", old.Name, next.Name)
	d.changed("displayName", old.DisplayName, next.DisplayName)
	d.changed("tokenVersion", old.TokenVersion, next.TokenVersion)
	d.changed("public", old.Public, next.Public)
	d.changed("strictAssertions", old.StrictAssertions, next.StrictAssertions)
	d.changed("idTokens", old.IDTokens, next.IDTokens)
	d.lists("identifierUris", old.IdentifierURIs, next.IdentifierURIs)
	d.lists("redirectUris", old.RedirectURIs, next.RedirectURIs)
	d.lists("spaRedirectUris", old.SPARedirectURIs, next.SPARedirectURIs)
	d.lists("nativeRedirectUris", old.NativeRedirectURIs, next.NativeRedirectURIs)
	offerDetail(&d, "appRoles", old.AppRoles, next.AppRoles, func(_, _ *AppRole) string { return "" })
	offerDetail(&d, "scopes", old.Scopes, next.Scopes, func(old, next *Scope) string {
		if old.AdminOnly == next.AdminOnly {
			return ""
		}
		return fmt.Sprintf("adminOnly: %v → %v", old.AdminOnly, next.AdminOnly)
	})
	d.lists("permissions", permissionList(old.Permissions), permissionList(next.Permissions))
	d.lists("preAuthorized", preAuthorizationList(old.PreAuthorized), preAuthorizationList(next.PreAuthorized))
	d.lists("optionalClaims", claimList(old.OptionalClaims), claimList(next.OptionalClaims))
	d.remarks(old.Description, next.Description, old.Notes, next.Notes)
	d.changed("signInAudience", cmp.Or(old.SignInAudience, AudienceMyOrg), cmp.Or(next.SignInAudience, AudienceMyOrg))
	d.lists("tags", old.Tags, next.Tags)
	d.lists("owners", texts(old.Owners), texts(next.Owners))
	d.settings(old.Settings, next.Settings)
	return d.String()
}

func claimList(claims []OptionalClaim) []string {
	list := make([]string, len(claims))
	for i, c := range claims {
		list[i] = fmt.Sprint(c.Name, c.Properties)
	}
	return list
}

func (a *Application) target() target {
	return target{kind: KindApplication, tenant: a.Tenant, id: string(a.ID), name: a.ref()}
}
