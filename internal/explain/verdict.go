package explain

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// verdict says in plain words what became of a token, and why.
func (f *facts) verdict(r *Report) string {
	if r.Accepted {
		return f.acceptance(r)
	}
	client, api := text.Shown(orNobody(r.Client)), text.Shown(r.API)
	switch guard.Reason(r.Reason) {
	case guard.RoleMissing, guard.NoPermissions:
		return f.lacking(client, api)
	case guard.WrongCallerKind:
		if f.claims.user != "" {
			return fmt.Sprintf("the caller is a user (%s), and %s is for applications", text.Shown(r.User), api)
		}
		return fmt.Sprintf("the caller is an application, and %s is for users", api)
	case guard.BindingMissing:
		if to := f.boundTo(); to != "" {
			return fmt.Sprintf("the token of %s is bound to %s, and is of no use without its proof", client, to)
		}
	case guard.TokenRevoked:
		return f.wasRevoked()
	case guard.TokenExpired:
		return fmt.Sprintf("the token of %s expired %s ago, at %s", client, lasting(f.now.Sub(f.claims.expires)), clock(f.claims.expires))
	case guard.AudienceMismatch:
		return fmt.Sprintf("the token of %s is for %s, not for %s", client, text.Shown(f.claims.audience), api)
	case guard.SignatureInvalid:
		return "the token's signature does not fit: it was cut, changed, or signed with another key"
	case guard.KeyUnknown:
		return "the token is signed with a key that this authority does not publish"
	case guard.IssuerUnknown:
		return fmt.Sprintf("the token was issued by %s, which is no tenant of this authority", text.Shown(f.claims.issuer))
	case guard.TokenNotYetValid:
		return "the token is not valid yet: a clock is wrong"
	default: // the check that failed says it
	}
	for _, step := range r.Steps {
		if step.Outcome == Failed {
			return strings.TrimSuffix(step.Name+": "+cmp.Or(step.Detail, step.Reason), ".")
		}
	}
	return r.Reason
}

func orNobody(client string) string { return cmp.Or(client, "an unknown client") }

// acceptance says who accepts a token, and what may still be wrong with it.
func (f *facts) acceptance(r *Report) string {
	said := fmt.Sprintf("by %s, which it is for", text.Shown(cmp.Or(r.API, "nobody")))
	if len(f.claims.roles) > 0 {
		said += ", with " + text.Line(list(f.claims.roles), text.MaxQuoted)
	}
	if left := f.claims.expires.Sub(f.now); left > 0 {
		said += fmt.Sprintf(", for %s more", lasting(left))
	}
	return said
}

// lacking says which role a client has not.
func (f *facts) lacking(client, api string) string {
	wanted := "no app role of " + api
	if f.named {
		wanted = fmt.Sprintf("%s of %s", strings.Join(f.required, " or "), api)
	}
	switch {
	case f.known && len(f.usable) > 0:
		return fmt.Sprintf("the token of %s is older than the grant of %s", client, list(f.usable))
	case f.known && len(f.granted) > 0:
		return fmt.Sprintf("%s holds %s, but the role cannot be used: %s", client, list(f.granted), f.unusable(f.roles(f.granted)))
	case f.named:
		return client + " does not hold " + wanted
	default:
		return client + " holds " + wanted
	}
}

