package main

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
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/server"
)

const (
	runName = "run" // the actor, and name of credentials, of `rolecall run`
	// secretLife is how long a secret outlives a command that was killed, at most. It is
	// extended for as long as the command lives.
	secretLife = time.Hour
	// certificateLife cannot be extended: it stands in the certificate.
	certificateLife = 7 * 24 * time.Hour
)

// A guise is what a program has on while it runs as somebody.
type guise struct {
	variables []launch.Variable
	tools     string // folder that comes first in the search path
	namespace *launch.Namespace
	undo      []func() error
	running   sync.WaitGroup // what keeps the guise up
}

func (g *guise) set(variables ...launch.Variable) { g.variables = append(g.variables, variables...) }

// atEnd has something done when the program has ended; the last comes first.
func (g *guise) atEnd(f func() error) { g.undo = append(g.undo, f) }

// folder makes a folder for files of the program that no other user can read.
func (g *guise) folder() (string, error) {
	path, err := os.MkdirTemp("", "rolecall-run-") // mode 0700
	if err == nil {
		g.atEnd(func() error { return os.RemoveAll(path) })
	}
	return path, err
}

// undress takes everything back.
func (g *guise) undress() error {
	var errs []error
	for _, f := range slices.Backward(g.undo) {
		errs = append(errs, f())
	}
	g.running.Wait()
	return errors.Join(errs...)
}

// dress gives the program all that it needs to be somebody, until the guise is undressed.
func (c *cli) dress(ctx context.Context, s *site, who application, r runRequest) (*guise, error) {
	g := &guise{}
	err := c.dressIn(ctx, g, s, who, r)
	if err != nil {
		return nil, errors.Join(err, g.undress())
	}
	return g, nil
}

func (c *cli) dressIn(ctx context.Context, g *guise, s *site, who application, r runRequest) error {
	for _, v := range namesOf(s, who) {
		// A client id would make a library ask for a user-assigned identity.
		if v.Name != "AZURE_CLIENT_ID" || r.via == viaWorkload || !who.isIdentity() || who.Principal.IdentityKind == directory.IdentityUser {
			g.set(v)
		}
	}
	trust, err := launch.Trust(c.dir, s.endpoints.CABundle)
	if err != nil {
		return err
	}
	g.set(append(trust, launch.Variable{Name: "ROLECALL_AUTHORITY", Value: s.endpoints.Authority})...)
	switch r.via {
	case viaSecret:
		return c.dressWithSecret(ctx, g, s, who)
	case viaCertificate:
		return c.dressWithCertificate(ctx, g, s, who)
	}
	return c.dressWithBinding(ctx, g, s, who, r)
}

// dressWithSecret lends a secret that lives as long as the program, and not much longer
// when there is nobody left to remove it.
func (c *cli) dressWithSecret(ctx context.Context, g *guise, s *site, who application) error {
	secret, value, err := s.lend(ctx, who, runName, secretLife, c.now())
	if err != nil {
		return err
	}
	g.atEnd(func() error { return s.takeBack(ctx, who, runName, secret.ID) })
	g.set(launch.Variable{Name: "AZURE_CLIENT_SECRET", Value: value}, onlyEnvironment())
	ctx, stop := context.WithCancel(ctx)
	g.running.Go(func() { c.extend(ctx, s, who, secret.ID) })
	g.atEnd(func() error { stop(); return nil })
	return nil
}

// extend lets a lent secret live on until the context ends.
func (c *cli) extend(ctx context.Context, s *site, who application, id string) {
	again := time.NewTicker(secretLife / 2)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		err := s.change(ctx, "cli:"+runName, func(e *directory.Editor) error {
			return e.ExtendSecret(who.tenant.ID, who.Application.ID, id, c.now().Add(secretLife))
		})
		if err != nil && ctx.Err() == nil {
			c.say("the program's secret could not be extended: %v", err)
		}
	}
}

func (c *cli) dressWithCertificate(ctx context.Context, g *guise, s *site, who application) error {
	file, kept, err := c.lendCertificate(ctx, s, who, runName, certificateLife)
	if err != nil {
		return err
	}
	g.atEnd(func() error { return os.Remove(file) })
	g.atEnd(func() error { return s.takeBack(ctx, who, runName, kept.ID) })
	g.set(launch.Variable{Name: "AZURE_CLIENT_CERTIFICATE_PATH", Value: file}, onlyEnvironment())
	return nil
}

