package manifest

import (
	_ "embed"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Starter is a commented rolecall.yaml to begin with. Its first line leads editors to the schema
// in a file beside it, [SchemaName].
//
//go:embed starter.yaml
var Starter string

// SchemaName is the name of the schema's file.
const SchemaName = "rolecall.schema.json"

// A Type is what the value of a member is.
type Type string

// The types of members. A value of an object type is one object, or a list of them where
// [Member].List says so.
const (
	Text    Type = "text"
	GUID    Type = "GUID"
	Boolean Type = "true or false"
	Number  Type = "number"
	Time    Type = "date or time"
)

// An Object is a kind of object of rolecall.yaml, as its author needs to know it.
type Object struct {
	Name    string // "application": a key of its own in the schema
	Article string // "an application"
	Text    string // one sentence or two
	OneOf   []string
	Members []Member
	AnyOf   []string // members of which it has at least one
}

// A Member is a member of an Object.
type Member struct {
	Name     string
	Type     Type
	Object   string // the name of the object that the value is, in place of a Type
	List     bool   // of such values
	Choices  []string
	Required bool
	Default  string // as it would be written; empty for none
	Text     string
}

// Reference lists every object and member that [Parse] accepts, the file itself first.
func Reference() []Object {
	id := Member{Name: "id", Type: GUID, Text: "Object id. One is made and kept when it is left out."}
	appID := Member{Name: "appId", Type: GUID, Text: "Client id (application id). One is made and kept when it is left out."}
	displayName := Member{Name: "displayName", Type: Text, Text: "Name for people. Several objects may have the same one."}
	enabled := Member{Name: "enabled", Type: Boolean, Default: "true"}
	about := func(m Member, text string) Member { m.Text = text; return m }
	allowDisabled := Member{Name: "allowDisabled", Type: Boolean, Default: "false", Text: "Whether it may be granted though it is disabled, and so leaves the tokens until it is enabled."}
	settings := Member{Name: "settings", Object: "settings", Text: "Members of Microsoft Graph that are kept and have no meaning here."}
	remarks := []Member{
		{Name: "description", Type: Text, Text: "For people."}, {Name: "notes", Type: Text, Text: "For those who manage it."},
		{Name: "tags", Type: Text, List: true, Text: "Words to find it by."},
		{Name: "owners", Type: Text, List: true, Text: "Who may manage it: names or ids of users, applications and managed identities."},
		settings,
	}
	var platforms []string
	for _, platform := range directory.Platforms() {
		platforms = append(platforms, string(platform))
	}
	secretText := []Member{
		{Name: "value", Type: Text, Text: "The text itself. Whoever can read the file then has it."},
		{Name: "env", Type: Text, Text: "Name of the environment variable that has the text when the file is applied."},
		{Name: "file", Type: Text, Text: "Path of a file with the text, relative to rolecall.yaml. A line break at its end is left out."},
	}
	return []Object{
		{"file", "the file", "Which tenants there are.", nil, []Member{
			{Name: "tenants", Object: "tenant", List: true, Required: true, Text: "The tenants. Those that the file does not name are left alone."},
		}, nil},
		{"tenant", "a tenant", "A directory of its own, with an issuer and signing keys of its own.", nil, []Member{
			{Name: "name", Type: Text, Required: true, Text: "Name by which commands and other parts of the file refer to it."},
			id,
			about(enabled, "Whether anybody gets tokens of the tenant."),
			{Name: "domains", Type: Text, List: true, Text: "Domains of the tenant, such as contoso.test. They may stand in the place of its id in URLs, and behind the @ of user names."},
			{Name: "appManagementPolicy", Object: "appManagementPolicy", Text: "Which credentials applications may be given."},
			{Name: "applications", Object: "application", List: true, Text: "APIs and clients."},
			{Name: "resourceGroups", Object: "resourceGroup", List: true, Text: "Resource groups in which managed identities are, as the resource manager has them."},
			{Name: "managedIdentities", Object: "managedIdentity", List: true, Text: "Identities that a platform gives to programs, which have no credential."},
			{Name: "hosts", Object: "host", List: true, Text: "Places other than `rolecall run` that get tokens of managed identities, such as containers."},
			{Name: "users", Object: "user", List: true, Text: "People, for sign-in during development."},
		}, nil},
		{"appManagementPolicy", "an app management policy", "Which credentials the applications of a tenant and their service principals may be given. What they have stays: also what the same file gives them, where the tenant had no policy before.", nil, []Member{
			{Name: "enabled", Type: Boolean, Default: "false", Text: "Whether it is in force."},
			{Name: "secretsForbidden", Type: Boolean, Default: "false", Text: "Whether secrets are forbidden."},
			{Name: "maxSecretLifetime", Type: Text, Text: "How long a secret may count, such as 180d or 36h. Without it, for as long as anybody likes."},
			{Name: "maxCertificateLifetime", Type: Text, Text: "How long a certificate may count."},
			settings,
		}, nil},
		{"resourceGroup", "a resource group", "A place of managed identities in the resource manager. With `--prune`, one that is not mentioned goes once no identity is in it.", nil, []Member{
			{Name: "name", Type: Text, Required: true, Text: "Name, which the resource ids of the identities in it contain. It cannot be changed."},
			{Name: "location", Type: Text, Text: "Place, such as westeurope."},
			{Name: "tags", Object: "tags", Text: "Tags in the resource manager."},
		}, nil},
		{"tags", "an object", "Any members. Their values are texts.", nil, nil, nil},
		{"application", "an application", "An API, a client, or both. Its service principal in the tenant is made with it.", nil, append([]Member{
			{Name: "name", Type: Text, Text: "Name by which commands and other parts of the file refer to it; unique in its tenant. One that has an appId and a displayName can do without."},
			displayName, id, appID,
			{Name: "registeredOnly", Type: Boolean, Default: "false", Text: "Whether it takes no part in the tenant: it has no service principal, gets no tokens and holds nothing."},
			{Name: "servicePrincipal", Object: "servicePrincipal", Text: "What its service principal has of its own."},
			{Name: "identifierUris", Type: Text, List: true, Text: "URIs by which clients ask for tokens for this API, such as api://orders."},
			{Name: "redirectUris", Type: Text, List: true, Text: "Where the authority sends browsers after a sign-in."},
			{Name: "requestedAccessTokenVersion", Type: Number, Choices: []string{"1", "2"}, Default: "2", Text: "Version of the access tokens that this API gets."},
			{Name: "assignmentRequired", Type: Boolean, Default: "false", Text: "Whether only clients and users with an assignment get tokens for this API."},
			about(enabled, "Whether it gets tokens, and tokens are issued for it."),
			{Name: "public", Type: Boolean, Default: "false", Text: "Whether it is a public client: a program on a user's machine, which keeps no secret."},
			{Name: "strictAssertions", Type: Boolean, Default: "false", Text: "Whether each client assertion is accepted once only."},
			{Name: "idTokens", Type: Boolean, Default: "false", Text: "Whether the authorization endpoint itself may answer with an ID token."},
			{Name: "appRoles", Object: "appRole", List: true, Text: "Roles that this API offers to applications and users."},
			{Name: "scopes", Object: "scope", List: true, Text: "Delegated permissions that this API offers: what a client may do for a user."},
			{Name: "optionalClaims", Object: "optionalClaim", List: true, Text: "Further claims of the access tokens for this API."},
			{Name: "secrets", Object: "secret", List: true, Text: "Client secrets."},
			{Name: "certificates", Object: "certificate", List: true, Text: "Certificates whose keys sign client assertions."},
			{Name: "federatedCredentials", Object: "federatedCredential", List: true, Text: "Tokens of other issuers that prove this application."},
			{Name: "permissions", Object: "permission", List: true, Text: "What this application may do with APIs."},
			{Name: "assignments", Object: "assignment", List: true, Text: "App roles that it holds without asking for them in its permissions."},
			{Name: "delegatedGrants", Object: "delegatedGrant", List: true, Text: "Scopes that it may use without asking for them in its permissions, or for one user."},
			{Name: "uniqueName", Type: Text, Text: "Another name, by which tools create what is missing; it cannot be changed."},
			{Name: "signInAudience", Type: Text, Choices: audiences(), Default: string(directory.AudienceMyOrg), Text: "Whose users it says it is for. Here an application is its tenant's own, whichever it says."},
			{Name: "spaRedirectUris", Type: Text, List: true, Text: "Where scripts in a browser take the answer to a sign-in."},
			{Name: "nativeRedirectUris", Type: Text, List: true, Text: "Where programs on a user's machine take it."},
			{Name: "preAuthorized", Object: "preAuthorized", List: true, Text: "Clients that may use scopes of this API without consent."},
		}, remarks...), []string{"name", "appId"}},
		{"servicePrincipal", "a service principal", "An application as it exists in one tenant: what holds and offers roles there.", nil, append([]Member{
			{Name: "id", Type: GUID, Text: "Object id, which is the oid of its tokens. One is made and kept when it is left out."},
			{Name: "alternativeNames", Type: Text, List: true, Text: "Further names."},
			{Name: "secrets", Object: "secret", List: true, Text: "Client secrets of its own, which count beside those of the application."},
			{Name: "certificates", Object: "certificate", List: true, Text: "Certificates of its own, which count beside those of the application."},
		}, remarks...), nil},
		{"settings", "an object", "Any members, as Microsoft Graph takes them.", nil, nil, nil},
		{"preAuthorized", "a pre-authorized client", "A client that may use scopes of an API without consent.", nil, []Member{
			{Name: "client", Type: Text, Required: true, Text: "Name or client id of the client."},
			{Name: "scopes", Type: Text, List: true, Required: true, Text: "Values of scopes."},
		}, nil},
		{"appRole", "an app role", "A role that an API offers. A client that holds it has it in the roles claim of its tokens.", nil, []Member{
			{Name: "value", Type: Text, Text: "What stands in the roles claim, such as Orders.Read. A role that has an id and a displayName can do without, and stands in no token."},
			about(id, "Id of the role. One is made and kept when it is left out."), about(displayName, "Name for people."),
			{Name: "description", Type: Text, Text: "What holders of the role can do."},
			about(enabled, "Whether the role is offered. One that is not stays assigned and leaves the tokens."),
			{Name: "members", Type: Text, List: true, Choices: []string{string(directory.MemberApplication), string(directory.MemberUser)}, Default: "[Application]", Text: "Who can hold it."},
		}, []string{"value", "id"}},
		{"scope", "a scope", "A delegated permission: what a client may do with an API for a signed-in user.", nil, []Member{
			{Name: "value", Type: Text, Text: "What stands in the scp claim, such as Orders.Read.All. A scope that has an id and a displayName can do without, and stands in no token."},
			about(id, "Id of the scope. One is made and kept when it is left out."), about(displayName, "What the consent page calls it."),
			{Name: "description", Type: Text, Text: "What the consent page says about it."},
			about(enabled, "Whether the scope is offered."),
			{Name: "consent", Type: Text, Choices: []string{consentAdmin, consentUser}, Default: consentUser, Text: "Who may consent to it: administrators alone, or users for themselves."},
			{Name: "userDisplayName", Type: Text, Text: "What the consent page calls it where users consent for themselves."},
			{Name: "userDescription", Type: Text, Text: "What the consent page says about it there."},
		}, []string{"value", "id"}},
		{"optionalClaim", "an optional claim", "A claim that access tokens do not have unless an API asks for it.", nil, []Member{
			{Name: "name", Type: Text, Required: true, Text: "Name of the claim, such as idtyp."},
			{Name: "properties", Type: Text, List: true, Text: "How it is made, such as include_user_token."},
		}, nil},
		{"secret", "a secret", "A client secret. It has exactly one of value, env, file and generate.", []string{"value", "env", "file", "generate"}, append([]Member{
			{Name: "name", Type: Text, Required: true, Text: "Name of the secret; unique in its application."},
			{Name: "expires", Type: Time, Text: "When it ends, such as 2027-12-31. Without it the secret does not end."},
			{Name: "generate", Type: Boolean, Choices: []string{"true"}, Text: "Makes a secret once, and shows it once."},
		}, secretText...), nil},
		{"certificate", "a certificate", "A certificate whose private key the client has. It has either file or pem.", []string{"file", "pem"}, []Member{
			{Name: "name", Type: Text, Required: true, Text: "Name of the certificate; unique in its application."},
			{Name: "file", Type: Text, Text: "Path of a PEM file, whose first certificate counts, or of a DER file (.cer), relative to rolecall.yaml."},
			{Name: "pem", Type: Text, Text: "The certificate itself, in PEM form."},
			{Name: "usage", Type: Text, Choices: []string{string(directory.CertificateVerify), string(directory.CertificateSign)}, Default: string(directory.CertificateVerify), Text: "What its key is for. Only one that is to verify proves a client."},
			{Name: "validFrom", Type: Time, Text: "When it begins to count, if later than the certificate says."},
			{Name: "validUntil", Type: Time, Text: "When it ends, if earlier than the certificate says."},
		}, nil},
		{"federatedCredential", "a federated credential", "Trust in the tokens of another issuer, or of a managed identity of the tenant.", nil, []Member{
			{Name: "name", Type: Text, Required: true, Text: "Name of the credential; unique in its application."},
			{Name: "issuer", Type: Text, Text: "The iss of the tokens: an https URL. Required unless identity is given."},
			{Name: "subject", Type: Text, Text: "The sub of the tokens. Required unless claimsMatchingExpression or identity is given."},
			{Name: "claimsMatchingExpression", Type: Text, Text: "Which tokens are meant, in place of subject: `claims['sub'] matches 'repo:contoso/orders:*'`, where `*` stands for any text, with `/` and `:` in it too, and `?` for one character. `eq` compares exactly; several terms are joined by ` and `."},
			{Name: "audience", Type: Text, Default: directory.ExchangeAudience, Text: "The aud of the tokens."},
			{Name: "identity", Type: Text, Text: "Name of a managed identity whose tokens prove this application, in place of issuer, subject and audience."},
			{Name: "description", Type: Text, Text: "For people."},
		}, nil},
		{"permission", "a permission", "What an application asks of an API: roles for itself, scopes for its users, or both.", nil, []Member{
			{Name: "api", Type: Text, Required: true, Text: "Name, client id or identifier URI of the API; one of Microsoft's resources too."},
			{Name: "roles", Type: Text, List: true, Text: "Values of app roles."},
			{Name: "scopes", Type: Text, List: true, Text: "Values of scopes."},
			{Name: "consent", Type: Boolean, Default: "false", Text: "Whether it is granted, scopes for every user. Without it the permission is only requested."},
			allowDisabled,
		}, nil},
		{"assignment", "an assignment", "App roles that an application, a managed identity or a user holds.", nil, []Member{
			{Name: "api", Type: Text, Required: true, Text: "Name, client id or identifier URI of the API."},
			{Name: "roles", Type: Text, List: true, Required: true, Text: "Values of app roles."},
			allowDisabled,
		}, nil},
		{"delegatedGrant", "a delegated grant", "Scopes that an application may use on behalf of users.", nil, []Member{
			{Name: "api", Type: Text, Required: true, Text: "Name, client id or identifier URI of the API."},
			{Name: "scopes", Type: Text, List: true, Required: true, Text: "Values of scopes."},
			{Name: "user", Type: Text, Text: "User principal name of the one user it is for. Without it, it is for every user."},
			allowDisabled,
		}, nil},
		{"managedIdentity", "a managed identity", "An identity that programs get from the platform they run on.", nil, append([]Member{
			{Name: "name", Type: Text, Text: "Name by which commands and other parts of the file refer to it. One that has an appId and a displayName can do without."},
			{Name: "type", Type: Text, Choices: []string{kindSystem, kindUser}, Required: true, Text: "Assigned to one host (system), or to any number of them (user)."},
			displayName, id, appID,
			{Name: "resourceId", Type: Text, Text: "Azure resource id by which programs may ask for a user-assigned identity. One is made when it is left out."},
			about(enabled, "Whether it gets tokens."),
			{Name: "assignments", Object: "assignment", List: true, Text: "App roles that it holds."},
			{Name: "federatedCredentials", Object: "federatedCredential", List: true, Text: "Tokens of other issuers that prove this identity."},
			{Name: "alternativeNames", Type: Text, List: true, Text: "Further names."},
			{Name: "location", Type: Text, Text: "Place in the resource manager, such as westeurope."},
			{Name: "resourceTags", Object: "tags", Text: "Tags in the resource manager."},
		}, remarks...), []string{"name", "appId"}},
		{"host", "a host", "A place at which programs get tokens of managed identities without `rolecall run`.", nil, []Member{
			{Name: "name", Type: Text, Required: true, Text: "Name of the host, for `rolecall env --on`."},
			{Name: "listen", Type: Text, Text: "Address and port of its identity endpoint, such as 127.0.0.1:8460. A new host without it listens nowhere yet."},
			{Name: "identities", Type: Text, List: true, Text: "Names of the managed identities that are assigned to it."},
			id,
			{Name: "via", Type: Text, Choices: platforms, Default: string(directory.PlatformAppService), Text: "Platform whose endpoint it offers."},
			{Name: "names", Type: Text, List: true, Text: "Further host names by which programs call the endpoint."},
			{Name: "from", Type: Text, List: true, Text: "Networks whose programs may call it, such as 172.18.0.0/16."},
			{Name: "user", Type: Text, Text: "User of the operating system whose processes may call it."},
			{Name: "node", Type: Text, Text: "Name of the machine whose server listens for it, where there are several."},
		}, nil},
		{"user", "a user", "A person, for sign-in during development.", nil, []Member{
			{Name: "userPrincipalName", Type: Text, Required: true, Text: "Name for sign-in, such as dev@contoso.test."},
			id, displayName, about(enabled, "Whether the user can sign in."),
			{Name: "password", Object: "password", Text: "Password. A user without one cannot sign in at a page."},
			{Name: "directoryRoles", Type: Text, List: true, Text: "Roles in the directory, such as Application Administrator."},
			settings,
			{Name: "assignments", Object: "assignment", List: true, Text: "App roles that the user holds."},
		}, nil},
		{"password", "a password", "The password of a user. It has exactly one of value, env and file.", []string{"value", "env", "file"}, secretText, nil},
	}
}

// defaults completes the sentence about a member's default.
func (m Member) defaults() string {
	if m.Default == "" {
		return ""
	}
	return " Default: " + m.Default + "."
}

// schemaOf is the member in JSON Schema.
func (m Member) schemaOf() map[string]any {
	var value map[string]any
	switch {
	case m.Object != "":
		value = map[string]any{"$ref": "#/$defs/" + m.Object}
	case m.Type == Boolean && slices.Equal(m.Choices, []string{"true"}):
		value = map[string]any{"const": true}
	case m.Type == Boolean:
		value = map[string]any{"type": "boolean"}
	case m.Type == Number:
		value = map[string]any{"enum": numbers(m.Choices)}
	case m.Type == GUID:
		value = map[string]any{"type": "string", "pattern": "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"}
	case m.Type == Time:
		value = map[string]any{"type": "string", "pattern": `^\d{4}-\d{2}-\d{2}(T.+)?$`}
	case len(m.Choices) > 0:
		value = map[string]any{"enum": m.Choices}
	default:
		value = map[string]any{"type": "string", "minLength": 1}
	}
	if m.List {
		value = map[string]any{"type": "array", "items": value}
	}
	value["description"] = m.Text + m.defaults()
	return value
}

func numbers(words []string) (all []int) {
	for _, word := range words {
		all = append(all, int(word[0]-'0'))
	}
	return all
}

// JSONSchema is the schema of rolecall.yaml (JSON Schema, draft 2020-12), for editors. It
// knows the form of the file; names that refer to something are looked up by apply alone.
func JSONSchema() map[string]any {
	objects := map[string]any{}
	for _, o := range Reference() {
		members := map[string]any{}
		var required []string
		for _, m := range o.Members {
			members[m.Name] = m.schemaOf()
			if m.Required {
				required = append(required, m.Name)
			}
		}
		object := map[string]any{
			"type": "object", "description": o.Text, "properties": members, "additionalProperties": o.Members == nil,
		}
		if len(required) > 0 {
			object["required"] = required
		}
		if len(o.OneOf) > 0 {
			object["oneOf"] = eachRequired(o.OneOf)
		}
		if len(o.AnyOf) > 0 {
			object["anyOf"] = eachRequired(o.AnyOf)
		}
		objects[o.Name] = object
	}
	root := objects["file"].(map[string]any)
	delete(objects, "file")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "rolecall.yaml"
	root["$defs"] = objects
	return root
}

// eachRequired is a schema for each of the members, which requires it.
func eachRequired(members []string) (all []any) {
	for _, name := range members {
		all = append(all, map[string]any{"required": []string{name}})
	}
	return all
}

// Markdown is the reference as a page of the documentation has it.
func Markdown() string {
	var b strings.Builder
	for _, o := range Reference() {
		if o.Name == "file" {
			b.WriteString("## The file\n\n")
		} else {
			b.WriteString("## " + o.Name + "\n\n" + o.Text + "\n\n")
		}
		if o.Members == nil {
			continue
		}
		b.WriteString("| member | value | |\n|---|---|---|\n")
		for _, m := range o.Members {
			name := "`" + m.Name + "`"
			if m.Required {
				name = "**" + name + "**"
			}
			b.WriteString("| " + name + " | " + m.kind() + " | " + m.Text + " |\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// kind describes the value of a member in the reference.
func (m Member) kind() string {
	kind := string(m.Type)
	switch {
	case m.Object != "":
		kind = "[" + m.Object + "](#" + strings.ToLower(m.Object) + ")"
	case len(m.Choices) > 0:
		kind = "`" + strings.Join(m.Choices, "` or `") + "`"
	}
	if m.List {
		kind = "list of " + kind
	}
	if m.Default != "" {
		kind += "; default `" + m.Default + "`"
	}
	return kind
}
