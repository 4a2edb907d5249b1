package runas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/folder"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/namespace"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
	"github.com/rolecall-auth/rolecall/internal/wallclock"
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
	Source Source
	Actor  lookup.Actor
	Via    string // as ChooseVia returns it
	// Also are further managed identities that the program may choose by id; with a managed
	// identity, also one application whose secret it gets, and the other way round.
	Also []string
	// DefaultIdentity gives the actor's tokens, or those of the first further identity, to
	// requests that name no identity, also where Azure would refuse them.
	DefaultIdentity bool
	Settings        []Setting // variables of the program's own
	Network         *Network  // the program has a network of its own; nil: this machine's
	Public          *Public   // leads the program here by Microsoft's own names; nil: it is told ours
	Say             func(string)
	Now             func() time.Time
}

// An Environment is what a program needs to run as somebody, until it is cleaned up.
type Environment struct {
	cfg       Config
	holder    *tempcred.Holder // of its credentials; nil until there are some
	also      companions
	variables []launch.Variable
	public    *publicWay           // nil: the program is told the authority's own name
	metadata  string               // address and port of what answers in place of the metadata service; empty: nothing
	adopts    bool                 // processes whose parents end before them stay below this one
	tools     string               // folder that comes first in the search path
	bundle    string               // whom the program trusts
	network   namespace.Config     // without meaning if the program has none of its own
	namespace *namespace.Namespace // nil: the program has this machine's network
	cleanup   []func() error
	running   sync.WaitGroup // what keeps the environment up to date
}

// Prepare gives a program all that it needs to be somebody, until Cleanup.
func Prepare(ctx context.Context, cfg Config) (*Environment, error) {
	e := &Environment{cfg: cfg, network: namespace.Config{Names: map[string]netip.Addr{}}}
	if err := e.prepare(ctx); err != nil {
		return nil, errors.Join(err, e.Cleanup())
	}
	return e, nil
}

// Run runs a program in the environment and returns its exit code. In, out and err are the
// program's; signals are passed on.
func (e *Environment) Run(signals <-chan os.Signal, args []string, in io.Reader, out, errOut io.Writer) (int, error) {
	inherited := os.Environ()
	if e.public != nil && e.cfg.Network != nil {
		inherited = launch.WithoutWays(inherited)
	}
	variables := launch.Joined(e.variables)
	if e.tools != "" {
		variables = append(slices.Clip(variables), launch.FirstInPath(inherited, e.tools))
	}
	code, err := launch.Command{
		Args: args, Env: launch.Environment(inherited, variables), In: in, Out: out, Err: errOut, Namespace: e.namespace, Adopts: e.adopts,
	}.Run(signals)
	return code, e.networkReason(err)
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
	path, remove, err := folder.MakeTemporary(TemporaryPrefix)
	if err == nil {
		e.atEnd(remove)
	}
	return path, err
}

// TemporaryPrefix begins the names of folders that are there for one run.
const TemporaryPrefix = "rolecall-run-"

func (e *Environment) prepare(ctx context.Context) error {
	actor := e.cfg.Actor
	var err error
	if e.also, err = e.findAlso(ctx); err != nil {
		return err
	}
	client := e.client()
	if err := e.check(client); err != nil {
		return &usageError{err}
	}
	if err := e.openPublic(ctx); err != nil {
		return err
	}
	for _, v := range names(e.authority(), actor, e.cfg.Via) {
		if v.Name == "AZURE_AUTHORITY_HOST" && e.public != nil {
			continue // the program has a name in its source
		}
		// A client id would make a library ask for a user-assigned identity.
		if v.Name != "AZURE_CLIENT_ID" || e.cfg.Via == Workload || !actor.IsIdentity() || actor.Principal.IdentityKind == directory.IdentityUser {
			e.set(v)
		}
	}
	if err := e.addTrust(); err != nil {
		return err
	}
	if err := e.addProofs(ctx); err != nil {
		return err
	}
	e.set(settingVariables(e.cfg.Settings, e.authority(), client, e.variables)...)
	if err := e.addProxy(ctx); err != nil {
		return err
	}
	return e.addNetwork(ctx)
}

