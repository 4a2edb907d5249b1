package authority

import "net/http"

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
		problemPasswordGrantOff(),
		problemGrantText("{parameter}"),
		problemGrantClient("{parameter}"),
		problemGrantTenant(),
		problemCodeUsed(),
		problemCodeExpired(),
		problemVerifier(),
		problemChallenge(),
		problemChallengeMissing("{client_id}"),
		problemRedirect("{redirect_uri}", "{client_id}"),
		problemRedirectDiffers(),
		problemRefreshUsed(),
		problemRefreshGone(),
		problemRevoked(),
		problemDevicePending(),
		problemDeviceTooFast(),
		problemDeviceDeclined(),
		problemDeviceUnknown(),
		problemDeviceExpired(),
		problemDeviceThrottled(1),
		problemWrongPassword(),
		problemUserUnknown("{user}"),
		problemUserDisabled("{user}"),
		problemUserHome("{user}"),
		problemUserNotAssigned("{user}", "{application}"),
		problemConsent("{client_id}", "{client}", "{scopes}"),
		problemAdminConsent("{client_id}", "{scopes}"),
		problemDeclined(),
		problemScopeUnknown("{scope}", "{resource}"),
		problemNotRequested("{client_id}", "{resource}"),
		problemSignInNeeded(),
		problemConfirmNeeded(),
		problemResponseType("{response_type}"),
		problemFrontToken(),
		problemResponseMode("{response_mode}"),
		problemPrompt("{prompt}"),
		problemRequestObject(),
		problemOnBehalfSignature(),
		problemOnBehalfExpired(),
		problemOnBehalfAudience("{aud}", "{client_id}"),
		problemOnBehalfApp(),
		problemBearer(),
		problemForm(),
	}
}

func problemPasswordGrantOff() *Problem {
	return &Problem{
		Code: 70003, OAuth: unsupportedGrantType, Status: http.StatusBadRequest,
		What: "The grant type 'password' is turned off at this authority.",
		Fix:  "Sign in with a browser or a device code; an operator can allow passwords for public clients.",
	}
}

func problemGrantText(parameter string) *Problem {
	return &Problem{
		Code: 9002313, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The value of '" + clean(parameter, maxNoted) + "' is not one that this authority made.",
		Fix:  "Send it as it was received, form-encoded.",
	}
}

func problemGrantClient(parameter string) *Problem {
	return &Problem{
		Code: 70000, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The value of '" + clean(parameter, maxNoted) + "' was issued to another application.",
		Fix:  "Redeem it with the client_id that asked for it.",
	}
}

func problemGrantTenant() *Problem {
	return &Problem{
		Code: 700005, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The authorization code or token was issued by another tenant.",
		Fix:  "Redeem it at the tenant where the user signed in.",
	}
}

func problemCodeUsed() *Problem {
	return &Problem{
		Code: 54005, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The authorization code was already redeemed, so that what it was redeemed for is revoked now.",
		Fix:  "Sign in again; a code can be used once.",
	}
}

func problemCodeExpired() *Problem {
	return &Problem{
		Code: 70008, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The authorization code has expired.",
		Fix:  "Sign in again, and redeem the code within ten minutes.",
	}
}

func problemVerifier() *Problem {
	return &Problem{
		Code: 501481, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The code_verifier does not match the code_challenge of the authorization request.",
		Fix:  "Send the verifier that the challenge was made of, and none if there was no challenge; sign in again, the code is used up.",
	}
}

func problemChallenge() *Problem {
	return &Problem{
		Code: 50147, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The code_challenge or its method is not valid.",
		Fix:  "Send 43 to 128 of the characters A-Z a-z 0-9 - . _ ~, and S256 or plain as code_challenge_method.",
	}
}

func problemChallengeMissing(client string) *Problem {
	return &Problem{
		Code: 9002325, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The public client " + quoted(client) + " must protect its authorization code with PKCE, and sent no code_challenge.",
		Fix:  "Send code_challenge and code_challenge_method=S256; client libraries do.",
	}
}

func problemRedirect(uri, client string) *Problem {
	return &Problem{
		Code: 50011, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The redirect URI " + quoted(uri) + " is not one of the application " + quoted(client) + ".",
		Fix:  "Register it with the application, letter by letter; only the port of http://localhost and http://127.0.0.1 may differ, for public clients.",
	}
}

func problemRedirectDiffers() *Problem {
	return &Problem{
		Code: 500112, OAuth: invalidClient, Status: http.StatusBadRequest,
		What: "The redirect_uri is not that of the authorization request.",
		Fix:  "Send the same redirect_uri to both endpoints, and sign in again: the code is used up.",
	}
}

