package directory

import (
	"encoding/json"
	"time"
)

// A TenantID is a tenant's GUID, lower case.
type TenantID string

// An AppID names a registration (Entra: appId, client id), the same in every tenant. Lower case.
type AppID string

// An ObjectID names one row in one tenant. Entra shows both as bare GUIDs and mixing
// them up is the classic mistake; here the compiler objects. Lower case.
type ObjectID string

// A RoleID is an app role's GUID, lower case; unique within its application.
type RoleID string

// NoRole stands for access to an API without an app role of it.
const NoRole RoleID = "00000000-0000-0000-0000-000000000000"

// A ScopeID is a scope's GUID, lower case; unique within its application, app roles included.
type ScopeID string

// Stored is part of everything that is kept by itself.
type Stored struct {
	// Version counts the changes; zero before the first. It serves as an entity tag: see
	// IfVersion of each noun.
	Version int64 `json:"-"`
}

func (s *Stored) stored(version int64) { s.Version = version }

// A Tenant is an isolated directory.
type Tenant struct {
	Stored
	ID      TenantID  `json:"id"`
	Name    string    `json:"name"`              // unique among tenants
	Domains []string  `json:"domains,omitempty"` // verified domains, lower case; unique among tenants
	Enabled bool      `json:"enabled"`
	Created time.Time `json:"created"`
}

// An Application is a registration: what an API or a client is, wherever it runs.
type Application struct {
	Stored
	ID     ObjectID `json:"id"`
	Tenant TenantID `json:"tenant"`
	AppID  AppID    `json:"appId"`
	// Name is what rolecall.yaml and commands call it, unique within the tenant; none where
	// it was made elsewhere. People are shown the Label.
	Name string `json:"name,omitempty"`
	// DisplayName need not be unique. Empty means the name.
	DisplayName string `json:"displayName,omitempty"`
	// UniqueName is another name, unique within the tenant, which is given at creation and
	// never changed. It is for tools that create what is missing and update what is there.
	UniqueName     string         `json:"uniqueName,omitempty"`
	Description    string         `json:"description,omitempty"`
	Notes          string         `json:"notes,omitempty"`
	SignInAudience SignInAudience `json:"signInAudience,omitempty"` // empty: AudienceMyOrg
	Tags           []string       `json:"tags,omitempty"`
	// Owners are service principals and users of the tenant, by object id.
	Owners         []ObjectID `json:"owners,omitempty"`
	IdentifierURIs []string   `json:"identifierUris,omitempty"`
	// Where the answer to a sign-in may go: to a web application, to a script in a browser
	// (Graph: spa), to a program on the user's machine (Graph: publicClient).
	RedirectURIs       []string `json:"redirectUris,omitempty"`
	SPARedirectURIs    []string `json:"spaRedirectUris,omitempty"`
	NativeRedirectURIs []string `json:"nativeRedirectUris,omitempty"`
	// TokenVersion is 1 or 2: the version of access tokens issued for this application
	// as a resource (Graph: api.requestedAccessTokenVersion).
	TokenVersion int `json:"tokenVersion"`
	// Public allows flows without a credential (Graph: isFallbackPublicClient).
	Public bool `json:"public,omitempty"`
	// StrictAssertions refuses a client assertion that was used before.
	StrictAssertions bool `json:"strictAssertions,omitempty"`
	// IDTokens lets the application have id tokens by way of the browser (Graph:
	// web.implicitGrantSettings.enableIdTokenIssuance).
	IDTokens bool      `json:"idTokens,omitempty"`
	AppRoles []AppRole `json:"appRoles,omitempty"`
	Scopes   []Scope   `json:"scopes,omitempty"` // Graph: api.oauth2PermissionScopes
	// PreAuthorized are the clients that may use scopes of this application without consent.
	PreAuthorized  []PreAuthorization    `json:"preAuthorized,omitempty"`
	OptionalClaims []OptionalClaim       `json:"optionalClaims,omitempty"` // of access tokens
	Permissions    []Permission          `json:"permissions,omitempty"`
	Secrets        []Secret              `json:"secrets,omitempty"`
	Certificates   []Certificate         `json:"certificates,omitempty"`
	Federated      []FederatedCredential `json:"federated,omitempty"`
	// Settings are a JSON object of what callers set and nothing here acts on.
	Settings json.RawMessage `json:"settings,omitempty"`
	Created  time.Time       `json:"created"`
}

