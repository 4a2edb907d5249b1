package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

func (c *cli) grant() *cobra.Command {
	return c.assigning(&cobra.Command{
		Use:   "grant PRINCIPAL API/ROLE...",
		Short: "Let an application, managed identity or user hold app roles",
		Long: `Assigns app roles of an API to an application, a managed identity or a user, whichever
has that name; ids will do as well. The API is named by its name, its app id or an
identifier URI. What is granted already stays as it is.

The next token carries the roles: a running server acts on the change before this
command ends.`,
		Example: `  rolecall grant orders-client-mi orders-server/Orders.Read
  rolecall grant orders-client api://orders/Orders.Read api://orders/Orders.Write`,
	}, assign)
}

func (c *cli) revoke() *cobra.Command {
	return c.assigning(&cobra.Command{
		Use:   "revoke PRINCIPAL API/ROLE...",
		Short: "Take app roles away again",
		Long: `Takes app roles of an API from an application, a managed identity or a user. What is
not granted needs no taking away.

The next token lacks the roles: a running server acts on the change before this
command ends. Tokens that were given out carry them until they expire.`,
		Example: `  rolecall revoke orders-client-mi orders-server/Orders.Read`,
	}, unassign)
}

// assigning completes a command that does something with each of the roles it is given.
func (c *cli) assigning(cmd *cobra.Command, act func(*directory.Editor, assignee, offer) (string, error)) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 {
			return usageError(cmd, errors.New("say who, and which roles: PRINCIPAL API/ROLE"))
		}
		return nil
	}
	var tenant string
	cmd.Flags().StringVar(&tenant, "tenant", "", "tenant of the principal, where several have one of that name")
	output := c.outputFlag(cmd, "", listFormats...)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ctx := cmd.Context()
		data, err := c.open(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, data.Close()) }()
		var done []assignment
		_, err = data.Directory.Change(ctx, "cli:"+cmd.Name(), func(e *directory.Editor) error {
			done = nil
			who, err := findAssignee(cmd, e, tenant, args[0])
			if err != nil {
				return err
			}
			for _, arg := range args[1:] {
				role, err := findOffer(cmd, e, who, arg)
				if err != nil {
					return err
				}
				result, err := act(e, who, role)
				if err != nil {
					return ruled(err)
				}
				done = append(done, assignment{who.tenant.Name, who.name, who.id, role.app.Name, role.Value, result})
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := c.awaitServer(ctx, data); err != nil {
			return err
		}
		return c.print(output, assignmentListing(done))
	}
	return cmd
}

// An assignment is what became of one role.
type assignment struct {
	Tenant      string             `json:"tenant"`
	Principal   string             `json:"principal"`
	PrincipalID directory.ObjectID `json:"principalId"`
	API         string             `json:"api"`
	Role        string             `json:"role"`
	Result      string             `json:"result"` // "granted", "revoked" or "unchanged"
}

func assignmentListing(all []assignment) listing {
	l := listing{columns: []string{"principal", "api", "role", "result"}, name: 2, value: all}
	for _, a := range all {
		l.rows = append(l.rows, []string{a.Principal, a.API, a.Role, a.Result})
	}
	return l
}

const unchanged = "unchanged"

func assign(e *directory.Editor, who assignee, role offer) (string, error) {
	held, err := holds(e, who, role)
	if held || err != nil {
		return unchanged, err
	}
	_, err = e.Assign(who.tenant.ID, who.id, role.api, role.ID)
	return "granted", err
}

func unassign(e *directory.Editor, who assignee, role offer) (string, error) {
	held, err := holds(e, who, role)
	if !held || err != nil {
		return unchanged, err
	}
	return "revoked", e.Unassign(who.tenant.ID, who.id, role.api, role.ID)
}

func holds(e *directory.Editor, who assignee, role offer) (bool, error) {
	assignments, err := e.Assignments(who.tenant.ID, who.id)
	for _, a := range assignments {
		if a.Resource == role.api && a.Role == role.ID {
			return true, err
		}
	}
	return false, err
}

// An assignee is somebody who may hold app roles, in one tenant.
type assignee struct {
	tenant *directory.Tenant
	id     directory.ObjectID
	name   string
	member directory.MemberType
}

// findAssignee finds one by name or id: in the given tenant, or in whichever has it.
func findAssignee(cmd *cobra.Command, e *directory.Editor, tenant, ref string) (assignee, error) {
	tenants, err := e.Tenants()
	if tenant != "" {
		var one *directory.Tenant
		one, err = e.Tenant(tenant)
		tenants = []*directory.Tenant{one}
	}
	if err != nil {
		return assignee{}, ruled(err)
	}
	var found []assignee
	for _, t := range tenants {
		who, err := assigneeIn(e, t, ref)
		switch {
		case err == nil:
			found = append(found, who)
		case !errors.Is(err, directory.ErrNotFound):
			return assignee{}, err
		}
	}
	switch len(found) {
	case 0:
		return assignee{}, notFound("`rolecall apply -f rolecall.yaml` makes applications, managed identities and users",
			"no application, managed identity or user is named %q%s", ref, thereAre(principalNames(e, tenants)))
	case 1:
		return found[0], nil
	}
	return assignee{}, usageError(cmd, fmt.Errorf("%q is in %d tenants: say which with --tenant", ref, len(found)))
}

func assigneeIn(e *directory.Editor, t *directory.Tenant, ref string) (assignee, error) {
	p, err := e.ServicePrincipal(t.ID, ref)
	if err == nil {
		return assignee{t, p.ID, p.Name, directory.MemberApplication}, nil
	}
	if !errors.Is(err, directory.ErrNotFound) {
		return assignee{}, err
	}
	u, err := e.User(t.ID, ref)
	if err != nil {
		return assignee{}, err
	}
	return assignee{t, u.ID, u.PrincipalName, directory.MemberUser}, nil
}

// An offer is an app role together with the API that offers it.
type offer struct {
	directory.AppRole
	app *directory.Application
	api directory.ObjectID // the API's service principal
}

// findOffer finds the role that API/ROLE means. Both may hold slashes; the API with the
// longest name that has the role is meant.
func findOffer(cmd *cobra.Command, e *directory.Editor, who assignee, arg string) (offer, error) {
	var closest *directory.Application
	var wanted string // of its roles
	api, role := arg, ""
	for {
		cut := strings.LastIndexByte(api, '/')
		if cut <= 0 {
			break
		}
		api, role = arg[:cut], arg[cut+1:]
		app, err := findAPI(e, who.tenant.ID, api)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return offer{}, err
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
		return offer{}, roleMissing(cmd, closest, who, wanted)
	case !strings.Contains(arg, "/"):
		return offer{}, usageError(cmd, fmt.Errorf("%q names no API and role: write orders-server/Orders.Read or api://orders/Orders.Read", arg))
	}
	return offer{}, notFound("name the API by its name, its app id or an identifier URI",
		"%q begins with the name of no API%s", arg, thereAre(apiNames(e, who.tenant)))
}

// findAPI finds an application by identifier URI, app id or name.
func findAPI(e *directory.Editor, tenant directory.TenantID, ref string) (*directory.Application, error) {
	app, err := e.Resource(tenant, ref)
	if errors.Is(err, directory.ErrNotFound) {
		return e.Application(tenant, ref)
	}
	return app, err
}

func offered(e *directory.Editor, app *directory.Application, role directory.AppRole) (offer, error) {
	principal, err := e.ServicePrincipal(app.Tenant, string(app.AppID))
	if errors.Is(err, directory.ErrNotFound) {
		return offer{}, notFound("`rolecall apply -f rolecall.yaml` makes one", "%s has no service principal in its tenant", app.Name)
	}
	if err != nil {
		return offer{}, err
	}
	return offer{role, app, principal.ID}, nil
}

// roleMissing says which roles there are, and how the command reads with the likely one.
func roleMissing(cmd *cobra.Command, app *directory.Application, who assignee, wanted string) error {
	var values []string
	hint := "`rolecall apply -f rolecall.yaml` adds app roles"
	for _, role := range app.AppRoles {
		if !role.Enabled || !role.Allows(who.member) {
			continue
		}
		values = append(values, role.Value)
		if strings.EqualFold(role.Value, wanted) || near(role.Value, wanted) {
			hint = fmt.Sprintf("did you mean `%s %s %s/%s`?", cmd.CommandPath(), who.name, app.Name, role.Value)
		}
	}
	there := "; it has none for " + map[directory.MemberType]string{directory.MemberApplication: "applications", directory.MemberUser: "users"}[who.member]
	if len(values) > 0 {
		there = "; it has " + strings.Join(values, ", ")
	}
	return notFound(hint, "%s has no app role %q%s", app.Name, wanted, there)
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

// thereAre lists names in an error, when they are few enough to read.
func thereAre(names []string) string {
	const readable = 20
	switch {
	case len(names) == 0:
		return "; there are none"
	case len(names) > readable:
		return ""
	}
	return "; there are " + strings.Join(names, ", ")
}

func principalNames(e *directory.Editor, tenants []*directory.Tenant) (names []string) {
	for _, t := range tenants {
		principals, _ := e.ServicePrincipals(t.ID) // it only makes a message shorter
		for _, p := range principals {
			names = append(names, p.Name)
		}
		users, _ := e.Users(t.ID)
		for _, u := range users {
			names = append(names, u.PrincipalName)
		}
	}
	return names
}

// apiNames are those of the applications that offer roles.
func apiNames(e *directory.Editor, t *directory.Tenant) (names []string) {
	applications, _ := e.Applications(t.ID) // it only makes a message shorter
	for _, app := range applications {
		if len(app.AppRoles) > 0 {
			names = append(names, app.Name)
		}
	}
	return names
}

// ruled turns an objection of the directory into an error with a hint.
func ruled(err error) error {
	var rule *directory.RuleError
	if !errors.As(err, &rule) {
		return err
	}
	code := exitFailed
	if errors.Is(err, directory.ErrNotFound) {
		code = exitNotFound
	}
	return &failure{code, errors.New(rule.What), rule.Fix}
}