// lasting is a duration as people say it.
func lasting(d time.Duration) string {
	plural := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	d = max(0, d)
	switch {
	case d < 2*time.Minute:
		return plural(int(d/time.Second), "second")
	case d < 2*time.Hour:
		return plural(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return plural(int(d/time.Hour), "hour")
	default:
		return plural(int(d/(24*time.Hour)), "day")
	}
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// foreignReport is about a token that was issued elsewhere: nothing here knows whom it names.
func (f *facts) foreignReport(r *Report, authority string) {
	where := f.claims.issuer
	if u, err := url.Parse(f.claims.issuer); err == nil && u.Host != "" {
		where = u.Host
	}
	where = text.Shown(where)
	r.Client, r.API, r.Tenant, r.User = text.Shown(f.claims.client), text.Shown(f.claims.audience), "", ""
	r.Verdict = fmt.Sprintf("the token was issued by %s, not here", where)
	r.Fix = &Fix{What: fmt.Sprintf("Only an API whose settings have that authority accepts it. For an API that trusts %s, the client must ask there: "+
		"rolecall run --as NAME -- PROGRAM sets that up.", authority)}
	if guid.Is(f.claims.tenant) {
		r.Hints = append(r.Hints, fmt.Sprintf("It is for the API %s and of the tenant %s of that authority.", r.API, f.claims.tenant))
	}
}

// strangerReport is about a token of a tenant of which nothing is told here, be it one of this
// directory or not: the report says what the token does, and nothing else.
func (f *facts) strangerReport(r *Report) {
	r.Accepted = false
	r.Reason = cmp.Or(r.Reason, string(guard.TenantMismatch))
	r.Client, r.API, r.User, r.Tenant = text.Shown(f.claims.client), text.Shown(f.claims.audience), text.Shown(f.claims.user), ""
	r.Verdict = fmt.Sprintf("the token says that it is of the tenant %s, and not of %s", text.Shown(f.claims.tenant), f.tenant.Name)
	if f.claims.tenant == "" {
		r.Verdict = "the token does not say of which tenant it is"
	}
	r.Fix = &Fix{What: fmt.Sprintf("What is registered there, only the tenant itself can tell: ask in that tenant. An API of %s accepts tokens of %s alone.", f.tenant.Name, f.tenant.ID)}
	said := fmt.Sprintf("The token says: issued by %s, roles: %s", text.Shown(cmp.Or(f.claims.issuer, "nobody")), text.Line(list(f.claims.roles), text.MaxQuoted))
	if len(f.claims.scopes) > 0 {
		said += ", scopes: " + text.Line(list(f.claims.scopes), text.MaxQuoted)
	}
	if !f.claims.expires.IsZero() {
		said += ", valid until " + clock(f.claims.expires)
	}
	r.Hints = append(r.Hints, said+".")
}

// garbageReport is about a text that is no token.
func garbageReport(r *Report, raw string) {
	dots := strings.Count(raw, ".")
	r.Client, r.API, r.Tenant = "", "", ""
	for i := range r.Steps {
		if r.Steps[i].Outcome == Failed {
			r.Steps[i].Detail = "" // the verdict says it
		}
	}
	r.Fix = &Fix{What: "Give the access token as it was issued, three parts joined by dots, on standard input: rolecall explain - < token.txt"}
	switch {
	case raw == "":
		r.Verdict = "nothing came on standard input"
	case guid.Is(raw):
		r.Verdict = "this is an id, not a token"
		r.Fix = &Fix{What: "If it is the correlation id of a refusal:", Command: "rolecall explain --correlation-id " + strings.ToLower(raw)}
	case strings.HasPrefix(raw, "AADSTS") || strings.Contains(raw, "Correlation ID:"):
		r.Verdict = "this is an error, not a token"
		r.Fix = &Fix{What: "Take the correlation id from it: rolecall explain --correlation-id ID"}
	case dots == 2:
		r.Verdict = "this has three parts as a token has, but they cannot be read: it was cut, or changed"
	case dots == 4:
		r.Verdict = "this is an encrypted token (five parts); only the one that it is for can read it"
	default:
		r.Verdict = fmt.Sprintf("this is no token: it has %d bytes and %d dots, where a token has two dots", len(raw), dots)
	}
}

// boundTo says to what a token is bound, where that is a kind that the guard knows.
func (f *facts) boundTo() string {
	switch f.claims.binding {
	case "kid":
		return "a key that signs requests (token_type=pop)"
	case "jkt":
		return "a key that signs proofs (DPoP)"
	case "x5t#S256":
		return "a certificate of its client"
	}
	return ""
}
