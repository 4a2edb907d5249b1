package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// facts are what the directory knows about a client and the roles of an API.
type facts struct {
	*subject
	known     bool                // both the client and the API are registered and have a principal in the tenant
	offered   []directory.AppRole // of the roles in question
	requested []string            // of the roles in question
	granted   []string            // of the roles in question
	usable    []string            // granted, enabled and for applications: what a new token carries
	since     time.Time           // when the last of the usable ones was granted
	now       time.Time
}

// isAsked reports whether a role is one of those in question: those that were named, or all of
// the API's, the unusable ones included, which may be the reason.
func (f *facts) isAsked(role string) bool { return !f.named || slices.Contains(f.required, role) }

func (in *Input) facts(ctx context.Context, s *subject) (*facts, error) {
	f := &facts{subject: s, now: in.Now()}
	f.known = s.api != nil && s.client != nil && s.api.Principal != nil && s.client.Principal != nil
	if s.api != nil {
		for _, role := range s.api.Application.AppRoles {
			if f.isAsked(role.Value) {
				f.offered = append(f.offered, role)
			}
		}
	}
	if !f.known {
		return f, nil
	}
	assignments, err := in.Directory.View(ctx).Assignments().AllOf(s.tenant.ID, s.client.Principal.ID)
	if err != nil {
		return nil, err
	}
	for _, a := range assignments {
		if role, ok := s.api.Application.Role(string(a.Role)); ok && a.Resource == s.api.Principal.ID && f.isAsked(role.Value) {
			f.granted = append(f.granted, role.Value)
			if isUsable(role) && a.Created.After(f.since) {
				f.since = a.Created
			}
		}
	}
	for _, id := range f.requestedRoles() {
		if role, ok := s.api.Application.Role(string(id)); ok && f.isAsked(role.Value) {
			f.requested = append(f.requested, role.Value)
		}
	}
	roles, _, err := in.Directory.Roles(ctx, s.client, s.api)
	if err != nil {
		return nil, err
	}
	for _, role := range roles {
		if f.isAsked(role) {
			f.usable = append(f.usable, role)
		}
	}
	return f, nil
}

// requestedRoles are the roles of the API that the client's registration requests. A managed
// identity has none.
func (f *facts) requestedRoles() (roles []directory.RoleID) {
	if f.client.Application == nil {
		return nil
	}
	for _, p := range f.client.Application.Permissions {
		if p.API == f.api.Application.AppID {
			roles = append(roles, p.Roles...)
		}
	}
	return roles
}

// The directory's steps.
const (
	stepAPI     = "API registered"
	stepClient  = "client registered"
	stepEnabled = "client enabled"
	stepUser    = "user enabled"
	stepOffered = "role offered"
	stepUsable  = "role enabled for applications"
	stepGranted = "role granted"
	stepCarried = "role in the token"
)

// report adds the directory's steps. They explain and do not decide: an API judges the token
// alone, so a step here gives no reason.
func (f *facts) report(r *Report) {
	r.add(stepAPI, f.api != nil && f.api.Principal != nil, describe(f.api, f.claims.audience))
	r.add(stepClient, f.client != nil && f.client.Principal != nil, describe(f.client, f.claims.client))
	if !f.known {
		return
	}
	r.add(stepEnabled, f.client.Principal.Enabled, "")
	if f.claims.user != "" { // then the client's own roles do not matter
		r.add(stepUser, f.user != nil && f.user.Enabled, f.userName())
		return
	}
	if len(f.required) == 0 && f.builtin != nil {
		return
	}
	if len(f.offered) == 0 {
		r.add(stepOffered, false, f.offerDetail())
		return
	}
	r.add(stepOffered, true, f.offerDetail())
	r.add(stepUsable, f.isUsable(), f.unusable(f.offered))
	r.add(stepGranted, len(f.granted) > 0, f.grantDetail())
	r.add(stepCarried, f.carries(), "the token has: "+list(f.claims.roles))
}

// carries reports whether the token has one of the required roles.
func (f *facts) carries() bool {
	return slices.ContainsFunc(f.claims.roles, f.isAsked)
}

// isUsable reports whether a role that was granted can be in a token; where none was, whether
// any of those offered could.
func (f *facts) isUsable() bool {
	if len(f.granted) > 0 {
		return len(f.usable) > 0
	}
	return slices.ContainsFunc(f.offered, isUsable)
}

// unusable says which of the roles no application gets, and why.
func (f *facts) unusable(roles []directory.AppRole) string {
	var said []string
	for _, role := range roles {
		switch {
		case !role.Enabled:
			said = append(said, role.Value+" is switched off")
		case !role.Allows(directory.MemberApplication):
			said = append(said, role.Value+" is for users only")
		}
	}
	return strings.Join(said, "; ")
}

// role returns one of the roles in question.
func (f *facts) role(value string) directory.AppRole {
	i := slices.IndexFunc(f.offered, func(role directory.AppRole) bool { return role.Value == value })
	if i < 0 {
		return directory.AppRole{Value: value}
	}
	return f.offered[i]
}

// roles returns roles in question by their values.
func (f *facts) roles(values []string) (all []directory.AppRole) {
	for _, value := range values {
		all = append(all, f.role(value))
	}
	return all
}

func (f *facts) offerDetail() string {
	switch {
	case f.named:
		return "required: " + strings.Join(f.required, " or ")
	case len(f.api.Application.AppRoles) == 0:
		return "the API has no app roles"
	}
	var values []string
	for _, role := range f.offered {
		values = append(values, role.Value)
	}
	return list(values)
}

func (f *facts) grantDetail() string {
	switch {
	case len(f.granted) > 0:
		return "granted: " + list(f.granted)
	case len(f.requested) > 0:
		return "asked for and not consented: " + list(f.requested)
	case f.client.Application == nil:
		return "not granted"
	default:
		return "neither asked for nor granted"
	}
}

func describe(c *directory.Instance, id string) string {
	switch {
	case c == nil && id == "":
		return "the token does not say"
	case c == nil:
		return fmt.Sprintf("no application or managed identity has the id %q", id)
	case c.Principal == nil:
		return nameOf(c, id) + " has no service principal in the tenant"
	case c.Application == nil:
		return fmt.Sprintf("%s, a managed identity (%s)", c.Principal.Called(), c.Principal.AppID)
	default:
		return fmt.Sprintf("%s (%s)", nameOf(c, id), c.Application.AppID)
	}
}

func list(values []string) string {
	if len(values) == 0 {
		return "none"
	}
	return strings.Join(values, ", ")
}
