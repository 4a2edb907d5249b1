package guard

// An Outcome is what a decision comes to, and with it the HTTP status.
type Outcome uint8

// The outcomes. The zero Outcome is a refusal, so that a forgotten decision
// lets nobody in.
const (
	Forbidden       Outcome = iota // 403: known, and not allowed
	Unauthenticated                // 401: no token, or one that does not count
	BadRequest                     // 400: the request itself is ambiguous
	Unavailable                    // 503: the keys to decide with are missing
	Allow                          // the request goes on
)

// String returns the name used in logs and metrics.
func (o Outcome) String() string {
	switch o {
	case Allow:
		return "allow"
	case Unauthenticated:
		return "unauthenticated"
	case BadRequest:
		return "bad_request"
	case Unavailable:
		return "unavailable"
	default:
		return "forbidden"
	}
}

// Status returns the HTTP status of a refusal, and 200 for Allow.
func (o Outcome) Status() int {
	switch o {
	case Allow:
		return 200
	case Unauthenticated:
		return 401
	case BadRequest:
		return 400
	case Unavailable:
		return 503
	default:
		return 403
	}
}

// A Reason is the stable code of a refusal. Answers, logs and metrics carry it.
type Reason string

// Reasons found in the request.
const (
	PathNotCanonical     Reason = "path_not_canonical"
	NoPolicy             Reason = "no_policy"
	MultipleCredentials  Reason = "multiple_credentials"
	TokenInQuery         Reason = "token_in_query"
	TokenMissing         Reason = "token_missing"
	CredentialsMalformed Reason = "credentials_malformed"
)

// Reasons found in the token.
const (
	TokenTooLarge         Reason = "token_too_large"
	TokenMalformed        Reason = "token_malformed"
	TokenEncrypted        Reason = "token_encrypted"
	HeaderInvalid         Reason = "header_invalid"
	AlgNotAllowed         Reason = "alg_not_allowed"
	CritUnsupported       Reason = "crit_unsupported"
	HeaderForbidden       Reason = "header_forbidden"
	TypNotAllowed         Reason = "typ_not_allowed"
	KidInvalid            Reason = "kid_invalid"
	ClaimsInvalid         Reason = "claims_invalid"
	IssuerUnknown         Reason = "issuer_unknown"
	KeyUnknown            Reason = "key_unknown"
	KeyMismatch           Reason = "key_mismatch"
	KeysUnavailable       Reason = "keys_unavailable"
	SignatureInvalid      Reason = "signature_invalid"
	ExpInvalid            Reason = "exp_invalid"
	TokenExpired          Reason = "token_expired"
	TokenNotYetValid      Reason = "token_not_yet_valid" //nolint:gosec // a reason, no credential
	IatInFuture           Reason = "iat_in_future"
	LifetimeTooLong       Reason = "lifetime_too_long"
	TokenRevoked          Reason = "token_revoked"
	AudienceMismatch      Reason = "audience_mismatch"
	IssuerVersionMismatch Reason = "issuer_version_mismatch"
	TenantMismatch        Reason = "tenant_mismatch"
	TenantNotAllowed      Reason = "tenant_not_allowed"
	NotAccessToken        Reason = "not_access_token"
	BindingMissing        Reason = "binding_missing"
	BindingMismatch       Reason = "binding_mismatch"
	ProofInvalid          Reason = "proof_invalid"
	ProofReplayed         Reason = "proof_replayed"
	NonceRequired         Reason = "nonce_required"

	RevocationsUnavailable Reason = "revocations_unavailable"
)

// Reasons found in the rights of a proven caller.
const (
	WrongCallerKind     Reason = "caller_kind"
	ClientNotAllowed    Reason = "client_not_allowed"
	PrincipalNotAllowed Reason = "principal_not_allowed"
	RoleMissing         Reason = "role_missing"
	ScopeMissing        Reason = "scope_missing"
	NoPermissions       Reason = "no_permissions"
)