// dressWithBinding has the server assign the identity to this process.
func (c *cli) dressWithBinding(ctx context.Context, g *guise, s *site, who application, r runRequest) error {
	binding, err := server.Bind(ctx, c.dir, server.BindRequest{
		Tenant: string(who.tenant.ID), As: who.bindAs(), Via: r.via, Also: r.also,
	})
	if err != nil {
		return err
	}
	g.atEnd(binding.Close)
	for name, value := range binding.Environment {
		g.set(launch.Variable{Name: name, Value: value})
	}
	switch r.via {
	case viaWorkload:
		err = c.dressWithAssertion(g, binding)
	case viaCLI:
		err = dressWithTools(g, binding, who)
	case viaIMDS:
		err = c.dressWithMetadata(g, s, binding, r)
	}
	if err != nil {
		return err
	}
	closing, watched := make(chan struct{}), make(chan struct{})
	g.atEnd(func() error { // before the binding ends: that is no news then
		close(closing)
		<-watched
		return nil
	})
	g.running.Go(func() {
		defer close(watched)
		select {
		case <-closing:
		case <-binding.Done():
			c.say("the program is no longer %s: %s", who.name(), inOneLine(binding.Err()))
		}
	})
	return nil
}

// dressWithAssertion keeps the newest assertion of a workload in a file.
func (c *cli) dressWithAssertion(g *guise, binding *server.Binding) error {
	folder, err := g.folder()
	if err != nil {
		return err
	}
	file := filepath.Join(folder, "azure-identity-token")
	if err := launch.ReplaceFile(file, []byte(binding.Assertion), 0o600); err != nil {
		return err
	}
	g.set(launch.Variable{Name: "AZURE_FEDERATED_TOKEN_FILE", Value: file}, only("WorkloadIdentityCredential"))
	written := make(chan struct{})
	go func() {
		defer close(written)
		for line := range binding.Updates() {
			if err := launch.ReplaceFile(file, []byte(line.Assertion), 0o600); err != nil {
				c.say("the program's assertion could not be renewed: %v", err)
			}
		}
	}()
	// The file must not come back after its folder has gone.
	g.atEnd(func() error {
		err := binding.Close()
		<-written
		return err
	})
	return nil
}

// dressWithTools gives the program an az and azd that are signed in.
func dressWithTools(g *guise, binding *server.Binding, who application) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	account := accountOf(who)
	account.Endpoint, account.Key = binding.Endpoint, binding.Header
	if g.tools, err = g.folder(); err != nil {
		return err
	}
	g.set(only("AzureCLICredential"), launch.Variable{Name: launch.CLIPath, Value: g.tools})
	return launch.WriteShims(g.tools, program, account)
}

// dressWithMetadata makes a network in which the metadata service is at its address, if
// that was asked for.
func (c *cli) dressWithMetadata(g *guise, s *site, binding *server.Binding, r runRequest) (err error) {
	if !r.namespace {
		c.say("only clients that read AZURE_POD_IDENTITY_AUTHORITY_HOST find the metadata service; those for Go do not: see --netns, or use --via app-service")
		return nil
	}
	if g.namespace, err = launch.NewNamespace(); err != nil {
		return failed("run as root, or use --via app-service, which needs no rights", "%w", err)
	}
	g.atEnd(g.namespace.Close)
	// Clients have to use the address: what leads them elsewhere is outside the namespace.
	g.variables = slices.DeleteFunc(g.variables, func(v launch.Variable) bool {
		_, is := binding.Environment[v.Name]
		return is && v.Name != launch.OnlyCredential
	})
	endpoint, err := url.Parse(binding.Endpoint)
	if err != nil {
		return fmt.Errorf("read the address of the binding: %w", err)
	}
	relays := [][2]string{{net.JoinHostPort(launch.MetadataAddress, "80"), endpoint.Host}}
	if authority, err := url.Parse(s.endpoints.Authority); err == nil && loopback.Is(authority.Hostname()) {
		relays = append(relays, [2]string{"127.0.0.1:" + authority.Port(), "127.0.0.1:" + authority.Port()})
	}
	for _, port := range r.forward {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
		relays = append(relays, [2]string{address, address})
	}
	for _, relay := range relays {
		if err := g.namespace.Relay(relay[0], relay[1]); err != nil {
			return err
		}
	}
	return nil
}
