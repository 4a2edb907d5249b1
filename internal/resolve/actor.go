package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/launch"
)

// readableApplications is how many names of applications an error lists.
const readableApplications = 10

// An Actor is whoever a command or a program acts as, in a tenant: an application, a managed
// identity, or a user, for whom the Azure CLI acts.
type Actor struct {
	Tenant *directory.Tenant
	*directory.Instance
	User *directory.User // nil: the instance acts for itself
}

// IsIdentity reports whether it is a managed identity, which has no registration.
func (a Actor) IsIdentity() bool { return a.User == nil && a.Application == nil }

// Name is what people call it.
func (a Actor) Name() string {
	if a.User != nil {
		return a.User.PrincipalName
	}
	return a.Principal.Name
}

// ID is what the server knows it by.
func (a Actor) ID() string {
	if a.User != nil {
		return string(a.User.ID)
	}
	return string(a.Principal.AppID)
}

// FindInstance finds an application or managed identity by name or id: in the given tenant,
// or in whichever has it.
func FindInstance(ctx context.Context, dir *directory.Directory, tenant, ref string) (Actor, error) {
	found, tenants, err := instances(ctx, dir, tenant, ref)
	if err != nil {
		return Actor{}, err
	}
	return onlyOne(ctx, dir, found, tenants, "application", ref)
}

// FindActor finds whoever a program can be run as: an application, a managed identity, or a
// user.
func FindActor(ctx context.Context, dir *directory.Directory, tenant, ref string) (Actor, error) {
	found, tenants, err := instances(ctx, dir, tenant, ref)
	if err != nil {
		return Actor{}, err
	}
	if len(found) == 0 {
		if found, err = users(ctx, dir, tenants, ref); err != nil {
			return Actor{}, err
		}
	}
	return onlyOne(ctx, dir, found, tenants, "application, managed identity or user", ref)
}

// instances returns all that the reference may mean, and the tenants it looked in.
func instances(ctx context.Context, dir *directory.Directory, tenant, ref string) (found []Actor, tenants []*directory.Tenant, err error) {
	tenants, err = FindTenants(ctx, dir, tenant)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range tenants {
		instance, err := dir.Named(ctx, t.ID, ref)
		switch {
		case errors.Is(err, directory.ErrNotFound):
		case err != nil:
			return nil, nil, err
		case instance.Principal == nil:
			return nil, nil, &Error{
				fmt.Sprintf("the application %q has no service principal in tenant %s, so it gets no tokens there", ref, t.Name),
				"`rolecall apply` with the application in its file makes one", errUnusable,
			}
		default:
			found = append(found, Actor{Tenant: t, Instance: instance})
		}
	}
	return found, tenants, nil
}

func onlyOne(ctx context.Context, dir *directory.Directory, found []Actor, tenants []*directory.Tenant, what, ref string) (Actor, error) {
	switch len(found) {
	case 0:
		return Actor{}, notFound("`rolecall apply -f rolecall.yaml` creates applications, managed identities and users",
			"no %s is named %q%s", what, ref, applicationsThere(ctx, dir, tenants))
	case 1:
		return found[0], nil
	default:
		return Actor{}, &Error{fmt.Sprintf("applications named %q are in %d tenants", ref, len(found)), "say which tenant with --tenant", ErrAmbiguous}
	}
}

// applicationsThere says what there is instead, when that is little enough to read.
func applicationsThere(ctx context.Context, dir *directory.Directory, tenants []*directory.Tenant) string {
	var names []string
	for _, t := range tenants {
		all, err := dir.View(ctx).Applications().All(t.ID)
		if err != nil || len(all) > readableApplications {
			return ""
		}
		for _, app := range all {
			names = append(names, app.Name)
		}
	}
	return thereAre(names, readableApplications)
}

// users returns the Azure CLI, acting for each user that the reference may mean.
func users(ctx context.Context, dir *directory.Directory, tenants []*directory.Tenant, ref string) (found []Actor, err error) {
	for _, t := range tenants {
		user, err := dir.User(ctx, t.ID, ref)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		cli, err := dir.Instance(ctx, t.ID, launch.AzureCLI)
		switch {
		case err != nil && !errors.Is(err, directory.ErrNotFound):
			return nil, err
		case err != nil || cli.Principal == nil || cli.Application == nil || !cli.Application.Public:
			return nil, noAzureCLI(ctx, dir, t, user)
		}
		found = append(found, Actor{t, cli, user})
	}
	return found, nil
}

// noAzureCLI says how to register the application as which the tools get users' tokens. It
// comes with permission to act for users, so nobody registers it without being asked.
func noAzureCLI(ctx context.Context, dir *directory.Directory, t *directory.Tenant, user *directory.User) error {
	all, err := dir.View(ctx).Applications().All(t.ID)
	if err != nil {
		return err
	}
	permissions := "permissions:"
	for _, app := range all {
		var scopes []string
		for _, scope := range app.Scopes {
			if scope.Enabled && !scope.AdminOnly {
				scopes = append(scopes, scope.Value)
			}
		}
		if len(scopes) > 0 {
			permissions += fmt.Sprintf("\n  - {api: %q, scopes: [%s], consent: true}", app.Name, strings.Join(scopes, ", "))
		}
	}
	members := []string{"appId: " + launch.AzureCLI, "public: true"}
	if strings.Contains(permissions, "\n") {
		members = append(members, permissions)
	}
	return &Error{
		fmt.Sprintf("az gets the tokens of users such as %s as a public application of its own, the Azure CLI (%s), and the tenant %s has none", user.PrincipalName, launch.AzureCLI, t.Name),
		"register it in rolecall.yaml, with what it may do for users, or by\n" + explain.Fragment(t.Name, "azure-cli", members...),
		errUnusable,
	}
}
