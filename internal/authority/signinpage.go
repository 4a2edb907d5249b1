package authority

import (
	"context"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// The names of forms: what was sealed for one is of no use to another.
const (
	formSignIn  = "sign-in"
	formConsent = "consent"
	formCode    = "device code"
	formConfirm = "confirm"
	formSignOut = "sign-out"
)

// What a person does with a form, by the button.
const (
	actionCancel   = "cancel"
	actionContinue = "continue"
)

// signInPage asks for name and password. A visitor who is signed in already may go on as
// that, unless the client wants a new sign-in.
func (a *Authority) signInPage(x *exchange, m *matter, who *visitor, p *aadsts.Problem, name string) (answer, error) {
	seal, err := a.sealForm(x, formSignIn, m.errand)
	if err != nil {
		return answer{}, err
	}
	page := struct {
		Title, Form, Name, Known, Wrong string
		Whose                           whose
		Shared                          bool
	}{Title: "Sign in", Form: seal, Name: name, Whose: m.whose(), Shared: isShared(m.Tenant)}
	if name == "" && m.request != nil {
		page.Name = m.request.hint
	}
	if a.mayContinue(m, who) {
		page.Known = who.user.PrincipalName
	}
	status, wait := http.StatusOK, 0
	if p != nil {
		page.Wrong, status, wait = wrongSignIn(p), p.Status, p.RetryAfter
	}
	response, err := a.page("signin", status, page)
	response.formTarget, response.retryAfter = m.target(), wait
	return response, err
}

// mayContinue reports whether the visitor need not type anything.
func (a *Authority) mayContinue(m *matter, who *visitor) bool {
	return who != nil && m.request != nil && who.tenant.ID == m.tenant.ID &&
		m.request.prompts("select_account") && !m.request.prompts("login") && m.request.maxAge < 0
}

// wrongSignIn words a refusal for a person. Who does not exist gets the same words as who
// mistyped a password.
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
func (a *Authority) signInForm(ctx context.Context, x *exchange) (answer, error) {
	var e errand
	fields, err := a.openForm(x, formSignIn, &e)
	if err != nil {
		return answer{}, err
	}
	if err := a.checkFresh(ctx); err != nil {
		return answer{}, err
	}
	before, err := a.visitor(ctx, x)
	if err != nil {
		return answer{}, err
	}
	m, refused, err := a.understand(ctx, e, before)
	switch {
	case err != nil:
		return answer{}, err
	case refused != nil:
		return a.refuse(x, m.request, refused)
	}
	switch {
	case fields["action"] == actionCancel:
		return a.giveUp(ctx, x, m)
	case fields["action"] == actionContinue && a.mayContinue(m, before):
		e.SignedIn = true
		return a.pursueAs(ctx, x, e, before)
	}
	name := text.Line(fields["username"], text.MaxQuoted)
	tenant, user, err := a.admitUser(ctx, x, m, name, fields["password"])
	if err != nil {
		a.noteRefusal(x, aadsts.Of(err))
		return a.signInPage(x, m, before, aadsts.Of(err), name)
	}
	who, err := a.welcome(ctx, x, tenant, user)
	if err != nil {
		return answer{}, err
	}
	e.SignedIn = true
	return a.pursueAs(ctx, x, e, who)
}

// admitUser finds the user's tenant and checks the password. It leaves a sign-in row.
func (a *Authority) admitUser(ctx context.Context, x *exchange, m *matter, name, password string) (*directory.Tenant, *directory.User, error) {
	tenant := m.tenant
	a.noteSignIn(x, m, name)
	if isShared(m.Tenant) {
		home, err := a.homeOf(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		tenant = home
		x.signIn.Tenant = home.ID
	}
	user, err := a.checkPassword(ctx, x, tenant, name, password)
	return tenant, user, err
}

// noteSignIn begins the sign-in row of a person's attempt.
func (a *Authority) noteSignIn(x *exchange, m *matter, name string) {
	x.signIn.Tenant, x.signIn.AppID, x.signIn.Name = m.tenant.ID, m.client.Principal.AppID, m.client.Principal.Name
	x.signIn.Credential, x.signIn.User = credentialPassword, text.Line(name, aadsts.MaxNoted)
	x.signIn.Resource = text.Line(m.ask.Identifier, aadsts.MaxNoted)
	x.signIn.Library = library(nil, x.http.Header)
}

// credentialPassword is how people prove themselves.
const credentialPassword = "password"

// giveUp ends an errand that the person does not want.
func (a *Authority) giveUp(ctx context.Context, x *exchange, m *matter) (answer, error) {
	if m.request != nil {
		return a.refuse(x, m.request, aadsts.Declined())
	}
	m.device.State = deviceDeclined
	if err := a.settleDevice(ctx, m); err != nil {
		return answer{}, err
	}
	return a.messagePage(x, message{
		Title: "Nothing was allowed", Text: m.client.Principal.Name + " on the device did not get access. You can close this window.",
	})
}
