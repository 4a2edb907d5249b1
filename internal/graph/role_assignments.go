package graph

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// roleAssignmentRoutes are the routes of app-role assignments: of a resource, to which they
// lead, and of a principal, who has them. Both see the same assignments.
func roleAssignmentRoutes() []route {
	var all []route
	for _, path := range []string{"servicePrincipals/{principal}/appRoleAssignedTo", "servicePrincipals/{principal}/appRoleAssignments", "users/{user}/appRoleAssignments"} {
		all = append(all,
			route{http.MethodGet, path, readsAssignments(), listAssignments},
			route{http.MethodGet, path + "/$count", readsAssignments(), countAssignments},
			route{http.MethodPost, path, changesAssignments(), createAssignment},
			route{http.MethodGet, path + "/{assignment}", readsAssignments(), getAssignment},
			route{http.MethodDelete, path + "/{assignment}", changesAssignments(), deleteAssignment},
		)
	}
	return append(all, route{http.MethodGet, "me/appRoleAssignments", readsAssignments(), listAssignments})
}

func readsAssignments() *permit {
	p := readsApplications()
	p.permissions = append(p.permissions, []string{assignmentReadWrite})
	return p
}

func changesAssignments() *permit {
	p := &permit{users: append(applicationAdministrators(), privilegedRoleAdministrator), rights: directory.Manage(directory.Assignments)}
	for _, read := range []string{applicationRead, directoryRead, applicationReadWrite, applicationOwned, directoryReadWrite} {
		p.permissions = append(p.permissions, []string{assignmentReadWrite, read})
	}
	return p
}

const privilegedRoleAdministrator = "Privileged Role Administrator"

// pairID is an id as assignments and grants have it: 43 characters that say who has it, and
// which one it is.
func pairID(holder, id directory.ObjectID) string {
	var both [32]byte
	_, _ = hex.Decode(both[:16], []byte(strings.ReplaceAll(string(holder), "-", "")))
	_, _ = hex.Decode(both[16:], []byte(strings.ReplaceAll(string(id), "-", "")))
	return base64.RawURLEncoding.EncodeToString(both[:])
}

// parsePairID reads an id that pairID made.
func parsePairID(s string) (holder, id directory.ObjectID, ok bool) {
	both, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(both) != 32 {
		return "", "", false
	}
	return objectID(both[:16]), objectID(both[16:]), true
}

func objectID(b []byte) directory.ObjectID {
	digits := hex.EncodeToString(b)
	return directory.ObjectID(digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:])
}

// A party is who stands at one end of an assignment or grant.
type party struct {
	kind, name string
}

// parties finds what people call the ends of assignments, each once in a request.
type parties struct {
	*call
	in    *directory.View
	known map[directory.ObjectID]party
}

func (c *call) parties() *parties {
	return &parties{c, c.view(), map[directory.ObjectID]party{}}
}

func (p *parties) of(id directory.ObjectID) (party, error) {
	if known, has := p.known[id]; has {
		return known, nil
	}
	found, err := p.find(id)
	if err != nil {
		return party{}, err
	}
	p.known[id] = found
	return found, nil
}

func (p *parties) find(id directory.ObjectID) (party, error) {
	principal, err := p.principalWith(p.in, id)
	if err == nil {
		return party{"ServicePrincipal", principal.Label()}, nil
	}
	if !errors.Is(err, directory.ErrNotFound) {
		return party{}, err
	}
	user, err := p.in.Users().Get(p.tenant(), id)
	switch {
	case err == nil:
		return party{"User", user.DisplayName}, nil
	case errors.Is(err, directory.ErrNotFound):
		return party{}, nil // gone meanwhile
	}
	return party{}, err
}

func (p *parties) assignment(a *directory.Assignment) (object, error) {
	holder, err := p.of(a.Principal)
	if err != nil {
		return nil, err
	}
	resource, err := p.of(a.Resource)
	if err != nil {
		return nil, err
	}
	return assignmentObject(a, holder, resource), nil
}

func assignmentObject(a *directory.Assignment, holder, resource party) object {
	return object{
		{"id", pairID(a.Principal, a.ID)}, {"deletedDateTime", nil}, {"appRoleId", a.Role}, {"createdDateTime", date(a.Created)},
		{"principalDisplayName", orNull(holder.name)}, {"principalId", a.Principal}, {"principalType", orNull(holder.kind)},
		{"resourceDisplayName", orNull(resource.name)}, {"resourceId", a.Resource},
	}
}

