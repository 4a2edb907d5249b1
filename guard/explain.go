package guard

import (
	"context"
	"fmt"
	"slices"
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
		r := c.run(in)
		if r == nil && c.name == "binding" && in.bound != "" { // here it comes alone
			r = (&verified{bound: true, binding: in.boundBy}).unproven(nil)
		}
		if r != nil {
			step = Step{Name: c.name, Outcome: StepFailed, Reason: r.reason, Detail: r.detail, Fix: r.fix}
			proven = false
		}
		steps = append(steps, step)
	}
	if g.follower != nil {
		steps = append(steps, g.explainRevocation(in, proven))
	}
	return append(steps, g.explainRights(in, &rule, proven))
}

// explainRevocation says whether the token counts still, as far as its claims
// can be believed.
func (g *Guard) explainRevocation(in *inspection, proven bool) Step {
	step := Step{Name: "revocation", Outcome: StepSkipped}
	if !proven {
		return step
	}
	step.Outcome = StepPassed
	if r := g.follower.stands(in.ctx, &in.caller, in.kid, in.capable); r != nil {
		step = Step{Name: step.Name, Outcome: StepFailed, Reason: r.reason, Detail: r.detail, Fix: r.fix}
	}
	return step
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
		step.Outcome, step.Reason, step.Fix = StepFailed, reason, fixFor(reason, rule, &in.caller)
	}
	return step
}

func describeCaller(c *Caller) string {
	return fmt.Sprintf("kind %s, client %q, principal %q, roles %q, scopes %q", c.Kind, c.ClientID, c.ObjectID, c.Roles, c.Scopes)
}

// fixFor returns what to do about a reason where no check has said it.
func fixFor(reason Reason, rule *Rule, caller *Caller) string {
	if rule == nil {
		rule = &Rule{}
	}
	if caller == nil {
		caller = &Caller{}
	}
	switch reason {
	case RoleMissing:
		needed := slices.Concat(rule.Roles, rule.AllRoles)
		return "Assign the app role to the calling application or managed identity, then get a new token. Needed: " +
			strings.Join(needed, ", ") + "." + nearRole(needed, caller.Roles)
	case ScopeMissing:
		if caller.Kind == CallerApplication {
			return "Call on behalf of a user: an application's own token has no scope. Or name in Roles what applications need. Needed: " + strings.Join(rule.Scopes, ", ") + "."
		}
		return "Consent to the delegated permission and ask for it. Needed: " + strings.Join(rule.Scopes, ", ") + "."
	case WrongCallerKind:
		return fixForKind(caller.Kind)
	case ClientNotAllowed:
		return fmt.Sprintf("Add the application id %q to Clients, if the application should be let in.", caller.ClientID)
	case PrincipalNotAllowed:
		if caller.ObjectID == "" {
			return fmt.Sprintf("Create the service principal of the application in its tenant, or add the application id %q to Clients: the token names no principal.", caller.ClientID)
		}
		return fmt.Sprintf("Add the object id %q to Principals, if the principal should be let in.", caller.ObjectID)
	case TenantNotAllowed:
		return fmt.Sprintf("Add the tenant %q to Tenants of the rule, if its applications should be able to call.", caller.TenantID)
	default:
		return reason.about().fix
	}
}

// fixForKind returns what to do where a caller of this kind is not meant.
func fixForKind(kind CallerKind) string {
	switch kind {
	case CallerUser:
		return "The caller is a user: a developer tool, a browser or a device code got the token. Call with a token of an application (client credentials or a managed identity), or set Caller of the rule to \"any\" or \"user\"."
	case CallerApplication:
		return "The caller is an application by itself. Call with a token that speaks for a user (sign-in or on behalf of), or set Caller of the rule to \"any\" or \"application\"."
	default:
		return "The token shows neither an application nor a user. Call with the token of an application (client credentials or a managed identity), and let the authority put idtyp into its tokens, or change Caller of the rule."
	}
}

// nearRole says if a role of the token is a needed one but for its case.
func nearRole(needed, roles []string) string {
	for _, need := range needed {
		for _, role := range roles {
			if role != need && strings.EqualFold(role, need) {
				return fmt.Sprintf(" The token has %s, which differs by case: roles are compared exactly.", oneLine(role, maxShown))
			}
		}
	}
	return ""
}