// A SignInAudience says whose users an application is meant for.
type SignInAudience string

// The audiences of Entra. Here an application is its tenant's own, whichever it says.
const (
	AudienceMyOrg                     SignInAudience = "AzureADMyOrg"
	AudienceMultipleOrgs              SignInAudience = "AzureADMultipleOrgs"
	AudienceMultipleOrgsAndPersonal   SignInAudience = "AzureADandPersonalMicrosoftAccount"
	AudiencePersonalMicrosoftAccounts SignInAudience = "PersonalMicrosoftAccount"
)

// A PreAuthorization lets a client use scopes of an application without consent.
type PreAuthorization struct {
	App    AppID     `json:"app"`
	Scopes []ScopeID `json:"scopes"`
}

// A MemberType says who may hold an app role.
type MemberType string

// The member types of an app role.
const (
	MemberApplication MemberType = "Application"
	MemberUser        MemberType = "User"
)

// An AppRole is a permission that an application, as a resource, offers to others.
type AppRole struct {
	ID          RoleID       `json:"id"`
	Value       string       `json:"value"` // what tokens carry in "roles"; empty: nothing
	DisplayName string       `json:"displayName"`
	Description string       `json:"description"`
	Enabled     bool         `json:"enabled"`
	Members     []MemberType `json:"members"`
}

// A Scope is what an application, as a resource, lets others do on behalf of a user.
type Scope struct {
	ID          ScopeID `json:"id"`
	Value       string  `json:"value"` // what tokens carry in "scp"; empty: nothing
	DisplayName string  `json:"displayName"`
	Description string  `json:"description"`
	// What users read where they consent; empty: what administrators read.
	UserDisplayName string `json:"userDisplayName,omitempty"`
	UserDescription string `json:"userDescription,omitempty"`
	Enabled         bool   `json:"enabled"`
	// AdminOnly scopes are for an administrator to consent to; users may to others.
	AdminOnly bool `json:"adminOnly,omitempty"`
}

// An OptionalClaim adds a claim to access tokens for this resource.
type OptionalClaim struct {
	Name       string   `json:"name"`                 // "idtyp", "aud", …
	Properties []string `json:"properties,omitempty"` // "use_guid", "include_user_token", …
}

// A Permission is what an application asks for; it is granted only once an Assignment
// (of a role) or a DelegatedGrant (of a scope) exists. Request and grant are two states,
// as in Entra.
type Permission struct {
	API    AppID     `json:"api"`
	Roles  []RoleID  `json:"roles,omitempty"`
	Scopes []ScopeID `json:"scopes,omitempty"`
	// Order is the ids of both in the order in which a caller gave them: Terraform shows a
	// change where it reads another. Empty means the scopes, then the roles.
	Order []string `json:"order,omitempty"`
}

// A Secret is a client secret as it is kept: never the secret itself.
type Secret struct {
	ID      string       `json:"id"` // GUID (Graph: keyId)
	Name    string       `json:"name"`
	Hint    string       `json:"hint"` // three characters that tell it from the others
	Scheme  SecretScheme `json:"scheme"`
	Salt    []byte       `json:"salt,omitempty"` // of SchemeArgon2id
	Cost    *HashCost    `json:"cost,omitempty"` // of SchemeArgon2id, where it is not the usual one
	Digest  []byte       `json:"digest"`
	Created time.Time    `json:"created"`
	From    time.Time    `json:"from,omitzero"`    // when it begins to count; zero: when it was created
	Expires time.Time    `json:"expires,omitzero"` // zero: never
}

// A SecretScheme is how a secret's digest is made.
type SecretScheme string

