package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// findRunner finds whom a program can be run as: an application, a managed identity, or a
// user, for whom the Azure CLI acts.
func (c *cli) findRunner(ctx context.Context, data *server.Data, tenant, ref string) (application, error) {
	found, tenants, err := findClients(ctx, data, tenant, ref)
	if err != nil {
		return application{}, err
	}
	if len(found) == 0 {
		if found, err = findUsers(ctx, data, tenants, ref); err != nil {
			return application{}, err
		}
	}
	return onlyOne(ctx, data, found, tenants, "application, managed identity or user", ref)
}

// findUsers returns the Azure CLI, acting for each user that the reference may mean.
func findUsers(ctx context.Context, data *server.Data, tenants []*directory.Tenant, ref string) (found []application, err error) {
	for _, t := range tenants {
		user, err := data.Directory.User(ctx, t.ID, ref)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		client, err := data.Directory.Client(ctx, t.ID, server.AzureCLI)
		switch {
		case err != nil && !errors.Is(err, directory.ErrNotFound):
			return nil, err
		case err != nil || client.Principal == nil || client.Application == nil || !client.Application.Public:
			return nil, noAzureCLI(ctx, data, t, user)
		}
		found = append(found, application{t, client, user})
	}
	return found, nil
}

// noAzureCLI says how the application is registered as which the tools get users' tokens.
// That comes with leave to act for users, so that it is not made behind somebody's back.
func noAzureCLI(ctx context.Context, data *server.Data, t *directory.Tenant, user *directory.User) error {
	clients, err := data.Directory.Applications(ctx, t.ID)
	if err != nil {
		return err
	}
	permissions := "permissions:"
	for _, client := range clients {
		var scopes []string
		for _, scope := range client.Application.Scopes {
			if scope.Enabled && !scope.AdminOnly {
				scopes = append(scopes, scope.Value)
			}
		}
		if len(scopes) > 0 {
			permissions += fmt.Sprintf("\n  - {api: %q, scopes: [%s], consent: true}", client.Application.Name, strings.Join(scopes, ", "))
		}
	}
	members := []string{"appId: " + string(server.AzureCLI), "public: true"}
	if strings.Contains(permissions, "\n") {
		members = append(members, permissions)
	}
	return failed("register it in rolecall.yaml, with what it may do for users, or by\n"+explain.Fragment(t.Name, "azure-cli", members...),
		"az gets the tokens of users such as %s as a public application of its own, the Azure CLI (%s), and the tenant %s has none", user.PrincipalName, server.AzureCLI, t.Name)
}

// name is that of whoever a program is run as.
func (a application) name() string {
	if a.user != nil {
		return a.user.PrincipalName
	}
	return a.Principal.Name
}

// bindAs is what the server knows that one by.
func (a application) bindAs() string {
	if a.user != nil {
		return string(a.user.ID)
	}
	return string(a.Principal.AppID)
}

// tokenByBinding gets a token as az does for a user who is signed in, or for a managed
// identity.
func (c *cli) tokenByBinding(ctx context.Context, who application, scopes ...string) (_ azcore.AccessToken, err error) {
	binding, err := server.Bind(ctx, c.dir, server.BindRequest{Tenant: string(who.tenant.ID), As: who.bindAs(), Via: viaCLI})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	defer func() { err = errors.Join(err, binding.Close()) }()
	account := accountOf(who)
	account.Endpoint, account.Key = binding.Endpoint, binding.Header
	return account.Token(ctx, scopes...)
}
