package clientauth

import (
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/token"
)

const (
	// assertionSkew is how far the clocks of a client and the authority may be apart.
	// MSAL for Node rounds its clock up, so even on one machine assertions come early.
	assertionSkew = 5 * time.Minute
	// maxAssertionLife is the lifetime that ADAL for Go gives its assertions; no other
	// client comes near it.
	maxAssertionLife = 24 * time.Hour
	// maxFederatedLife is the longest life that a federated token may have been made for.
	maxFederatedLife = 25 * time.Hour
)

// assertionClaims are the claims of an assertion that decisions rest on.
type assertionClaims struct {
	issuer, subject string
	audience        []string
	jti             string    // empty: none
	expires         time.Time // always set
	notBefore       time.Time // zero: none
	issuedAt        time.Time // zero: none
}

// readAssertionClaims reads the claims in every form that clients send them: MSAL for
// Python writes dates with a fraction, MSAL for .NET writes them as strings.
func readAssertionClaims(o token.Object) (assertionClaims, error) {
	var a assertionClaims
	var p error
	text := func(name string, required bool) string {
		value, present := o.Get(name)
		s, ok := value.String()
		if (present && !ok || required && s == "") && p == nil {
			p = aadsts.AssertionUnreadable("its claim '" + name + "' is missing or not a string")
		}
		return s
	}
	date := func(name string, required bool) time.Time {
		value, present := o.Get(name)
		if !present && !required {
			return time.Time{}
		}
		at, ok := numericDate(value)
		if !ok && p == nil {
			p = aadsts.AssertionUnreadable("its claim '" + name + "' is missing or not a number of seconds")
		}
		return at
	}
	a.issuer, a.subject, a.jti = text("iss", true), text("sub", true), text("jti", false)
	a.expires, a.notBefore, a.issuedAt = date("exp", true), date("nbf", false), date("iat", false)
	audience, _ := o.Get("aud")
	if single, ok := audience.String(); ok {
		a.audience = []string{single}
	} else if a.audience, ok = audience.Strings(); (!ok || len(a.audience) == 0) && p == nil {
		p = aadsts.AssertionUnreadable("its claim 'aud' is missing or neither a string nor an array of strings")
	}
	return a, p
}

// numericDate reads a NumericDate (RFC 7519 section 2), which may have a fraction and may
// stand between quotes. Signs and exponents, which no client sends, are refused.
func numericDate(v token.Value) (time.Time, bool) {
	text := v.Raw()
	if s, ok := v.String(); ok {
		text = s
	}
	whole, fraction, dotted := strings.Cut(text, ".")
	if !isDigits(whole, 12) || dotted && !isDigits(fraction, 20) {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	return time.Unix(seconds, 0).UTC(), err == nil
}

func isDigits(s string, most int) bool {
	return s != "" && len(s) <= most && strings.Trim(s, "0123456789") == ""
}

// checkTimes judges when the assertion is good. A certificate assertion is also refused
// when it was made to live too long: whoever copied it could use it that long.
func (a assertionClaims) checkTimes(now time.Time, capped bool) error {
	late := !now.Before(a.expires.Add(assertionSkew))
	early := a.notBefore.After(now.Add(assertionSkew)) || a.issuedAt.After(now.Add(assertionSkew))
	if late || early {
		return aadsts.AssertionTime(now, a.start(), a.expires)
	}
	if a.expires.Before(a.notBefore) {
		return aadsts.AssertionUnreadable("it expires before it begins")
	}
	const most = maxAssertionLife + assertionSkew
	if capped && (a.expires.After(now.Add(most)) || !a.start().IsZero() && a.expires.After(a.start().Add(most))) {
		return aadsts.AssertionLife(a.expires)
	}
	return nil
}

// checkLife refuses a federated token that was made to live too long, from its issue or, if it
// does not say when that was, from now.
func (a assertionClaims) checkLife(now time.Time) error {
	from := now
	switch {
	case !a.issuedAt.IsZero():
		from = a.issuedAt
	case !a.notBefore.IsZero():
		from = a.notBefore
	}
	if a.expires.Sub(from) > maxFederatedLife {
		return aadsts.FederatedLife(a.issuedAt, a.expires)
	}
	return nil
}

// start is when the assertion begins, as far as it says.
func (a assertionClaims) start() time.Time {
	if a.notBefore.IsZero() {
		return a.issuedAt
	}
	return a.notBefore
}
