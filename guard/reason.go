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
	invalidRequest    = "invalid_request"
	invalidToken      = "invalid_token"
	insufficientScope = "insufficient_scope"
	unauthorized      = "unauthorized"
	accessDenied      = "access_denied"
	unavailable       = "temporarily_unavailable"
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
}

func (r Reason) about() refusalText {
	if text, ok := refusalTexts[r]; ok {
		return text
	}
	return refusalText{Forbidden, accessDenied, false, "The request is not allowed."}
}

func badRequest(description string) refusalText {
	return refusalText{BadRequest, invalidRequest, true, description}
}

func badToken(description string) refusalText {
	return refusalText{Unauthenticated, invalidToken, true, description}
}

func missingRight(description string) refusalText {
	return refusalText{Forbidden, insufficientScope, true, description}
}

func denied(description string) refusalText {
	return refusalText{Forbidden, accessDenied, false, description}
}

// refusalTexts is never written to.
var refusalTexts = map[Reason]refusalText{
	PathNotCanonical:     {BadRequest, invalidRequest, false, "The path of the request can be read in more than one way."},
	NoPolicy:             denied("No rule allows this path and method."),
	MultipleCredentials:  badRequest("The request carries more than one credential."),
	TokenInQuery:         badRequest("A token is accepted only in the Authorization header."),
	TokenMissing:         {Unauthenticated, unauthorized, true, "The request carries no bearer token."},
	CredentialsMalformed: badRequest("The Authorization header is not Bearer, a space and one token."),

	TokenTooLarge:         badToken("The token is too large."),
	TokenMalformed:        badToken("The token is not a compact JWS."),
	TokenEncrypted:        badToken("The token is encrypted; a signed one is needed."),
	HeaderInvalid:         badToken("The header of the token is not strict JSON."),
	AlgNotAllowed:         badToken("The signature algorithm of the token is not allowed."),
	CritUnsupported:       badToken("The token demands an extension that is not supported."),
	HeaderForbidden:       badToken("The header of the token holds a parameter that is not allowed."),
	TypNotAllowed:         badToken("The token is of another type than an access token."),
	KidInvalid:            badToken("The key id of the token is not well formed."),
	ClaimsInvalid:         badToken("The claims of the token are ambiguous or of the wrong type."),
	IssuerUnknown:         badToken("The issuer of the token is not accepted here."),
	KeyUnknown:            badToken("The token is signed with a key its issuer does not publish."),
	KeyMismatch:           badToken("The key of the token is not meant for such a signature."),
	KeysUnavailable:       {Unavailable, unavailable, false, "The keys of the issuer cannot be reached at the moment."},
	SignatureInvalid:      badToken("The signature of the token is not valid."),
	ExpInvalid:            badToken("The token has no usable expiry time."),
	TokenExpired:          badToken("The token has expired."),
	TokenNotYetValid:      badToken("The token is not valid yet."),
	IatInFuture:           badToken("The token was issued in the future."),
	LifetimeTooLong:       badToken("The token lives longer than is allowed here."),
	TokenRevoked:          badToken("The token has been revoked."),
	AudienceMismatch:      badToken("The token was issued for another resource."),
	IssuerVersionMismatch: badToken("The version of the token does not fit its issuer."),
	TenantMismatch:        badToken("The tenant of the token does not fit its issuer."),
	TenantNotAllowed:      badToken("The tenant of the token is not allowed here."),
	NotAccessToken:        badToken("The token is not an access token."),
	BindingMissing:        badToken("The token has to come in a request that the key signed to which it is bound."),
	BindingMismatch:       badToken("The token is not bound to the key that signed the request."),
	ProofInvalid:          badToken("The signed request is not valid, or it is not this request."),
	ProofReplayed:         badToken("The signed request was used before."),

	WrongCallerKind:     missingRight("This kind of caller is not allowed here."),
	ClientNotAllowed:    denied("This client is not allowed here."),
	PrincipalNotAllowed: denied("This principal is not allowed here."),
	RoleMissing:         missingRight("The token does not carry the app role that is needed."),
	ScopeMissing:        missingRight("The token does not carry the scope that is needed."),
	NoPermissions:       denied("The token carries no app role and no scope."),
}
