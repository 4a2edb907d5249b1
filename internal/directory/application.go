package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An ApplicationEditor reads and changes registrations.
type ApplicationEditor struct {
	Objects[Application]
	*editor
	version version
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
	if err := e.dropRemovedRoles(was, a); err != nil {
		return err
	}
	if err := e.revokeRoles(was, a); err != nil {
		return err
	}
	if err := e.revokeScopes(was, a); err != nil {
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
		e.checkApplicationName, checkTokenVersion, e.checkURIs, checkRedirects, checkRoles, checkScopes, e.checkPermissions, checkOptionalClaims,
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
	offerDetail(&d, "appRoles", old.AppRoles, next.AppRoles, func(_, _ *AppRole) string { return "" })
	offerDetail(&d, "scopes", old.Scopes, next.Scopes, func(old, next *Scope) string {
		if old.AdminOnly == next.AdminOnly {
			return ""
		}
		return fmt.Sprintf("adminOnly: %v → %v", old.AdminOnly, next.AdminOnly)
	})
	d.lists("permissions", permissionList(old.Permissions), permissionList(next.Permissions))
	d.lists("optionalClaims", claimList(old.OptionalClaims), claimList(next.OptionalClaims))
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
