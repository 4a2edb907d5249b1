package guardfile

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rolecall-auth/rolecall/guard"
)

// isAuthSettings reports whether a document is an authsettingsV2 document of App Service: the
// resource, its properties, or the file that says the same.
func isAuthSettings(root *yaml.Node) bool {
	settings := propertiesOf(root)
	return member(settings, "identityProviders") != nil || member(settings, "globalValidation") != nil
}

func propertiesOf(root *yaml.Node) *yaml.Node {
	if properties := member(root, "properties"); properties != nil {
		return properties
	}
	return root
}

// member returns a member by its path, whatever stands beside it; nil if it is not there.
func member(node *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		if node == nil || node.Kind != yaml.MappingNode {
			return nil
		}
		var found *yaml.Node
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				found = node.Content[i+1]
			}
		}
		node = found
	}
	if node == nil || node.Tag == "!!null" {
		return nil
	}
	return node
}

// authSettings reads an authsettingsV2 document.
func (r *reader) authSettings(f *File, root *yaml.Node) {
	f.Foreign, f.ForwardToken = AuthSettings, true // as App Service does
	settings := propertiesOf(root)
	if at := member(settings, "platform", "enabled"); at != nil && !r.truth(at) {
		r.problem(at, "platform.enabled is false: App Service checks nothing with these settings, and there is nothing for a guard to do")
	}
	provider := member(settings, "identityProviders", "azureActiveDirectory")
	if at := member(provider, "enabled"); provider == nil || at != nil && !r.truth(at) {
		r.problem(settings, "identityProviders.azureActiveDirectory is missing or not enabled: the guard reads no tokens of other providers")
		return
	}
	api := API{Caller: guard.CallerAny}
	api.Authority = r.issuer(f, member(provider, "registration", "openIdIssuer"), provider)
	client := r.text(member(provider, "registration", "clientId"))
	if client == "" {
		r.problem(provider, "registration.clientId is missing: the API's application id")
	} else {
		api.Audience = []string{client}
	}
	for _, audience := range r.texts(member(provider, "validation", "allowedAudiences")) {
		if !slices.Contains(api.Audience, audience) {
			api.Audience = append(api.Audience, audience)
		}
	}
	main := guard.Rule{Path: "/*", Clients: r.allowedClients(provider), Principals: r.allowedPrincipals(f, provider)}
	for _, node := range r.items(member(settings, "globalValidation", "excludedPaths")) {
		api.add(guard.Rule{Path: r.text(node), Anonymous: true}, node)
	}
	api.add(main, provider)
	f.APIs = []API{api}
	r.whatIsOpen(f, settings)
	f.warnOfRoles(&main)
}

// add adds a rule and its place.
func (a *API) add(rule guard.Rule, at *yaml.Node) {
	a.Rules = append(a.Rules, rule)
	a.Places = append(a.Places, Place{at.Line, at.Column})
}

func (r *reader) issuer(f *File, node, provider *yaml.Node) string {
	if node == nil {
		r.problem(provider, "registration.openIdIssuer is missing: the URL of the tenant that issues tokens")
		return ""
	}
	authority, single, err := tenantAuthority(r.text(node))
	if err != nil {
		r.problem(node, "openIdIssuer is the https URL of a tenant, such as https://login.microsoftonline.com/TENANT/v2.0")
	}
	if err == nil && !single {
		f.warnOfTenants()
	}
	return authority
}

// allowedClients are the applications that both lists name: App Service asks both.
func (r *reader) allowedClients(provider *yaml.Node) []string {
	at := member(provider, "validation", "defaultAuthorizationPolicy", "allowedApplications")
	older := r.texts(member(provider, "validation", "jwtClaimChecks", "allowedClientApplications"))
	clients := r.texts(at)
	if len(clients) == 0 || len(older) == 0 {
		return append(clients, older...)
	}
	both := slices.DeleteFunc(clients, func(id string) bool {
		return !slices.ContainsFunc(older, func(other string) bool { return strings.EqualFold(id, other) })
	})
	if len(both) == 0 {
		r.problem(at, "allowedApplications and allowedClientApplications have no application in common, so nobody may call")
	}
	return both
}

// allowedPrincipals are the principals that may call. Groups are not looked at: a token has no
// more than some of them.
func (r *reader) allowedPrincipals(f *File, provider *yaml.Node) []string {
	policy := member(provider, "validation", "defaultAuthorizationPolicy", "allowedPrincipals")
	principals := r.texts(member(policy, "identities"))
	at := member(policy, "groups")
	groups := r.texts(at)
	if older := member(provider, "validation", "jwtClaimChecks", "allowedGroups"); len(r.texts(older)) > 0 {
		r.problem(older, "allowedGroups cannot be kept: the guard does not look at groups; assign an app role to the group and write a guard.yaml")
	}
	switch {
	case len(groups) > 0 && len(principals) == 0:
		r.problem(at, "allowedPrincipals names groups only, and the guard does not look at groups; assign an app role to the group and write a guard.yaml")
	case len(groups) > 0:
		f.warn("Assign an app role to the group, and write a guard.yaml whose rules name the role.", "groups of allowedPrincipals are not looked at: only the identities named beside them are let in")
	}
	return principals
}

// whatIsOpen warns of what App Service does otherwise.
func (r *reader) whatIsOpen(f *File, settings *yaml.Node) {
	required := member(settings, "globalValidation", "requireAuthentication")
	action := r.text(member(settings, "globalValidation", "unauthenticatedClientAction"))
	switch {
	case action == "AllowAnonymous", required != nil && !r.truth(required):
		f.warn("Add the paths that are for everybody to excludedPaths.", "App Service lets in requests without a token with these settings, and leaves it to the app to refuse them; the guard refuses them")
	case action == "RedirectToLoginPage":
		f.warn("Use a sign-in of the app's own for browsers.", "the guard signs nobody in: where App Service sends a browser to a sign-in page, it answers 401")
	case action == "Return403":
		f.warn("", "a request without a token is answered 401, not 403")
	}
	if prefix := r.text(member(settings, "httpSettings", "routes", "apiPrefix")); prefix != "" && prefix != "/.auth" {
		f.warn("Call /.auth/me.", "apiPrefix is another one than /.auth, where the guard answers")
	}
	if at := member(settings, "httpSettings", "requireHttps"); at == nil || r.truth(at) {
		f.warn("Write a guard.yaml with tls, or let something before the guard end TLS.", "requests without TLS are refused by App Service with these settings; this file gives the guard no certificate, so it listens without TLS")
	}
	if providers := member(settings, "identityProviders"); providers.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(providers.Content); i += 2 {
			name, provider := providers.Content[i].Value, providers.Content[i+1]
			if at := member(provider, "enabled"); name != "azureActiveDirectory" && provider.Kind == yaml.MappingNode && (at == nil || at.Value == "true") && len(provider.Content) > 0 {
				f.warn("", "the identity provider %s is not read", clip(name))
			}
		}
	}
}
