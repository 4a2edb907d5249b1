package directory_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// An API with an app role, and a client that is granted it.
func Example() {
	ctx := context.Background()
	d, err := directory.Open(ctx, directory.Config{Store: memory.New(), SecretKey: make([]byte, 32)})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = d.Change(ctx, directory.Operator("example"), func(e *directory.Editor) error {
		contoso, err := e.Tenants().Create(directory.Tenant{Name: "contoso", Domains: []string{"contoso.test"}})
		if err != nil {
			return err
		}
		api, err := e.Applications().Create(directory.Application{
			Tenant: contoso.ID, Name: "orders-server", IdentifierURIs: []string{"api://orders"},
			AppRoles: []directory.AppRole{{Value: "Orders.Read", Enabled: true, Members: []directory.MemberType{directory.MemberApplication}}},
		})
		if err != nil {
			return err
		}
		client, err := e.Applications().Create(directory.Application{Tenant: contoso.ID, Name: "orders-client"})
		if err != nil {
			return err
		}
		resource, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso.ID, AppID: api.AppID})
		if err != nil {
			return err
		}
		principal, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso.ID, AppID: client.AppID})
		if err != nil {
			return err
		}
		_, _, err = e.Assignments().Add(contoso.ID, principal.ID, resource.ID, api.AppRoles[0].ID)
		return err
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	tenant, err := d.Tenant(ctx, "contoso.test")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := d.Named(ctx, tenant.ID, "orders-client")
	if err != nil {
		fmt.Println(err)
		return
	}
	resource, err := d.Resource(ctx, tenant.ID, "api://orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	roles, _, err := d.Roles(ctx, client, resource)
	fmt.Println(roles, err)
	// Output: [Orders.Read] <nil>
}

// A change that breaks a rule says which, and how to fix it; nothing of it happens.
func ExampleDirectory_Change_rule() {
	ctx := context.Background()
	d, err := directory.Open(ctx, directory.Config{Store: memory.New(), SecretKey: make([]byte, 32)})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = d.Change(ctx, directory.Operator("example"), func(e *directory.Editor) error {
		_, err := e.Tenants().Create(directory.Tenant{Name: "contoso", Domains: []string{"tokens.contoso.test"}})
		return err
	})
	var rule *directory.RuleError
	if errors.As(err, &rule) {
		fmt.Println(rule.Field)
		fmt.Println(rule.What)
		fmt.Println(rule.Advice)
	}
	// Output:
	// domains[0]
	// domains[0] "tokens.contoso.test" contains the word "token", which clients rewrite in the URLs they call.
	// Choose a name without that word.
}

// A generated secret is shown once; what is kept cannot be turned back into it.
func ExampleDirectory_CheckSecret() {
	ctx := context.Background()
	d, err := directory.Open(ctx, directory.Config{Store: memory.New(), SecretKey: make([]byte, 32)})
	if err != nil {
		fmt.Println(err)
		return
	}
	var app *directory.Application
	var value string
	_, err = d.Change(ctx, directory.Operator("example"), func(e *directory.Editor) error {
		contoso, err := e.Tenants().Create(directory.Tenant{Name: "contoso"})
		if err != nil {
			return err
		}
		if app, err = e.Applications().Create(directory.Application{Tenant: contoso.ID, Name: "orders-client"}); err != nil {
			return err
		}
		_, value, err = e.Credentials().AddSecret(contoso.ID, app.ID, "ci", time.Now().AddDate(1, 0, 0))
		return err
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := d.Instance(ctx, app.Tenant, app.AppID)
	if err != nil {
		fmt.Println(err)
		return
	}
	secret, err := d.CheckSecret(ctx, client.Application, value)
	fmt.Println(secret.Name, err)
	_, err = d.CheckSecret(ctx, client.Application, "guessed")
	fmt.Println(err)
	// Output:
	// ci <nil>
	// no secret of the application matches
}

// A dry run makes the changes, notes them and lets them go again.
func ExampleEditor_Changes() {
	ctx := context.Background()
	d, err := directory.Open(ctx, directory.Config{Store: memory.New(), SecretKey: make([]byte, 32)})
	if err != nil {
		fmt.Println(err)
		return
	}
	dryRun := errors.New("dry run")
	_, err = d.Change(ctx, directory.Operator("example"), func(e *directory.Editor) error {
		if _, err := e.Tenants().Create(directory.Tenant{Name: "contoso"}); err != nil {
			return err
		}
		for _, note := range e.Changes() {
			fmt.Println(note.Action, note.Kind, note.Name)
		}
		return dryRun
	})
	fmt.Println(errors.Is(err, dryRun), d.Applied())
	// Output:
	// create tenant contoso
	// true 0
}
