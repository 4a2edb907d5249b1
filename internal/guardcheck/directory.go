package guardcheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

// Directory compares the rules of a file with what a directory has. It returns, besides, the
// hosts of the APIs that the directory has no registration of, about which it says nothing: they
// may be in another one.
func Directory(ctx context.Context, f *guardfile.File, d *directory.Directory) (all []Finding, unknown []string, err error) {
	tenants, err := d.Tenants(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, api := range f.APIs {
		c, err := findAPI(d.View(ctx), tenants, api)
		if err != nil {
			return nil, nil, err
		}
		if c == nil {
			unknown = append(unknown, api.Host)
			continue
		}
		if err := c.compare(); err != nil {
			return nil, nil, err
		}
		all = append(all, c.found...)
	}
	return all, unknown, nil
}

// A comparison is that of one API with its registration.
type comparison struct {
	view    *directory.View
	tenants []*directory.Tenant
	api     guardfile.API
	tenant  *directory.Tenant
	app     *directory.Application
	found   []Finding
}

// findAPI finds the registration that the audience names; nil if there is none.
func findAPI(view *directory.View, tenants []*directory.Tenant, api guardfile.API) (*comparison, error) {
	for _, tenant := range tenants {
		for _, audience := range api.Audience {
			app, err := view.Applications().Find(tenant.ID, audience)
			if err == nil {
				return &comparison{view: view, tenants: tenants, api: api, tenant: tenant, app: app}, nil
			}
			if !errors.Is(err, directory.ErrNotFound) {
				return nil, err
			}
		}
	}
	return nil, nil
}

func (c *comparison) add(i int, fix, what string, args ...any) {
	f := Finding{Kind: Unknown, Host: c.api.Host, What: fmt.Sprintf(what, args...), Fix: fix}
	if i >= 0 {
		f.Rule, f.Line = c.api.Rules[i].Path, c.api.Places[i].Line
	}
	c.found = append(c.found, f)
}

func (c *comparison) compare() error {
	for _, audience := range c.api.Audience {
		own := strings.EqualFold(audience, string(c.app.AppID)) || slices.ContainsFunc(c.app.IdentifierURIs, func(uri string) bool {
			return strings.TrimSuffix(uri, "/") == strings.TrimSuffix(audience, "/")
		})
		if !own {
			c.add(-1, fmt.Sprintf("Set audience to [%s].", strings.Join(append([]string{string(c.app.AppID)}, c.app.IdentifierURIs...), ", ")),
				"the audience %q is neither the application id of %s nor one of its identifier URIs", audience, c.app.Called())
		}
	}
	for i, rule := range c.api.Rules {
		for _, role := range append(slices.Clone(rule.Roles), rule.AllRoles...) {
			c.role(i, rule, role)
		}
		for _, scope := range rule.Scopes {
			if !slices.ContainsFunc(c.app.Scopes, func(s directory.Scope) bool { return s.Value == scope && s.Enabled }) {
				c.add(i, "Declare the scope in the registration of "+c.app.Called()+", or correct the rule.", "%s has no scope %q that is enabled", c.app.Called(), scope)
			}
		}
		if err := c.callers(i, rule); err != nil {
			return err
		}
	}
	return nil
}

// role compares a role of a rule with those of the registration.
func (c *comparison) role(i int, rule guard.Rule, value string) {
	index := slices.IndexFunc(c.app.AppRoles, func(r directory.AppRole) bool { return r.Value == value })
	if index < 0 {
		fix := "Declare the app role in the registration of " + c.app.Called() + ", or correct the rule."
		for _, other := range c.app.AppRoles {
			if strings.EqualFold(other.Value, value) {
				fix = fmt.Sprintf("Write %s: roles are compared exactly.", other.Value)
			}
		}
		c.add(i, fix, "%s has no app role %q", c.app.Called(), value)
		return
	}
	role := c.app.AppRoles[index]
	switch applications := rule.Caller == guard.CallerApplication || rule.Caller == "" && (c.api.Caller == "" || c.api.Caller == guard.CallerApplication); {
	case !role.Enabled:
		c.add(i, "Enable the app role.", "the app role %q of %s is disabled, so no token has it", value, c.app.Called())
	case applications && !slices.Contains(role.Members, directory.MemberApplication):
		c.add(i, "Let the app role have members of the type Application, or let users call.", "the app role %q of %s is for users, and the rule is for applications", value, c.app.Called())
	}
}

// callers compares the applications, principals and tenants that a rule names.
func (c *comparison) callers(i int, rule guard.Rule) error {
	for _, list := range []struct {
		what string
		ids  []string
		is   func(*directory.ServicePrincipal, string) bool
	}{
		{"application", rule.Clients, func(p *directory.ServicePrincipal, id string) bool { return strings.EqualFold(string(p.AppID), id) }},
		{"principal", rule.Principals, func(p *directory.ServicePrincipal, id string) bool { return strings.EqualFold(string(p.ID), id) }},
	} {
		for _, id := range list.ids {
			known, err := c.knows(id, list.is)
			if err != nil {
				return err
			}
			if !known && list.what == "principal" {
				known, err = c.isUser(id)
				if err != nil {
					return err
				}
			}
			if !known {
				c.add(i, "Correct the id, or take it out.", "the directory has no %s %q", list.what, id)
			}
		}
	}
	for _, id := range rule.Tenants {
		if !slices.ContainsFunc(c.tenants, func(t *directory.Tenant) bool { return strings.EqualFold(string(t.ID), id) }) {
			c.add(i, "Correct the id, or take it out.", "the directory has no tenant %q", id)
		}
	}
	return nil
}

// knows reports whether a tenant has a service principal by this id.
func (c *comparison) knows(id string, is func(*directory.ServicePrincipal, string) bool) (bool, error) {
	for _, tenant := range c.tenants {
		p, err := c.view.ServicePrincipals().Find(tenant.ID, id)
		if err == nil && is(p, id) {
			return true, nil
		}
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			return false, err
		}
	}
	return false, nil
}

func (c *comparison) isUser(id string) (bool, error) {
	for _, tenant := range c.tenants {
		_, err := c.view.Users().Get(tenant.ID, directory.ObjectID(strings.ToLower(id)))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, directory.ErrNotFound) {
			return false, err
		}
	}
	return false, nil
}