func problemRefreshUsed() *Problem {
	return &Problem{
		Code: 70000, OAuth: invalidGrant, SubError: "bad_token", Status: http.StatusBadRequest,
		What: "The refresh token was replaced by a newer one before, so that all tokens of this sign-in are revoked now.",
		Fix:  "Sign in again, and keep only the newest refresh token: public clients get a new one with each use.",
	}
}

func problemRefreshGone() *Problem {
	return &Problem{
		Code: 700082, OAuth: invalidGrant, SubError: "bad_token", Status: http.StatusBadRequest,
		What: "The refresh token has expired or was revoked.",
		Fix:  "Sign in again.",
	}
}

func problemRevoked() *Problem {
	return &Problem{
		Code: 50173, OAuth: invalidGrant, SubError: "bad_token", Status: http.StatusBadRequest,
		What: "The sign-in ended since: the user's password was changed.",
		Fix:  "Sign in again.",
	}
}

func problemDevicePending() *Problem {
	return &Problem{
		Code: 70016, OAuth: authorizationPending, Status: http.StatusBadRequest,
		What: "The user has not finished signing in yet.",
		Fix:  "Ask again after the interval.",
	}
}

func problemDeviceTooFast() *Problem {
	return &Problem{
		Code: 70016, OAuth: slowDown, Status: http.StatusBadRequest,
		What: "The user has not finished signing in yet, and the client asks too often.",
		Fix:  "Wait five seconds longer between requests.",
	}
}

func problemDeviceDeclined() *Problem {
	return &Problem{
		Code: 70017, OAuth: authorizationDeclined, Status: http.StatusBadRequest,
		What: "The user declined to sign in.",
		Fix:  "Ask for a new device code if this was a mistake.",
	}
}

func problemDeviceUnknown() *Problem {
	return &Problem{
		Code: 70018, OAuth: badVerificationCode, Status: http.StatusBadRequest,
		What: "The device code is not valid: it was not issued here, or has been redeemed.",
		Fix:  "Ask for a new device code.",
	}
}

func problemDeviceExpired() *Problem {
	return &Problem{
		Code: 70020, OAuth: expiredToken, Status: http.StatusBadRequest,
		What: "The device code has expired.",
		Fix:  "Ask for a new one, and sign in within fifteen minutes.",
	}
}

func problemDeviceThrottled(seconds int) *Problem {
	return &Problem{
		Code: codeThrottled, OAuth: temporarilyUnavailable, Status: http.StatusTooManyRequests, RetryAfter: seconds,
		What: "Too many device codes were asked for from this address, and nobody answered them.",
		Fix:  "Wait for the time in Retry-After, or let users answer the codes they were shown.",
	}
}

func problemWrongPassword() *Problem {
	return &Problem{
		Code: 50126, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The user name or the password is not right.",
		Fix:  "Try again; an administrator can set a new password.",
	}
}

// The numbers of the problems that tell who exists: pages word them alike.
const (
	codeUserUnknown = 50034
	codeUserHome    = 50059
)

func problemUserUnknown(user string) *Problem {
	return &Problem{
		Code: codeUserUnknown, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "There is no user account " + quoted(user) + " in this directory.",
		Fix:  "Check the name and the tenant.",
	}
}

func problemUserDisabled(user string) *Problem {
	return &Problem{
		Code: 50057, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The user account " + quoted(user) + " is disabled.",
		Fix:  "An administrator of the tenant can enable it.",
	}
}

func problemUserHome(user string) *Problem {
	return &Problem{
		Code: codeUserHome, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "No tenant of this authority has the domain of the user name " + quoted(user) + ".",
		Fix:  "Sign in with a full user name such as dev@contoso.test, or put the tenant into the authority URL.",
	}
}

func problemUserNotAssigned(user, application string) *Problem {
	return &Problem{
		Code: 50105, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The user " + quoted(user) + " is not assigned to a role for the application " + quoted(application) + ", which requires it.",
		Fix:  "An administrator can assign one of its app roles that users may hold.",
	}
}

func problemConsent(client, name, scopes string) *Problem {
	return &Problem{
		Code: 65001, OAuth: invalidGrant, SubError: consentRequired, Status: http.StatusBadRequest,
		What: "Nobody has consented to the permissions " + quoted(scopes) + " for the application " + quoted(client) + " (" + clean(name, maxQuoted) + ").",
		Fix:  "Let the user sign in interactively and agree, or let an administrator consent for everyone.",
	}
}

func problemAdminConsent(client, scopes string) *Problem {
	return &Problem{
		Code: 90094, OAuth: accessDenied, Status: http.StatusForbidden,
		What: "The application " + quoted(client) + " asks for the permissions " + quoted(scopes) + ", to which only an administrator can consent.",
		Fix:  "Ask an administrator of the tenant to consent.",
	}
}

