package clientauth

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fetch"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// Config says what an Authenticator works with. All fields but Fetch are required.
type Config struct {
	Directory *directory.Directory
	Resolver  *resolve.Resolver
	Keys      *keyring.Ring
	State     coordination.State
	Fetch     *fetch.Client // reads the keys of federated issuers; nil: none are reached
	Now       func() time.Time
}

// An Authenticator checks the credentials of clients. It is safe for concurrent use.
type Authenticator struct {
	directory  *directory.Directory
	resolver   *resolve.Resolver
	failures   coordination.Failures
	turns      coordination.Turns
	assertions *assertionVerifier
	workloads  *Workloads
}

// New returns an authenticator.
func New(cfg Config) *Authenticator {
	return &Authenticator{
		directory: cfg.Directory, resolver: cfg.Resolver,
		failures: cfg.State.Failures, turns: cfg.State.Turns,
		assertions: newAssertionVerifier(cfg), workloads: newWorkloads(cfg),
	}
}

// Workloads returns the programs that run as a client of this authenticator.
func (a *Authenticator) Workloads() *Workloads { return a.workloads }

// A Credential is what a client presents: at most one proof.
type Credential struct {
	ClientID  string // as sent; empty only when an assertion names the client
	Secret    string // empty: none
	Assertion string // empty: none
	// Certificate is the one whose key the client has shown to have on its TLS connection
	// (DER). It counts where nothing else is presented.
	Certificate string
	// Public says that a public client needs no proof of its own, because a user stands
	// behind the request, who proves what there is to prove.
	Public bool
}

// The ways in which a client can prove itself.
const (
	BySecret      = "secret"
	ByCertificate = "certificate"
	ByFederation  = "federated"
	ByConnection  = "tls" // by a certificate, on the TLS connection itself (RFC 8705 section 2.2)
)

// A Proof says which client asks and how it proved that.
type Proof struct {
	Client       *directory.Instance
	Credential   string // its kind; empty for a public client
	CredentialID string
	jti          string // of a certificate assertion
	replayed     bool   // the assertion, or its jti, was presented before
}

// Authenticate turns a credential into proof of which client asks. Refused credentials are
// counted by application and source, whichever way they were spelled.
func (a *Authenticator) Authenticate(ctx context.Context, x *exchange.Exchange, tenant *directory.Tenant, c Credential) (Proof, error) {
	try := attempt{Authenticator: a, x: x, tenant: tenant, credential: c}
	proof, err := resolve.Fresh(ctx, a.directory, func() (Proof, error) { return try.prove(ctx) })
	if err = try.count(ctx, err); err != nil {
		x.SignIn.Presented = try.presented(ctx, err)
		return Proof{}, err
	}
	x.SignIn.Credential, x.SignIn.CredentialID = proof.Credential, proof.CredentialID
	if proof.replayed {
		x.SignIn.Reason = "the client assertion had been presented before"
	}
	return proof, nil
}

// Public returns the proof of a public client, which needs none of its own where a user
// stands behind the request. Next to a refusal for want of a credential it tells the client.
func (a *Authenticator) Public(ctx context.Context, tenant *directory.Tenant, id string) (Proof, error) {
	return resolve.Fresh(ctx, a.directory, func() (Proof, error) {
		client, err := a.resolver.ClientNow(ctx, tenant, id)
		switch {
		case err != nil:
			return Proof{}, err
		case !a.canAuthenticate(ctx, client):
			return Proof{}, aadsts.ClientUnknown(id, tenant.Name)
		case client.Application == nil || !client.Application.Public:
			return Proof{Client: client}, aadsts.NoCredential(id)
		}
		return Proof{Client: client}, nil
	})
}

// wasRefused reports whether an error says that the credential proves nothing.
func (c Credential) wasRefused(err error) bool {
	return aadsts.Of(err).OAuth == aadsts.InvalidClient && (c.Secret != "" || c.Assertion != "" || c.Certificate != "")
}

// An attempt is one try of a client to authenticate. What nobody can guess (a generated
// secret, a signature) is looked at however many tries failed, and passes when it is right;
// what somebody chose is a guess, which may have to wait.
type attempt struct {
	*Authenticator
	x          *exchange.Exchange
	tenant     *directory.Tenant
	credential Credential
	guess      coordination.Guess // nil: it is none
	turn       func()             // gives back the turn of a slow check; nil: none was taken
}