// OAuth error codes of RFC 6750 section 3.1, which stand in a challenge, and
// our own for answers without a challenge.
const (
	invalidRequest     = "invalid_request"
	invalidToken       = "invalid_token"
	insufficientScope  = "insufficient_scope"
	insufficientClaims = "insufficient_claims" // of Entra: another token is needed, and claims say which
	unauthorized       = "unauthorized"
	accessDenied       = "access_denied"
	unavailable        = "temporarily_unavailable"
)

// Outcome returns what a refusal for this reason comes to.
func (r Reason) Outcome() Outcome { return r.about().outcome }

// Description says in a sentence what was wrong, without telling anything
// about the token or about what would be accepted.
func (r Reason) Description() string { return r.about().description }

type refusalText struct {
	outcome     Outcome
	code        string // the OAuth error
	challenge   bool   // whether WWW-Authenticate is sent
	description string // printable ASCII without quote or backslash: it stands in a header
	fix         string // what to do where nothing more is known; for operators
}

func (r Reason) about() refusalText {
	if text, ok := refusalTexts[r]; ok {
		return text
	}
	return refusalText{Forbidden, accessDenied, false, "The request is not allowed.", ""}
}

func badRequest(description, fix string) refusalText {
	return refusalText{BadRequest, invalidRequest, true, description, fix}
}

func badToken(description, fix string) refusalText {
	return refusalText{Unauthenticated, invalidToken, true, description, fix}
}

func missingRight(description, fix string) refusalText {
	return refusalText{Forbidden, insufficientScope, true, description, fix}
}

func denied(description, fix string) refusalText {
	return refusalText{Forbidden, accessDenied, false, description, fix}
}

// Fixes that several reasons share.
const (
	sendAsIssued  = "Send Bearer, one space and the token exactly as the authority issued it."
	sendAnother   = "Send an access token of the authority that this API trusts: this is not one, or something between has changed it."
	setClocks     = "Set the clocks of the authority and of the API's machine."
	correctIssuer = "Let the authority issue access tokens as Microsoft Entra ID does."
)

