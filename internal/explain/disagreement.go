package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/text"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// Settings are what the settings of an API have to be, by the directory, for it to accept a
// token: the one that is in question and those that come.
type Settings struct {
	API       string   // its name
	Authority string   // with the tenant
	Audience  []string // its application id and its identifier URIs
	Tenant    string   // id
	CABundle  string   // of the authority; empty if it needs none

	inTenant           string   // the tenant's name, where the client's alone does not say which is meant
	client, clientName string   // application id; the name in the directory
	principal          string   // object id
	user               bool     // whether the token speaks for a user
	roles              []string // of the token
	lacking            []string // roles of the API that applications may hold, and the token has not
	iss, aud           string   // of the token
	from, until        time.Time
}

// Settings returns what the settings of the API have to be. Roles of the input are ignored.
func (in Input) Settings(ctx context.Context) (*Settings, error) {
	in.Token = bare(in.Token)
	s, err := in.subject(ctx)
	if err != nil {
		return nil, err
	}
	e := &Settings{
		API: nameOf(s.api, s.claims.audience), Authority: in.Authority + "/" + string(s.tenant.ID), Audience: []string{s.claims.audience}, Tenant: string(s.tenant.ID),
		client: s.claims.client, clientName: nameOf(s.client, s.claims.client), user: s.claims.user != "", roles: s.claims.roles,
	}
	if s.several {
		e.inTenant = s.tenant.Name
	}
	if s.api != nil {
		e.Audience = append([]string{string(s.api.Application.AppID)}, s.api.Application.IdentifierURIs...)
		for _, role := range s.api.Application.AppRoles {
			if role.Enabled && !slices.Contains(e.roles, role.Value) {
				e.lacking = append(e.lacking, role.Value)
			}
		}
	}
	e.readToken(in.Token)
	return e, nil
}

func (e *Settings) readToken(raw string) {
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return
	}
	claim := func(name string) string {
		value, _ := parsed.Claims.Get(name)
		s, _ := value.String()
		return s
	}
	date := func(name string) time.Time {
		value, _ := parsed.Claims.Get(name)
		seconds, _ := value.Integer()
		return time.Unix(seconds, 0).UTC()
	}
	e.iss, e.aud, e.principal = claim("iss"), claim("aud"), claim("oid")
	e.from, e.until = date("nbf"), date("exp")
}

// A Disagreement is what follows when an API refuses what the directory finds nothing wrong
// with: something that the directory does not see, most often a setting of the API.
type Disagreement struct {
	What string `json:"what"` // what the API says, and what that means
	Fix  *Fix   `json:"fix,omitempty"`
	// Besides is set when the directory's report has a fault of its own to tell.
	Besides bool `json:"besides,omitempty"`
}

// Disagree compares an API's answer with the directory's report on the same token. It returns
// nil when both say the same: then the report has the cause and the fix.
func (a Answer) Disagree(r *Report, e *Settings, method, address string) *Disagreement {
	if a.agrees(r, e) {
		return nil
	}
	what, fix := a.meaning(e, method, address)
	said := "the API gives no reason"
	if a.Reason != "" {
		said = "the API says " + string(a.Reason)
		if a.Says != "" && !a.Guarded {
			said += fmt.Sprintf(" (%q)", a.Says)
		}
	} else if a.Says != "" {
		said = fmt.Sprintf("the API says %q", a.Says)
	}
	finds, besides := ", and the directory finds nothing wrong", false
	switch {
	case a.Reason == guard.NoPolicy || a.Reason == guard.PathNotCanonical || a.Reason == guard.ScopeMissing || a.Reason == guard.WrongCallerKind:
		finds = "" // which the directory does not look at
	case !r.Accepted:
		finds, besides = ", and the directory finds something else", true
	}
	return &Disagreement{What: said + finds + ": " + what, Fix: fix, Besides: besides}
}

// agrees reports whether the directory's report explains the API's answer.
func (a Answer) agrees(r *Report, e *Settings) bool {
	if r.Accepted {
		return false
	}
	switch reason := guard.Reason(r.Reason); {
	case a.Reason == "":
		return !a.Bare
	case a.Reason == reason:
		return reason != guard.AudienceMismatch || !slices.Contains(e.Audience, e.aud)
	case reason == guard.RoleMissing || reason == guard.NoPermissions:
		return a.Reason == guard.RoleMissing || a.Reason == guard.NoPermissions
	}
	return false
}

