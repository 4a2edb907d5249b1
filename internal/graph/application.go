package graph

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// An applicationDraft is an application between the directory and the wire.
type applicationDraft struct {
	*directory.Application
	tenant   *directory.Tenant
	home     string // URL of the API, which is nobody's identifier
	settings settings
	creating bool
	// Credentials that the client sent along, which are made apart.
	passwords []directory.NewSecret
	keys      *[]sentKey // nil: they stay as they are
}

func (d *applicationDraft) kept() settings { return d.settings }

// draft is an application to be rendered or changed.
func (c *call) draft(app *directory.Application) *applicationDraft {
	return &applicationDraft{Application: app, tenant: c.caller.tenant, home: c.api.cfg.URL, settings: readSettings(app.Settings)}
}

// renderApplication is an application on the wire.
func (c *call) renderApplication(app *directory.Application) object {
	return render(applicationTable, c.draft(app))
}

// applicationFields is the table of an application's members, in the order in which the
// service gives them.
func applicationFields() []field[*applicationDraft] {
	type draft = *applicationDraft
	null := func(draft) any { return nil }
	return []field[draft]{
		{name: "id", read: func(d draft) any { return d.ID }, silent: true},
		{name: "deletedDateTime", read: null, silent: true},
		{name: "appId", read: func(d draft) any { return d.AppID }},
		{name: "applicationTemplateId", read: null},
		{name: "disabledByMicrosoftStatus", read: null, silent: true},
		{name: "createdDateTime", read: func(d draft) any { return date(d.Created) }, silent: true},
		{name: "displayName", read: func(d draft) any { return d.Label() }, write: writeDisplayName},
		{name: "description", read: func(d draft) any { return orNull(d.Description) }, write: func(d draft, in input) (err error) { d.Description, err = in.optionalText(); return err }},
		setting[draft]("groupMembershipClaims", nil, isText(maxWord)),
		{name: "identifierUris", read: func(d draft) any { return orEmpty(d.IdentifierURIs) }, write: writeIdentifiers},
		setting[draft]("isDeviceOnlyAuthSupported", nil, isBool),
		{name: "isFallbackPublicClient", read: readPublic, write: writePublic},
		setting[draft]("nativeAuthenticationApisEnabled", nil, isOneOf("none", "all")),
		{name: "notes", read: func(d draft) any { return orNull(d.Notes) }, write: func(d draft, in input) (err error) { d.Notes, err = in.optionalText(); return err }},
		{name: "publisherDomain", read: func(d draft) any { return publisherDomain(d.tenant) }, silent: true},
		setting[draft]("serviceManagementReference", nil, isText(maxWord)),
		{name: "signInAudience", read: func(d draft) any { return audienceOf(d) }, write: writeAudience},
		{name: "tags", read: func(d draft) any { return orEmpty(d.Tags) }, write: func(d draft, in input) (err error) { d.Tags, err = in.texts(); return err }},
		setting[draft]("tokenEncryptionKeyId", nil, isGUID),
		{name: "uniqueName", read: func(d draft) any { return orNull(d.UniqueName) }, write: writeUniqueName},
		setting[draft]("samlMetadataUrl", nil, isLink),
		setting[draft]("defaultRedirectUri", nil, isLink),
		{name: "certification", read: null, silent: true},
		{name: "optionalClaims", read: readOptionalClaims, write: writeOptionalClaims},
		setting[draft]("requestSignatureVerification", nil, hasShape(map[string]func(input) error{
			"isSignedRequestRequired": isBool, "allowedWeakAlgorithms": isText(maxWord),
		})),
		setting[draft]("addIns", []any{}, areAll(hasShape(map[string]func(input) error{
			"id": isGUID, "type": isText(maxWord), "properties": areAll(hasShape(map[string]func(input) error{"key": isText(maxWord), "value": isText(maxLink)})),
		}))),
		{name: "api", inner: apiFields()},
		{name: "appRoles", read: func(d draft) any { return renderAll(roleTable, d.AppRoles) }, write: writeRoles},
		{name: "info", inner: infoFields()},
		{name: "keyCredentials", read: func(d draft) any { return keyCredentials(d.Certificates) }, write: writeKeys},
		{name: "parentalControlSettings", inner: []field[draft]{
			setting[draft]("parentalControlSettings.countriesBlockedForMinors", []any{}, areAll(isText(maxWord))),
			setting[draft]("parentalControlSettings.legalAgeGroupRule", "Allow", isText(maxWord)),
		}},
		{name: "passwordCredentials", read: func(d draft) any { return passwordCredentials(d.Secrets) }, write: writePasswords},
		{name: "publicClient", inner: []field[draft]{{
			name: "redirectUris", read: func(d draft) any { return orEmpty(d.NativeRedirectURIs) },
			write: func(d draft, in input) (err error) { d.NativeRedirectURIs, err = in.texts(); return err },
		}}},
		{name: "requiredResourceAccess", read: func(d draft) any { return requiredAccess(d.Permissions) }, write: writeRequiredAccess},
		setting[draft]("servicePrincipalLockConfiguration", nil, hasShape(map[string]func(input) error{
			"isEnabled": isBool, "allProperties": isBool, "credentialsWithUsageVerify": isBool, "credentialsWithUsageSign": isBool,
			"identifierUris": isBool, "tokenEncryptionKeyId": isBool,
		})),
		{name: "verifiedPublisher", read: func(draft) any { return noPublisher() }, silent: true},
		{name: "web", inner: webFields()},
		{name: "spa", inner: []field[draft]{{
			name: "redirectUris", read: func(d draft) any { return orEmpty(d.SPARedirectURIs) },
			write: func(d draft, in input) (err error) { d.SPARedirectURIs, err = in.texts(); return err },
		}}},
		setting[draft]("oauth2RequirePostResponse", false, isBool),
		setting[draft]("authenticationBehaviors", nil, hasShape(map[string]func(input) error{
			"blockAzureADGraphAccess": isBool, "removeUnverifiedEmailClaim": isBool, "requireClientServicePrincipal": isBool,
		})),
	}
}

