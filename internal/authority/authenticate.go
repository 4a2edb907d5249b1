package authority

import (
	"context"
	"errors"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// How a client proved itself by a secret. The kinds of assertions name themselves.
const credentialSecret = "secret"

// authenticate turns the request's credential into proof of which client asks. Refused
// credentials are counted by application and source, whichever way they were spelled.
func (a *Authority) authenticate(ctx context.Context, x *exchange, tenant *directory.Tenant, req *request) (proof, error) {
	defer x.endTurn()
	proven, err := fresh(ctx, a.directory, func() (proof, error) { return a.prove(ctx, x, tenant, req) })
	if err != nil {
		if isRefusedCredential(req, err) {
			a.throttle.failed(x.signIn.AppID, x.source)
			x.attempted = true
		}
		return proof{}, err
	}
	x.signIn.Credential, x.signIn.CredentialID = proven.credential, proven.credentialID
	if proven.replayed {
		x.signIn.Reason = "the client assertion had been presented before"
	}
	return proven, nil
}

// isRefusedCredential reports whether a problem says that a credential proves nothing.
func isRefusedCredential(req *request, err error) bool {
	return aadsts.Of(err).OAuth == aadsts.InvalidClient && (req.secret != "" || req.assertion != "")
}

// prove checks the credential once.
func (a *Authority) prove(ctx context.Context, x *exchange, tenant *directory.Tenant, req *request) (proof, error) {
	if req.assertion != "" {
		return a.proveAssertion(ctx, x, tenant, req)
	}
	client, err := a.admit(ctx, x, tenant, req.clientID)
	if err != nil {
		return proof{}, err
	}
	switch {
	case req.secret != "":
		return a.proveSecret(ctx, x, client, req)
	case req.forPublic() && client.Application != nil && client.Application.Public:
		return proof{client: client}, nil
	}
	return proof{}, aadsts.NoCredential(req.clientID)
}

// forPublic reports whether a client without a credential may ask: one that a user stands
// behind, who proves what is to be proven.
func (req *request) forPublic() bool {
	switch req.grant {
	case grantCode, grantRefresh, grantDevice, grantPassword:
		return true
	}
	return false
}

// admit finds the client and lets it try, unless too many tries failed lately. No
// credential is looked at before.
func (a *Authority) admit(ctx context.Context, x *exchange, tenant *directory.Tenant, id string) (*directory.Instance, error) {
	client, err := a.findClient(ctx, tenant, id)
	if err == nil && !a.assertions.speaks(client) {
		err = aadsts.ClientUnknown(id, tenant.Name)
	}
	if err != nil {
		x.signIn.AppID = directory.AppID(text.Line(id, aadsts.MaxNoted))
		return nil, err
	}
	x.signIn.AppID, x.signIn.Name = client.Principal.AppID, client.Principal.Name
	if seconds := a.throttle.wait(client.Principal.AppID, x.source); seconds > 0 {
		return nil, aadsts.Throttled(seconds)
	}
	return client, nil
}

// inTurn waits until no other secret of the application from the same source is looked at
// slowly: guesses that are sent all at once are counted one by one. The turn ends with
// endTurn, once its outcome is counted.
func (a *Authority) inTurn(x *exchange, app directory.AppID) error {
	if x.turn == nil {
		x.turn = a.turns.take("application " + string(app) + " " + x.source)
	}
	if seconds := a.throttle.wait(app, x.source); seconds > 0 {
		return aadsts.Throttled(seconds)
	}
	return nil
}

func (x *exchange) endTurn() {
	if x.turn != nil {
		x.turn()
		x.turn = nil
	}
}

// proveSecret checks a client secret.
func (a *Authority) proveSecret(ctx context.Context, x *exchange, client *directory.Instance, req *request) (proof, error) {
	app := client.Application
	switch {
	case app == nil: // a managed identity has none
		return proof{}, aadsts.WrongSecret(req.clientID)
	case app.Public && !hasCredential(app):
		return proof{}, aadsts.PublicClient(req.clientID)
	}
	if a.directory.IsSlowSecret(app, req.secret) {
		if err := a.inTurn(x, client.Principal.AppID); err != nil {
			return proof{}, err
		}
	}
	secret, err := a.directory.CheckSecret(ctx, app, req.secret)
	switch {
	case errors.Is(err, directory.ErrWrongSecret):
		return proof{}, aadsts.WrongSecret(req.clientID)
	case errors.Is(err, directory.ErrExpiredSecret):
		return proof{}, aadsts.ExpiredSecret(req.clientID)
	case err != nil:
		return proof{}, err
	}
	return proof{client: client, credential: credentialSecret, credentialID: secret.ID}, nil
}

// proveAssertion checks a client assertion: signed by a certificate's key of the
// application, or by an issuer that it trusts.
func (a *Authority) proveAssertion(ctx context.Context, x *exchange, tenant *directory.Tenant, req *request) (proof, error) {
	if req.clientID != "" {
		// The order of checks: who the client is comes before what it presents.
		if _, err := a.admit(ctx, x, tenant, req.clientID); err != nil {
			return proof{}, err
		}
	}
	return a.assertions.verify(ctx, assertionInput{
		Assertion: req.assertion,
		ClientID:  req.clientID,
		Tenant:    tenant,
		TokenURLs: a.tokenURLs(x, tenant),
		Lookup: func(ctx context.Context, id directory.AppID) (*directory.Instance, error) {
			client, err := a.admit(ctx, x, tenant, string(id))
			if err == nil && client.Application != nil && client.Application.Public && !hasCredential(client.Application) {
				return nil, aadsts.PublicClient(string(id))
			}
			return client, err
		},
	})
}

// hasCredential reports whether an application has any credential at all.
func hasCredential(app *directory.Application) bool {
	return len(app.Secrets)+len(app.Certificates)+len(app.Federated) > 0
}