// meaning says what an API's reason means where the directory has nothing to say, and what
// its settings have to be.
func (a Answer) meaning(e *Settings, method, address string) (what string, fix *Fix) {
	set := func(format string, args ...any) *Fix { return &Fix{What: fmt.Sprintf(format, args...)} }
	switch a.Reason {
	case "":
		return a.silence(e)
	case guard.AudienceMismatch:
		return "its Audience is not what its registration says.", set("Set the Audience of %s to %s. The aud of the token is %s.%s", e.API, and(e.Audience), text.Line(e.aud, text.MaxQuoted), a.itself(e))
	case guard.IssuerUnknown, guard.TenantMismatch:
		return "it trusts another authority.", set("Set the Authority of %s to %s. The iss of the token is %s.", e.API, e.Authority, text.Line(e.iss, text.MaxQuoted))
	case guard.TenantNotAllowed:
		return "its list Tenants lacks " + e.Tenant + ".", set("Add %s to Tenants of %s, or leave Tenants out.", e.Tenant, e.API)
	case guard.TokenExpired, guard.TokenNotYetValid, guard.IatInFuture:
		return a.clock(e)
	case guard.KeysUnavailable:
		fix = set("Let the machine of %s reach %s, which has to be its Authority.", e.API, e.Authority)
		if e.CABundle != "" {
			fix.What += fmt.Sprintf(" Set the CABundle of %s to %s, or to a copy of it.", e.API, e.CABundle)
		}
		return "it cannot fetch the keys of its authority.", fix
	case guard.KeyUnknown, guard.KeyMismatch, guard.SignatureInvalid:
		return "it has the keys of another server.", set("Let %s fetch its keys from %s. If its Authority is that already, restart it: something else had that address before, or the data folder was made anew.", e.API, e.Authority)
	case guard.TokenMissing, guard.CredentialsMalformed, guard.MultipleCredentials, guard.TokenMalformed, guard.TokenInQuery:
		return a.onTheWay()
	default:
		return a.rule(e, method, address)
	}
}

// itself says what the API calls itself, if its registration does not.
func (a Answer) itself(e *Settings) string {
	if a.API == "" || slices.Contains(e.Audience, a.API) {
		return ""
	}
	return fmt.Sprintf(" In its challenge it calls itself %q, which its registration does not.", text.Shown(a.API))
}

// silence is for an API that gives no reason that is known.
func (a Answer) silence(e *Settings) (string, *Fix) {
	if a.Bare && a.Status == 401 {
		return "its challenge has no error, which means that it saw no token: something on the way removed the header Authorization, or it looks for the token elsewhere.",
			&Fix{What: "Let the proxies before the API pass the header on. If it did see the token, compare its settings: " + e.all()}
	}
	return "one of its settings is not what it has to be.", &Fix{What: "Compare its settings, and look into its log. " + e.all()}
}

// all lists what the settings have to be.
func (e *Settings) all() string {
	s := fmt.Sprintf("The Authority of %s has to be %s, its Audience %s.", e.API, e.Authority, and(e.Audience))
	if len(e.roles) > 0 {
		s += fmt.Sprintf(" The token has the role %s, and no other.", and(e.roles))
	}
	return s
}

// clock is for an API that does not find the token valid at its time.
func (a Answer) clock(e *Settings) (string, *Fix) {
	const least = 30 * time.Second // a Date is true to a second, and the network takes its time
	valid := fmt.Sprintf("The token is valid from %s to %s.", e.from.Format(time.RFC3339), e.until.Format(time.RFC3339))
	switch {
	case !a.DateKnown:
		return "its clock is wrong, or it does not tell the time.", &Fix{What: "Set the clock of the API's machine. " + valid}
	case a.Behind >= least:
		return "the API's clock is " + span(a.Behind) + " behind.", &Fix{What: "Set the clock of the API's machine, or of this one, if that is ahead. " + valid}
	case a.Behind <= -least:
		return "the API's clock is " + span(-a.Behind) + " ahead.", &Fix{What: "Set the clock of the API's machine, or of this one, if that is behind. " + valid}
	default:
		return "what answers has the right time, but what decides has not.", &Fix{What: "Set the clock of the machine, container or proxy that checks the token. " + valid}
	}
}

