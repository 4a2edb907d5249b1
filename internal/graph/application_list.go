package graph

import "github.com/rolecall-auth/rolecall/internal/directory"

// applications are the applications as lists and links read them.
func (c *call) applications() source[directory.Application] {
	view, tenant := c.view().Applications(), c.tenant()
	return source[directory.Application]{
		set: "applications", members: names(applicationTable),
		keys: map[string]func(string) access[directory.Application]{
			"id":                 by(tenant, view.Get),
			"appid":              by(tenant, view.ByAppID),
			"uniquename":         by(tenant, view.Unique),
			"identifieruris/any": by(tenant, view.Identified),
			"displayname":        among(tenant, view.Displayed),
			"tags/any":           among(tenant, view.Tagged),
		},
		prefixes: map[string]func(string) access[directory.Application]{"displayname": among(tenant, view.DisplayedFrom)},
		all:      []access[directory.Application]{every(tenant, view.Objects)},
		named:    []access[directory.Application]{among(tenant, view.DisplayedFrom)("")},
		render:   func(app *directory.Application) (object, error) { return c.renderApplication(app), nil },
		expand:   map[string]func(*directory.Application) ([]object, error){},
	}
}