// client is whose id and secret the program's own settings are about.
func (e *Environment) client() lookup.Actor {
	if e.also.application != nil {
		return *e.also.application
	}
	return e.cfg.Actor
}

// check refuses what the program would not get.
func (e *Environment) check(client lookup.Actor) error {
	var application *lookup.Actor
	via := e.cfg.Via
	if !client.IsIdentity() && client.User == nil {
		application = &client
	}
	if e.also.application != nil {
		via = Secret
	}
	if e.cfg.DefaultIdentity && (!e.cfg.Actor.IsIdentity() && len(e.also.identities) == 0 || e.cfg.Via == Workload) {
		return errors.New("--default-identity is for programs that ask an identity endpoint: it goes with a managed identity, and not with --via workload")
	}
	return checkSettings(e.cfg.Settings, e.cfg.Actor, application, via)
}

// A usageError says that what was asked for contradicts itself.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// IsUsage reports whether an error says that what was asked for contradicts itself.
func IsUsage(err error) bool {
	_, ok := errors.AsType[*usageError](err)
	return ok
}

// addTrust makes the program trust the authority, and whom its caller trusts.
func (e *Environment) addTrust() error {
	server := e.cfg.Source.Endpoints()
	own := server.CABundle
	if trustedAnyway(e.cfg.Source) {
		e.set(places(e.authority(), e.graph())...)
		return nil
	}
	if e.public != nil {
		var err error
		if own, err = e.publicBundle(); err != nil {
			return err
		}
	}
	bundle, err := launch.WithTrusted(e.folder, own, os.Environ(), e.say)
	if err != nil {
		return err
	}
	folder := e.cfg.Source.Dir() // where the trust store of the server's own bundle is kept
	if bundle != server.CABundle {
		folder = filepath.Dir(bundle)
	}
	e.bundle = bundle
	trust, err := launch.Trust(folder, bundle)
	if err != nil {
		return err
	}
	e.set(append(trust, places(e.authority(), e.graph())...)...)
	return nil
}

// addProofs gives the program what it proves by who it is, and who it is besides.
func (e *Environment) addProofs(ctx context.Context) error {
	actor, also := e.cfg.Actor, e.also
	switch e.cfg.Via {
	case None: // it only checks tokens
	case Secret:
		if err := e.addSecret(ctx, actor); err != nil {
			return err
		}
		// App Authentication reads this, and without it asks for a managed identity.
		e.set(connectionString(actor, e.variables), onlyEnvironment())
	case Certificate:
		if err := e.addCertificate(ctx); err != nil {
			return err
		}
	case CLI:
		if err := e.addSignedIn(ctx); err != nil {
			return err
		}
	case Identity: // which is bound below; the program makes the assertion by itself
		e.set(e.signedAssertion()...)
	default:
		if err := e.addBinding(ctx, server.BindRequest{As: actor.ID(), Via: e.cfg.Via, Also: also.names(), DefaultIdentity: e.cfg.DefaultIdentity}); err != nil {
			return err
		}
	}
	e.sayMetadata()
	switch {
	case also.application != nil:
		return e.addSecret(ctx, *also.application)
	case actor.IsIdentity():
		if e.cfg.DefaultIdentity {
			e.sayDefault(e.cfg.Via, append([]lookup.Actor{actor}, also.identities...))
		}
	case len(also.identities) > 0:
		names := also.names()
		if e.cfg.DefaultIdentity {
			e.sayDefault(AppService, also.identities)
		}
		return e.addBinding(ctx, server.BindRequest{As: names[0], Via: AppService, Also: names[1:], DefaultIdentity: e.cfg.DefaultIdentity})
	}
	return nil
}

// signedAssertion is how Microsoft.Identity.Web proves an application by the token of a
// managed identity. Other libraries need no more than the identity.
func (e *Environment) signedAssertion() []launch.Variable {
	const credential = "AzureAd__ClientCredentials__0__" //nolint:gosec // the name of a setting, not a credential
	variables := []launch.Variable{
		{Name: "AzureAd__Instance", Value: e.authority() + "/"},
		{Name: "AzureAd__TenantId", Value: string(e.cfg.Actor.Tenant.ID)},
		{Name: "AzureAd__ClientId", Value: string(e.cfg.Actor.Principal.AppID)},
		{Name: credential + "SourceType", Value: "SignedAssertionFromManagedIdentity"},
	}
	if identity := e.also.identities[0].Principal; identity.IdentityKind == directory.IdentityUser {
		variables = append(variables, launch.Variable{Name: credential + "ManagedIdentityClientId", Value: string(identity.AppID)})
	}
	return variables
}