// assignmentsWhere are assignments as lists and links read them: those of an access, and those
// that a filter by the other end finds.
func assignmentsWhere(c *call, set string, all access[directory.Assignment], keep func(*directory.Assignment) bool) source[directory.Assignment] {
	relations, tenant, parties := c.view().Assignments(), c.tenant(), c.parties()
	type read = access[directory.Assignment]
	kept := func(keyed func(string) read) func(string) []read {
		return alone(func(value string) read {
			return func(q directory.Query) (directory.Page[directory.Assignment], error) {
				page, err := keyed(strings.ToLower(value))(q)
				page.Items = slices.DeleteFunc(page.Items, func(a *directory.Assignment) bool { return !keep(a) })
				return page, err
			}
		})
	}
	return source[directory.Assignment]{
		set: set, all: []read{all}, render: parties.assignment,
		members: []string{
			"id", "deletedDateTime", "appRoleId", "createdDateTime", "principalDisplayName", "principalId", "principalType", "resourceDisplayName", "resourceId",
		},
		keys: map[string]func(string) []read{
			"principalid": kept(among(tenant, relations.Of)),
			"resourceid":  kept(among(tenant, relations.To)),
			"id": alone(func(id string) read {
				return one(func() (*directory.Assignment, error) { return assignmentWith(c, c.view(), id, keep) })
			}),
		},
	}
}

// assignedTo are the assignments of a resource.
func assignedTo(c *call, p *directory.ServicePrincipal) source[directory.Assignment] {
	return assignmentsWhere(c,
		"servicePrincipals('"+string(p.ID)+"')/appRoleAssignedTo", among(c.tenant(), c.view().Assignments().To)(string(p.ID)),
		func(a *directory.Assignment) bool { return a.Resource == p.ID },
	)
}

// assignmentsOf are the assignments that a principal has.
func assignmentsOf(c *call, set string, holder directory.ObjectID) source[directory.Assignment] {
	return assignmentsWhere(c,
		set+"('"+string(holder)+"')/appRoleAssignments", among(c.tenant(), c.view().Assignments().Of)(string(holder)),
		func(a *directory.Assignment) bool { return a.Principal == holder },
	)
}

// An end is the side of assignments that a path names.
type end struct {
	id       directory.ObjectID
	resource bool // those to it, rather than those that it has
	list     source[directory.Assignment]
}

// end finds what the path names.
func (c *call) end(in *directory.View) (end, error) {
	if _, has := c.refs["principal"]; !has {
		user, err := c.user(in)
		if err != nil {
			return end{}, err
		}
		return end{id: user.ID, list: assignmentsOf(c, "users", user.ID)}, nil
	}
	p, err := c.principal(in)
	if err != nil {
		return end{}, err
	}
	if strings.Contains(c.path, "/appRoleAssignedTo") {
		return end{id: p.ID, resource: true, list: assignedTo(c, p)}, nil
	}
	return end{id: p.ID, list: assignmentsOf(c, "servicePrincipals", p.ID)}, nil
}

func (e end) has(a *directory.Assignment) bool {
	if e.resource {
		return a.Resource == e.id
	}
	return a.Principal == e.id
}

func listAssignments(c *call) (answer, error) {
	e, err := c.end(c.view())
	if err != nil {
		return answer{}, err
	}
	return listing(c, e.list)
}

func countAssignments(c *call) (answer, error) {
	e, err := c.end(c.view())
	if err != nil {
		return answer{}, err
	}
	return counting(c, e.list)
}

// assignmentWith is the assignment with an id, if it is one of those to keep.
func assignmentWith(c *call, in *directory.View, id string, keep func(*directory.Assignment) bool) (*directory.Assignment, error) {
	holder, own, ok := parsePairID(id)
	if !ok {
		return nil, directory.ErrNotFound
	}
	a, err := in.Assignments().Get(c.tenant(), own)
	if err != nil {
		return nil, err
	}
	if a.Principal != holder || !keep(a) {
		return nil, directory.ErrNotFound
	}
	return a, nil
}

func getAssignment(c *call) (answer, error) {
	e, err := c.end(c.view())
	if err != nil {
		return answer{}, err
	}
	id := c.refs["assignment"].value
	a, err := assignmentWith(c, c.view(), id, e.has)
	if errors.Is(err, directory.ErrNotFound) {
		return answer{}, notThere(id)
	}
	if err != nil {
		return answer{}, err
	}
	return showing(c, e.list, a)
}

// A wantedAssignment is what a client asks to assign.
type wantedAssignment struct {
	principal, resource directory.ObjectID
	role                directory.RoleID
}

