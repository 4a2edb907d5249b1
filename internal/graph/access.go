package graph

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
)

// Permissions: app roles of Microsoft Graph for applications, scopes of the same names for
// those who act for a user.
const (
	applicationRead      = "Application.Read.All"
	applicationReadWrite = "Application.ReadWrite.All"
	applicationOwned     = "Application.ReadWrite.OwnedBy"
	directoryRead        = "Directory.Read.All"
	directoryReadWrite   = "Directory.ReadWrite.All"
	assignmentReadWrite  = "AppRoleAssignment.ReadWrite.All"
	logRead              = "AuditLog.Read.All"
	grantReadWrite       = "DelegatedPermissionGrant.ReadWrite.All"
)

// Directory roles of users.
const (
	globalAdministrator           = "Global Administrator"
	applicationAdministrator      = "Application Administrator"
	cloudApplicationAdministrator = "Cloud Application Administrator"
	globalReader                  = "Global Reader"
)

// actsAsUser are the scopes of tools, such as the Azure CLI, that may do whatever their user
// may: what the user may decides alone.
func actsAsUser(scope string) bool {
	return scope == "user_impersonation" || scope == "Directory.AccessAsUser.All"
}

// A permit says who may call a route. It never changes.
type permit struct {
	// permissions are sets of them. Each set is enough: an application has all of a set as
	// app roles; what acts for a user has them as scopes.
	permissions [][]string
	// owned is the permission that is enough for an application where it owns the object.
	owned string
	// users are the directory roles of which a user has one besides; none: every user.
	users []string
	// owners lets users without such a role change what they own.
	owners bool
	// self lets applications without a permission change what is their own: see mayRoll.
	self   bool
	rights directory.Rights // with which the route changes the directory
}

// anyOf is sets of one permission each.
func anyOf(permissions ...string) [][]string {
	sets := make([][]string, len(permissions))
	for i, p := range permissions {
		sets[i] = []string{p}
	}
	return sets
}

// readsApplications is the permit for reading what the directory tells all its members.
func readsApplications() *permit {
	return &permit{permissions: anyOf(applicationRead, applicationReadWrite, applicationOwned, directoryRead, directoryReadWrite)}
}

// createsApplications is the permit for making what its creator then owns.
func createsApplications() *permit {
	return &permit{
		permissions: anyOf(applicationReadWrite), owned: applicationOwned, users: applicationAdministrators(),
		rights: directory.Manage(directory.Applications, directory.ServicePrincipals, directory.Credentials),
	}
}

// changesApplications is the permit for changing what may have owners.
func changesApplications() *permit {
	p := createsApplications()
	p.owners = true
	return p
}

func applicationAdministrators() []string {
	return []string{globalAdministrator, applicationAdministrator, cloudApplicationAdministrator}
}

// A caller is who calls: an application, or a user by way of one.
type caller struct {
	guard.Caller
	tenant *directory.Tenant
	id     directory.ObjectID // of the service principal, or of the user
	client *directory.Instance
	user   *directory.User // nil: the application itself

	command string // of the operator of the machine, who is neither; empty: somebody with a token
}

// callerOf finds a caller in the directory as it is now: a token outlives whom it names.
func (a *API) callerOf(ctx context.Context, admitted selfguard.Caller) (*caller, error) {
	c := &caller{Caller: admitted.Caller, tenant: admitted.Tenant, id: directory.ObjectID(strings.ToLower(admitted.ObjectID))}
	if c.Kind == guard.CallerUnknown {
		return nil, forbidden("The token says neither that it is an application's own nor that it acts for a user.")
	}
	var err error
	c.client, err = a.cfg.Directory.Instance(ctx, c.tenant.ID, directory.AppID(c.ClientID))
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, unidentified()
	case err != nil:
		return nil, err
	case c.client.Principal == nil || !c.client.Principal.Enabled:
		return nil, unidentified()
	}
	if c.Kind != guard.CallerUser {
		if c.client.Principal.ID != c.id {
			return nil, unidentified()
		}
		return c, nil
	}
	c.user, err = a.cfg.Directory.User(ctx, c.tenant.ID, string(c.id))
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, unidentified()
	case err != nil:
		return nil, err
	case !c.user.Enabled || c.IssuedAt.Add(tokenTime).Before(c.user.SessionsFrom):
		// The user's creation does not count: tokens say that they are some minutes older than
		// they are, unless sessions were ended meanwhile.
		return nil, unidentified()
	}
	return c, nil
}

