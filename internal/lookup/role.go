package lookup

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A Role is an app role together with the API that offers it.
type Role struct {
	directory.AppRole
	API       *directory.Application
	Principal directory.ObjectID // of the API
}

// FindRole finds the role that API/ROLE means. Both may contain slashes; the API with the
// longest name that has the role is meant. The command is for the advice: "rolecall grant".
func FindRole(command string, v *directory.View, who Principal, arg string) (Role, error) {
	var closest *directory.Application
	var wanted string // of its roles
	api, role := arg, ""
	for {
		cut := strings.LastIndexByte(api, '/')
		if cut <= 0 {
			break
		}
		api, role = arg[:cut], arg[cut+1:]
		app, err := apiIn(v, who.Tenant, api)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return Role{}, err
		}
		if found, ok := app.Role(role); ok {
			return offered(v, app, found)
		}
		if closest == nil {
			closest, wanted = app, role
		}
	}
	switch {
	case closest != nil:
		return Role{}, roleMissing(command, closest, who, wanted)
	case !strings.Contains(arg, "/"):
		return Role{}, noRoleNamed(arg)
	}
	fix := "name the API by its name, its app id or an identifier URI"
	if near := nearAPI(v, who.Tenant, arg); near != nil {
		fix = didYouMean(command, who, near, arg[strings.LastIndexByte(arg, '/')+1:])
	}
	return Role{}, notFound(fix, "%q begins with the name of no API%s", text.Shown(arg), thereAre(apiNames(v, who.Tenant)))
}

// noRoleNamed is the error for what is not written as a role is.
func noRoleNamed(arg string) error {
	return &Error{fmt.Sprintf("%q names no API and role", text.Shown(arg)), "write orders-server/Orders.Read or api://orders/Orders.Read", ErrMalformed}
}

func offered(v *directory.View, app *directory.Application, role directory.AppRole) (Role, error) {
	principal, err := v.ServicePrincipals().FindAPI(app.Tenant, app.AppID)
	if errors.Is(err, directory.ErrNotFound) {
		return Role{}, notFound("`rolecall sp create` makes one", "%s has no service principal in its tenant", app.Label())
	}
	if err != nil {
		return Role{}, err
	}
	return Role{role, app, principal.ID}, nil
}

// roleMissing says which roles there are, and how the command reads with the likely one.
func roleMissing(command string, app *directory.Application, who Principal, wanted string) error {
	var values []string
	fix := "`rolecall app role add` adds app roles, and `rolecall apply -f rolecall.yaml` those of the file"
	for _, role := range app.AppRoles {
		if !role.Enabled || !role.Allows(who.Member()) {
			continue
		}
		values = append(values, role.Value)
		if directory.Resembles(role.Value, wanted) {
			fix = didYouMean(command, who, app, role.Value)
		}
	}
	there := "; it has none for " + map[directory.MemberType]string{directory.MemberApplication: "applications", directory.MemberUser: "users"}[who.Member()]
	if len(values) > 0 {
		there = "; it has " + strings.Join(values, ", ")
	}
	return notFound(fix, "%s has no app role %q%s", app.Label(), text.Shown(wanted), there)
}

// didYouMean asks whether a command was meant that is nearly the one given.
func didYouMean(command string, who Principal, api *directory.Application, role string) string {
	return directory.DidYouMean([]string{fmt.Sprintf("`%s %s %s/%s`", command, Word(who.Name()), spelled(api), role)})
}