func wantedAssignmentFields() []field[*wantedAssignment] {
	type wanted = *wantedAssignment
	object := func(set func(wanted, directory.ObjectID)) func(wanted, input) error {
		return func(w wanted, in input) error {
			id, err := in.guid()
			set(w, directory.ObjectID(id))
			return err
		}
	}
	nothing := func(wanted) any { return nil }
	return []field[wanted]{
		{name: "principalId", write: object(func(w wanted, id directory.ObjectID) { w.principal = id })},
		{name: "resourceId", write: object(func(w wanted, id directory.ObjectID) { w.resource = id })},
		{name: "appRoleId", write: object(func(w wanted, id directory.ObjectID) { w.role = directory.RoleID(id) })},
		// Tools send back what they have read.
		{name: "id", read: nothing, silent: true}, {name: "principalType", read: nothing, silent: true},
		{name: "principalDisplayName", read: nothing, silent: true}, {name: "resourceDisplayName", read: nothing, silent: true},
		{name: "createdDateTime", read: nothing, silent: true}, {name: "creationTimestamp", read: nothing, silent: true},
		{name: "deletedDateTime", read: nothing, silent: true},
	}
}

func createAssignment(c *call) (answer, error) {
	given, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var wanted wantedAssignment
	if err := apply(wantedAssignmentFields(), &wanted, input{"", given}); err != nil {
		return answer{}, err
	}
	for name, missing := range map[string]bool{"principalId": wanted.principal == "", "resourceId": wanted.resource == "", "appRoleId": wanted.role == ""} {
		if missing {
			return answer{}, invalid(name, "A value is required for property '"+name+"' of resource 'AppRoleAssignment'.")
		}
	}
	var made *directory.Assignment
	var list source[directory.Assignment]
	err = c.change(func(e *directory.Editor) error {
		at, err := c.end(e.View())
		if err != nil {
			return err
		}
		list = at.list
		if err := admitAssignment(c, e.View(), at, wanted); err != nil {
			return err
		}
		var added bool
		made, added, err = e.Assignments().Add(c.tenant(), wanted.principal, wanted.resource, wanted.role)
		if err == nil && !added {
			return invalid("", "Permission being assigned already exists on the object.")
		}
		return err
	})
	if err != nil {
		return answer{}, err
	}
	o, err := list.render(made)
	if err != nil {
		return answer{}, err
	}
	location := fmt.Sprintf("%s/%s/%s", c.base(), strings.NewReplacer("('", "/", "')", "").Replace(list.set), pairID(made.Principal, made.ID))
	return created(list.set, location, o), nil
}

// admitAssignment says of what is wrong with an assignment what scripts look for. The rules
// themselves are the directory's.
func admitAssignment(c *call, in *directory.View, at end, wanted wantedAssignment) error {
	named, target := wanted.principal, "principalId"
	if at.resource {
		named, target = wanted.resource, "resourceId"
	}
	if named != at.id {
		return invalid(target, "The "+target+" "+string(named)+" is not the id in the path, "+string(at.id)+". Both name the same object here.")
	}
	if known, err := c.parties().find(wanted.principal); err != nil {
		return err
	} else if known.kind == "" {
		return notThere(string(wanted.principal))
	}
	resource, err := c.principalWith(in, wanted.resource)
	if err != nil {
		return err
	}
	if resource.AppID == directory.GraphAppID && c.caller.user != nil && !c.caller.hasRole(globalAdministrator, privilegedRoleAdministrator) {
		// Who may give roles of Graph may give all of them, to themselves too.
		return c.caller.denied(&permit{permissions: c.permit.permissions, users: []string{globalAdministrator, privilegedRoleAdministrator}},
			"App roles of Microsoft Graph let their holder change the directory.")
	}
	if resource.Type == directory.PrincipalManagedIdentity {
		return nil
	}
	draft, err := c.principalDraft(in, resource)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(draft.app.AppRoles, func(role directory.AppRole) bool { return role.ID == wanted.role }) && wanted.role != directory.NoRole {
		return invalid("appRoleId", "Permission being assigned was not found on application '"+string(resource.AppID)+"'.")
	}
	return nil
}

func deleteAssignment(c *call) (answer, error) {
	return done(), c.change(func(e *directory.Editor) error {
		at, err := c.end(e.View())
		if err != nil {
			return err
		}
		a, err := assignmentWith(c, e.View(), c.refs["assignment"].value, at.has)
		if errors.Is(err, directory.ErrNotFound) {
			return invalid("", "EntitlementGrant being updated or deleted is not found.")
		}
		if err != nil {
			return err
		}
		return e.Assignments().Remove(c.tenant(), a.Principal, a.Resource, a.Role)
	})
}

// hasRole reports whether the caller is a user with one of some directory roles.
func (c *caller) hasRole(roles ...string) bool {
	return c.user != nil && slices.ContainsFunc(c.user.DirectoryRoles, func(role string) bool { return slices.Contains(roles, role) })
}