// The schemes: a keyed digest for secrets that Rolecall generated (256 random bits), a
// slow hash for secrets and passwords that people chose or imported.
const (
	SchemeHMAC     SecretScheme = "hmac-sha256"
	SchemeArgon2id SecretScheme = "argon2id"
)

// A Certificate is a key credential: the certificate whose key signs client assertions.
type Certificate struct {
	ID      string `json:"id"` // GUID (Graph: keyId)
	Name    string `json:"name"`
	DER     []byte `json:"der"`
	SHA1    string `json:"sha1"`   // thumbprint, base64url without padding (x5t)
	SHA256  string `json:"sha256"` // thumbprint, base64url without padding (x5t#S256)
	Subject string `json:"subject"`
	// Usage is what its key is for; empty: CertificateVerify. No other proves a client.
	Usage CertificateUsage `json:"usage,omitempty"`
	// When it counts: at most as long as the certificate itself says.
	ValidFrom  time.Time `json:"validFrom"`
	ValidUntil time.Time `json:"validUntil"`
	Created    time.Time `json:"created"`
}

// A CertificateUsage says what the key of a certificate is for.
type CertificateUsage string

// The usages: to verify what the client signed, or to sign for it (SAML), which nothing
// here does.
const (
	CertificateVerify CertificateUsage = "Verify"
	CertificateSign   CertificateUsage = "Sign"
)

// A FederatedCredential trusts tokens of another issuer in place of a secret. Issuer,
// subject and audience are compared exactly, case and slashes included.
type FederatedCredential struct {
	ID   string `json:"id"` // GUID
	Name string `json:"name"`
	// Identity is the object id of a managed identity of the same tenant, which stands for
	// issuer and subject: the issuer is the tenant's, whatever the authority is called by now.
	Identity ObjectID `json:"identity,omitempty"`
	Issuer   string   `json:"issuer"`
	Subject  string   `json:"subject"`
	// Expression compares claims of the token in place of Subject: see package expression.
	Expression  string `json:"claimsMatchingExpression,omitempty"`
	Audience    string `json:"audience"`
	Description string `json:"description,omitempty"`
}

// A PrincipalType says what a service principal stands for.
type PrincipalType string

// The types of service principals.
const (
	PrincipalApplication     PrincipalType = "Application"
	PrincipalManagedIdentity PrincipalType = "ManagedIdentity"
)

// An IdentityKind says whose life a managed identity shares.
type IdentityKind string

// The kinds of managed identities: one that lives and dies with what runs under it, and
// one that stands by itself and may be given to several.
const (
	IdentitySystem IdentityKind = "system"
	IdentityUser   IdentityKind = "user"
)

// A ServicePrincipal is an application (or managed identity) as it exists in one tenant:
// the thing that holds and offers roles there.
type ServicePrincipal struct {
	Stored
	ID                 ObjectID      `json:"id"`
	Tenant             TenantID      `json:"tenant"`
	AppID              AppID         `json:"appId"`
	Application        ObjectID      `json:"application,omitempty"` // the registration it stands for; none for a managed identity
	Name               string        `json:"name,omitempty"`        // as an application's
	DisplayName        string        `json:"displayName,omitempty"` // as an application's
	Type               PrincipalType `json:"type"`
	Enabled            bool          `json:"enabled"`
	AssignmentRequired bool          `json:"assignmentRequired,omitempty"`
	Description        string        `json:"description,omitempty"`
	Notes              string        `json:"notes,omitempty"`
	Tags               []string      `json:"tags,omitempty"`
	Owners             []ObjectID    `json:"owners,omitempty"`           // as an application's
	AlternativeNames   []string      `json:"alternativeNames,omitempty"` // of a managed identity: see Alternatives
	// Settings are as an application's.
	Settings json.RawMessage `json:"settings,omitempty"`
	Created  time.Time       `json:"created"`

	// Credentials of its own, which count beside those of its application.
	Secrets      []Secret      `json:"secrets,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`

	// Of managed identities only.
	IdentityKind IdentityKind          `json:"identityKind,omitempty"`
	ResourceID   string                `json:"resourceId,omitempty"` // ARM id, unique within the tenant
	Location     string                `json:"location,omitempty"`   // in the resource manager, as is the following
	ResourceTags map[string]string     `json:"resourceTags,omitempty"`
	Federated    []FederatedCredential `json:"federated,omitempty"`
}