// Word is a name as it stands on a command line.
func Word(name string) string {
	plain := func(c rune) bool {
		return strings.ContainsRune("@.:/+-_", c) || unicode.IsLetter(c) || unicode.IsDigit(c)
	}
	if name != "" && !strings.ContainsFunc(name, func(c rune) bool { return !plain(c) }) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// spelled is how a command names an API: one of Microsoft's has identifiers alone.
func spelled(api *directory.Application) string {
	if name := api.Called(); name != "" && Word(name) == name && (api.Name != "" || len(api.IdentifierURIs) == 0) {
		return name
	}
	if len(api.IdentifierURIs) > 0 {
		return api.IdentifierURIs[0]
	}
	return string(api.AppID)
}

// nearAPI finds the application whose name or identifier URI is nearest to what stands before
// the role; nil when none is near.
func nearAPI(v *directory.View, t *directory.Tenant, arg string) *directory.Application {
	applications, _ := v.Applications().All(t.ID) // it only makes a message better
	of := map[string]*directory.Application{}
	var names []string
	for _, app := range applications {
		for _, name := range append([]string{app.Called()}, app.IdentifierURIs...) {
			of[name] = app
			names = append(names, name)
		}
	}
	near := directory.Nearest(names, arg[:max(0, strings.LastIndexByte(arg, '/'))])
	if len(near) == 0 {
		return nil
	}
	return of[near[0]]
}

// apiNames are those of the applications that offer roles.
func apiNames(v *directory.View, t *directory.Tenant) (names []string) {
	applications, _ := v.Applications().All(t.ID) // it only makes a message shorter
	for _, app := range applications {
		if len(app.AppRoles) > 0 {
			names = append(names, app.Called())
		}
	}
	return names
}

// An API is an application that others may call, and its tenant.
type API struct {
	*directory.Application
	Tenant *directory.Tenant
}

// FindAPI finds an API by its name, its app id or an identifier URI: in the given tenant, or in
// the one that has it. One of Microsoft's own is in every tenant.
func FindAPI(v *directory.View, tenant, ref string) (API, error) {
	tenants, err := FindTenants(v, tenant)
	if err != nil {
		return API{}, err
	}
	var found []API
	var missing []error
	for _, t := range tenants {
		app, err := apiIn(v, t, ref)
		switch {
		case err == nil:
			found = append(found, API{app, t})
		case errors.Is(err, directory.ErrNotFound):
			missing = append(missing, err)
		default:
			return API{}, err
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return API{}, &Error{fmt.Sprintf("%q is in %d tenants", text.Shown(ref), len(found)), "say which tenant with --tenant", ErrAmbiguous}
	case len(missing) == 0:
		return API{}, notFound("`rolecall serve` creates the first one", "there is no tenant yet")
	case len(missing) == 1:
		return API{}, missing[0]
	}
	advice := fix.Of(missing[0])
	if near := nearNames(errors.Join(missing...)); len(near) > 0 {
		advice = directory.DidYouMean(directory.Nearest(near, ref))
	}
	return API{}, notFound(advice, "there is no application %q in any of the %d tenants", text.Shown(ref), len(missing))
}

// apiIn finds an API in a tenant, also by a display name that only one has.
func apiIn(v *directory.View, t *directory.Tenant, ref string) (*directory.Application, error) {
	found, err := v.Applications().FindAPI(t.ID, ref)
	if !errors.Is(err, directory.ErrNotFound) {
		return found, err
	}
	shown, shownErr := shownAs(v.Applications(), t, ref, func(a *directory.Application) string { return string(a.AppID) })
	if shown != nil || shownErr != nil {
		return shown, shownErr
	}
	return nil, err
}

// FindApplication finds a registration by its name, any of its ids, an identifier URI or a
// display name that only one has: in the given tenant, or in the one that has it.
func FindApplication(v *directory.View, tenant, ref string) (API, error) {
	found, err := FindAPI(v, tenant, ref)
	if err != nil {
		return API{}, err
	}
	if _, err := v.Applications().Get(found.Tenant.ID, found.ID); errors.Is(err, directory.ErrNotFound) {
		return API{}, noRegistration(found.Label())
	}
	return found, nil
}

// noRegistration is the error for a resource of Microsoft's own where a registration is needed.
func noRegistration(label string) error {
	return notFound("register an application of your own in its place, or name another", "%s is one of Microsoft's own resources, and no registration", label)
}
