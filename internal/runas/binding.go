package runas

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// addBinding has the server assign identities to this process. A credential that the program has
// already stays the one that DefaultAzureCredential tries.
func (e *Environment) addBinding(ctx context.Context, req server.BindRequest) error {
	req.Tenant, req.Cloud = string(e.cfg.Actor.Tenant.ID), e.cloud()
	binding, err := e.cfg.Source.Bind(ctx, req)
	if err != nil {
		return err
	}
	e.atEnd(binding.Close)
	state := binding.State()
	chosen := slices.ContainsFunc(e.variables, func(v launch.Variable) bool { return v.Name == launch.OnlyCredential })
	for _, name := range slices.Sorted(maps.Keys(state.Environment)) {
		if name != launch.OnlyCredential || !chosen {
			e.set(launch.Variable{Name: name, Value: state.Environment[name]})
		}
	}
	switch req.Via {
	case Workload:
		err = e.addAssertion(binding)
	case CLI:
		err = e.addTools(state)
	case IMDS:
		err = e.addMetadata(state)
	}
	if err != nil {
		return err
	}
	closing, watched := make(chan struct{}), make(chan struct{})
	e.atEnd(func() error { // before the binding ends: that is no news then
		close(closing)
		<-watched
		return nil
	})
	e.running.Go(func() {
		defer close(watched)
		select {
		case <-closing:
		case <-binding.Done():
			e.say("the program is no longer %s: %s", state.Name, fix.InOneLine(binding.Err()))
		}
	})
	return nil
}

// addAssertion keeps the newest assertion of a workload in a file.
func (e *Environment) addAssertion(binding Binding) error {
	folder, err := e.folder()
	if err != nil {
		return err
	}
	file := filepath.Join(folder, "azure-identity-token")
	if err := launch.ReplaceFile(file, []byte(binding.State().Assertion), 0o600); err != nil {
		return err
	}
	e.set(launch.Variable{Name: "AZURE_FEDERATED_TOKEN_FILE", Value: file}, only("WorkloadIdentityCredential"))
	written := make(chan struct{})
	go func() {
		defer close(written)
		for update := range binding.Updates() {
			if err := launch.ReplaceFile(file, []byte(update.Assertion), 0o600); err != nil {
				e.say("the program's assertion could not be renewed: %v", err)
			}
		}
	}()
	// The file must not come back after its folder has gone.
	e.atEnd(func() error {
		err := binding.Close()
		<-written
		return err
	})
	return nil
}

// addSignedIn gives the program an az and azd that are signed in: by a binding, or as an
// application of a server elsewhere with a secret.
func (e *Environment) addSignedIn(ctx context.Context) error {
	actor := e.cfg.Actor
	if _, here := e.cfg.Source.(Folder); here || actor.User != nil || actor.IsIdentity() {
		return e.addBinding(ctx, server.BindRequest{As: actor.ID(), Via: CLI, Also: e.also.names(), DefaultIdentity: e.cfg.DefaultIdentity})
	}
	value, err := e.giveSecret(ctx, actor)
	if err != nil {
		return err
	}
	return e.writeTools(withSecret(actor, e.cfg.Source.Endpoints(), value))
}

// addTools gives the program an az and azd that get their tokens from a binding.
func (e *Environment) addTools(state server.BindingState) error {
	return e.writeTools(bound(e.cfg.Actor, state))
}

func (e *Environment) writeTools(account launch.Account) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if e.tools, err = e.folder(); err != nil {
		return err
	}
	e.set(only("AzureCLICredential"), launch.Variable{Name: launch.CLIPath, Value: e.tools})
	return launch.WriteShims(e.tools, program, account)
}

// account is who the shims for az and azd are signed in as.
func account(actor lookup.Actor) launch.Account {
	account := launch.Account{
		Tenant: string(actor.Tenant.ID), TenantNames: append([]string{actor.Tenant.Name}, actor.Tenant.Domains...),
		ClientID: string(actor.Principal.AppID), ManagedIdentity: actor.IsIdentity(),
	}
	if actor.User != nil {
		account.User = actor.User.PrincipalName
	}
	return account
}

// withSecret is an account that gets its tokens by a secret.
func withSecret(actor lookup.Actor, at server.Endpoints, secret string) launch.Account {
	account := account(actor)
	account.Authority, account.Secret, account.CABundle = at.Authority, secret, at.CABundle
	return account
}

// bound is an account that gets its tokens from a binding.
func bound(actor lookup.Actor, state server.BindingState) launch.Account {
	account := account(actor)
	account.Endpoint, account.Key = state.Endpoint, state.Header
	return account
}