// A Host is a place with a name to which managed identities are assigned: a container, a
// virtual machine, a service of the server's own machine. The server listens for it at an
// address of its own, and a caller that is admitted there acts as the host's identities. (A
// process run by rolecall has such a place for as long as it runs; that one has no name
// and is kept nowhere.)
type Host struct {
	Stored
	ID     ObjectID `json:"id"`
	Tenant TenantID `json:"tenant"`
	Name   string   `json:"name"` // unique within the tenant
	// Node is the server that listens for it, by the name of its machine. Empty means the
	// only one there is.
	Node       string     `json:"node,omitempty"`
	Platform   Platform   `json:"platform"`             // how its programs ask
	Identities []ObjectID `json:"identities,omitempty"` // of service principals; programs that choose none get the first
	Listen     string     `json:"listen"`               // "172.17.0.1:8450": an address of the node's machine, unique there; empty: nowhere
	// Names are what programs may call the address besides itself, "host.docker.internal";
	// they are given the first.
	Names []string `json:"names,omitempty"`
	// From are the addresses and networks that may ask, "172.17.0.0/16". None means all
	// that reach the listener.
	From []string `json:"from,omitempty"`
	// User is the user of the server's machine whose processes may ask, by name or number,
	// where the listener is on the loopback interface. Empty means the server's own.
	User    string    `json:"user,omitempty"`
	Created time.Time `json:"created"`
	Renewed time.Time `json:"renewed,omitzero"` // when its secret was last replaced
}

// A Platform is one of the ways in which Azure's hosts offer tokens to their programs.
type Platform string

// The platforms.
const (
	PlatformAppService    Platform = "app-service" // App Service, Functions, Container Apps
	PlatformIMDS          Platform = "imds"        // virtual machines
	PlatformArc           Platform = "arc"
	PlatformServiceFabric Platform = "service-fabric"
	PlatformCloudShell    Platform = "cloud-shell"
	PlatformAzureML       Platform = "azure-ml"
	PlatformCLI           Platform = "cli" // the external authentication of azd
)

// Platforms lists all platforms.
func Platforms() []Platform {
	return []Platform{PlatformAppService, PlatformIMDS, PlatformArc, PlatformServiceFabric, PlatformCloudShell, PlatformAzureML, PlatformCLI}
}

// HasSecret reports whether programs show a secret. Without one, every caller
// that reaches the listener is admitted.
func (s Platform) HasSecret() bool {
	return s != PlatformIMDS && s != PlatformArc && s != PlatformCloudShell
}

// An Assignment grants one app role of a resource to one principal, both in one tenant.
type Assignment struct {
	Stored
	ID        ObjectID  `json:"id"`
	Tenant    TenantID  `json:"tenant"`
	Principal ObjectID  `json:"principal"` // the holder: a service principal or a user
	Resource  ObjectID  `json:"resource"`  // the API's service principal
	Role      RoleID    `json:"role"`
	Created   time.Time `json:"created"`
}

// A DelegatedGrant lets a client act with scopes of a resource on behalf of a user, or of
// every user (Graph: oauth2PermissionGrant). There is one for each client, resource and
// principal.
type DelegatedGrant struct {
	Stored
	ID        ObjectID  `json:"id"`
	Tenant    TenantID  `json:"tenant"`
	Client    ObjectID  `json:"client"`              // the client's service principal
	Resource  ObjectID  `json:"resource"`            // the API's service principal
	Principal ObjectID  `json:"principal,omitempty"` // the user; none: everyone, by an administrator
	Scopes    []string  `json:"scopes"`              // values, sorted
	Created   time.Time `json:"created"`
}

