package runas

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// addBinding has the server assign the identity to this process.
func (e *Environment) addBinding(ctx context.Context) error {
	binding, err := server.Bind(ctx, e.cfg.Session.Dir(), server.BindRequest{
		Tenant: string(e.cfg.Actor.Tenant.ID), As: e.cfg.Actor.ID(), Via: e.cfg.Via, Also: e.cfg.Also,
	})
	if err != nil {
		return err
	}
	e.atEnd(binding.Close)
	for name, value := range binding.Environment {
		e.set(launch.Variable{Name: name, Value: value})
	}
	switch e.cfg.Via {
	case Workload:
		err = e.addAssertion(binding)
	case CLI:
		err = e.addTools(binding)
	case IMDS:
		err = e.addMetadata(ctx, binding)
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
			e.say("the program is no longer %s: %s", e.cfg.Actor.Name(), fix.InOneLine(binding.Err()))
		}
	})
	return nil
}

// addAssertion keeps the newest assertion of a workload in a file.
func (e *Environment) addAssertion(binding *server.Binding) error {
	folder, err := e.folder()
	if err != nil {
		return err
	}
	file := filepath.Join(folder, "azure-identity-token")
	if err := launch.ReplaceFile(file, []byte(binding.Assertion), 0o600); err != nil {
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

// addTools gives the program an az and azd that are signed in.
func (e *Environment) addTools(binding *server.Binding) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if e.tools, err = e.folder(); err != nil {
		return err
	}
	e.set(only("AzureCLICredential"), launch.Variable{Name: launch.CLIPath, Value: e.tools})
	return launch.WriteShims(e.tools, program, bound(e.cfg.Actor, binding))
}

// addMetadata makes a network in which the metadata service is at its address, if that was
// asked for.
func (e *Environment) addMetadata(ctx context.Context, binding *server.Binding) (err error) {
	if !e.cfg.Namespace {
		e.say("only clients that read AZURE_POD_IDENTITY_AUTHORITY_HOST find the metadata service; those for Go do not: see --netns, or use --via app-service")
		return nil
	}
	if e.namespace, err = launch.NewNamespace(); err != nil {
		return &namespaceError{err}
	}
	e.atEnd(e.namespace.Close)
	// Clients have to use the address: what leads them elsewhere is outside the namespace.
	e.variables = slices.DeleteFunc(e.variables, func(v launch.Variable) bool {
		_, is := binding.Environment[v.Name]
		return is && v.Name != launch.OnlyCredential
	})
	endpoint, err := url.Parse(binding.Endpoint)
	if err != nil {
		return fmt.Errorf("read the address of the binding: %w", err)
	}
	for _, relay := range e.relays(ctx, endpoint.Host) {
		if err := e.namespace.Relay(relay[0], relay[1]); err != nil {
			return err
		}
	}
	return nil
}

// loopbackAddresses are those on this machine's loopback that the name in a URL leads to:
// the namespace has a loopback of its own, and names mean the same in it.
func loopbackAddresses(ctx context.Context, raw string) []string {
	u, err := url.Parse(raw)
	if err != nil {
		return nil
	}
	_, port, err := net.SplitHostPort(server.Dial(u))
	if err != nil {
		return nil
	}
	if u.Hostname() == "localhost" { // a resolver may not know it
		return []string{net.JoinHostPort("127.0.0.1", port)}
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", u.Hostname())
	if err != nil {
		return nil
	}
	var all []string
	for _, address := range found {
		if address = address.Unmap(); address.IsLoopback() {
			all = append(all, net.JoinHostPort(address.String(), port))
		}
	}
	return all
}

// relays pairs addresses in the namespace with those outside that they lead to.
func (e *Environment) relays(ctx context.Context, endpoint string) [][2]string {
	relays := [][2]string{{net.JoinHostPort(launch.MetadataAddress, "80"), endpoint}}
	for _, address := range loopbackAddresses(ctx, e.cfg.Session.Endpoints.Authority) {
		relays = append(relays, [2]string{address, address})
	}
	for _, port := range e.cfg.Forward {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
		relays = append(relays, [2]string{address, address})
	}
	return relays
}

// A namespaceError says that the network could not be made.
type namespaceError struct{ cause error }

func (e *namespaceError) Error() string { return e.cause.Error() }
func (e *namespaceError) Unwrap() error { return e.cause }

// Fix says how to do without, or with more rights.
func (e *namespaceError) Fix() string {
	return "run as root, or use --via app-service, which needs no rights"
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

// bound is an account that gets its tokens from a binding.
func bound(actor lookup.Actor, binding *server.Binding) launch.Account {
	account := account(actor)
	account.Endpoint, account.Key = binding.Endpoint, binding.Header
	return account
}

// Token gets a token as az does for a user who is signed in, or for a managed identity.
func Token(ctx context.Context, s *server.Session, actor lookup.Actor, scopes ...string) (_ azcore.AccessToken, err error) {
	binding, err := server.Bind(ctx, s.Dir(), server.BindRequest{Tenant: string(actor.Tenant.ID), As: actor.ID(), Via: CLI})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	defer func() { err = errors.Join(err, binding.Close()) }()
	return bound(actor, binding).Token(ctx, scopes...)
}
