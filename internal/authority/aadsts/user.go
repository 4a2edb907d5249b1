package aadsts

import (
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// This file holds the problems of users' sign-ins: the grants that speak for a user, who
// the user is, and what the user agreed to. Each row has one constructor.

// The values of the "error" member that only these have.
const (
	accessDenied            = "access_denied"
	authorizationDeclined   = "authorization_declined"
	authorizationPending    = "authorization_pending"
	badVerificationCode     = "bad_verification_code"
	consentRequired         = "consent_required"
	expiredToken            = "expired_token"
	interactionRequired     = "interaction_required"
	invalidToken            = "invalid_token"
	loginRequired           = "login_required"
	slowDown                = "slow_down"
	unsupportedResponseType = "unsupported_response_type"
)

// userProblems gives each problem of this file once, with placeholders.
func userProblems() []*Problem {
	return []*Problem{
		PasswordGrantOff(),
		PasswordGrantConfidential("{client_id}"),
		GrantText("{parameter}"),
		GrantClient("{parameter}"),
		GrantTenant(),
		CodeUsed(),
		CodeExpired(),
		Verifier(),
		Challenge(),
		ProofKey(),
		CodeKey(),
		ChallengeMissing("{client_id}"),
		Redirect("{redirect_uri}", "{client_id}"),
		RedirectDiffers(),
		RefreshUsed(),
		RefreshGone(),
		RefreshKey(),
		Revoked(),
		DevicePending(),
		DeviceTooFast(),
		DeviceDeclined(),
		DeviceUnknown(),
		DeviceExpired(),
		DeviceThrottled(1),
		WrongPassword(),
		UserUnknown("{user}"),
		UserDisabled("{user}"),
		UserHome("{user}"),
		UserNotAssigned("{user}", "{application}"),
		Consent("{client_id}", "{client}", "{scopes}"),
		AdminConsent("{client_id}", "{scopes}"),
		Declined(),
		ScopeUnknown("{scope}", "{resource}"),
		NotRequested("{client_id}", "{resource}"),
		SignInNeeded(),
		ConfirmNeeded(),
		ResponseType("{response_type}"),
		IDTokenOff("{client_id}"),
		FrontToken(),
		ResponseMode("{response_mode}"),
		Prompt("{prompt}"),
		RequestObject(),
		OnBehalfSignature(),
		OnBehalfExpired(),
		OnBehalfAudience("{aud}", "{client_id}"),
		OnBehalfOfAnother("{aud}"),
		OnBehalfApp(),
		OnBehalfBound(),
		Bearer(),
		Form(),
	}
}

// PasswordGrantOff refuses the grant type password where it is turned off.
func PasswordGrantOff() *Problem {
	return &Problem{
		Code: 70003, OAuth: unsupportedGrantType, Status: http.StatusBadRequest,
		What:   "The grant type 'password' is turned off at this authority.",
		Advice: "Sign in with a browser or a device code; an operator can allow passwords for public clients.",
	}
}

// PasswordGrantConfidential refuses the grant type password to a confidential client.
func PasswordGrantConfidential(client string) *Problem {
	return &Problem{
		Code: 70003, OAuth: unsupportedGrantType, Status: http.StatusBadRequest,
		What:   "The grant type 'password' is for public clients alone here, and the application " + text.Quote(client) + " is confidential.",
		Advice: "Sign users in with a browser, or let a public client take the password.",
	}
}

// GrantText refuses a code or token that this authority did not make.
func GrantText(parameter string) *Problem {
	return &Problem{
		Code: 9002313, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The value of '" + text.Line(parameter, MaxNoted) + "' is not one that this authority made.",
		Advice: "Send it as it was received, form-encoded.",
	}
}

// GrantClient refuses a code or token that was issued to another application.
func GrantClient(parameter string) *Problem {
	return &Problem{
		Code: 70000, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The value of '" + text.Line(parameter, MaxNoted) + "' was issued to another application.",
		Advice: "Redeem it with the client_id that asked for it.",
	}
}

// GrantTenant refuses a code or token of another tenant.
func GrantTenant() *Problem {
	return &Problem{
		Code: 700005, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The authorization code or token was issued by another tenant.",
		Advice: "Redeem it at the tenant where the user signed in.",
	}
}

// CodeUsed refuses an authorization code that was redeemed before.
func CodeUsed() *Problem {
	return &Problem{
		Code: 54005, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The authorization code was already redeemed, so every token issued from it has been revoked.",
		Advice: "Sign in again; a code can be used once.",
	}
}

// CodeExpired refuses an authorization code that has expired.
func CodeExpired() *Problem {
	return &Problem{
		Code: 70008, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The authorization code has expired.",
		Advice: "Sign in again, and redeem the code within ten minutes.",
	}
}

// Verifier refuses a code_verifier that does not match its challenge.
func Verifier() *Problem {
	return &Problem{
		Code: 501481, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The code_verifier does not match the code_challenge of the authorization request.",
		Advice: "Send the verifier that the challenge was made of, and none if there was no challenge; sign in again, the code is used up.",
	}
}

// Challenge refuses a code_challenge that cannot be read.
func Challenge() *Problem {
	return &Problem{
		Code: 50147, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The code_challenge or its method is not valid.",
		Advice: "Send 43 to 128 of the characters A-Z a-z 0-9 - . _ ~, and S256 or plain as code_challenge_method.",
	}
}

// ProofKey refuses a dpop_jkt that is no thumbprint.
func ProofKey() *Problem {
	return &Problem{
		Code: 9002313, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The request is malformed. Its dpop_jkt is not the thumbprint of a key.",
		Advice: "Send the SHA-256 thumbprint of the key (RFC 7638) in base64url, as a client library makes it.",
	}
}

// CodeKey refuses an authorization code that is bound to a key whose proof is missing.
func CodeKey() *Problem {
	return &Problem{
		Code: 9002313, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The authorization code is bound to a key, and the request has no proof of it.",
		Advice: "Send the header DPoP with the key that dpop_jkt has named, and sign in again: the code is used up.",
	}
}

// ChallengeMissing refuses a public client without a code_challenge.
func ChallengeMissing(client string) *Problem {
	return &Problem{
		Code: 9002325, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The public client " + text.Quote(client) + " must protect its authorization code with PKCE, and sent no code_challenge.",
		Advice: "Send code_challenge and code_challenge_method=S256; client libraries do.",
	}
}

// Redirect refuses a redirect URI that is not registered.
func Redirect(uri, client string) *Problem {
	return &Problem{
		Code: 50011, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The redirect URI " + text.Quote(uri) + " is not one of the application " + text.Quote(client) + ".",
		Advice: "Register exactly this URI for the application; only the port of http://localhost and http://127.0.0.1 may differ, for public clients.",
	}
}

// RedirectDiffers refuses a redirect URI that is not the one of the code.
func RedirectDiffers() *Problem {
	return &Problem{
		Code: 500112, OAuth: InvalidClient, Status: http.StatusBadRequest,
		What:   "The redirect_uri is not that of the authorization request.",
		Advice: "Send the same redirect_uri to both endpoints, and sign in again: the code is used up.",
	}
}

// RefreshUsed refuses a refresh token that was replaced.
func RefreshUsed() *Problem {
	return &Problem{
		Code: 70000, OAuth: InvalidGrant, SubError: "bad_token", Status: http.StatusBadRequest,
		What:   "The refresh token had been replaced by a newer one, so every token of this sign-in has been revoked.",
		Advice: "Sign in again, and keep only the newest refresh token: public clients get a new one with each use.",
	}
}

// RefreshGone refuses a refresh token that has expired or was revoked.
func RefreshGone() *Problem {
	return &Problem{
		Code: 700082, OAuth: InvalidGrant, SubError: "bad_token", Status: http.StatusBadRequest,
		What:   "The refresh token has expired or was revoked.",
		Advice: "Sign in again.",
	}
}

// RefreshKey refuses a refresh token that is bound to a key whose proof is missing.
func RefreshKey() *Problem {
	return &Problem{
		Code: 700082, OAuth: InvalidGrant, SubError: "bad_token", Status: http.StatusBadRequest,
		What:   "The refresh token is bound to a key, and the request has no proof of it.",
		Advice: "Send the header DPoP, or call over mutual TLS, with the key of the first request, or sign in again.",
	}
}

// Revoked refuses a user's sign-in that was revoked meanwhile.
func Revoked() *Problem {
	return &Problem{
		Code: 50173, OAuth: InvalidGrant, SubError: "bad_token", Status: http.StatusBadRequest,
		What:   "The session has ended: the user's password was changed, or the user's sessions were ended.",
		Advice: "Sign in again.",
	}
}

// DevicePending tells a device that the user is not done.
func DevicePending() *Problem {
	return &Problem{
		Code: 70016, OAuth: authorizationPending, Status: http.StatusBadRequest,
		What:   "The user has not finished signing in yet.",
		Advice: "Ask again after the interval.",
	}
}

// DeviceTooFast tells a device that it asks too often.
func DeviceTooFast() *Problem {
	return &Problem{
		Code: 70016, OAuth: slowDown, Status: http.StatusBadRequest,
		What:   "The user has not finished signing in yet, and the client asks too often.",
		Advice: "Wait five seconds longer between requests.",
	}
}

// DeviceDeclined tells a device that the user said no.
func DeviceDeclined() *Problem {
	return &Problem{
		Code: 70017, OAuth: authorizationDeclined, Status: http.StatusBadRequest,
		What:   "The user declined to sign in.",
		Advice: "Ask for a new device code if this was a mistake.",
	}
}

// DeviceUnknown refuses a device code that does not exist.
func DeviceUnknown() *Problem {
	return &Problem{
		Code: 70018, OAuth: badVerificationCode, Status: http.StatusBadRequest,
		What:   "The device code is not valid: it was not issued here, or has been redeemed.",
		Advice: "Ask for a new device code.",
	}
}

// DeviceExpired refuses a device code that has expired.
func DeviceExpired() *Problem {
	return &Problem{
		Code: 70020, OAuth: expiredToken, Status: http.StatusBadRequest,
		What:   "The device code has expired.",
		Advice: "Ask for a new one, and sign in within fifteen minutes.",
	}
}

// DeviceThrottled makes a client wait that asked for too many device codes.
func DeviceThrottled(seconds int) *Problem {
	return &Problem{
		Code: CodeThrottled, OAuth: temporarilyUnavailable, Status: http.StatusTooManyRequests, RetryAfter: seconds,
		What:   "Too many device codes were asked for from this address, and nobody answered them.",
		Advice: "Wait for the time in Retry-After, or let users answer the codes they were shown.",
	}
}

// WrongPassword refuses a wrong password.
func WrongPassword() *Problem {
	return &Problem{
		Code: 50126, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The user name or the password is not right.",
		Advice: "Try again; an administrator can set a new password.",
	}
}

// The numbers of the problems that tell who exists: pages word them alike.
const (
	CodeUserUnknown = 50034
	CodeUserHome    = 50059

	// CodeUserNotAssigned is the number of UserNotAssigned.
	CodeUserNotAssigned = 50105
)

// UserUnknown refuses a user who does not exist.
func UserUnknown(user string) *Problem {
	return &Problem{
		Code: CodeUserUnknown, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "There is no user account " + text.Quote(user) + " in this directory.",
		Advice: "Check the name and the tenant.",
	}
}

// UserDisabled refuses a user who is disabled.
func UserDisabled(user string) *Problem {
	return &Problem{
		Code: 50057, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The user account " + text.Quote(user) + " is disabled.",
		Advice: "An administrator of the tenant can enable it.",
	}
}

// UserHome refuses a user name whose domain no tenant has.
func UserHome(user string) *Problem {
	return &Problem{
		Code: CodeUserHome, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "No tenant of this authority has the domain of the user name " + text.Quote(user) + ".",
		Advice: "Sign in with a full user name such as dev@contoso.test, or put the tenant into the authority URL.",
	}
}

// UserNotAssigned refuses a user who has no role at an application that requires one.
func UserNotAssigned(user, application string) *Problem {
	return &Problem{
		Code: CodeUserNotAssigned, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The user " + text.Quote(user) + " is not assigned to a role for the application " + text.Quote(application) + ", which requires it.",
		Advice: "An administrator can assign one of its app roles that users may hold.",
	}
}

// Consent refuses scopes that nobody consented to.
func Consent(client, name, scopes string) *Problem {
	return &Problem{
		Code: 65001, OAuth: InvalidGrant, SubError: consentRequired, Status: http.StatusBadRequest,
		What:   "Nobody has consented to the permissions " + text.Quote(scopes) + " for the application " + text.Quote(client) + " (" + text.Line(name, text.MaxQuoted) + ").",
		Advice: "Let the user sign in interactively and agree, or let an administrator consent for everyone.",
	}
}

// AdminConsent refuses scopes that an administrator must consent to.
func AdminConsent(client, scopes string) *Problem {
	return &Problem{
		Code: 90094, OAuth: accessDenied, Status: http.StatusForbidden,
		What:   "The application " + text.Quote(client) + " asks for the permissions " + text.Quote(scopes) + ", to which only an administrator can consent.",
		Advice: "Ask an administrator of the tenant to consent.",
	}
}

// Declined tells a client that the user said no.
func Declined() *Problem {
	return &Problem{
		Code: 65004, OAuth: accessDenied, Status: http.StatusBadRequest,
		What:   "The user declined.",
		Advice: "Sign in again if this was a mistake.",
	}
}

// ScopeUnknown refuses a scope that the API does not publish.
func ScopeUnknown(scope, resource string) *Problem {
	return &Problem{
		Code: 650053, OAuth: invalidScope, Status: http.StatusBadRequest,
		What:   "The resource " + text.Quote(resource) + " has no scope " + text.Quote(scope) + ", or it is turned off.",
		Advice: "Ask for scopes that the API exposes, or for /.default.",
	}
}

// NotRequested refuses /.default where the registration requests nothing.
func NotRequested(client, resource string) *Problem {
	return &Problem{
		Code: 650057, OAuth: invalidResource, Status: http.StatusBadRequest,
		What:   "The application " + text.Quote(client) + " has no delegated permission for the resource " + text.Quote(resource) + ", neither granted nor requested in its registration.",
		Advice: "Add the API's scope to the application's permissions, or ask for the scope by name.",
	}
}

// SignInNeeded refuses prompt=none where the user must sign in.
func SignInNeeded() *Problem {
	return &Problem{
		Code: 50058, OAuth: loginRequired, Status: http.StatusBadRequest,
		What:   "Nobody is signed in, and the request does not allow a prompt.",
		Advice: "Send the request without prompt=none.",
	}
}

// ConfirmNeeded refuses prompt=none where the user must confirm the request.
func ConfirmNeeded() *Problem {
	return &Problem{
		Code: 9002341, OAuth: interactionRequired, Status: http.StatusBadRequest,
		What:   "The answer goes to a program on the user's machine, and any program there can pose as it; the request does not allow a prompt.",
		Advice: "Send the request without prompt=none: the user is asked once and need not type anything.",
	}
}

// ResponseType refuses a response_type that is not supported.
func ResponseType(kind string) *Problem {
	return &Problem{
		Code: 70005, OAuth: unsupportedResponseType, Status: http.StatusBadRequest,
		What:   "The response type " + text.Quote(kind) + " is not supported.",
		Advice: "Use response_type=code; 'id_token' and 'code id_token' need a nonce and response_mode fragment or form_post.",
	}
}

// IDTokenOff refuses id tokens by way of the browser where the registration does not turn them
// on.
func IDTokenOff(client string) *Problem {
	return &Problem{
		Code: 700054, OAuth: unsupportedResponseType, Status: http.StatusBadRequest,
		What:   "The response type 'id_token' is not turned on for the application " + text.Quote(client) + ".",
		Advice: "Use response_type=code, which brings an id token without showing it to the browser, or write 'idTokens: true' in the registration.",
	}
}

// FrontToken refuses to send access tokens through the browser.
func FrontToken() *Problem {
	return &Problem{
		Code: 700051, OAuth: unsupportedResponseType, Status: http.StatusBadRequest,
		What:   "The response type 'token' is not enabled: access tokens do not travel through the address line.",
		Advice: "Use response_type=code with PKCE.",
	}
}

// ResponseMode refuses a response_mode that is not supported.
func ResponseMode(mode string) *Problem {
	return &Problem{
		Code: 70007, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The response mode " + text.Quote(mode) + " is not supported for this response type.",
		Advice: "Use query, fragment or form_post; a response with an id_token cannot use query.",
	}
}

// Prompt refuses a prompt that is not supported.
func Prompt(prompt string) *Problem {
	return &Problem{
		Code: 90023, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The value " + text.Quote(prompt) + " of 'prompt' is not supported.",
		Advice: "Use login, none, consent or select_account.",
	}
}

// RequestObject refuses request objects.
func RequestObject() *Problem {
	return &Problem{
		Code: 900140, OAuth: "request_not_supported", Status: http.StatusBadRequest,
		What:   "The parameters 'request' and 'request_uri' are not supported.",
		Advice: "Send the parameters themselves.",
	}
}

// OnBehalfSignature refuses an assertion that is not an access token of this authority.
func OnBehalfSignature() *Problem {
	return &Problem{
		Code: 50013, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The assertion is not an access token of this tenant: it is malformed, of another kind or issuer, or its signature is wrong.",
		Advice: "Send the access token that the user's client presented to this application.",
	}
}

// OnBehalfExpired refuses an access token that has expired or is not valid yet.
func OnBehalfExpired() *Problem {
	return &Problem{
		Code: 500133, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The assertion is not within its valid time range.",
		Advice: "Let the caller get a new token and call again.",
	}
}

// OnBehalfAudience refuses an access token that is for another API.
func OnBehalfAudience(audience, client string) *Problem {
	return &Problem{
		Code: 500131, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The assertion's audience " + text.Quote(audience) + " is not the application " + text.Quote(client) + ", which presents it.",
		Advice: "Only the API that a token was issued for can act on behalf of its user.",
	}
}

// OnBehalfOfAnother refuses an access token whose audience named another application when it
// was made.
func OnBehalfOfAnother(audience string) *Problem {
	return &Problem{
		Code: 500131, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The assertion was made for another application, which its audience " + text.Quote(audience) + " named then.",
		Advice: "Get a new access token for the API; one from before it was created again, or from another API with that identifier URI, is not its own.",
	}
}

// OnBehalfApp refuses an application's access token where a user's is required.
func OnBehalfApp() *Problem {
	return &Problem{
		Code: 7000114, OAuth: unauthorizedClient, Status: http.StatusBadRequest,
		What:   "The assertion is a token of an application, which nobody can act on behalf of.",
		Advice: "Use client_credentials for calls that no user stands behind.",
	}
}

// OnBehalfBound refuses a token that only the holder of a key may use.
func OnBehalfBound() *Problem {
	return &Problem{
		Code: 50013, OAuth: InvalidGrant, Status: http.StatusBadRequest,
		What:   "The assertion is bound to a key ('cnf'), and an assertion cannot prove that its sender has the key.",
		Advice: "Let the client that calls the API ask for a bearer token, without token_type and req_cnf.",
	}
}

// Bearer refuses a userinfo request without a good access token.
func Bearer() *Problem {
	return &Problem{
		Code: 50013, OAuth: invalidToken, Status: http.StatusUnauthorized,
		What:   "The request has no access token for this endpoint.",
		Advice: "Send Authorization: Bearer with the access token of a sign-in for openid alone.",
	}
}

// RevocationsBearer refuses a reader of revocations without a good access token.
func RevocationsBearer() *Problem {
	return &Problem{
		Code: 50013, OAuth: invalidToken, Status: http.StatusUnauthorized,
		What:   "The request has no access token with which an API may read revocations.",
		Advice: "Send Authorization: Bearer with a token that the API's own application got for api://rolecall/.default in this tenant.",
	}
}

// NoAPI refuses a reader of revocations that no tokens are for.
func NoAPI(client string) *Problem {
	return &Problem{
		OAuth: "access_denied", Status: http.StatusForbidden,
		What:   "The application " + text.Quote(client) + " offers no identifier URI, app role or scope, so that no revocation concerns it.",
		Advice: "Follow revocations as the API itself, or give the API's registration an identifier URI.",
	}
}

// Cursor refuses a place in the feed of revocations that is none.
func Cursor() *Problem {
	return &Problem{
		OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The parameter since is not a cursor.",
		Advice: "Send the cursor of the answer before, or leave the parameter out to be told everything.",
	}
}

// Form refuses a form that one of our pages did not send.
func Form() *Problem {
	return &Problem{
		OAuth: InvalidRequest, Status: http.StatusForbidden,
		What:   "The form did not come from a page that this authority showed in this browser, or the page was too old.",
		Advice: "Go back to the application and sign in again, with cookies allowed.",
	}
}
