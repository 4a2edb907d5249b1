package directory

import (
	"errors"
	"fmt"
	"slices"
)

// Application returns the registration that an object id, an app id or a name names.
func (e *Editor) Application(tenant TenantID, ref string) (*Application, error) {
	found, err := e.applicationRow(tenant, ref)
	return found.value, err
}

// Resource returns the registration that an identifier URI or an app id names as an API.
func (e *Editor) Resource(tenant TenantID, identifier string) (*Application, error) {
	uri := foldURI(identifier)
	key := makeKey("uri", uri)
	if id, is := parseGUID(uri); is {
		key = makeKey("appid", id)
	}
	found, err := lookup[Application](e, fold(tenant), kindApplication, key)
	if errors.Is(err, ErrNotFound) {
		return nil, missing(fmt.Sprintf("There is no API %q in the tenant.", clip(identifier)), "Name it by an identifier URI or its app id.")
	}
	return found.value, err
}

// Applications returns the tenant's registrations, by name.
func (e *Editor) Applications(tenant TenantID) ([]*Application, error) {
	rows, err := list[Application](e, tenant, kindApplication, "name/")
	return values(rows), err
}

// CreateApplication makes a registration. Its service principal is made apart, by
// CreateServicePrincipal, and credentials are added one by one.
func (e *Editor) CreateApplication(a Application) (*Application, error) {
	if len(a.Secrets)+len(a.Certificates)+len(a.Federated) > 0 {
		return nil, &RuleError{Field: "credentials", What: "A new application brings no credentials along.", Fix: "Create it first, then add each credential."}
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
}

// UpdateApplication changes what a registration says of itself; its ids and credentials
// stay as they are. An app role or scope without an id keeps the one of the present role
// or scope with its value. One that is left out must have been disabled before; its
// assignments and grants go.
func (e *Editor) UpdateApplication(a Application) (*Application, error) {
	old, err := e.applicationRow(a.Tenant, string(a.ID))
	if err != nil {
		return nil, err
	}
	was := old.value
	if a.AppID != "" && AppID(fold(string(a.AppID))) != was.AppID {
		return nil, &RuleError{Field: "appId", What: "The app id of an application cannot be changed.", Fix: "Create another application."}
	}
	a.ID, a.Tenant, a.AppID, a.Created = was.ID, was.Tenant, was.AppID, was.Created
	a.Secrets, a.Certificates, a.Federated = was.Secrets, was.Certificates, was.Federated
	if err := e.checkApplication(was, &a); err != nil {
		return nil, err
	}
	if err := e.dropRemovedRoles(was, &a); err != nil {
		return nil, err
	}
	if err := e.followScopes(was, &a); err != nil {
		return nil, err
	}
	if a.Name != was.Name {
		if err := e.renamePrincipal(&a); err != nil {
			return nil, err
		}
	}
	return &a, update(e, old, &a, applicationDetail(was, &a))
}

// DeleteApplication removes a registration with its service principal and all
// assignments to and of it.
func (e *Editor) DeleteApplication(tenant TenantID, id ObjectID) error {
	app, err := e.applicationRow(tenant, string(id))
	if err != nil {
		return err
	}
	principal, err := e.principalRow(app.value.Tenant, string(app.value.AppID))
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return err
	default:
		if err := e.deletePrincipal(principal); err != nil {
			return err
		}
	}
	if err := e.remove(app.value, app.version); err != nil {
		return err
	}
	return e.record("delete", app.value.target(), "")
}

// applicationRow finds by object id, app id or name.
func (e *Editor) applicationRow(tenant TenantID, ref string) (found row[Application], err error) {
	tenant = TenantID(fold(string(tenant)))
	for _, key := range refKeys(ref) {
		found, err = lookup[Application](e, tenant, kindApplication, key)
		if !errors.Is(err, ErrNotFound) {
			return found, err
		}
	}
	return found, missing(fmt.Sprintf("There is no application %q in the tenant.", clip(ref)), "Name it by object id, app id or name, or create it.")
}

// refKeys are the keys under which what a caller calls an application or a service
// principal may be found, in order.
func refKeys(ref string) []string {
	if id, ok := parseGUID(ref); ok {
		return []string{makeKey("id", id), makeKey("appid", id)}
	}
	return []string{makeKey("name", fold(ref))}
}

// checkNewIDs holds for ids that a caller chose. An app id must also be free among
// managed identities, which have one without a registration.
func (e *Editor) checkNewIDs(a *Application) error {
	if err := e.free(a.Tenant, kindApplication, makeKey("id", string(a.ID)), ""); err != nil {
		return duplicate(err, "id", fmt.Sprintf("There is an application with the object id %s already.", a.ID), "Leave the id out to have a new one made.")
	}
	for _, kind := range []string{kindApplication, kindPrincipal} {
		if err := e.free(a.Tenant, kind, makeKey("appid", string(a.AppID)), ""); err != nil {
			return duplicate(err, "appId", fmt.Sprintf("The app id %s is taken in this tenant.", a.AppID), "Leave the app id out to have a new one made.")
		}
	}
	if err := e.free(a.Tenant, kindApplication, makeKey("uri", "api://"+string(a.AppID)), ""); err != nil {
		return duplicate(err, "appId", fmt.Sprintf("Another application has the identifier URI api://%s.", a.AppID), "Remove that URI there, or choose another app id.")
	}
	return nil
}

// checkApplication holds every rule of a registration that is about to replace old, and
// brings its values into the form they are kept in.
func (e *Editor) checkApplication(old, a *Application) error {
	for _, check := range []func(old, a *Application) error{
		e.checkApplicationName, checkTokenVersion, e.checkURIs, checkRedirects, checkRoles, checkScopes, e.checkPermissions, checkOptionalClaims,
	} {
		if err := check(old, a); err != nil {
			return err
		}
	}
	return nil
}

func (e *Editor) checkApplicationName(_, a *Application) error {
	if err := checkName("name", a.Name); err != nil {
		return err
	}
	if err := checkNotGUID(a.Name); err != nil {
		return err
	}
	if err := e.free(a.Tenant, kindApplication, makeKey("name", fold(a.Name)), string(a.ID)); err != nil {
		return duplicate(err, "name", fmt.Sprintf("There is an application named %q already.", a.Name), "Choose another name; case does not count.")
	}
	return nil
}

func checkTokenVersion(_, a *Application) error {
	switch a.TokenVersion {
	case 0:
		a.TokenVersion = 2
	case 1, 2:
	default:
		return &RuleError{Field: "tokenVersion", What: fmt.Sprintf("There is no access token version %d.", a.TokenVersion), Fix: "Use 1 or 2."}
	}
	return nil
}

func checkOptionalClaims(_, a *Application) error {
	const most = 100
	if len(a.OptionalClaims) > most {
		return &RuleError{Field: "optionalClaims", What: fmt.Sprintf("There are more than %d optional claims.", most), Fix: "Remove some."}
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
	d.changed("tokenVersion", old.TokenVersion, next.TokenVersion)
	d.changed("public", old.Public, next.Public)
	d.changed("strictAssertions", old.StrictAssertions, next.StrictAssertions)
	d.lists("identifierUris", old.IdentifierURIs, next.IdentifierURIs)
	d.lists("redirectUris", old.RedirectURIs, next.RedirectURIs)
	roleDetail(&d, old.AppRoles, next.AppRoles)
	scopeDetail(&d, old.Scopes, next.Scopes)
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
	return target{kind: kindApplication, tenant: a.Tenant, id: string(a.ID), name: a.Name}
}
