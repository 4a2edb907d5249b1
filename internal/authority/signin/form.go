package signin

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
)

// formCookie binds forms to a browser that nobody may be signed in at yet. Its prefix lets
// no other host and no plain connection set it.
const formCookie = "__Host-rolecall-form"

const (
	formLife      = 30 * time.Minute
	formCookieLen = 43 // 32 bytes in base64url
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
	actionAccept   = "accept"
)

// forms makes forms that come back from the same browser, unread and unchanged.
type forms struct {
	sealer *records.Sealer
}

// binding is what ties forms to a browser.
func (f forms) binding(x *exchange.Exchange) string {
	if cookie, err := x.Request.Cookie(formCookie); err == nil && len(cookie.Value) == formCookieLen {
		return cookie.Value
	}
	return ""
}

// seal makes what a form brings back: a value, sealed for this browser and this form alone.
func (f forms) seal(x *exchange.Exchange, name string, value any) (string, error) {
	binding := f.binding(x)
	if binding == "" {
		random := make([]byte, 32)
		rand.Read(random)
		binding = base64.RawURLEncoding.EncodeToString(random)
		x.Request.AddCookie(&http.Cookie{Name: formCookie, Value: binding}) //nolint:gosec // G124: it goes nowhere; the next form of this answer finds it there
		x.SetCookie(formCookie, binding, 0)
	}
	return f.sealer.Seal(value, "form "+name+" "+binding, formLife)
}

// open reads a form that one of our pages sent. It is refused when another site sent it, or
// when it was made for another browser or another form.
func (f forms) open(x *exchange.Exchange, name string, value any) (exchange.Form, error) {
	if err := checkSameOrigin(x.Request); err != nil {
		return nil, err
	}
	fields, err := x.Form()
	if err != nil {
		return nil, err
	}
	binding := f.binding(x)
	if binding == "" {
		return nil, aadsts.Form()
	}
	if err := f.sealer.Open(fields["form"], "form "+name+" "+binding, value); err != nil {
		return nil, aadsts.Form().Because(err)
	}
	return fields, nil
}

// checkSameOrigin refuses a form that a browser says another site sent. A client that is no
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