const maxWord = 256 // characters of members that hold a name or a word

// apiFields are the members of an application that say what it is as an API.
func apiFields() []field[*applicationDraft] {
	type draft = *applicationDraft
	return []field[draft]{
		setting[draft]("api.acceptMappedClaims", nil, isBool),
		setting[draft]("api.knownClientApplications", []any{}, areAll(isGUID)),
		{name: "requestedAccessTokenVersion", read: readTokenVersion, write: writeTokenVersion},
		{name: "oauth2PermissionScopes", read: func(d draft) any { return renderAll(scopeTable, d.Scopes) }, write: writeScopes},
		{name: "preAuthorizedApplications", read: func(d draft) any { return preAuthorized(d.PreAuthorized) }, write: func(d draft, in input) (err error) {
			d.PreAuthorized, err = each(in, readPreAuthorization)
			return err
		}},
	}
}

func infoFields() []field[*applicationDraft] {
	type draft = *applicationDraft
	return []field[draft]{
		{name: "logoUrl", read: func(d draft) any { return logoURL(d.home, d.ID, d.settings) }, silent: true},
		setting[draft]("info.marketingUrl", nil, isLink),
		setting[draft]("info.privacyStatementUrl", nil, isLink),
		setting[draft]("info.supportUrl", nil, isLink),
		setting[draft]("info.termsOfServiceUrl", nil, isLink),
	}
}

// webFields are the members of an application that say what it is as a web application.
func webFields() []field[*applicationDraft] {
	type draft = *applicationDraft
	return []field[draft]{
		setting[draft]("web.homePageUrl", nil, isLink),
		setting[draft]("web.logoutUrl", nil, isLink),
		{
			name: "redirectUris", read: func(d draft) any { return orEmpty(d.RedirectURIs) },
			write: func(d draft, in input) (err error) { d.RedirectURIs, err = in.texts(); return err },
		},
		{name: "implicitGrantSettings", inner: []field[draft]{
			setting[draft]("web.implicitGrantSettings.enableAccessTokenIssuance", false, isBool),
			{
				name: "enableIdTokenIssuance", read: func(d draft) any { return d.IDTokens },
				write: func(d draft, in input) (err error) { d.IDTokens, err = in.optionalBool(); return err },
			},
		}},
		{name: "redirectUriSettings", silent: true, read: func(d draft) any {
			list := make([]object, len(d.RedirectURIs))
			for i, uri := range d.RedirectURIs {
				list[i] = object{{"uri", uri}, {"index", nil}}
			}
			return list
		}},
	}
}

