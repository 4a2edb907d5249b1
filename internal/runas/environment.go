package runas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

// purpose is the name of credentials that last as long as a program.
const purpose = "run"

const (
	// secretLife is how long a secret outlives a command that was killed, at most. It is
	// extended for as long as the command lives.
	secretLife = time.Hour
	// certificateLife cannot be extended: it stands in the certificate.
	certificateLife = 7 * 24 * time.Hour
)

// A Config says who a program is to run as, and how.
type Config struct {
	Session   *server.Session
	Actor     lookup.Actor
	Via       string   // as ChooseVia returns it
	Also      []string // further managed identities that the program may choose by id
	Namespace bool     // with IMDS: a network in which the metadata service is at its address
	Forward   []uint16 // with Namespace: ports of the loopback interface that can be reached
	Say       func(string)
	Now       func() time.Time
}

// An Environment is what a program needs to run as somebody, until it is cleaned up.
type Environment struct {
	cfg       Config
	variables []launch.Variable
	tools     string // folder that comes first in the search path
	namespace *launch.Namespace
	cleanup   []func() error
	running   sync.WaitGroup // what keeps the environment up to date
}

// Prepare gives a program all that it needs to be somebody, until Cleanup.
func Prepare(ctx context.Context, cfg Config) (*Environment, error) {
	e := &Environment{cfg: cfg}
	if err := e.prepare(ctx); err != nil {
		return nil, errors.Join(err, e.Cleanup())
	}
	return e, nil
}

// Run runs a program in the environment and returns its exit code. In, out and err are the
// program's; signals are passed on.
func (e *Environment) Run(signals <-chan os.Signal, args []string, in io.Reader, out, errOut io.Writer) (int, error) {
	inherited := os.Environ()
	variables := e.variables
	if e.tools != "" {
		variables = append(slices.Clip(variables), launch.FirstInPath(inherited, e.tools))
	}
	return launch.Command{
		Args: args, Env: launch.Environment(inherited, variables), In: in, Out: out, Err: errOut, Namespace: e.namespace,
	}.Run(signals)
}

// Cleanup takes everything back that Prepare gave.
func (e *Environment) Cleanup() error {
	var errs []error
	for _, f := range slices.Backward(e.cleanup) {
		errs = append(errs, f())
	}
	e.running.Wait()
	return errors.Join(errs...)
}

func (e *Environment) set(variables ...launch.Variable) {
	e.variables = append(e.variables, variables...)
}

// atEnd has something done by Cleanup; the last comes first.
func (e *Environment) atEnd(f func() error) { e.cleanup = append(e.cleanup, f) }

func (e *Environment) say(format string, args ...any) {
	if e.cfg.Say != nil {
		e.cfg.Say(fmt.Sprintf(format, args...))
	}
}

// folder makes a folder for files of the program that no other user can read.
func (e *Environment) folder() (string, error) {
	path, err := os.MkdirTemp("", "rolecall-run-") // mode 0700
	if err == nil {
		e.atEnd(func() error { return os.RemoveAll(path) })
	}
	return path, err
}

func (e *Environment) prepare(ctx context.Context) error {
	actor := e.cfg.Actor
	for _, v := range names(e.cfg.Session, actor) {
		// A client id would make a library ask for a user-assigned identity.
		if v.Name != "AZURE_CLIENT_ID" || e.cfg.Via == Workload || !actor.IsIdentity() || actor.Principal.IdentityKind == directory.IdentityUser {
			e.set(v)
		}
	}
	trust, err := launch.Trust(e.cfg.Session.Dir(), e.cfg.Session.Endpoints.CABundle)
	if err != nil {
		return err
	}
	e.set(append(trust, authorityVariable(e.cfg.Session))...)
	switch e.cfg.Via {
	case Secret:
		return e.addSecret(ctx)
	case Certificate:
		return e.addCertificate(ctx)
	}
	return e.addBinding(ctx)
}

// credentials issues credentials that last as long as the program.
func (e *Environment) credentials() tempcred.Issuer {
	return Issuer(e.cfg.Session, purpose, e.cfg.Now)
}

// Issuer issues temporary credentials in a session.
func Issuer(s *server.Session, purpose string, now func() time.Time) tempcred.Issuer {
	return tempcred.Issuer{Directory: s.Data.Directory, Await: s.Await, Dir: s.Dir(), Purpose: purpose, Now: now}
}

// addSecret gives the program a secret that lives as long as it, and not much longer when
// there is nobody left to remove it.
func (e *Environment) addSecret(ctx context.Context) error {
	app, issuer := e.cfg.Actor.Application, e.credentials()
	secret, value, err := issuer.AddSecret(ctx, app, secretLife)
	if err != nil {
		return err
	}
	e.atEnd(func() error { return issuer.Remove(ctx, app, secret.ID) })
	e.set(launch.Variable{Name: "AZURE_CLIENT_SECRET", Value: value}, onlyEnvironment())
	ctx, stop := context.WithCancel(ctx)
	e.running.Go(func() { e.extend(ctx, secret.ID) })
	e.atEnd(func() error { stop(); return nil })
	return nil
}

// extend lets the secret live on until the context ends.
func (e *Environment) extend(ctx context.Context, id string) {
	again := time.NewTicker(secretLife / 2)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		if err := e.credentials().ExtendSecret(ctx, e.cfg.Actor.Application, id, secretLife); err != nil && ctx.Err() == nil {
			e.say("the program's secret could not be extended: %v", err)
		}
	}
}

func (e *Environment) addCertificate(ctx context.Context) error {
	app, issuer := e.cfg.Actor.Application, e.credentials()
	file, kept, err := issuer.AddCertificate(ctx, app, certificateLife)
	if err != nil {
		return err
	}
	e.atEnd(func() error { return os.Remove(file) })
	e.atEnd(func() error { return issuer.Remove(ctx, app, kept.ID) })
	e.set(launch.Variable{Name: "AZURE_CLIENT_CERTIFICATE_PATH", Value: file}, onlyEnvironment())
	return nil
}