// A Deleted thing is an application, a service principal or a user that was discarded, with
// all that goes with it: it can be restored for a while.
type Deleted struct {
	Stored
	ID      ObjectID  `json:"id"` // of what was discarded
	Tenant  TenantID  `json:"tenant"`
	Kind    string    `json:"kind"` // KindApplication, KindServicePrincipal or KindUser
	Deleted time.Time `json:"deleted"`
	Until   time.Time `json:"until"` // when it is gone for good

	Application *Application      `json:"application,omitempty"` // of KindApplication
	Principal   *ServicePrincipal `json:"principal,omitempty"`   // of KindServicePrincipal, or of the application
	User        *User             `json:"user,omitempty"`        // of KindUser

	Assignments     []Assignment     `json:"assignments,omitempty"` // of it and to it
	Grants          []DelegatedGrant `json:"grants,omitempty"`      // of it, to it and for it
	OwnApplications []ObjectID       `json:"ownApplications,omitempty"`
	OwnPrincipals   []ObjectID       `json:"ownPrincipals,omitempty"`
}

// A ResourceGroup is a place in the resource manager, where managed identities are.
type ResourceGroup struct {
	Stored
	ID       ObjectID          `json:"id"`
	Tenant   TenantID          `json:"tenant"`
	Name     string            `json:"name"` // unique within the tenant; case does not count
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags,omitempty"`
	Created  time.Time         `json:"created"`
}

// An AppManagementPolicy says which credentials applications and service principals of a
// tenant may be given. What they have stays.
type AppManagementPolicy struct {
	Stored
	Tenant           TenantID `json:"tenant"`
	Enabled          bool     `json:"enabled"`
	SecretsForbidden bool     `json:"secretsForbidden,omitempty"`
	// How long new secrets and certificates may count. Zero: as long as anybody likes.
	MaxSecretLife      time.Duration `json:"maxSecretLife,omitempty"`
	MaxCertificateLife time.Duration `json:"maxCertificateLife,omitempty"`
	// Settings are as an application's.
	Settings json.RawMessage `json:"settings,omitempty"`
}

// A User is a developer who may sign in to the tenant. Users are few.
type User struct {
	Stored
	ID             ObjectID `json:"id"`
	Tenant         TenantID `json:"tenant"`
	PrincipalName  string   `json:"userPrincipalName"` // unique, lower case
	DisplayName    string   `json:"displayName"`
	Enabled        bool     `json:"enabled"`
	Password       *Secret  `json:"password,omitempty"` // always SchemeArgon2id
	DirectoryRoles []string `json:"directoryRoles,omitempty"`
	// SessionsFrom is when the sessions that count began at the earliest: a reset of the
	// password, disabling the user and revoking sessions end those from before. Zero: all
	// since the user was created.
	SessionsFrom time.Time `json:"sessionsFrom,omitzero"`
	// Settings are as an application's.
	Settings json.RawMessage `json:"settings,omitempty"`
	Created  time.Time       `json:"created"`
}

// SessionCounts reports whether what the user did at a time still counts: the user was there,
// and nothing has ended the sessions from then.
func (u *User) SessionCounts(began time.Time) bool {
	return !began.Before(u.Created) && !began.Before(u.SessionsFrom)
}