const (
	maxDisplayName         = 120 // characters
	maxPersonalDisplayName = 90  // of applications for personal accounts
)

// writeDisplayName sets what people are shown. The name by which rolecall.yaml and commands
// know the application stays what it is.
func writeDisplayName(d *applicationDraft, in input) error {
	name, err := in.text()
	if err != nil {
		return err
	}
	if strings.TrimSpace(name) == "" {
		return invalid(in.path, "Invalid value specified for property 'displayName' of resource 'Application': it is empty.")
	}
	if utf8.RuneCountInString(name) > maxDisplayName && name != d.Label() {
		return in.wrong(fmt.Sprintf("a string of at most %d characters", maxDisplayName))
	}
	d.DisplayName = name
	return nil
}

// writeIdentifiers sets the identifier URIs. Those of Microsoft's own resources are nobody's to
// take by way of Graph: whoever asks for a token for Graph means Graph.
func writeIdentifiers(d *applicationDraft, in input) error {
	uris, err := in.texts()
	if err != nil {
		return err
	}
	for i, uri := range uris {
		_, builtin := directory.FindBuiltin(uri)
		if !builtin && !strings.EqualFold(strings.TrimSuffix(uri, "/"), d.home) || slices.Contains(d.IdentifierURIs, uri) {
			continue
		}
		return invalid(fmt.Sprintf("%s[%d]", in.path, i), saysURITaken+" The identifier URI "+quote(uri)+" is that of a resource of Microsoft's own.").
			with(codeObjectConflict, in.path, saysURITaken)
	}
	d.IdentifierURIs = uris
	return nil
}

func readPublic(d *applicationDraft) any {
	if d.Public {
		return true
	}
	return d.settings.get("isFallbackPublicClient", nil)
}

// writePublic sets whether there is a client without a credential. That somebody said no, and
// not nothing, is kept among the settings.
func writePublic(d *applicationDraft, in input) (err error) {
	if d.Public, err = in.optionalBool(); err != nil {
		return err
	}
	if d.Public {
		return d.settings.set("isFallbackPublicClient", nil)
	}
	return d.settings.set("isFallbackPublicClient", in.value)
}

func audienceOf(d *applicationDraft) directory.SignInAudience {
	if d.SignInAudience == "" {
		return directory.AudienceMyOrg
	}
	return d.SignInAudience
}

func writeAudience(d *applicationDraft, in input) error {
	audience, err := in.optionalText()
	d.SignInAudience = directory.SignInAudience(audience)
	return err
}

// isPersonal reports whether an application is for personal accounts, for which version 2.0
// of access tokens is required.
func isPersonal(audience directory.SignInAudience) bool {
	return audience == directory.AudienceMultipleOrgsAndPersonal || audience == directory.AudiencePersonalMicrosoftAccounts
}

// writeUniqueName sets the unique name of a new application. Afterwards it can be sent along.
func writeUniqueName(d *applicationDraft, in input) error {
	name, err := in.optionalText()
	switch {
	case err != nil:
		return err
	case d.creating:
		d.UniqueName = name
	case name != "" && !strings.EqualFold(name, d.UniqueName):
		return invalid(in.path, "Property 'uniqueName' is read-only and cannot be set.")
	}
	return nil
}

const tokenVersionPath = "api.requestedAccessTokenVersion"

// readTokenVersion is the version of access tokens, where null means 1 unless 1 was said.
func readTokenVersion(d *applicationDraft) any {
	if d.TokenVersion == 2 {
		return 2
	}
	return d.settings.get(tokenVersionPath, nil)
}

