package resolve

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// readablePrincipals is how many names of principals and APIs an error lists.
const readablePrincipals = 20

// An Assignee is somebody who can be given app roles, in one tenant.
type Assignee struct {
	Tenant *directory.Tenant
	ID     directory.ObjectID
	Name   string
	Member directory.MemberType
}

// FindAssignee finds one by name or id: in the given tenant, or in whichever has it.
func FindAssignee(e *directory.Editor, tenant, ref string) (Assignee, error) {
	tenants, err := e.Tenants().All()
	if tenant != "" {
		var one *directory.Tenant
		one, err = e.Tenants().Find(tenant)
		tenants = []*directory.Tenant{one}
	}
	if err != nil {
		return Assignee{}, err
	}
	var found []Assignee
	for _, t := range tenants {
		who, err := assigneeIn(e, t, ref)
		switch {
		case err == nil:
			found = append(found, who)
		case !errors.Is(err, directory.ErrNotFound):
			return Assignee{}, err
		}
	}
	switch len(found) {
	case 0:
		return Assignee{}, notFound("`rolecall apply -f rolecall.yaml` creates applications, managed identities and users",
			"no application, managed identity or user is named %q%s", ref, thereAre(principalNames(e, tenants), readablePrincipals))
	case 1:
		return found[0], nil
	}
	return Assignee{}, &Error{fmt.Sprintf("%q is in %d tenants", ref, len(found)), "say which tenant with --tenant", ErrAmbiguous}
}

func assigneeIn(e *directory.Editor, t *directory.Tenant, ref string) (Assignee, error) {
	p, err := e.ServicePrincipals().Find(t.ID, ref)
	if err == nil {
		return Assignee{t, p.ID, p.Name, directory.MemberApplication}, nil
	}
	if !errors.Is(err, directory.ErrNotFound) {
		return Assignee{}, err
	}
	u, err := e.Users().Find(t.ID, ref)
	if err != nil {
		return Assignee{}, err
	}
	return Assignee{t, u.ID, u.PrincipalName, directory.MemberUser}, nil
}

// A Role is an app role together with the API that offers it.
type Role struct {
	directory.AppRole
	API       *directory.Application
	Principal directory.ObjectID // of the API
}

// FindRole finds the role that API/ROLE means. Both may contain slashes; the API with the
// longest name that has the role is meant. The command is for the advice: "rolecall grant".
func FindRole(command string, e *directory.Editor, who Assignee, arg string) (Role, error) {
	var closest *directory.Application
	var wanted string // of its roles
	api, role := arg, ""
	for {
		cut := strings.LastIndexByte(api, '/')
		if cut <= 0 {
			break
		}
		api, role = arg[:cut], arg[cut+1:]
		app, err := findAPI(e, who.Tenant.ID, api)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return Role{}, err
		}
		if found, ok := app.Role(role); ok {
			return offered(e, app, found)
		}
		if closest == nil {
			closest, wanted = app, role
		}
	}
	switch {
	case closest != nil:
		return Role{}, roleMissing(command, closest, who, wanted)
	case !strings.Contains(arg, "/"):
		return Role{}, &Error{fmt.Sprintf("%q names no API and role", arg), "write orders-server/Orders.Read or api://orders/Orders.Read", ErrMalformed}
	}
	return Role{}, notFound("name the API by its name, its app id or an identifier URI",
		"%q begins with the name of no API%s", arg, thereAre(apiNames(e, who.Tenant), readablePrincipals))
}

// findAPI finds an application by identifier URI, app id or name.
func findAPI(e *directory.Editor, tenant directory.TenantID, ref string) (*directory.Application, error) {
	app, err := e.Applications().Find(tenant, ref)
	if errors.Is(err, directory.ErrNotFound) {
		return e.Applications().Find(tenant, ref)
	}
	return app, err
}

func offered(e *directory.Editor, app *directory.Application, role directory.AppRole) (Role, error) {
	principal, err := e.ServicePrincipals().Find(app.Tenant, string(app.AppID))
	if errors.Is(err, directory.ErrNotFound) {
		return Role{}, notFound("`rolecall apply -f rolecall.yaml` makes one", "%s has no service principal in its tenant", app.Name)
	}
	if err != nil {
		return Role{}, err
	}
	return Role{role, app, principal.ID}, nil
}

// roleMissing says which roles there are, and how the command reads with the likely one.
func roleMissing(command string, app *directory.Application, who Assignee, wanted string) error {
	var values []string
	fix := "`rolecall apply -f rolecall.yaml` adds app roles"
	for _, role := range app.AppRoles {
		if !role.Enabled || !role.Allows(who.Member) {
			continue
		}
		values = append(values, role.Value)
		if strings.EqualFold(role.Value, wanted) || near(role.Value, wanted) {
			fix = fmt.Sprintf("did you mean `%s %s %s/%s`?", command, who.Name, app.Name, role.Value)
		}
	}
	there := "; it has none for " + map[directory.MemberType]string{directory.MemberApplication: "applications", directory.MemberUser: "users"}[who.Member]
	if len(values) > 0 {
		there = "; it has " + strings.Join(values, ", ")
	}
	return notFound(fix, "%s has no app role %q%s", app.Name, wanted, there)
}

// near reports whether two words differ by a slip of the pen: a letter more, less or
// other, or two that changed places.
func near(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}

func principalNames(e *directory.Editor, tenants []*directory.Tenant) (names []string) {
	for _, t := range tenants {
		principals, _ := e.ServicePrincipals().All(t.ID) // it only makes a message shorter
		for _, p := range principals {
			names = append(names, p.Name)
		}
		users, _ := e.Users().All(t.ID)
		for _, u := range users {
			names = append(names, u.PrincipalName)
		}
	}
	return names
}

// apiNames are those of the applications that offer roles.
func apiNames(e *directory.Editor, t *directory.Tenant) (names []string) {
	applications, _ := e.Applications().All(t.ID) // it only makes a message shorter
	for _, app := range applications {
		if len(app.AppRoles) > 0 {
			names = append(names, app.Name)
		}
	}
	return names
}