// span says how long something is, roughly.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Round(24*time.Hour).Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", int(d.Round(time.Hour).Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	default:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
}

// onTheWay is for an API that did not get the one token that was sent.
func (a Answer) onTheWay() (string, *Fix) {
	switch a.Reason {
	case guard.TokenMissing:
		return "the API saw no token: something on the way removed the header Authorization.",
			&Fix{What: "Let each proxy and gateway before the API pass the header on, or call the API without them."}
	case guard.TokenInQuery:
		return "the URL has access_token in its query, which is refused whatever the header has.", &Fix{What: "Leave access_token out of the URL: this command sends the token in the header."}
	default:
		return "the API got another header than the one that was sent: something on the way changed it.",
			&Fix{What: "Let each proxy and gateway before the API pass the header Authorization on as it is, or call the API without them."}
	}
}

// rule is for an API whose rules do not let a good token in.
func (a Answer) rule(e *Settings, method, address string) (string, *Fix) {
	set := func(format string, args ...any) *Fix { return &Fix{What: fmt.Sprintf(format, args...)} }
	switch a.Reason {
	case guard.NoPolicy:
		return fmt.Sprintf("it has no rule for %s %s.", method, text.Line(address, text.MaxQuoted)),
			set("Here the token is valid: the API refuses it because of a rule of its own. Correct the method or the path, in which case counts, or add a rule to the API. %s", a.log())
	case guard.PathNotCanonical:
		return "the path of the URL can be read in more than one way.", set("Write the path without dot segments, double slashes and escaped separators.")
	case guard.WrongCallerKind:
		if e.user {
			return "the token speaks for a user, and the API is for applications.", set("Call with --as and an application or a managed identity, or set Caller to any in the rule of the API.")
		}
		return "the token is an application's own, and the API is for users.", set("Call with --as and a user, or set Caller to application in the rule of the API, or to any.")
	case guard.ClientNotAllowed:
		return "its list Clients lacks " + e.client + ".", set("Add %s to Clients of %s, if %s should be let in.", e.client, e.API, e.clientName)
	case guard.PrincipalNotAllowed:
		return "its list Principals lacks " + e.principal + ".", set("Add %s to Principals of %s, if %s should be let in.", e.principal, e.API, e.clientName)
	case guard.RoleMissing, guard.NoPermissions:
		return a.otherRole(e)
	case guard.ScopeMissing:
		return "the token has none of the scopes that its rule names.", set("Look into its log for the scopes, and ask for one of them with --scope. %s", a.log())
	default:
		return "its own rules or limits refuse the token.", set("Look at the reason in docs/errors.md of Rolecall. %s", a.log())
	}
}

// otherRole is for an API that asks for a role that the token has not, though it has one.
func (a Answer) otherRole(e *Settings) (string, *Fix) {
	what := fmt.Sprintf("it asks for another role than %s, which the token has.", and(e.roles))
	if len(e.lacking) == 1 && !e.user {
		return what, &Fix{
			What:    fmt.Sprintf("Grant %s, the other role of %s, if that is what the API asks for; the next token has it. %s", e.lacking[0], e.API, a.log()),
			Command: grantCommand(e.clientName, e.API, e.inTenant, e.lacking[0]),
		}
	}
	fix := &Fix{What: "Its registration offers no other role: correct the role in the API's rule. " + a.log()}
	if len(e.lacking) > 0 {
		fix.What = fmt.Sprintf("Grant the role that the API asks for. The others of %s are %s. %s", e.API, and(e.lacking), a.log())
	}
	return what, fix
}

// log says where the API has more to say.
func (a Answer) log() string {
	if a.TraceID == "" {
		return "Its log says more."
	}
	return "Its log says more, under trace_id " + a.TraceID + "."
}

// and lists values in words.
func and(values []string) string {
	clean := make([]string, len(values))
	for i, value := range values {
		clean[i] = text.Line(value, text.MaxQuoted)
	}
	if len(clean) < 2 {
		return strings.Join(clean, "")
	}
	return strings.Join(clean[:len(clean)-1], ", ") + " and " + clean[len(clean)-1]
}
