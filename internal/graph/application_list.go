package graph

import "github.com/rolecall-auth/rolecall/internal/directory"

// applications are the applications as lists and links read them.
func (c *call) applications() source[directory.Application] {
	whole := c.view()
	view, tenant := whole.Applications(), c.tenant()
	return source[directory.Application]{
		set: "applications", members: names(applicationTable),
		keys: map[string]func(string) []access[directory.Application]{
			"id":                 alone(by(tenant, view.Get)),
			"appid":              alone(by(tenant, view.ByAppID)),
			"uniquename":         alone(by(tenant, view.Unique)),
			"identifieruris/any": alone(by(tenant, view.Identified)),
			"displayname":        alone(among(tenant, view.Displayed)),
			"tags/any":           alone(among(tenant, view.Tagged)),
		},
		prefixes: map[string]func(string) []access[directory.Application]{"displayname": alone(among(tenant, view.DisplayedFrom))},
		all:      []access[directory.Application]{every(tenant, view.Objects)},
		named:    []access[directory.Application]{among(tenant, view.DisplayedFrom)("")},
		render:   func(app *directory.Application) (object, error) { return c.renderApplication(app), nil },
		expand: map[string]func(*directory.Application) ([]object, error){
			"owners": func(app *directory.Application) ([]object, error) {
				return c.objects(whole, app.Owners, kindUser, kindPrincipal)
			},
		},
	}
}