// sayMetadata warns of programs that find nothing in the environment which they understand, and
// ask the metadata service. On a virtual machine of Azure that is the machine's own.
func (e *Environment) sayMetadata() {
	if e.public != nil {
		return // what asks there comes to the proxy
	}
	const machine = "ask 169.254.169.254, which on a virtual machine of Azure gives the machine's own identity"
	switch e.cfg.Via {
	case IMDS:
		if e.cfg.Network == nil {
			e.say("only clients that read AZURE_POD_IDENTITY_AUTHORITY_HOST find the metadata service; those for Go do not, nor does App Authentication, and they %s: see --netns, or use --via app-service", machine)
		}
	case CloudShell, AzureML, Workload:
		if e.cfg.Actor.IsIdentity() {
			e.say("programs that use App Authentication %s: use --via app-service for those", machine)
			return
		}
		fallthrough
	case Certificate:
		e.say("programs that use App Authentication %s: use --via secret for those", machine)
	}
}

// credentials issues credentials that last as long as the program.
func (e *Environment) credentials() Credentials {
	return e.cfg.Source.Credentials(purpose, e.holder)
}

// hold lets the next command know that the program's credentials are in use, until they are
// taken back or this process is killed.
func (e *Environment) hold() (err error) {
	if e.holder != nil {
		return nil
	}
	if e.holder, err = tempcred.Hold(e.cfg.Source.Dir()); err == nil {
		e.atEnd(e.holder.Release)
	}
	return err
}

// connectionString is the one for App Authentication, which knows no other variable.
func connectionString(app lookup.Actor, variables []launch.Variable) launch.Variable {
	v := launch.Variable{Name: "AzureServicesAuthConnectionString"}
	for _, known := range variables {
		if known.Name == "AZURE_CLIENT_SECRET" {
			v.Value = fmt.Sprintf("RunAs=App;AppId=%s;TenantId=%s;AppKey=%s", app.Principal.AppID, app.Tenant.ID, connectionValue(known.Value))
		}
	}
	return v
}

// connectionValue quotes a value of a connection string where it has to be.
func connectionValue(value string) string {
	if !strings.ContainsAny(value, "\"'; =") {
		return value
	}
	return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
}

// addSecret gives the program a secret of an application that lives as long as it, and not much
// longer when there is nobody left to remove it.
func (e *Environment) addSecret(ctx context.Context, actor lookup.Actor) error {
	value, err := e.giveSecret(ctx, actor)
	if err == nil {
		e.set(launch.Variable{Name: "AZURE_CLIENT_SECRET", Value: value})
	}
	return err
}

// giveSecret gives an application a secret for as long as the program lives.
func (e *Environment) giveSecret(ctx context.Context, actor lookup.Actor) (string, error) {
	if err := e.hold(); err != nil {
		return "", err
	}
	app, issuer := actor.Application, e.credentials()
	secret, value, err := issuer.AddSecret(ctx, app, secretLife)
	if err != nil {
		return "", err
	}
	e.atEnd(func() error { return issuer.Remove(ctx, app, secret.ID) })
	ctx, stop := context.WithCancel(ctx)
	e.running.Go(func() { e.extend(ctx, app, secret.ID) })
	e.atEnd(func() error { stop(); return nil })
	return value, nil
}

// extend lets the secret live on until the context ends.
func (e *Environment) extend(ctx context.Context, app *directory.Application, id string) {
	for wallclock.Wait(ctx, e.cfg.Now, secretLife/2) {
		if err := e.credentials().ExtendSecret(ctx, app, id, secretLife); err != nil && ctx.Err() == nil {
			e.say("the program's secret could not be extended: %v", err)
		}
	}
}

func (e *Environment) addCertificate(ctx context.Context) error {
	if err := e.hold(); err != nil {
		return err
	}
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