// tokenTime is what a token leaves out of the time at which it was issued: it says whole seconds.
const tokenTime = time.Second - time.Nanosecond

// unidentified is the error for a token whose holder is not there any more, or is disabled.
func unidentified() *problem {
	return &problem{
		status: http.StatusForbidden, code: codeNoIdentity,
		message: "The identity of the calling application could not be established.",
	}
}

// An extent is how far a permit reaches for a caller.
type extent int

// The extents: everything in the tenant, what the caller owns, the caller itself.
const (
	toEverything extent = iota
	toOwned
	toItself
)

// check holds a permit against the caller.
func (c *caller) check(p *permit) (extent, error) {
	if c.command != "" {
		return toEverything, nil
	}
	if c.user == nil {
		switch {
		case hasSet(p.permissions, func(want string) bool { return slices.Contains(c.Roles, want) }):
			return toEverything, nil
		case p.owned != "" && slices.Contains(c.Roles, p.owned):
			return toOwned, nil
		case p.self:
			return toItself, nil
		}
		return toItself, c.denied(p, "")
	}
	acts := slices.ContainsFunc(c.Scopes, actsAsUser)
	if !acts && !hasSet(p.permissions, func(want string) bool { return slices.Contains(c.Scopes, want) }) {
		return toItself, c.denied(p, "")
	}
	if len(p.users) == 0 || slices.ContainsFunc(c.user.DirectoryRoles, func(role string) bool { return slices.Contains(p.users, role) }) {
		return toEverything, nil
	}
	if p.owners {
		return toOwned, nil
	}
	return toItself, c.denied(p, "")
}

// hasSet reports whether a caller has all permissions of one of the sets.
func hasSet(sets [][]string, has func(string) bool) bool {
	return slices.ContainsFunc(sets, func(set []string) bool {
		return !slices.ContainsFunc(set, func(want string) bool { return !has(want) })
	})
}

// denied is the error for a caller that a permit does not admit. It says what would do.
func (c *caller) denied(p *permit, why string) *problem {
	problem := &problem{status: http.StatusForbidden, code: codeDenied, message: saysDenied}
	if why != "" {
		problem = problem.with(codeDenied, "", why)
	}
	kind := "app role"
	if c.user != nil {
		kind = "delegated scope"
	}
	names := make([]string, 0, len(p.permissions))
	for _, set := range p.permissions {
		names = append(names, strings.Join(set, " with "))
	}
	if c.user == nil && p.owned != "" {
		names = append(names, p.owned+" for what the caller owns")
	}
	problem = problem.with(codeDenied, p.permissions[0][0], "The token must carry one of these as "+kind+" of Microsoft Graph: "+strings.Join(names, ", ")+".")
	if c.user != nil && len(p.users) > 0 {
		problem = problem.with(codeDenied, p.users[0], "The user must have one of these directory roles: "+strings.Join(p.users, ", ")+".")
	}
	return problem.with(codeDenied, "", c.granter())
}

// granter says who can give a caller what it lacks.
func (c *caller) granter() string {
	if c.user != nil {
		return "A Global Administrator of the tenant gives directory roles, and consents to scopes."
	}
	return "A Global Administrator or Privileged Role Administrator grants app roles: rolecall grant " + c.client.Principal.Called() + " " + Resource + "/ROLE"
}

// actor is the caller as changes name it.
func (c *caller) actor(rights directory.Rights) directory.Actor {
	if c.command != "" {
		return directory.Operator(c.command)
	}
	if c.user != nil {
		return directory.Actor{Kind: directory.ActorUser, Name: c.user.PrincipalName, Rights: rights, ID: c.id}
	}
	return directory.Actor{Kind: directory.ActorApplication, Name: c.client.Principal.Label(), Rights: rights, ID: c.id}
}
