package authoritytest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// UserToken returns a token by which the named client calls the named API on behalf of a
// user, such as "dev@contoso.test", after declaring the scopes at the API and consenting to
// them for everyone. It comes about as any user's token does, but nobody has to sign in.
// Users of the domain [TenantDomain] come into being when they are first named; roles of
// theirs are given with [Authority.Apply]. The client may ask without its secret from then
// on, as programs do that run on a user's machine.
//
// For a token that an API for applications must refuse, [Bad.UserToken] is enough.
func (a *Authority) UserToken(user, client, api string, scopes ...string) string {
	a.t.Helper()
	if len(scopes) == 0 {
		a.t.Fatal("authoritytest: a user's token is for one scope at least")
	}
	app := a.App(client)
	a.mu.Lock()
	defer a.mu.Unlock()
	target := a.api(api)
	var id directory.ObjectID
	a.change("let "+client+" act for "+user, func(e *directory.Editor) (err error) {
		if id, err = ensureUser(e, user); err != nil {
			return err
		}
		if err := declareScopes(e, target.AppID, scopes); err != nil {
			return err
		}
		return consent(e, app.ClientID, target.AppID, scopes)
	})
	asked := make([]string, len(scopes))
	for i, scope := range scopes {
		asked[i] = target.Identifier + "/" + scope
	}
	minted, err := a.issuer.Mint(context.WithoutCancel(a.t.Context()), issuance.MintRequest{
		Tenant: TenantID, Identity: directory.AppID(app.ClientID),
		User: issuance.UserSignIn{User: id, Session: guid.New(), Scope: strings.Join(asked, " ")},
	})
	a.check("get a token of "+user, err)
	return minted.Token
}

// ensureUser makes sure that there is the user.
func ensureUser(e *directory.Editor, name string) (directory.ObjectID, error) {
	user, err := e.Users().Find(TenantID, name)
	if errors.Is(err, directory.ErrNotFound) {
		display, _, _ := strings.Cut(name, "@")
		user, err = e.Users().Create(directory.User{Tenant: TenantID, PrincipalName: name, DisplayName: display}, nil)
	}
	if err != nil {
		return "", err
	}
	return user.ID, nil
}

// declareScopes makes sure that the API has the scopes.
func declareScopes(e *directory.Editor, appID string, scopes []string) error {
	app, err := e.Applications().Find(TenantID, appID)
	if err != nil {
		return err
	}
	next := *app
	next.Scopes = slices.Clone(app.Scopes)
	for _, value := range scopes {
		if !slices.ContainsFunc(next.Scopes, func(s directory.Scope) bool { return s.Value == value }) {
			next.Scopes = append(next.Scopes, directory.Scope{Value: value, DisplayName: value, Description: value, Enabled: true})
		}
	}
	_, err = e.Applications().Edit(next.Tenant, next.ID, func(v *directory.Application) error { *v = next; return nil })
	return err
}

// consent lets the client act for every user with the scopes.
func consent(e *directory.Editor, client, resource string, scopes []string) error {
	app, err := e.Applications().Find(TenantID, client)
	if err != nil {
		return err
	}
	next := *app
	next.Public = true
	if _, err := e.Applications().Edit(next.Tenant, next.ID, func(v *directory.Application) error { *v = next; return nil }); err != nil {
		return err
	}
	holder, err := e.ServicePrincipals().Find(TenantID, client)
	if err != nil {
		return err
	}
	api, err := e.ServicePrincipals().Find(TenantID, resource)
	if err != nil {
		return err
	}
	_, err = e.DelegatedGrants().Add(TenantID, holder.ID, api.ID, "", scopes)
	return err
}
