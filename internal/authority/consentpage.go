package authority

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A consentForm is what a consent page brings back: whom it was shown to, and a digest of
// all that was shown.
type consentForm struct {
	Errand  errand `json:"e"`
	Session string `json:"s"`
	Shown   string `json:"p"`
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

func showConsent(m *matter, who *visitor, d delegation, scopes []directory.Scope) shown {
	return shown{
		Whose: m.whose(), Client: m.client.Principal.ID,
		Resource: d.resource.Principal.Name, ResourceID: d.resource.Principal.ID,
		Scopes: scopes, Sign: signScopes(m.ask), User: who.user.PrincipalName, Admin: isConsentAdmin(who.user),
	}
}

// signScopes says in words what scopes of OpenID Connect give.
func signScopes(w ask) []string {
	told := ask{OIDC: slices.Concat(w.OIDC, usualScopes())}
	var words []string
	for _, scope := range []struct{ name, words string }{
		{"openid", "Know that it is you who signed in"},
		{"profile", "See your name and user name"},
		{"email", "See your e-mail address"},
		{"offline_access", "Keep this access while you are away, until it is revoked"},
	} {
		if told.has(scope.name) {
			words = append(words, scope.words)
		}
	}
	return words
}

// consentRoles are the directory roles whose holders may consent to anything, for themselves
// and for everyone.
func consentRoles() []string {
	return []string{"Global Administrator", "Privileged Role Administrator", "Application Administrator", "Cloud Application Administrator"}
}

// isConsentAdmin reports whether a user may consent to what is for administrators.
func isConsentAdmin(user *directory.User) bool {
	return slices.ContainsFunc(user.DirectoryRoles, func(role string) bool { return slices.Contains(consentRoles(), role) })
}

// adminOnly gives the scopes that only an administrator may consent to.
func adminOnly(scopes []directory.Scope) []directory.Scope {
	return slices.DeleteFunc(slices.Clone(scopes), func(s directory.Scope) bool { return !s.AdminOnly })
}

// consentPage shows what the client asks for. Without it nothing is granted, and nothing
// but what stands on it.
func (a *Authority) consentPage(x *exchange, m *matter, who *visitor, d delegation, notice string) (answer, error) {
	s := showConsent(m, who, d, m.toConsent(d))
	digest, err := a.digestShown(s)
	if err != nil {
		return answer{}, err
	}
	seal, err := a.sealForm(x, formConsent, consentForm{Errand: m.errand, Session: who.ID, Shown: digest})
	if err != nil {
		return answer{}, err
	}
	blocked := len(adminOnly(s.Scopes)) > 0 && !s.Admin
	title, status := "Allow access?", http.StatusOK
	if blocked {
		title = "An administrator has to allow this"
	}
	if notice != "" {
		status = http.StatusConflict
	}
	response, err := a.page("consent", status, struct {
		Title, Form, Notice string
		Shown               shown
		Blocked             bool
	}{title, seal, notice, s, blocked})
	response.formTarget = m.target()
	return response, err
}

// digestShown names all that stands on a page.
func (a *Authority) digestShown(s shown) (string, error) {
	encoded, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("encode a consent: %w", err)
	}
	return a.state.digest("consent", string(encoded)), nil
}

// consentForm takes a person's decision. It counts if the person is still who saw the
// page, and if the page would still say the same.
func (a *Authority) consentForm(ctx context.Context, x *exchange) (answer, error) {
	var sent consentForm
	fields, err := a.openForm(x, formConsent, &sent)
	if err != nil {
		return answer{}, err
	}
	m, who, otherwise, err := a.decided(ctx, x, sent.Errand, sent.Session, fields["action"] == actionAccept)
	if m == nil || err != nil {
		return otherwise, err
	}
	d, err := a.delegate(ctx, m.tenant, m.client, who.user, m.ask)
	if err != nil {
		return answer{}, err
	}
	scopes := m.toConsent(d)
	digest, err := a.digestShown(showConsent(m, who, d, scopes))
	switch {
	case err != nil:
		return answer{}, err
	case len(scopes) > 0 && digest != sent.Shown:
		return a.consentPage(x, m, who, d, "What the application asks for has changed while you looked. Nothing was allowed yet; look again.")
	}
	if err := a.grantScopes(ctx, m, who, d, scopes, fields["everyone"] == "yes"); err != nil {
		return answer{}, err
	}
	sent.Errand.Consented, sent.Errand.SignedIn = true, true
	return a.pursueAs(ctx, x, sent.Errand, who)
}

const actionAccept = "accept"

// decided returns the matter of a page on which somebody decided, and who it was. If they
// said no, or the request cannot be answered any more, there is no matter, and the answer
// is what they get.
func (a *Authority) decided(ctx context.Context, x *exchange, e errand, session string, yes bool) (*matter, *visitor, answer, error) {
	who, err := a.sameVisitor(ctx, x, session)
	if err != nil {
		return nil, nil, answer{}, err
	}
	m, refused, err := a.understand(ctx, e, who)
	switch {
	case err != nil:
		return nil, nil, answer{}, err
	case refused != nil:
		otherwise, err := a.refuse(x, m.request, refused)
		return nil, nil, otherwise, err
	case !yes:
		otherwise, err := a.declineConsent(ctx, x, m, who)
		return nil, nil, otherwise, err
	}
	return m, who, answer{}, nil
}

// sameVisitor returns who is signed in, if that is still the session that saw the page. A
// decision rests on a view of the directory that is fresh enough.
func (a *Authority) sameVisitor(ctx context.Context, x *exchange, session string) (*visitor, error) {
	if err := a.checkFresh(ctx); err != nil {
		return nil, err
	}
	who, err := a.visitor(ctx, x)
	switch {
	case err != nil:
		return nil, err
	case who == nil || who.ID != session:
		return nil, aadsts.Form()
	}
	return who, nil
}

// declineConsent notes that the person does not agree, and goes back.
func (a *Authority) declineConsent(ctx context.Context, x *exchange, m *matter, who *visitor) (answer, error) {
	a.noteSignIn(x, m, who.user.PrincipalName)
	a.noteRefusal(x, aadsts.Declined())
	return a.giveUp(ctx, x, m)
}

// consenting is a user who agrees that an application acts for them, or for everyone.
func consenting(user *directory.User) directory.Actor {
	return directory.Actor{Kind: directory.ActorUser, Name: user.PrincipalName, Rights: directory.Manage(directory.DelegatedGrants)}
}

// grantScopes writes what was agreed to into the directory, in the name of the user.
func (a *Authority) grantScopes(ctx context.Context, m *matter, who *visitor, d delegation, scopes []directory.Scope, everyone bool) error {
	if len(scopes) == 0 {
		return nil
	}
	admin := isConsentAdmin(who.user)
	if reserved := adminOnly(scopes); !admin && (everyone || len(reserved) > 0) {
		return aadsts.AdminConsent(string(m.client.Principal.AppID), scopeValues(scopes))
	}
	holder := who.user.ID
	if everyone {
		holder = ""
	}
	var values []string
	for _, scope := range scopes {
		values = append(values, scope.Value)
	}
	_, err := a.directory.Change(ctx, consenting(who.user), func(e *directory.Editor) error {
		_, err := e.DelegatedGrants().Add(m.tenant.ID, m.client.Principal.ID, d.resource.Principal.ID, holder, values)
		return err
	})
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*directory.RuleError)), errors.Is(err, directory.ErrNotFound):
		return aadsts.ScopeUnknown(scopeValues(scopes), m.ask.Identifier).Because(err)
	}
	return err
}