func problemDeclined() *Problem {
	return &Problem{
		Code: 65004, OAuth: accessDenied, Status: http.StatusBadRequest,
		What: "The user declined.",
		Fix:  "Sign in again if this was a mistake.",
	}
}

func problemScopeUnknown(scope, resource string) *Problem {
	return &Problem{
		Code: 650053, OAuth: invalidScope, Status: http.StatusBadRequest,
		What: "The resource " + quoted(resource) + " has no scope " + quoted(scope) + ", or it is turned off.",
		Fix:  "Ask for scopes that the API exposes, or for /.default.",
	}
}

func problemNotRequested(client, resource string) *Problem {
	return &Problem{
		Code: 650057, OAuth: invalidResource, Status: http.StatusBadRequest,
		What: "The application " + quoted(client) + " has no delegated permission for the resource " + quoted(resource) + ", neither granted nor requested in its registration.",
		Fix:  "Add the API's scope to the application's permissions, or ask for the scope by name.",
	}
}

func problemSignInNeeded() *Problem {
	return &Problem{
		Code: 50058, OAuth: loginRequired, Status: http.StatusBadRequest,
		What: "Nobody is signed in, and the request does not allow to ask.",
		Fix:  "Send the request without prompt=none.",
	}
}

func problemConfirmNeeded() *Problem {
	return &Problem{
		Code: 9002341, OAuth: interactionRequired, Status: http.StatusBadRequest,
		What: "The answer goes to a program on the user's machine, which any program there can pass for, and the request does not allow to ask the user.",
		Fix:  "Send the request without prompt=none: the user is asked once and need not type anything.",
	}
}

func problemResponseType(kind string) *Problem {
	return &Problem{
		Code: 70005, OAuth: unsupportedResponseType, Status: http.StatusBadRequest,
		What: "The response type " + quoted(kind) + " is not supported.",
		Fix:  "Use response_type=code; 'id_token' and 'code id_token' need a nonce and response_mode fragment or form_post.",
	}
}

func problemFrontToken() *Problem {
	return &Problem{
		Code: 700051, OAuth: unsupportedResponseType, Status: http.StatusBadRequest,
		What: "The response type 'token' is not enabled: access tokens do not travel through the address line.",
		Fix:  "Use response_type=code with PKCE.",
	}
}

func problemResponseMode(mode string) *Problem {
	return &Problem{
		Code: 70007, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The response mode " + quoted(mode) + " is not supported for this response type.",
		Fix:  "Use query, fragment or form_post; a response with an id_token cannot use query.",
	}
}

func problemPrompt(prompt string) *Problem {
	return &Problem{
		Code: 90023, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The value " + quoted(prompt) + " of 'prompt' is not supported.",
		Fix:  "Use login, none, consent or select_account.",
	}
}

func problemRequestObject() *Problem {
	return &Problem{
		Code: 900140, OAuth: "request_not_supported", Status: http.StatusBadRequest,
		What: "The parameters 'request' and 'request_uri' are not supported.",
		Fix:  "Send the parameters themselves.",
	}
}

func problemOnBehalfSignature() *Problem {
	return &Problem{
		Code: 50013, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The assertion is not an access token of this tenant: it is malformed, of another kind or issuer, or its signature is wrong.",
		Fix:  "Send the access token that the user's client presented to this application.",
	}
}

func problemOnBehalfExpired() *Problem {
	return &Problem{
		Code: 500133, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The assertion is not within its valid time range.",
		Fix:  "Let the caller get a new token and call again.",
	}
}

func problemOnBehalfAudience(audience, client string) *Problem {
	return &Problem{
		Code: 500131, OAuth: invalidGrant, Status: http.StatusBadRequest,
		What: "The assertion's audience " + quoted(audience) + " is not the application " + quoted(client) + ", which presents it.",
		Fix:  "Only the API that a token was issued for can act on behalf of its user.",
	}
}

func problemOnBehalfApp() *Problem {
	return &Problem{
		Code: 7000114, OAuth: unauthorizedClient, Status: http.StatusBadRequest,
		What: "The assertion is a token of an application, which nobody can act on behalf of.",
		Fix:  "Use client_credentials for calls that no user stands behind.",
	}
}

func problemBearer() *Problem {
	return &Problem{
		Code: 50013, OAuth: invalidToken, Status: http.StatusUnauthorized,
		What: "The request has no access token for this endpoint.",
		Fix:  "Send Authorization: Bearer with the access token of a sign-in for openid alone.",
	}
}

func problemForm() *Problem {
	return &Problem{
		OAuth: invalidRequest, Status: http.StatusForbidden,
		What: "The form was not sent from a page that this authority showed in this browser, or too long ago.",
		Fix:  "Go back to the application and sign in again, with cookies allowed.",
	}
}
