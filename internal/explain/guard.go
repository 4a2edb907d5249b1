package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// settle takes from the API's own settings which API is meant and which roles it asks for,
// unless the input names them.
func (in *Input) settle(ctx context.Context) error {
	if in.isStranger(readClaims(in.Token)) {
		in.Guard, in.Roles = nil, nil // they are about an API, and none is looked for
	}
	if in.Guard == nil {
		return nil
	}
	if len(in.Roles) == 0 {
		for _, rule := range in.rules() {
			in.Roles = append(append(in.Roles, rule.Roles...), rule.AllRoles...)
		}
		slices.Sort(in.Roles)
		in.Roles = slices.Compact(in.Roles)
	}
	if in.API != "" {
		return nil
	}
	tenants, err := in.tenants(ctx, readClaims(in.Token).tenant)
	if err != nil {
		return err
	}
	for _, audience := range in.Guard.Audience {
		for _, tenant := range tenants {
			app, err := in.Directory.View(ctx).Applications().Find(tenant.ID, audience)
			if err == nil {
				in.API = string(app.AppID)
				return nil
			}
			if !errors.Is(err, directory.ErrNotFound) {
				return err
			}
		}
	}
	return nil
}

// rules are those of the settings that count and look at the token.
func (in *Input) rules() (rules []guard.Rule) {
	for _, rule := range in.Guard.Rules {
		if !rule.Anonymous && !rule.Shadow {
			rules = append(rules, rule)
		}
	}
	return rules
}

// guardConfig is how the API's guard is set up: as its settings say, or as its registration
// says that they should be. An authority that is not this one is not asked for its keys.
func (in *Input) guardConfig(s *subject) (guard.Config, []guard.Rule) {
	cfg := guard.Config{Authority: in.Authority + "/" + string(s.tenant.ID), Audience: s.audience(), HTTPClient: in.HTTP, Now: in.Now, CacheBytes: -1}
	if in.Guard == nil || len(in.Guard.Origins) > 0 { // whatever they are: here the token comes alone
		cfg.DPoP, cfg.SignedRequests = &guard.DPoP{Origins: []string{"https://localhost"}}, &guard.SignedRequests{Hosts: []string{"localhost"}}
	}
	if in.Guard == nil {
		return cfg, []guard.Rule{s.rule()}
	}
	cfg.Audience, cfg.Caller, cfg.Tenants = in.Guard.Audience, in.Guard.Caller, in.Guard.Tenants
	if in.Guard.Follow && s.revoked != nil {
		cfg.Revoked = func(guard.Caller) bool { return true }
	}
	if in.isOwnAuthority() {
		cfg.Authority = in.Guard.Authority
	}
	return cfg, in.rules()
}

// isOwnAuthority reports whether the settings name this authority.
func (in *Input) isOwnAuthority() bool {
	return strings.HasPrefix(in.Guard.Authority, strings.TrimSuffix(in.Authority, "/")+"/")
}

// explainedBy explains a token by the first rule that lets it in, or else by the first.
func explainedBy(ctx context.Context, g *guard.Guard, token string, rules []guard.Rule) []guard.Step {
	if len(rules) == 0 {
		rules = []guard.Rule{{}}
	}
	var first []guard.Step
	for i, rule := range rules {
		steps := g.Explain(ctx, token, rule)
		if i == 0 {
			first = steps
		}
		if !slices.ContainsFunc(steps, func(step guard.Step) bool { return step.Outcome == guard.StepFailed }) {
			return steps
		}
	}
	return first
}

// settingsAtFault says so when the API's settings, and not the token, are what is wrong.
func (in *Input) settingsAtFault(f *facts, r *Report) {
	if in.Guard == nil {
		return
	}
	if !in.isOwnAuthority() {
		right := in.Authority + "/" + string(f.tenant.ID)
		r.Accepted, r.Reason = false, string(guard.IssuerUnknown)
		r.Verdict = "the settings of the API trust another authority than the one that issued the token"
		r.Compared = append(r.Compared, Comparison{What: "authority", Presented: right, Registered: []Registered{{Name: "the API's setting", Value: in.Guard.Authority, Note: differs(right, in.Guard.Authority)}}})
		r.Fix = &Fix{What: fmt.Sprintf("Set authority in the API's settings to %s.", right)}
		return
	}
	if r.Reason != string(guard.AudienceMismatch) {
		return
	}
	compared := Comparison{What: "audience", Presented: f.claims.audience}
	for _, audience := range in.Guard.Audience {
		compared.Registered = append(compared.Registered, Registered{Name: "the API's setting", Value: audience, Note: differs(f.claims.audience, audience)})
	}
	r.Compared = append(r.Compared, compared)
	if f.api != nil && slices.Contains(f.audience(), f.claims.audience) {
		registered := append([]string{string(f.api.Application.AppID)}, f.api.Application.IdentifierURIs...)
		r.Verdict = fmt.Sprintf("the token is for %s, and the audience in the settings of the API is not what its registration says", f.api.Application.Called())
		r.Fix = &Fix{What: fmt.Sprintf("Set audience in the API's settings to [%s].", strings.Join(registered, ", "))}
	}
}
