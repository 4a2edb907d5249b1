package authority

import (
	"context"
	"net/http"
)

// A confirmForm is what the page brings back that asks whether the person started this.
type confirmForm struct {
	Errand  errand `json:"e"`
	Session string `json:"s"`
}

// mustConfirm reports whether single sign-on has to ask before it answers: any program on
// the user's machine can pass for a public client that answers there, and would be signed
// in without anybody noticing (RFC 8252 section 8.6). Who signed in or consented for this
// request was shown who asks, and where the answer goes.
func (m *matter) mustConfirm() bool {
	return !m.SignedIn && !m.Confirmed && m.client.Application.Public && isLocal(m.request.redirectURI)
}

// confirmPage asks whether the person started this. Of a device, because who sends
// somebody else a code wants to be signed in as them (RFC 8628 section 5.4).
func (a *Authority) confirmPage(x *exchange, m *matter, who *visitor) (answer, error) {
	seal, err := a.sealForm(x, formConfirm, confirmForm{Errand: m.errand, Session: who.ID})
	if err != nil {
		return answer{}, err
	}
	title := "Did you start this?"
	if m.device != nil {
		title = "Is this your device?"
	}
	response, err := a.page("confirm", http.StatusOK, struct {
		Title, Form, User string
		Whose             whose
		Device            bool
	}{title, seal, who.user.PrincipalName, m.whose(), m.device != nil})
	response.formTarget = m.target()
	return response, err
}

// confirmForm takes the answer.
func (a *Authority) confirmForm(ctx context.Context, x *exchange) (answer, error) {
	var sent confirmForm
	fields, err := a.openForm(x, formConfirm, &sent)
	if err != nil {
		return answer{}, err
	}
	m, who, otherwise, err := a.decided(ctx, x, sent.Errand, sent.Session, fields["action"] == actionContinue)
	if m == nil || err != nil {
		return otherwise, err
	}
	sent.Errand.Confirmed = true
	return a.pursueAs(ctx, x, sent.Errand, who)
}
