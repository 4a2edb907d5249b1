package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// facts are what the directory knows about a client and the roles of an API.
type facts struct {
	*subject
	known     bool // both the client and the API are registered and have a principal in the tenant
	offered   []directory.AppRole
	requested []string // of the required roles
	granted   []string // of the required roles
	usable    []string // granted, enabled and for applications: what a new token carries
}

func (in *Input) facts(ctx context.Context, s *subject) (*facts, error) {
	f := &facts{subject: s}
	f.known = s.api != nil && s.client != nil && s.api.Principal != nil && s.client.Principal != nil
	if s.api != nil {
		for _, role := range s.api.Application.AppRoles {
			if slices.Contains(s.required, role.Value) {
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
		if role, ok := s.api.Application.Role(string(a.Role)); ok && a.Resource == s.api.Principal.ID && slices.Contains(s.required, role.Value) {
			f.granted = append(f.granted, role.Value)
		}
	}
	for _, id := range f.requestedRoles() {
		if role, ok := s.api.Application.Role(string(id)); ok && slices.Contains(s.required, role.Value) {
			f.requested = append(f.requested, role.Value)
		}
	}
	roles, _, err := in.Directory.Roles(ctx, s.client, s.api)
	if err != nil {
		return nil, err
	}
	for _, role := range roles {
		if slices.Contains(s.required, role) {
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
	if len(f.required) == 0 {
		r.add(stepOffered, false, "the API has no role that applications may hold")
		return
	}
	r.add(stepOffered, len(f.offered) > 0, "required: "+strings.Join(f.required, " or "))
	if len(f.offered) == 0 {
		return
	}
	usable := slices.ContainsFunc(f.offered, func(role directory.AppRole) bool {
		return role.Enabled && role.Allows(directory.MemberApplication)
	})
	r.add(stepUsable, usable, "")
	r.add(stepGranted, len(f.granted) > 0, f.grantDetail())
	r.add(stepCarried, f.carries(), "the token has: "+list(f.claims.roles))
}

// carries reports whether the token has one of the required roles.
func (f *facts) carries() bool {
	return slices.ContainsFunc(f.claims.roles, func(role string) bool { return slices.Contains(f.required, role) })
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
		return fmt.Sprintf("%s, a managed identity (%s)", c.Principal.Name, c.Principal.AppID)
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
