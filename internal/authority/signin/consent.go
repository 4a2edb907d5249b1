package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A consentForm is what a consent page brings back: the session it was shown to, and a
// digest of all that was shown.
type consentForm struct {
	Interaction interaction `json:"e"`
	Session     string      `json:"s"`
	Shown       string      `json:"p"`
}

// shown is everything on a consent page that a person decides by. Names are not enough:
// ids tell two applications or scopes of the same name apart.
type shown struct {
	Whose      whose
	Client     directory.ObjectID
	Resource   string
	ResourceID directory.ObjectID
	Scopes     []directory.Scope
	Sign       []string // what comes with the sign-in itself
	User       string
	Admin      bool
}

func showConsent(r *resolvedRequest, session *browserSession, d issuance.Delegation, scopes []directory.Scope) shown {
	return shown{
		Whose: r.whose(), Client: r.client.Principal.ID,
		Resource: d.Resource.Principal.Label(), ResourceID: d.Resource.Principal.ID,
		Scopes: scopes, Sign: signScopes(r.scopes), User: session.user.PrincipalName, Admin: session.user.IsConsentAdmin(),
	}
}

// signScopes says in words what scopes of OpenID Connect give.
func signScopes(requested scope.Requested) []string {
	told := scope.Requested{OIDC: slices.Concat(requested.OIDC, scope.Usual())}
	var words []string
	for _, s := range []struct{ name, words string }{
		{"openid", "Know that it is you who signed in"},
		{"profile", "See your name and user name"},
		{"email", "See your e-mail address"},
		{"offline_access", "Keep this access while you are away, until it is revoked"},
	} {
		if told.Has(s.name) {
			words = append(words, s.words)
		}
	}
	return words
}

// toConsent returns the scopes that the user has to be asked about.
func (r *resolvedRequest) toConsent(d issuance.Delegation) []directory.Scope {
	if r.request == nil || !r.request.prompts("consent") || r.Consented || r.scopes.Identifier == "" {
		return d.Missing
	}
	all := slices.Clone(d.Missing)
	for _, value := range d.Granted {
		if s, ok := issuance.ScopeNamed(d.Resource.Application, value); ok {
			all = append(all, s)
		}
	}
	return all
}

// adminOnly returns the scopes that only an administrator may consent to.
func adminOnly(scopes []directory.Scope) []directory.Scope {
	return slices.DeleteFunc(slices.Clone(scopes), func(s directory.Scope) bool { return !s.AdminOnly })
}

// consentPage shows what the client asks for. Without it nothing is granted, and nothing
// but what stands on it.
func (h *Handler) consentPage(x *exchange.Exchange, r *resolvedRequest, session *browserSession, d issuance.Delegation, notice string) (exchange.Answer, error) {
	s := showConsent(r, session, d, r.toConsent(d))
	digest, err := h.digestShown(s)
	if err != nil {
		return exchange.Answer{}, err
	}
	seal, err := h.forms.seal(x, formConsent, consentForm{Interaction: r.interaction, Session: session.ID, Shown: digest})
	if err != nil {
		return exchange.Answer{}, err
	}
	blocked := len(adminOnly(s.Scopes)) > 0 && !s.Admin
	title, status := "Allow access?", http.StatusOK
	if blocked {
		title = "An administrator has to allow this"
	}
	if notice != "" {
		status = http.StatusConflict
	}
	response, err := h.pages.render("consent", status, struct {
		Title, Form, Notice string
		Shown               shown
		Blocked             bool
	}{title, seal, notice, s, blocked})
	response.FormTarget = r.target()
	return response, err
}

// digestShown names all that stands on a page.
func (h *Handler) digestShown(s shown) (string, error) {
	encoded, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("encode a consent: %w", err)
	}
	return h.sealer.Digest("consent", string(encoded)), nil
}

