package authority

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
)

// The cookies. Their prefix lets no other host and no plain connection set them.
const (
	sessionCookie = "__Host-rolecall-session"
	formCookie    = "__Host-rolecall-form"
)

// A visitor is whoever sits at the browser: signed in, or nobody yet.
type visitor struct {
	session
	tenant   *directory.Tenant
	user     *directory.User
	artifact artifact
}

// visitor finds out who is signed in at a browser. Nil means nobody: there is no session,
// it has ended, or its user may not sign in any more.
func (a *Authority) visitor(ctx context.Context, x *exchange) (*visitor, error) {
	cookie, err := x.http.Cookie(sessionCookie)
	if err != nil {
		return nil, nil
	}
	v := &visitor{}
	var ok bool
	if v.artifact, ok = parseArtifact(ticketSession, cookie.Value); !ok {
		return nil, nil
	}
	ticket, err := a.ticket(ctx, v.artifact, &v.session)
	if err != nil || ticket == nil {
		return nil, err
	}
	if v.tenant, err = a.tenantOf(ctx, string(v.artifact.tenant)); err != nil {
		return nil, unavailableOnly(err)
	}
	if v.user, err = a.findUser(ctx, v.tenant, string(v.User)); err != nil {
		return nil, unavailableOnly(err)
	}
	return v, nil
}

// unavailableOnly drops a refusal, and keeps that there is no telling.
func unavailableOnly(err error) error {
	if err := aadsts.Of(err); err.IsOutage() {
		return err
	}
	return nil
}

// welcome starts a session, always a new one, and ends the one before.
func (a *Authority) welcome(ctx context.Context, x *exchange, tenant *directory.Tenant, user *directory.User) (*visitor, error) {
	if err := a.farewell(ctx, x); err != nil {
		return nil, err
	}
	v := &visitor{
		session: session{ID: guid.New(), User: user.ID, At: a.now().Unix()},
		tenant:  tenant, user: user, artifact: newArtifact(ticketSession, tenant.ID),
	}
	if err := a.keep(ctx, v.artifact, "", user.ID, sessionLife, v.session); err != nil {
		return nil, err
	}
	x.setCookie(sessionCookie, v.artifact.String(), 0)
	return v, nil
}

// farewell ends the session of a browser, if there is one.
func (a *Authority) farewell(ctx context.Context, x *exchange) error {
	cookie, err := x.http.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	x.setCookie(sessionCookie, "", -1)
	v, ok := parseArtifact(ticketSession, cookie.Value)
	if !ok {
		return nil
	}
	ticket, err := a.ticket(ctx, v, new(session))
	if err != nil || ticket == nil {
		return err
	}
	_, err = a.take(ctx, ticket)
	return err
}

// setCookie sets a cookie that only this host gets, only over TLS, that no script reads
// and that no foreign form sends along. It goes when the browser closes; a negative age
// lets it go now.
func (x *exchange) setCookie(name, value string, age int) {
	for i, cookie := range x.cookies {
		if cookie.Name == name {
			x.cookies = append(x.cookies[:i], x.cookies[i+1:]...)
			break
		}
	}
	x.cookies = append(x.cookies, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

const (
	formLife      = 30 * time.Minute
	formCookieLen = 43 // 32 bytes in base64url
)

// formBinding is what ties forms to a browser that nobody may be signed in at yet.
func (x *exchange) formBinding() string {
	if cookie, err := x.http.Cookie(formCookie); err == nil && len(cookie.Value) == formCookieLen {
		return cookie.Value
	}
	return ""
}

// sealForm makes what a form brings back: which errand it is for, sealed for this browser
// and this form alone.
func (a *Authority) sealForm(x *exchange, form string, value any) (string, error) {
	binding := x.formBinding()
	if binding == "" {
		random := make([]byte, 32)
		rand.Read(random)
		binding = base64.RawURLEncoding.EncodeToString(random)
		x.http.AddCookie(&http.Cookie{Name: formCookie, Value: binding}) //nolint:gosec // G124: it goes nowhere; the next form of this answer finds it there
		x.setCookie(formCookie, binding, 0)
	}
	return a.state.seal(value, "form "+form+" "+binding, formLife)
}

// openForm reads a form that one of our pages sent. It is refused when another site sent
// it, or when it was made for another browser or another form.
func (a *Authority) openForm(x *exchange, name string, value any) (form, error) {
	if err := checkSameOrigin(x.http); err != nil {
		return nil, err
	}
	fields, err := readForm(x.writer, x.http)
	if err != nil {
		return nil, err
	}
	binding := x.formBinding()
	if binding == "" {
		return nil, aadsts.Form()
	}
	if err := a.state.open(fields["form"], "form "+name+" "+binding, value); err != nil {
		return nil, aadsts.Form().Because(err)
	}
	return fields, nil
}

// checkSameOrigin refuses a form that a browser says another site sent. What is no
// browser says nothing, and then the seal decides alone.
func checkSameOrigin(r *http.Request) error {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return aadsts.Form().Because(err)
	}
	if len(r.Header.Values("Origin")) > 1 {
		return aadsts.Form()
	}
	return nil
}
