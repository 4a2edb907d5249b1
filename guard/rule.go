package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Rule says who may call a path. An application must hold one of Roles and
// all of AllRoles; a user's token must carry one of Scopes. What a list of
// Config restricts, a rule can only restrict further.
//
// A rule without Roles, AllRoles and Scopes lets in every caller of the right
// kind whose token carries any role or scope at all; with Clients or
// Principals the list itself is the permission.
type Rule struct {
	// Path is matched against the whole path: /api/orders is that one,
	// /api/orders/{id} has one segment in place of {id}, and /api/* is /api
	// and everything below it. One slash at the end makes no difference.
	Path string

	// Methods are those the rule is for. Empty means GET, POST, PUT, PATCH,
	// DELETE and OPTIONS. GET includes HEAD. No rule is for other methods.
	Methods []string

	Roles      []string   // any of them, compared whole and exactly
	AllRoles   []string   // all of them
	Scopes     []string   // any of them, in tokens that speak for a user
	Clients    []string   // application ids
	Principals []string   // object ids
	Tenants    []string   // tenant ids
	Caller     CallerKind // empty means Config.Caller

	// Bound demands a token that is bound to a key or certificate of the client,
	// with the proof that the client has it: a token that was stolen is of no use.
	Bound bool

	// Anonymous lets everybody in without looking at credentials.
	Anonymous bool

	// Shadow makes a rule of a policy decide nothing: the next rule for the
	// request does. What the rule would have decided is told by [Policy.Shadow],
	// so that a rule can be tried on real requests before it counts.
	Shadow bool
}

// ruleMethods is never written to.
var ruleMethods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// clone returns a copy that shares nothing with r.
func (r *Rule) clone() Rule {
	c := *r
	for _, list := range []*[]string{&c.Methods, &c.Roles, &c.AllRoles, &c.Scopes, &c.Clients, &c.Principals, &c.Tenants} {
		*list = slices.Clone(*list)
	}
	return c
}

// compileRule returns a copy of r that is complete and shares nothing with
// it, and its pattern, or everything that is wrong.
func (g *Guard) compileRule(r Rule) (Rule, pattern, error) {
	var problems []error
	check := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	r = r.clone()
	p, err := parsePattern(r.Path)
	check(err)
	r.Caller, err = callerKind(r.Caller, g.cfg.Caller)
	check(err)
	r.Clients, err = guids("Clients", r.Clients)
	check(err)
	r.Principals, err = guids("Principals", r.Principals)
	check(err)
	r.Tenants, err = guids("Tenants", r.Tenants)
	check(err)
	for _, method := range r.Methods {
		if !slices.Contains(ruleMethods, method) {
			check(fmt.Errorf("the method %q cannot have a rule: use %s (HEAD is decided by GET)", method, strings.Join(ruleMethods, ", ")))
		}
	}
	if len(r.Methods) == 0 {
		r.Methods = ruleMethods
	}
	for _, value := range slices.Concat(r.Roles, r.AllRoles, r.Scopes) {
		if value == "" || strings.Contains(value, " ") {
			check(fmt.Errorf("the role or scope %q is empty or holds a space", value))
		}
	}
	restricted := len(r.Roles)+len(r.AllRoles)+len(r.Scopes)+len(r.Clients)+len(r.Principals)+len(r.Tenants) > 0 || r.Bound
	if r.Anonymous && restricted {
		check(errors.New("the rule is Anonymous and restricts who may call: leave one out"))
	}
	if r.Caller == CallerApplication && len(r.Scopes) > 0 {
		check(errors.New("the rule asks applications for Scopes, which only users' tokens have: use Roles, or Caller \"user\" or \"any\""))
	}
	if len(problems) > 0 {
		return r, p, fmt.Errorf("rule %q: %w", r.Path, errors.Join(problems...))
	}
	return r, p, nil
}

// permit returns why rule does not permit a caller what it is for; empty if it
// does.
func (g *Guard) permit(c *Caller, rule *Rule) Reason {
	kind := rule.Caller
	if kind == "" {
		kind = g.cfg.Caller
	}
	switch {
	case kind != CallerAny && kind != c.Kind:
		return WrongCallerKind
	case !listed(g.cfg.Clients, c.ClientID) || !listed(rule.Clients, c.ClientID):
		return ClientNotAllowed
	case !listed(g.cfg.Principals, c.ObjectID) || !listed(rule.Principals, c.ObjectID):
		return PrincipalNotAllowed
	case c.ObjectID == "" && len(g.cfg.Clients)+len(rule.Clients) == 0:
		return PrincipalNotAllowed // there is no principal: only its client id can name it
	case !listed(rule.Tenants, c.TenantID):
		return TenantNotAllowed
	}
	needRoles, needScopes := len(rule.Roles)+len(rule.AllRoles) > 0, len(rule.Scopes) > 0
	if kind == CallerAny && needRoles && needScopes { // each kind by what it can have
		needRoles = c.Kind != CallerUser
		needScopes = c.Kind != CallerApplication
	}
	switch {
	case needScopes && !anyOf(rule.Scopes, c.Scopes):
		return ScopeMissing
	case needRoles && len(rule.Roles) > 0 && !anyOf(rule.Roles, c.Roles):
		return RoleMissing
	case needRoles && !allOf(rule.AllRoles, c.Roles):
		return RoleMissing
	case !needRoles && !needScopes && len(rule.Clients)+len(rule.Principals) == 0 && len(c.Roles)+len(c.Scopes) == 0:
		return NoPermissions
	default:
		return ""
	}
}

// listed reports whether id is on the list of GUIDs; an empty list names all.
func listed(list []string, id string) bool {
	if len(list) == 0 {
		return true
	}
	for _, want := range list {
		if strings.EqualFold(want, id) { // want is a GUID, so only ASCII can be equal
			return true
		}
	}
	return false
}

func anyOf(want, have []string) bool {
	for _, w := range want {
		if slices.Contains(have, w) {
			return true
		}
	}
	return false
}

func allOf(want, have []string) bool {
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}
