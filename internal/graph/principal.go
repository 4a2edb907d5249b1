package graph

import (
	"errors"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A principalDraft is a service principal between the directory and the wire.
type principalDraft struct {
	*directory.ServicePrincipal
	app      *directory.Application // nil: a managed identity
	about    settings               // of the application
	tenant   *directory.Tenant
	home     string // URL of the API
	settings settings
	keys     *[]sentKey // that the client sent along; nil: they stay as they are
}

func (d *principalDraft) kept() settings { return d.settings }

// principalDraft is a service principal to be rendered or changed.
func (c *call) principalDraft(in *directory.View, p *directory.ServicePrincipal) (*principalDraft, error) {
	d := &principalDraft{ServicePrincipal: p, tenant: c.caller.tenant, home: c.api.cfg.URL, settings: readSettings(p.Settings)}
	if p.Type == directory.PrincipalManagedIdentity {
		return d, nil
	}
	app, err := in.Applications().Get(c.tenant(), p.Application)
	if errors.Is(err, directory.ErrNotFound) {
		if b, is := directory.FindBuiltin(string(p.AppID)); is {
			app, err = b.In(c.tenant()).Application, nil
		}
	}
	if err != nil {
		return nil, err
	}
	d.app, d.about = app, readSettings(app.Settings)
	return d, nil
}

// renderPrincipal is a service principal on the wire.
func (c *call) renderPrincipal(in *directory.View, p *directory.ServicePrincipal) (object, error) {
	d, err := c.principalDraft(in, p)
	if err != nil {
		return nil, err
	}
	return render(principalTable, d), nil
}

// principalFields is the table of a service principal's members, in the order in which the
// service gives them.
func principalFields() []field[*principalDraft] {
	type draft = *principalDraft
	null := func(draft) any { return nil }
	none := func(draft) any { return []any{} }
	return []field[draft]{
		{name: "id", read: func(d draft) any { return d.ID }, silent: true},
		{name: "deletedDateTime", read: null, silent: true},
		{
			name: "accountEnabled", read: func(d draft) any { return d.Enabled },
			write: func(d draft, in input) (err error) { d.Enabled, err = in.bool(); return err },
		},
		{
			name: "alternativeNames", read: func(d draft) any { return orEmpty(d.Alternatives()) },
			write: func(d draft, in input) (err error) { d.AlternativeNames, err = in.texts(); return err },
		},
		{name: "appDisplayName", read: func(d draft) any { return ofApp(d, (*directory.Application).Label) }, silent: true},
		{name: "appDescription", read: func(d draft) any { return ofApp(d, func(a *directory.Application) string { return a.Description }) }, silent: true},
		{name: "appId", read: func(d draft) any { return d.AppID }},
		{name: "applicationTemplateId", read: null, silent: true},
		{name: "appOwnerOrganizationId", read: readOwnerOrganization, silent: true},
		{
			name: "appRoleAssignmentRequired", read: func(d draft) any { return d.AssignmentRequired },
			write: func(d draft, in input) (err error) { d.AssignmentRequired, err = in.optionalBool(); return err },
		},
		{name: "createdDateTime", read: func(d draft) any { return date(d.Created) }, silent: true},
		{name: "description", read: func(d draft) any { return orNull(d.Description) }, write: func(d draft, in input) (err error) { d.Description, err = in.optionalText(); return err }},
		{name: "disabledByMicrosoftStatus", read: null, silent: true},
		{name: "displayName", read: func(d draft) any { return d.Label() }, silent: true},
		{name: "homepage", read: func(d draft) any { return d.about.get("web.homePageUrl", nil) }, silent: true},
		setting[draft]("loginUrl", nil, isLink),
		{name: "logoutUrl", read: func(d draft) any { return d.about.get("web.logoutUrl", nil) }, silent: true},
		{name: "notes", read: func(d draft) any { return orNull(d.Notes) }, write: func(d draft, in input) (err error) { d.Notes, err = in.optionalText(); return err }},
		setting[draft]("notificationEmailAddresses", []any{}, areAll(isText(maxAddress))),
		setting[draft]("preferredSingleSignOnMode", nil, isOneOf("password", "saml", "notSupported", "oidc")),
		setting[draft]("preferredTokenSigningKeyThumbprint", nil, isText(maxAddress)),
		{name: "replyUrls", read: readReplyURLs, silent: true},
		{name: "servicePrincipalNames", read: readPrincipalNames, silent: true},
		{name: "servicePrincipalType", read: func(d draft) any { return d.Type }, silent: true},
		{name: "signInAudience", read: readAudience, silent: true},
		{name: "tags", read: func(d draft) any { return orEmpty(d.Tags) }, write: func(d draft, in input) (err error) { d.Tags, err = in.texts(); return err }},
		setting[draft]("tokenEncryptionKeyId", nil, isGUID),
		setting[draft]("samlSingleSignOnSettings", nil, hasShape(map[string]func(input) error{"relayState": isText(maxLink)})),
		{name: "samlMetadataUrl", read: func(d draft) any { return d.about.get("samlMetadataUrl", nil) }, silent: true}, // Terraform selects it
		{name: "verifiedPublisher", read: func(draft) any { return noPublisher() }, silent: true},
		{name: "addIns", read: none, silent: true},
		{name: "appRoles", read: func(d draft) any {
			if d.app == nil {
				return []any{}
			}
			return renderAll(roleTable, d.app.AppRoles)
		}, silent: true},
		{name: "info", read: readInfo, silent: true},
		{name: "keyCredentials", read: func(d draft) any { return keyCredentials(d.Certificates) }, write: func(d draft, in input) error {
			keys, err := each(in, readKey)
			keys = orEmpty(keys)
			d.keys = &keys
			return err
		}},
		{name: "oauth2PermissionScopes", read: func(d draft) any {
			if d.app == nil {
				return []any{}
			}
			return renderAll(scopeTable, d.app.Scopes)
		}, silent: true},
		{name: "passwordCredentials", read: func(d draft) any { return passwordCredentials(d.Secrets) }, silent: true},
		{name: "resourceSpecificApplicationPermissions", read: none, silent: true},
	}
}

const maxAddress = 256 // characters

// ofApp is a text that the service principal of an application shows of it.
func ofApp(d *principalDraft, of func(*directory.Application) string) any {
	if d.app == nil {
		return nil
	}
	return orNull(of(d.app))
}

func readOwnerOrganization(d *principalDraft) any {
	if d.app == nil {
		return nil
	}
	return d.tenant.ID
}

func readReplyURLs(d *principalDraft) any {
	if d.app == nil {
		return []any{}
	}
	return orEmpty(slices.Concat(d.app.RedirectURIs, d.app.SPARedirectURIs, d.app.NativeRedirectURIs))
}

// readPrincipalNames are the names that tokens can be asked for by.
func readPrincipalNames(d *principalDraft) any {
	names := []string{string(d.AppID)}
	if d.app != nil {
		names = append(names, d.app.IdentifierURIs...)
	}
	return names
}

func readAudience(d *principalDraft) any {
	if d.app == nil {
		return nil
	}
	if d.app.SignInAudience == "" {
		return directory.AudienceMyOrg
	}
	return d.app.SignInAudience
}

func readInfo(d *principalDraft) any {
	o := object{{"logoUrl", nil}}
	if d.app != nil {
		o[0].value = logoURL(d.home, d.app.ID, d.about)
	}
	for _, name := range []string{"marketingUrl", "privacyStatementUrl", "supportUrl", "termsOfServiceUrl"} {
		o = append(o, member{name, d.about.get("info."+name, nil)})
	}
	return o
}

// principals are the service principals as lists and links read them.
func (c *call) principals() source[directory.ServicePrincipal] {
	type read = access[directory.ServicePrincipal]
	whole := c.view()
	view, tenant := whole.ServicePrincipals(), c.tenant()
	// called is the access to the built-in resources whose name is chosen.
	called := func(keep func(label, value string) bool) func(string) read {
		return func(value string) read {
			return these(func() ([]*directory.ServicePrincipal, error) {
				builtins, err := whole.Builtins(tenant, func(name string) bool { return keep(strings.ToLower(name), strings.ToLower(value)) })
				all := make([]*directory.ServicePrincipal, len(builtins))
				for i, b := range builtins {
					all[i] = b.Principal
				}
				return all, err
			})
		}
	}
	orBuiltin := func(keyed func(string) read) func(string) []read { return alone(orBuiltin(c, whole, keyed)) }
	return source[directory.ServicePrincipal]{
		set: "servicePrincipals", members: names(principalTable),
		keys: map[string]func(string) []read{
			"id":                        orBuiltin(by(tenant, view.Get)),
			"appid":                     orBuiltin(by(tenant, view.ByAppID)),
			"serviceprincipalnames/any": orBuiltin(by(tenant, view.Called)),
			"displayname":               both(among(tenant, view.Displayed), called(func(label, value string) bool { return label == value })),
			"tags/any":                  alone(among(tenant, view.Tagged)),
			"alternativenames/any":      alone(among(tenant, view.Alternative)),
			"serviceprincipaltype":      both(c.ofType, called(func(_, value string) bool { return value == "application" })),
		},
		prefixes: map[string]func(string) []read{
			"displayname":          both(among(tenant, view.DisplayedFrom), called(strings.HasPrefix)),
			"alternativenames/any": alone(among(tenant, view.AlternativeFrom)),
		},
		all:    []read{every(tenant, view.Objects), called(func(string, string) bool { return true })("")},
		render: func(p *directory.ServicePrincipal) (object, error) { return c.renderPrincipal(whole, p) },
		expand: map[string]func(*directory.ServicePrincipal) ([]object, error){
			"owners":            func(p *directory.ServicePrincipal) ([]object, error) { return c.objects(whole, p.Owners) },
			"approleassignedto": func(p *directory.ServicePrincipal) ([]object, error) { return firstOf(assignedTo(c, p)) },
			"approleassignments": func(p *directory.ServicePrincipal) ([]object, error) {
				return firstOf(assignmentsOf(c, "servicePrincipals", p.ID))
			},
		},
	}
}

// orBuiltin adds the built-in resource that a value names to an access by keys.
func orBuiltin(c *call, in *directory.View, keyed func(string) access[directory.ServicePrincipal]) func(string) access[directory.ServicePrincipal] {
	return func(value string) access[directory.ServicePrincipal] {
		return func(q directory.Query) (directory.Page[directory.ServicePrincipal], error) {
			page, err := keyed(value)(q)
			if err != nil || len(page.Items) > 0 {
				return page, err
			}
			b, err := in.Builtin(c.tenant(), value)
			switch {
			case err == nil:
				page.Items = append(page.Items, b.Principal)
			case !errors.Is(err, directory.ErrNotFound):
				return page, err
			}
			return page, nil
		}
	}
}

// ofType is the access by the type of a service principal, in any case.
func (c *call) ofType(value string) access[directory.ServicePrincipal] {
	view := c.view().ServicePrincipals()
	for _, kind := range []directory.PrincipalType{directory.PrincipalApplication, directory.PrincipalManagedIdentity} {
		if strings.EqualFold(string(kind), value) {
			return func(q directory.Query) (directory.Page[directory.ServicePrincipal], error) {
				return view.OfType(c.tenant(), kind, q)
			}
		}
	}
	return these(func() ([]*directory.ServicePrincipal, error) { return nil, nil })
}