// consentForm takes a person's decision. It counts if the person is still the one who saw
// the page, and if the page would still say the same.
func (h *Handler) consentForm(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	var sent consentForm
	fields, err := h.forms.open(x, formConsent, &sent)
	if err != nil {
		return exchange.Answer{}, err
	}
	r, session, otherwise, err := h.decided(ctx, x, sent.Interaction, sent.Session, fields["action"] == actionAccept)
	if r == nil || err != nil {
		return otherwise, err
	}
	d, err := h.issuer.Delegate(ctx, r.tenant, r.client, session.user, r.scopes)
	if err != nil {
		return exchange.Answer{}, err
	}
	scopes := r.toConsent(d)
	digest, err := h.digestShown(showConsent(r, session, d, scopes))
	switch {
	case err != nil:
		return exchange.Answer{}, err
	case len(scopes) > 0 && digest != sent.Shown:
		return h.consentPage(x, r, session, d, "What the application asks for has changed while you looked. Nothing was allowed yet; look again.")
	}
	if err := h.grantScopes(ctx, r, session, d, scopes, fields["everyone"] == "yes"); err != nil {
		return exchange.Answer{}, err
	}
	sent.Interaction.Consented, sent.Interaction.SignedIn = true, true
	return h.advanceAs(ctx, x, sent.Interaction, session)
}

// decided returns the request of a page on which somebody decided, and their session. If
// they said no, or the request cannot be answered any more, there is no request, and the
// answer is what they get.
func (h *Handler) decided(ctx context.Context, x *exchange.Exchange, i interaction, shownTo string, yes bool) (*resolvedRequest, *browserSession, exchange.Answer, error) {
	session, err := h.sameSession(ctx, x, shownTo)
	if err != nil {
		return nil, nil, exchange.Answer{}, err
	}
	r, refused, err := h.resolve(ctx, i, session)
	switch {
	case err != nil:
		return nil, nil, exchange.Answer{}, err
	case refused != nil:
		otherwise, err := h.refuse(x, r.request, refused)
		return nil, nil, otherwise, err
	case !yes:
		otherwise, err := h.declineConsent(ctx, x, r, session)
		return nil, nil, otherwise, err
	}
	return r, session, exchange.Answer{}, nil
}

// sameSession returns the browser's session if it is still the one that saw the page. A
// decision rests on a view of the directory that is fresh enough.
func (h *Handler) sameSession(ctx context.Context, x *exchange.Exchange, shownTo string) (*browserSession, error) {
	if err := h.resolver.CheckFresh(ctx); err != nil {
		return nil, err
	}
	session, err := h.sessions.current(ctx, x)
	switch {
	case err != nil:
		return nil, err
	case session == nil || session.ID != shownTo:
		return nil, aadsts.Form()
	}
	return session, nil
}

// declineConsent notes that the person does not agree, and goes back.
func (h *Handler) declineConsent(ctx context.Context, x *exchange.Exchange, r *resolvedRequest, session *browserSession) (exchange.Answer, error) {
	h.noteSignIn(x, r, session.user.PrincipalName)
	x.NoteRefusal(aadsts.Declined())
	return h.giveUp(ctx, x, r)
}

// grantScopes writes what was agreed to into the directory, in the name of the user.
func (h *Handler) grantScopes(ctx context.Context, r *resolvedRequest, session *browserSession, d issuance.Delegation, scopes []directory.Scope, everyone bool) error {
	if len(scopes) == 0 {
		return nil
	}
	admin := session.user.IsConsentAdmin()
	if reserved := adminOnly(scopes); !admin && (everyone || len(reserved) > 0) {
		return aadsts.AdminConsent(string(r.client.Principal.AppID), issuance.ScopeValues(scopes))
	}
	holder := session.user.ID
	if everyone {
		holder = ""
	}
	var values []string
	for _, s := range scopes {
		values = append(values, s.Value)
	}
	_, err := h.directory.Change(ctx, directory.Consenter(session.user), func(e *directory.Editor) error {
		_, err := e.DelegatedGrants().Add(r.tenant.ID, r.client.Principal.ID, d.Resource.Principal.ID, holder, values)
		return err
	})
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*directory.RuleError)), errors.Is(err, directory.ErrNotFound):
		return aadsts.ScopeUnknown(issuance.ScopeValues(scopes), r.scopes.Identifier).Because(err)
	}
	return err
}
