package lookup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/launch"
)

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
	return a.Principal.Called()
}

// ID is what the server knows it by.
func (a Actor) ID() string {
	if a.User != nil {
		return string(a.User.ID)
	}
	return string(a.Principal.AppID)
}

// FindActor finds whoever a program can be run as: an application, a managed identity, or a
// user.
func FindActor(ctx context.Context, dir *directory.Directory, tenant, ref string) (Actor, error) {
	found, err := FindPrincipal(dir.View(ctx), tenant, ref)
	if err != nil {
		return Actor{}, err
	}
	if found.User != nil {
		return actingFor(ctx, dir, found)
	}
	instance, err := dir.Instance(ctx, found.Tenant.ID, found.Service.AppID)
	if err != nil {
		return Actor{}, err
	}
	return Actor{Tenant: found.Tenant, Instance: instance}, nil
}

// actingFor returns the Azure CLI, acting for a user.
func actingFor(ctx context.Context, dir *directory.Directory, user Principal) (Actor, error) {
	cli, err := dir.Instance(ctx, user.Tenant.ID, launch.AzureCLI)
	switch {
	case err != nil && !errors.Is(err, directory.ErrNotFound):
		return Actor{}, err
	case err != nil || cli.Principal == nil || cli.Application == nil || !cli.Application.Public:
		return Actor{}, noAzureCLI(dir.View(ctx), user.Tenant, user.User)
	}
	return Actor{user.Tenant, cli, user.User}, nil
}

// noAzureCLI says how to register the application as which the tools get users' tokens. It
// comes with permission to act for users, so nobody registers it without being asked.
func noAzureCLI(v *directory.View, t *directory.Tenant, user *directory.User) error {
	all, err := v.Applications().All(t.ID)
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
			permissions += fmt.Sprintf("\n  - {api: %q, scopes: [%s], consent: true}", app.Called(), strings.Join(scopes, ", "))
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
