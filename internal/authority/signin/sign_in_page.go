package signin

import (
	"context"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// signInPage asks for name and password. A user who is signed in already may go on
// with that session, unless the client asks for a new sign-in.
func (h *Handler) signInPage(x *exchange.Exchange, r *resolvedRequest, session *browserSession, p *aadsts.Problem, name string) (exchange.Answer, error) {
	seal, err := h.forms.seal(x, formSignIn, r.interaction)
	if err != nil {
		return exchange.Answer{}, err
	}
	page := struct {
		Title, Form, Name, Known, Wrong string
		Whose                           whose
		Shared                          bool
	}{Title: "Sign in", Form: seal, Name: name, Whose: r.whose(), Shared: resolve.IsShared(r.Tenant)}
	if name == "" && r.request != nil {
		page.Name = r.request.hint
	}
	if h.mayContinue(r, session) {
		page.Known = session.user.PrincipalName
	}
	status, wait := http.StatusOK, 0
	if p != nil {
		page.Wrong, status, wait = wrongSignIn(p), p.Status, p.RetryAfter
	}
	response, err := h.pages.render("signin", status, page)
	response.FormTarget, response.RetryAfter = r.target(), wait
	return response, err
}

// mayContinue reports whether the person need not type anything.
func (h *Handler) mayContinue(r *resolvedRequest, session *browserSession) bool {
	return session != nil && r.request != nil && session.tenant.ID == r.tenant.ID &&
		r.request.prompts("select_account") && !r.request.prompts("login") && r.request.maxAge < 0
}

// wrongSignIn words a refusal for a person. A user who does not exist gets the same words as
// one who mistyped a password.
func wrongSignIn(p *aadsts.Problem) string {
	switch p.Code {
	case aadsts.CodeThrottled:
		return "Too many attempts failed. Wait a minute, then try again."
	case aadsts.CodeUserUnknown, aadsts.CodeUserHome:
		p = aadsts.WrongPassword()
	}
	return p.What
}

// signInForm takes what the sign-in page asked for.
func (h *Handler) signInForm(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	var i interaction
	fields, err := h.forms.open(x, formSignIn, &i)
	if err != nil {
		return exchange.Answer{}, err
	}
	if err := h.resolver.CheckFresh(ctx); err != nil {
		return exchange.Answer{}, err
	}
	session, err := h.sessions.current(ctx, x)
	if err != nil {
		return exchange.Answer{}, err
	}
	r, refused, err := h.resolve(ctx, i, session)
	switch {
	case err != nil:
		return exchange.Answer{}, err
	case refused != nil:
		return h.refuse(x, r.request, refused)
	}
	switch {
	case fields["action"] == actionCancel:
		return h.giveUp(ctx, x, r)
	case fields["action"] == actionContinue && h.mayContinue(r, session):
		i.SignedIn = true
		return h.advanceAs(ctx, x, i, session)
	}
	name := text.Line(fields["username"], text.MaxQuoted)
	tenant, user, err := h.admitUser(ctx, x, r, name, fields["password"])
	if err != nil {
		x.NoteRefusal(aadsts.Of(err))
		return h.signInPage(x, r, session, aadsts.Of(err), name)
	}
	session, err = h.sessions.start(ctx, x, tenant, user)
	if err != nil {
		return exchange.Answer{}, err
	}
	i.SignedIn = true
	return h.advanceAs(ctx, x, i, session)
}

// admitUser finds the user's tenant and checks the password. It leaves a sign-in row.
func (h *Handler) admitUser(ctx context.Context, x *exchange.Exchange, r *resolvedRequest, name, password string) (*directory.Tenant, *directory.User, error) {
	tenant := r.tenant
	h.noteSignIn(x, r, name)
	if resolve.IsShared(r.Tenant) {
		home, err := h.resolver.Home(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		tenant = home
		x.SignIn.Tenant = home.ID
	}
	user, err := h.users.CheckPassword(ctx, x.Source, tenant, name, password)
	return tenant, user, err
}

// noteSignIn begins the sign-in row of a person's attempt.
func (h *Handler) noteSignIn(x *exchange.Exchange, r *resolvedRequest, name string) {
	x.SignIn.Tenant, x.SignIn.AppID, x.SignIn.Name = r.tenant.ID, r.client.Principal.AppID, r.client.Principal.Label()
	x.SignIn.Credential, x.SignIn.User = exchange.ByPassword, exchange.Noted(name)
	x.SignIn.Resource = exchange.Noted(r.scopes.Identifier)
	x.SignIn.Library = x.Library(nil)
}

// giveUp ends an interaction that the person does not want.
func (h *Handler) giveUp(ctx context.Context, x *exchange.Exchange, r *resolvedRequest) (exchange.Answer, error) {
	if r.request != nil {
		return h.refuse(x, r.request, aadsts.Declined())
	}
	r.device.State = records.DeviceDeclined
	if err := h.saveDecision(ctx, r); err != nil {
		return exchange.Answer{}, err
	}
	return h.pages.message(message{
		Title: "Nothing was allowed", Text: r.client.Principal.Label() + " on the device did not get access. You can close this window.",
	})
}