// count counts the outcome of the attempt. A wrong credential of a source that failed too
// often gets no answer but that.
func (t *attempt) count(ctx context.Context, err error) error {
	defer t.endTurn()
	app := t.x.SignIn.AppID
	switch {
	case err == nil:
		t.endGuess(coordination.Guess.Right)
		return nil
	case !t.credential.wasRefused(err):
		t.endGuess(coordination.Guess.Unknown)
		return err
	}
	if t.guess == nil {
		if seconds := t.failures.Wait(ctx, app, t.x.Source); seconds > 0 {
			return aadsts.Throttled(seconds)
		}
		t.failures.Failed(ctx, app, t.x.Source)
	}
	t.endGuess(coordination.Guess.Wrong)
	t.x.Attempted = true
	return err
}

func (t *attempt) endGuess(outcome func(coordination.Guess)) {
	if t.guess != nil {
		outcome(t.guess)
		t.guess = nil
	}
}

// prove checks the credential once.
func (t *attempt) prove(ctx context.Context) (Proof, error) {
	if t.credential.Assertion != "" {
		return t.proveAssertion(ctx)
	}
	client, err := t.admit(ctx, t.credential.ClientID)
	if err != nil {
		return Proof{}, err
	}
	switch {
	case t.credential.Secret != "":
		return t.proveSecret(ctx, client)
	case t.credential.Public && client.Application != nil && client.Application.Public:
		return Proof{Client: client}, nil
	case t.credential.Certificate != "":
		return t.proveConnection(client)
	}
	return Proof{}, aadsts.NoCredential(t.credential.ClientID)
}

// proveConnection looks for the certificate of the connection among those of the application.
// TLS has made sure that the client has its key; who has issued it does not matter.
func (t *attempt) proveConnection(client *directory.Instance) (Proof, error) {
	app := client.Application
	sum := sha256.Sum256([]byte(t.credential.Certificate))
	prints := thumbprints{sha256: base64.RawURLEncoding.EncodeToString(sum[:])}
	if app == nil { // a managed identity has no certificate of its own
		return Proof{}, aadsts.AssertionKeyUnknown(prints.String(), string(client.Principal.AppID))
	}
	if app.Public && !HasCredential(app) {
		return Proof{}, aadsts.PublicClient(t.credential.ClientID)
	}
	i := slices.IndexFunc(app.Certificates, func(c directory.Certificate) bool { return prints.names(&c) })
	if i < 0 {
		return Proof{}, aadsts.AssertionKeyUnknown(prints.String(), string(app.AppID))
	}
	parsed, err := x509.ParseCertificate(app.Certificates[i].DER)
	if err != nil {
		return Proof{}, aadsts.AssertionSignature(prints.String()).Because(err)
	}
	if err := checkPeriod(&app.Certificates[i], parsed, prints, t.assertions.now()); err != nil {
		return Proof{}, err
	}
	return Proof{Client: client, Credential: ByConnection, CredentialID: app.Certificates[i].ID}, nil
}

// admit finds the client and notes it. No credential is looked at before.
func (t *attempt) admit(ctx context.Context, id string) (*directory.Instance, error) {
	client, err := t.resolver.ClientNow(ctx, t.tenant, id)
	if err == nil && !t.canAuthenticate(ctx, client) {
		err = aadsts.ClientUnknown(id, t.tenant.Name)
	}
	if err != nil {
		if guid.Is(id) { // anything else may be a secret in the wrong field
			t.x.SignIn.AppID = directory.AppID(strings.ToLower(id))
		}
		return nil, err
	}
	t.x.SignIn.AppID, t.x.SignIn.Name = client.Principal.AppID, client.Principal.Label()
	return client, nil
}

// canAuthenticate reports whether anything may speak for the client here. A managed identity
// has no credential of its own: it can authenticate only if a workload runs as it, or if
// tokens of another issuer are trusted for it.
func (a *Authenticator) canAuthenticate(ctx context.Context, client *directory.Instance) bool {
	return client.Application != nil || len(client.Federated()) > 0 || a.workloads.runAs(ctx, client)
}