// A SignIn is one answer of the token endpoint, good or bad. It never holds a secret,
// an assertion or a token.
type SignIn struct {
	Time          time.Time `json:"time"`
	Tenant        TenantID  `json:"tenant"`
	CorrelationID string    `json:"correlationId"`
	TraceID       string    `json:"traceId"`
	AppID         AppID     `json:"appId"`
	Name          string    `json:"name,omitempty"`       // the client's, when known
	Credential    string    `json:"credential,omitempty"` // "secret", "certificate", "federated"
	CredentialID  string    `json:"credentialId,omitempty"`
	Resource      string    `json:"resource,omitempty"` // as asked for
	Roles         []string  `json:"roles,omitempty"`
	User          string    `json:"user,omitempty"` // principal name, when one took part; the id of one who is gone or disabled
	Scopes        []string  `json:"scopes,omitempty"`
	Version       string    `json:"version,omitempty"` // of the token: "1.0", "2.0"
	TokenID       string    `json:"tokenId,omitempty"` // uti
	Source        string    `json:"source,omitempty"`  // network address of the caller
	Library       string    `json:"library,omitempty"` // client library, as it names itself
	Cloud         string    `json:"cloud,omitempty"`   // under whose names it was asked; empty: the authority's own
	Code          int       `json:"code"`              // 0 or the AADSTS number
	// Refusal is the word for a failure that has no number, such as one of an endpoint of
	// managed identities: "invalid_request".
	Refusal   string     `json:"refusal,omitempty"`
	Reason    string     `json:"reason,omitempty"`    // of a failure, in words
	Fix       string     `json:"fix,omitempty"`       // of a failure: the answer's own advice
	Presented *Presented `json:"presented,omitempty"` // what leads to the mistake in a request; nil: nothing does
	Borrower  *Borrower  `json:"borrower,omitempty"`  // who got the client's token in its place; nil: nobody
}

// A Borrower is who manages a managed identity and got a token as that identity, for a program on
// another machine.
type Borrower struct {
	Kind ActorKind `json:"kind"`
	Name string    `json:"name"`
	ID   ObjectID  `json:"id,omitempty"` // empty: the operator of the machine
}

// String names a borrower: "user dev@contoso.test".
func (b Borrower) String() string { return string(b.Kind) + " " + b.Name }

// Refused reports whether the answer was a refusal.
func (s SignIn) Refused() bool { return s.Code != 0 || s.Refusal != "" }

// Presented is what a request presented, as far as that helps to find the mistake in it.
// Everything is as it was sent, and nothing in it was verified. Like the row it belongs to,
// it never holds a secret, an assertion or a token.
type Presented struct {
	Tenant   string `json:"tenant,omitempty"`   // as the path named one that is not there
	ClientID string `json:"clientId,omitempty"` // what goes by a client_id that is no id: the name of an application

	Secret *PresentedSecret `json:"secret,omitempty"`

	Issuer   string   `json:"issuer,omitempty"` // of a client assertion, as are the following
	Subject  string   `json:"subject,omitempty"`
	Audience []string `json:"audience,omitempty"`
	KeyID    string   `json:"keyId,omitempty"`
	SHA1     string   `json:"sha1,omitempty"` // thumbprint of a certificate in hexadecimal digits
	SHA256   string   `json:"sha256,omitempty"`

	Platform Platform `json:"platform,omitempty"` // of an endpoint of managed identities, as are the following
	Selector string   `json:"selector,omitempty"` // how the identity was named: "client_id"; empty: none was
	Identity string   `json:"identity,omitempty"` // the id that was sent
	Assigned []AppID  `json:"assigned,omitempty"` // the identities that there were to choose from
}

// A PresentedSecret tells of a secret what does not give it away.
type PresentedSecret struct {
	Length int    `json:"length"`         // in bytes
	Slip   Slip   `json:"slip,omitempty"` // what would have made it right, if that is known
	Like   string `json:"like,omitempty"` // the name of the secret that begins as it does
	// Blank and Percent say that there is a blank, or an escape such as %2B, in it: signs of
	// a form that was not encoded, or encoded twice.
	Blank   bool `json:"blank,omitempty"`
	Percent bool `json:"percent,omitempty"`
}

// A Slip is a way in which a right secret becomes a wrong one.
type Slip string

// The slips.
const (
	SlipLineBreak Slip = "line-break" // one at its end
	SlipBlanks    Slip = "blanks"     // around it
	SlipQuotes    Slip = "quotes"     // around it
	SlipEncoded   Slip = "encoded"    // with escapes, once too often
	SlipPlus      Slip = "plus"       // a plus sign that was not encoded, which is a blank in a form
	SlipID        Slip = "id"         // the id of a secret in place of its value
)
