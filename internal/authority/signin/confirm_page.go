package signin

import (
	"context"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
)

// A confirmForm is what the page brings back that asks whether the person started this.
type confirmForm struct {
	Interaction interaction `json:"e"`
	Session     string      `json:"s"`
}

// mustConfirm reports whether single sign-on has to ask before it answers: any program on
// the user's machine can pass for a public client that answers there, and would be signed
// in without anybody noticing (RFC 8252 section 8.6). A person who signed in or
// consented for this request was shown who asks, and where the answer goes.
func (r *resolvedRequest) mustConfirm() bool {
	return !r.SignedIn && !r.Confirmed && r.client.Application.Public && isLocal(r.request.redirectURI)
}

// confirmPage asks whether the person started this: somebody who sends them a device's code
// may want to be signed in as them (RFC 8628 section 5.4).
func (h *Handler) confirmPage(x *exchange.Exchange, r *resolvedRequest, session *browserSession) (exchange.Answer, error) {
	seal, err := h.forms.seal(x, formConfirm, confirmForm{Interaction: r.interaction, Session: session.ID})
	if err != nil {
		return exchange.Answer{}, err
	}
	title := "Did you start this?"
	if r.device != nil {
		title = "Is this your device?"
	}
	response, err := h.pages.render("confirm", http.StatusOK, struct {
		Title, Form, User string
		Whose             whose
		Device            bool
	}{title, seal, session.user.PrincipalName, r.whose(), r.device != nil})
	response.FormTarget = r.target()
	return response, err
}

// confirmForm takes the answer.
func (h *Handler) confirmForm(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	var sent confirmForm
	fields, err := h.forms.open(x, formConfirm, &sent)
	if err != nil {
		return exchange.Answer{}, err
	}
	r, session, otherwise, err := h.decided(ctx, x, sent.Interaction, sent.Session, fields["action"] == actionContinue)
	if r == nil || err != nil {
		return otherwise, err
	}
	sent.Interaction.Confirmed = true
	return h.advanceAs(ctx, x, sent.Interaction, session)
}
