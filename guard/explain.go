package guard

import (
	"context"
	"fmt"
	"strings"
)

// A Step is one check of [Guard.Explain].
type Step struct {
	Name    string      `json:"name"`
	Outcome StepOutcome `json:"outcome"`
	Reason  Reason      `json:"reason,omitempty"` // why it failed
	Detail  string      `json:"detail,omitempty"` // what was found; may quote claims, never a signature
	Fix     string      `json:"fix,omitempty"`    // what to do about it
}

// A StepOutcome says how a [Step] went.
type StepOutcome string

// The outcomes of a step. One is skipped if it needs what a failed step
// should have found.
const (
	StepPassed  StepOutcome = "passed"
	StepFailed  StepOutcome = "failed"
	StepSkipped StepOutcome = "skipped"
)

// Explain runs every check on a token, also those after the first failure
// that still make sense, and tells how each of them went. It is for operators:
// details name what the API accepts and what the token claims, even where the
// signature is wrong, so they must not become part of an answer to a caller.
// The first failed step is the one that [Guard.Check] would report.
func (g *Guard) Explain(ctx context.Context, raw string, rule Rule) []Step {
	in := &inspection{guard: g, ctx: ctx, raw: raw, now: g.cfg.Now().Unix()}
	var steps []Step
	proven := true
	for _, c := range checks {
		if in.token == nil && len(steps) > 0 || c.needs != nil && !c.needs(in) {
			steps = append(steps, Step{Name: c.name, Outcome: StepSkipped})
			continue
		}
		step := Step{Name: c.name, Outcome: StepPassed}
		if r := c.run(in); r != nil {
			step = Step{Name: c.name, Outcome: StepFailed, Reason: r.reason, Detail: r.detail, Fix: r.fix}
			proven = false
		}
		steps = append(steps, step)
	}
	return append(steps, g.explainRights(in, &rule, proven))
}

// explainRights is the last step: what the caller may do, were the token good.
func (g *Guard) explainRights(in *inspection, rule *Rule, proven bool) Step {
	if in.caller.Kind == "" { // the claims could not be read
		return Step{Name: "rights", Outcome: StepSkipped}
	}
	decide := g.permit // Revoked is asked only about a caller who is proven
	if proven {
		decide = g.rights
	}
	reason := decide(&in.caller, rule)
	step := Step{Name: "rights", Outcome: StepPassed, Detail: describeCaller(&in.caller)}
	if reason != "" {
		step.Outcome, step.Reason, step.Fix = StepFailed, reason, fixFor(reason, rule)
	}
	return step
}

func describeCaller(c *Caller) string {
	return fmt.Sprintf("kind %s, client %q, principal %q, roles %q, scopes %q", c.Kind, c.ClientID, c.ObjectID, c.Roles, c.Scopes)
}

// fixFor returns what to do about a reason where no check has said it.
func fixFor(reason Reason, rule *Rule) string {
	if rule == nil {
		rule = &Rule{}
	}
	switch reason {
	case PathNotCanonical:
		return "Send the path without dot segments, empty segments and escaped separators."
	case NoPolicy:
		return "Add a rule for this path and method, or correct the request."
	case MultipleCredentials:
		return "Send one Authorization header with one token."
	case TokenInQuery:
		return "Send the token in the Authorization header, and nowhere else."
	case TokenMissing:
		return "Send the header Authorization: Bearer, followed by an access token for this API."
	case CredentialsMalformed:
		return "Send Bearer, one space and the token exactly as the authority issued it."
	case RoleMissing:
		return "Assign the app role to the calling application or managed identity, then get a new token. Needed: " +
			strings.Join(append(append([]string(nil), rule.Roles...), rule.AllRoles...), ", ") + "."
	case ScopeMissing:
		return "Consent to the delegated permission and ask for it. Needed: " + strings.Join(rule.Scopes, ", ") + "."
	case NoPermissions:
		return "Assign an app role to the calling application, or name the application in Clients."
	case WrongCallerKind:
		return "Call with the token of an application (client credentials or a managed identity), or change Caller of the rule."
	case ClientNotAllowed, PrincipalNotAllowed, TenantNotAllowed:
		return "Add the caller to the list, if it should be let in."
	default:
		return ""
	}
}