// refusalTexts is never written to.
var refusalTexts = map[Reason]refusalText{
	PathNotCanonical: {BadRequest, invalidRequest, false, "The path of the request can be read in more than one way.",
		"Send the path without dot segments, empty segments and escaped separators."},
	NoPolicy: denied("No rule allows this path and method.",
		"Add a rule for this path and method, or correct the request."),
	MultipleCredentials: badRequest("The request carries more than one credential.",
		"Send one Authorization header with one token."),
	TokenInQuery: badRequest("A token is accepted only in the Authorization header.",
		"Send the token in the Authorization header, and nowhere else."),
	TokenMissing: {Unauthenticated, unauthorized, true, "The request carries no bearer token.",
		"Send the header Authorization: Bearer, followed by an access token for this API."},
	CredentialsMalformed: badRequest("The Authorization header is not Bearer, a space and one token.", sendAsIssued),

	TokenTooLarge: badToken("The token is too large.",
		"Give the caller fewer roles or groups, or raise MaxToken."),
	TokenMalformed: badToken("The token is not a compact JWS.",
		"Send the access token exactly as the authority issued it."),
	TokenEncrypted: badToken("The token is encrypted; a signed one is needed.",
		"Turn off the encryption of tokens in the registration of this API."),
	HeaderInvalid: badToken("The header of the token is not strict JSON.", sendAnother),
	AlgNotAllowed: badToken("The signature algorithm of the token is not allowed.",
		"Let the authority sign with RS256, or list its algorithm in Algorithms if it is a public-key one."),
	CritUnsupported: badToken("The token demands an extension that is not supported.", sendAnother),
	HeaderForbidden: badToken("The header of the token holds a parameter that is not allowed.", sendAnother),
	TypNotAllowed: badToken("The token is of another type than an access token.",
		"Send an access token, not another kind of JWT."),
	KidInvalid:    badToken("The key id of the token is not well formed.", sendAnother),
	ClaimsInvalid: badToken("The claims of the token are ambiguous or of the wrong type.", correctIssuer),
	IssuerUnknown: badToken("The issuer of the token is not accepted here.",
		"Ask the authority this API trusts for the token, or correct the API's Authority setting."),
	KeyUnknown: badToken("The token is signed with a key that is not among those known of its issuer.",
		"Get a new token. If new ones are refused too, another authority issued them."),
	KeyMismatch: badToken("The key of the token is not meant for such a signature.",
		"Let the authority publish the key for the algorithm and the issuer that it signs for."),
	KeysUnavailable: {Unavailable, unavailable, false, "The keys of the issuer cannot be reached at the moment.",
		"Check that the authority is up and that the API's machine reaches it and trusts its certificate (CABundle)."},
	RevocationsUnavailable: {Unavailable, unavailable, false, "What the issuer has revoked could not be asked for too long.",
		"Check that the authority is up, that the API's machine reaches it, and that Revocations.Token gets a token of the API's own application."},
	SignatureInvalid: badToken("The signature of the token is not valid.",
		"The token was changed after it was signed, or signed by someone else. Get a new one."),
	ExpInvalid: badToken("The token has no usable expiry time.", correctIssuer),
	TokenExpired: badToken("By the clock of this API the token has expired.",
		"Get a new token: a client that keeps tokens must renew them before they expire. If the token is new, set the clock of the API's machine."),
	TokenNotYetValid: badToken("By the clock of this API the token is not valid yet.", setClocks),
	IatInFuture:      badToken("By the clock of this API the token was issued in the future.", setClocks),
	LifetimeTooLong: badToken("The token lives longer than is allowed here.",
		"Shorten the lifetime at the authority, or raise MaxLifetime."),
	TokenRevoked: badToken("The token has been revoked.",
		"Get a new token. If the authority issues none, the client was disabled or deleted there; if new ones are refused too, the API's function Revoked refuses the caller."),
	AudienceMismatch: badToken("The audience of the token is not one that this API accepts.",
		"Ask for a token for this API. If the token is for it, list its application id and its identifier URI in Audience, both as the registration has them."),
	IssuerVersionMismatch: badToken("The version of the token does not fit its issuer.", correctIssuer),
	TenantMismatch:        badToken("The tenant of the token does not fit its issuer.", correctIssuer),
	TenantNotAllowed: badToken("The tenant of the token is not allowed here.",
		"Add the tenant to Tenants, if its applications should be able to call."),
	NotAccessToken: badToken("The token is not an access token.",
		"Send the access token, not the ID token."),
	BindingMissing: badToken("The token has to come with a proof of the key or certificate to which it is bound.",
		"Send the proof with the token, over mutual TLS, by DPoP or in a signed request, or ask for a token without proof of possession where the API takes one."),
	BindingMismatch: badToken("The token is not bound to the key or certificate that the request comes with.",
		"Send the request with the key for which the token was asked for (req_cnf, DPoP), or over a connection with its certificate."),
	ProofInvalid: badToken("The signed request or its proof is not valid, or it is not for this request.",
		"Sign each request as it is sent, for the host by which the API is called (SignedRequests.Hosts, DPoP.Origins)."),
	ProofReplayed: badToken("The signed request or its proof was used before.",
		"Sign each request anew, also when it is repeated."),

	NonceRequired: {Unauthenticated, useNonce, true, "The proof has to hold the nonce that this answer gives.",
		"Sign the request anew, with the nonce of the header DPoP-Nonce: libraries do so by themselves."},

	WrongCallerKind: missingRight("This kind of caller is not allowed here.",
		"Call with a token of an application (client credentials or a managed identity) where applications are meant, and with one that speaks for a user where users are. Or change Caller of the rule."),
	ClientNotAllowed: denied("This client is not allowed here.",
		"Add the application id to Clients, if the application should be let in."),
	PrincipalNotAllowed: denied("This principal is not allowed here.",
		"Add the object id to Principals, if the principal should be let in."),
	RoleMissing: missingRight("The token does not carry the app role that is needed.",
		"Assign the app role to the calling application or managed identity, then get a new token."),
	ScopeMissing: missingRight("The token does not carry the scope that is needed.",
		"Consent to the delegated permission and ask for it."),
	NoPermissions: denied("The token carries no app role and no scope.",
		"Assign an app role to the calling application, or name the application in Clients."),
}