func writeTokenVersion(d *applicationDraft, in input) error {
	if in.value == nil {
		d.TokenVersion = 1
		return d.settings.set(tokenVersionPath, nil)
	}
	version, err := in.integer()
	if err != nil {
		return err
	}
	d.TokenVersion = version
	switch version {
	case 1:
		return d.settings.set(tokenVersionPath, 1)
	case 2:
		return d.settings.set(tokenVersionPath, nil)
	}
	return in.wrong("1, 2 or null")
}

func publisherDomain(t *directory.Tenant) any {
	if len(t.Domains) == 0 {
		return nil
	}
	return t.Domains[0]
}

func noPublisher() object {
	return object{{"displayName", nil}, {"verifiedPublisherId", nil}, {"addedDateTime", nil}}
}

// The members of an application's optional claims, each for a kind of token.
const (
	claimsPath       = "optionalClaims"
	identityTokenKey = "idToken"
	samlTokenKey     = "saml2Token"
)

// claimFields is the table of an optional claim's members.
func claimFields() []field[*optionalClaim] {
	type claim = *optionalClaim
	return []field[claim]{
		{name: "additionalProperties", read: func(c claim) any { return orEmpty(c.Properties) }, write: func(c claim, in input) (err error) { c.Properties, err = in.texts(); return err }},
		{name: "essential", read: func(c claim) any { return c.Essential }, write: func(c claim, in input) (err error) { c.Essential, err = in.optionalBool(); return err }},
		{name: "name", read: func(c claim) any { return c.Name }, write: func(c claim, in input) (err error) { c.Name, err = in.text(); return err }},
		{name: "source", read: func(c claim) any { return orNull(c.Source) }, write: func(c claim, in input) (err error) { c.Source, err = in.optionalText(); return err }},
	}
}

// An optionalClaim is one as it stands on the wire. The directory acts on name and properties
// of those in access tokens; the rest is kept.
type optionalClaim struct {
	Name       string   `json:"name"`
	Source     string   `json:"source,omitempty"`
	Essential  bool     `json:"essential,omitempty"`
	Properties []string `json:"properties,omitempty"`
}

// readOptionalClaims is null until somebody has set some.
func readOptionalClaims(d *applicationDraft) any {
	var remarks map[string][]optionalClaim
	kept, has := d.settings[claimsPath]
	if has {
		_ = json.Unmarshal(kept, &remarks) // written by writeOptionalClaims
	}
	if !has && len(d.OptionalClaims) == 0 {
		return nil
	}
	access := make([]optionalClaim, len(d.OptionalClaims))
	for i, claim := range d.OptionalClaims {
		access[i] = optionalClaim{Name: claim.Name, Properties: claim.Properties}
		for _, remark := range remarks["accessToken"] {
			if remark.Name == claim.Name {
				access[i].Source, access[i].Essential = remark.Source, remark.Essential
			}
		}
	}
	return object{
		{"idToken", renderAll(claimTable, remarks[identityTokenKey])}, {"accessToken", renderAll(claimTable, access)},
		{"saml2Token", renderAll(claimTable, remarks[samlTokenKey])},
	}
}

func writeOptionalClaims(d *applicationDraft, in input) error {
	if in.value == nil {
		d.OptionalClaims = nil
		return d.settings.set(claimsPath, nil)
	}
	all, err := in.object()
	if err != nil {
		return err
	}
	remarks := map[string][]optionalClaim{}
	d.OptionalClaims = nil
	for _, one := range all {
		name := one.name()
		if name != "accessToken" && name != identityTokenKey && name != samlTokenKey {
			if strings.Contains(name, "@odata") {
				continue
			}
			return invalid(one.path, "Invalid property "+quote(one.path)+".")
		}
		if remarks[name], err = applyAll(claimTable, one, optionalClaim{}); err != nil {
			return err
		}
	}
	for _, claim := range remarks["accessToken"] {
		d.OptionalClaims = append(d.OptionalClaims, directory.OptionalClaim{Name: claim.Name, Properties: claim.Properties})
	}
	return d.settings.set(claimsPath, remarks)
}

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