// startGuess lets the attempt at a secret that somebody chose go on, unless too many failed.
// Others that are under way may turn out to be right: their outcome is waited for once.
func (t *attempt) startGuess(ctx context.Context, app directory.AppID) error {
	if t.guess != nil {
		return nil
	}
	guess, wait, busy := t.failures.Guess(ctx, app, t.x.Source, coordination.ApplicationPace())
	if wait > 0 && busy {
		t.takeTurn(ctx, app)
		guess, wait, _ = t.failures.Guess(ctx, app, t.x.Source, coordination.ApplicationPace())
	}
	if wait > 0 {
		return aadsts.Throttled(wait)
	}
	t.guess = guess
	return nil
}

// takeTurn waits until no other secret of the application from the same source is checked
// slowly. The turn ends with endTurn, once its outcome is counted.
func (t *attempt) takeTurn(ctx context.Context, app directory.AppID) {
	if t.turn == nil {
		t.turn = t.turns.Take(ctx, "application "+string(app)+" "+t.x.Source)
	}
}

func (t *attempt) endTurn() {
	if t.turn != nil {
		t.turn()
		t.turn = nil
	}
}

// proveSecret checks a client secret.
func (t *attempt) proveSecret(ctx context.Context, client *directory.Instance) (Proof, error) {
	app, id := client.Application, t.credential.ClientID
	switch {
	case app == nil: // a managed identity has none
		return Proof{}, aadsts.WrongSecret(id)
	case app.Public && !HasCredential(app):
		return Proof{}, aadsts.PublicClient(id)
	}
	asker := directory.Asker{Source: t.x.Source}
	if t.directory.CanBeGuessed(app, t.credential.Secret) {
		if err := t.startGuess(ctx, app.AppID); err != nil {
			return Proof{}, err
		}
		asker.Known = t.guess.Known()
		if t.directory.IsSlowSecret(app, t.credential.Secret) {
			t.takeTurn(ctx, app.AppID)
			if seconds := t.guess.Wait(); seconds > 0 {
				t.endGuess(coordination.Guess.Wrong) // so far: it is none that was right before
				return Proof{}, aadsts.Throttled(seconds)
			}
		}
	}
	secret, err := t.directory.CheckSecretFor(ctx, asker, app, t.credential.Secret)
	switch {
	case errors.Is(err, directory.ErrBusy):
		return Proof{}, aadsts.Busy()
	case errors.Is(err, directory.ErrWrongSecret) && strings.HasSuffix(t.credential.Secret, "\n"):
		return Proof{}, aadsts.SecretLineBreak(id)
	case errors.Is(err, directory.ErrWrongSecret):
		return Proof{}, aadsts.WrongSecret(id)
	case errors.Is(err, directory.ErrExpiredSecret):
		return Proof{}, aadsts.ExpiredSecret(id)
	case err != nil:
		return Proof{}, err
	}
	return Proof{Client: client, Credential: BySecret, CredentialID: secret.ID}, nil
}

// proveAssertion checks a client assertion: signed by a certificate's key of the
// application, or by an issuer that it trusts.
func (t *attempt) proveAssertion(ctx context.Context) (Proof, error) {
	if t.credential.ClientID != "" {
		// The order of checks: who the client is comes before what it presents.
		if _, err := t.admit(ctx, t.credential.ClientID); err != nil {
			return Proof{}, err
		}
	}
	return t.assertions.verify(ctx, assertionInput{
		Assertion: t.credential.Assertion,
		ClientID:  t.credential.ClientID,
		Tenant:    t.tenant,
		Origin:    t.x.Origin,
		Audiences: t.x.Origin.Audiences(t.tenant, t.x.Tenant, t.x.Request.URL.RawQuery),
		Lookup: func(ctx context.Context, id directory.AppID) (*directory.Instance, error) {
			client, err := t.admit(ctx, string(id))
			if err == nil && client.Application != nil && client.Application.Public && !HasCredential(client.Application) {
				return nil, aadsts.PublicClient(string(id))
			}
			return client, err
		},
	})
}

// HasCredential reports whether an application has any credential at all.
func HasCredential(app *directory.Application) bool {
	return len(app.Secrets)+len(app.Certificates)+len(app.Federated) > 0
}
