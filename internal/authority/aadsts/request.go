package aadsts

import (
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// This file holds the problems of a request as such: its form, tenant, scope and
// resource. Each row has one constructor.

// requestProblems gives each problem of this file once, with placeholders.
func requestProblems() []*Problem {
	return []*Problem{
		Missing("{parameter}"),
		NoForm(),
		NoScope(),
		Malformed("{What is malformed}."),
		TooLarge(),
		TwoCredentials(),
		ResourceOnV2("{resource}"),
		FMIPath(),
		Method("{method}", "{allowed}"),
		GrantType("{grant_type}"),
		TokenType("{token_type}"),
		Confirmation("{reason}"),
		DPoPProof("{reason}"),
		NoClientCertificate("{token_type}"),
		Tenantless("{tenant}"),
		SingleTenant("{tenant}"),
		TenantUnknown("{tenant}"),
		TenantName("{tenant}"),
		TenantDisabled("{tenant}"),
		NoTenant(),
		NoEndpoint("{path}"),
		ScopeSuffix("{scope}"),
		ScopeSyntax("{scope}"),
		ManyResources("{scope}"),
		ResourceUnknown("{resource}", "{tenant}"),
		ResourceMalformed("{resource}"),
		ResourceDisabled("{resource}"),
		SelfByName("{resource}", "{client_id}"),
		InstanceUnknown("{host}"),
		InstanceRequest(),
		Browser(),
		Throttled(1),
		Unavailable(nil),
		Internal(nil),
	}
}

// Missing refuses a request that lacks a parameter.
func Missing(parameter string) *Problem {
	return &Problem{
		Code: 900144, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The request body must contain the parameter '" + parameter + "'.",
		Advice: "Send it once, with a value, in the form body of the POST.",
	}
}

// NoForm refuses a POST whose body is not a form.
func NoForm() *Problem {
	return &Problem{
		Code: 900144, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The request body must contain the parameter 'grant_type', but there is no form to read it from.",
		Advice: "Send the parameters with Content-Type application/x-www-form-urlencoded, or to a token endpoint as multipart/form-data; JSON and query parameters are not read.",
	}
}

// NoScope refuses a request that names no scope.
func NoScope() *Problem {
	return &Problem{
		Code: 90014, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The required field 'scope' is missing.",
		Advice: "Name the API, followed by /.default: scope=api://orders/.default.",
	}
}

// Malformed refuses a request that breaks a rule of its form; what says which.
func Malformed(what string) *Problem {
	return &Problem{
		Code: 9002313, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The request is malformed. " + what,
		Advice: "Send each parameter once, form-encoded, as UTF-8.",
	}
}

// TooLarge refuses a body that is longer than the limit.
func TooLarge() *Problem {
	return &Problem{
		Code: 9002313, OAuth: InvalidRequest, Status: http.StatusRequestEntityTooLarge,
		What:   "The request body is larger than 64 KB.",
		Advice: "Send only the parameters of the grant.",
	}
}

// TwoCredentials refuses a client that authenticates in more than one way.
func TwoCredentials() *Problem {
	return &Problem{
		Code: 9002313, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The request is malformed. It authenticates the client in more than one way.",
		Advice: "Send one of client_secret, client_assertion and the Authorization header.",
	}
}

// ResourceOnV2 refuses the parameter resource at a v2.0 endpoint.
func ResourceOnV2(resource string) *Problem {
	return &Problem{
		Code: 901002, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The parameter 'resource' is not supported by the v2.0 endpoint.",
		Advice: "Send scope=" + text.Line(strings.TrimSuffix(resource, defaultSuffix), MaxNoted) + "/.default instead, or use the endpoint /oauth2/token.",
	}
}

// FMIPath refuses to make a token of an agent identity.
func FMIPath() *Problem {
	return &Problem{
		Code: 901002, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The parameter 'fmi_path' is not supported: there are no agent identities here.",
		Advice: "Leave it out to get a token of the application itself.",
	}
}

// Method refuses an HTTP method that the endpoint does not answer.
func Method(method, allowed string) *Problem {
	return &Problem{
		Code: 900561, OAuth: InvalidRequest, Status: http.StatusMethodNotAllowed,
		What:   "This endpoint does not answer " + text.Line(method, MaxNoted) + ".",
		Advice: "Use " + allowed + ".",
	}
}

// GrantType refuses a grant type that is not supported.
func GrantType(grant string) *Problem {
	return &Problem{
		Code: 70003, OAuth: unsupportedGrantType, Status: http.StatusBadRequest,
		What:   "The grant type " + text.Quote(grant) + " is not supported.",
		Advice: "Use client_credentials; for users authorization_code, refresh_token, device_code or, on behalf of them, jwt-bearer.",
	}
}

// TokenType refuses a type of token that is not issued here.
func TokenType(tokenType string) *Problem {
	return &Problem{
		Code: 9002313, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The request is malformed. Tokens of the type " + text.Quote(tokenType) + " are not issued here.",
		Advice: "Ask for a bearer token by leaving token_type out, or for a token that is bound to a key with token_type=pop and req_cnf.",
	}
}

// Confirmation refuses a req_cnf from which no key can be told.
func Confirmation(reason string) *Problem {
	return &Problem{
		Code: 9002313, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The request is malformed. No token can be bound by its 'req_cnf': " + reason + ".",
		Advice: "Let a client library make it: {\"kid\":\"{thumbprint of the key, RFC 7638}\"} in base64url.",
	}
}

// DPoPProof refuses a header DPoP that proves nothing (RFC 9449 section 5).
func DPoPProof(reason string) *Problem {
	return &Problem{
		Code: 9002313, OAuth: "invalid_dpop_proof", Status: http.StatusBadRequest,
		What:   "The request is malformed. Its header DPoP is no proof for it: " + reason + ".",
		Advice: "Let a client library make the proof, for POST and the URL of the token endpoint, anew for each request.",
	}
}

// NoClientCertificate refuses to bind a token to the certificate of a connection without one.
func NoClientCertificate(tokenType string) *Problem {
	return &Problem{
		Code: 9002313, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The request is malformed. A token of the type " + text.Quote(tokenType) + " is bound to the client's certificate, and the TLS connection has none.",
		Advice: "Send the request with a client certificate, to a server that asks for it: rolecall serve --mutual-tls.",
	}
}

// Tenantless refuses an alias such as /common where a tenant is required.
func Tenantless(tenant string) *Problem {
	return &Problem{
		Code: 9001023, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "An application cannot get a token for itself at " + text.Quote("/"+tenant) + ", which names no tenant.",
		Advice: "Put the tenant's id or domain in place of it.",
	}
}

// SingleTenant refuses /organizations where a tenant is required.
func SingleTenant(tenant string) *Problem {
	return &Problem{
		Code: 50194, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The application is not a multi-tenant application and cannot use " + text.Quote("/"+tenant) + ".",
		Advice: "Put the tenant's id or domain in place of it.",
	}
}

// TenantUnknown refuses a tenant that does not exist.
func TenantUnknown(tenant string) *Problem {
	return &Problem{
		Code: 90002, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The tenant " + text.Quote(tenant) + " was not found.",
		Advice: "Check the tenant id or domain in the authority URL, and that this is the right authority.",
	}
}

// TenantName refuses a tenant that is neither a GUID nor a domain.
func TenantName(tenant string) *Problem {
	return &Problem{
		Code: 900023, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The tenant " + text.Quote(tenant) + " is neither a GUID nor a valid domain name.",
		Advice: "Use the tenant's id, or one of its domains.",
	}
}

// TenantDisabled refuses a tenant that is disabled.
func TenantDisabled(tenant string) *Problem {
	return &Problem{
		Code: 5000225, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The tenant " + text.Quote(tenant) + " is disabled.",
		Advice: "An administrator of this authority can enable it.",
	}
}

// NoTenant refuses a URL that names no tenant.
func NoTenant() *Problem {
	return &Problem{
		Code: 90019, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The URL names no tenant.",
		Advice: "Put the tenant's id or domain first in the path: /contoso.test/oauth2/v2.0/token.",
	}
}

// NoEndpoint answers a path at which nothing is served.
func NoEndpoint(path string) *Problem {
	return &Problem{
		OAuth: notFound, Status: http.StatusNotFound,
		What:   "There is no endpoint " + text.Quote(path) + ".",
		Advice: "The endpoints of a tenant are listed at /{tenant}/v2.0/.well-known/openid-configuration.",
	}
}

// ScopeSuffix refuses a scope of client credentials without /.default.
func ScopeSuffix(scope string) *Problem {
	return &Problem{
		Code: 1002012, OAuth: invalidScope, Status: http.StatusBadRequest,
		What:   "The scope " + text.Quote(scope) + " is not valid for client credentials: it must end in /.default.",
		Advice: "Ask for all roles the application was granted: scope=" + suffixed(scope) + ".",
	}
}

// defaultSuffix ends the scopes of client credentials.
const defaultSuffix = "/.default"

// suffixed guesses what a scope without the suffix should have been: that of the API which it
// names, if it names one.
func suffixed(scope string) string {
	for _, value := range strings.Fields(scope) {
		scheme := strings.Index(value, "://")
		switch {
		case scheme > 0:
			host := scheme + len("://")
			if slash := strings.LastIndexByte(value[host:], '/'); slash >= 0 {
				value = value[:host+slash]
			}
		case guid.Is(value):
		case len(value) > 36 && guid.Is(value[:36]) && value[36] == '/':
			value = value[:36]
		default:
			continue
		}
		return text.Line(value, MaxNoted) + defaultSuffix
	}
	return "api://orders" + defaultSuffix
}

// ScopeSyntax refuses a scope that cannot be read.
func ScopeSyntax(scope string) *Problem {
	return &Problem{
		Code: 70011, OAuth: invalidScope, Status: http.StatusBadRequest,
		What:   "The scope " + text.Quote(scope) + " is not valid.",
		Advice: "Send one scope that ends in /.default; it cannot be combined with others of the same request.",
	}
}

// ManyResources refuses a scope that names several APIs.
func ManyResources(scope string) *Problem {
	return &Problem{
		Code: 700022, OAuth: invalidScope, Status: http.StatusBadRequest,
		What:   "The scope " + text.Quote(scope) + " names more than one resource.",
		Advice: "Ask for one token per API.",
	}
}

// ResourceUnknown refuses an API that does not exist in the tenant.
func ResourceUnknown(resource, tenant string) *Problem {
	advice := "Check the API's identifier URI or app id, and that the API has a service principal in this tenant."
	if bare, ok := strings.CutSuffix(resource, defaultSuffix); ok {
		advice = "The suffix /.default belongs to scopes, once, and to no resource: send resource=" + text.Line(bare, MaxNoted) + " or scope=" + text.Line(bare, MaxNoted) + "/.default."
	}
	return &Problem{
		Code: 500011, OAuth: invalidResource, Status: http.StatusBadRequest,
		What:   "The resource principal named " + text.Quote(resource) + " was not found in the tenant " + text.Quote(tenant) + ".",
		Advice: advice,
	}
}

// ResourceMalformed refuses a resource that cannot be an identifier.
func ResourceMalformed(resource string) *Problem {
	return &Problem{
		Code: 50001, OAuth: invalidResource, Status: http.StatusBadRequest,
		What:   "The resource " + text.Quote(resource) + " is not a valid identifier.",
		Advice: "Use the API's identifier URI or its app id.",
	}
}

// ResourceDisabled refuses an API whose service principal is disabled.
func ResourceDisabled(resource string) *Problem {
	return &Problem{
		Code: 500014, OAuth: invalidResource, Status: http.StatusBadRequest,
		What:   "The service principal of the resource " + text.Quote(resource) + " is disabled.",
		Advice: "An administrator of the tenant can enable it.",
	}
}

// SelfByName refuses an application that asks, for a user, for a token for itself by another
// name than its app id.
func SelfByName(resource, client string) *Problem {
	return &Problem{
		Code: 90009, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The application " + text.Quote(client) + " asks for a user's token for itself as " + text.Quote(resource) + ".",
		Advice: "For a user's token to itself an application names its app id: " + text.Line(client, text.MaxQuoted) + "/.default.",
	}
}

// InstanceUnknown refuses to vouch for the host of another authority.
func InstanceUnknown(host string) *Problem {
	return &Problem{
		Code: 50049, OAuth: invalidInstance, Status: http.StatusBadRequest,
		What:   "The authority host " + text.Quote(host) + " is not known here.",
		Advice: "Give the client the URL of this authority, or turn its instance discovery off.",
	}
}

// InstanceRequest refuses an instance discovery request that cannot be read.
func InstanceRequest() *Problem {
	return &Problem{
		Code: 50050, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The instance discovery request is malformed.",
		Advice: "Send api-version 1.0 or 1.1 and, as authorization_endpoint, the https URL of the authorize endpoint of a tenant.",
	}
}

// Browser refuses a web page that carries an application's credential.
func Browser() *Problem {
	return &Problem{
		Code: 9002326, OAuth: InvalidRequest, Status: http.StatusBadRequest,
		What:   "The request came from a web page and carries an application's credential.",
		Advice: "A credential does not belong in a browser: get the token on the server.",
	}
}

// CodeThrottled is the number of the one problem that a second look cannot resolve and that
// leaves no sign-in row.
const CodeThrottled = 90055

// Throttled makes a client wait after too many failures.
func Throttled(seconds int) *Problem {
	return &Problem{
		Code: CodeThrottled, OAuth: temporarilyUnavailable, Status: http.StatusTooManyRequests, RetryAfter: seconds,
		What:   "Too many failed requests for this application, or for this user, came from this address or from others.",
		Advice: "Wait for the time in Retry-After, and check the credential.",
	}
}

// Busy refuses a password, or a secret that somebody chose, because too many others are being
// checked.
func Busy() *Problem {
	return &Problem{
		Code: CodeThrottled, OAuth: temporarilyUnavailable, Status: http.StatusTooManyRequests, RetryAfter: 2,
		What:   "Too many passwords and secrets that somebody chose are being checked at the moment.",
		Advice: "Try again after the time in Retry-After; a generated secret or a certificate does not wait.",
	}
}

// Unavailable hides an error from the caller, who may try again.
func Unavailable(cause error) *Problem {
	return &Problem{
		Code: 90033, OAuth: temporarilyUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: 1, Cause: cause,
		What:   "The authority cannot answer at the moment.",
		Advice: "Try again; the trace id leads to the cause in the authority's log.",
	}
}

// Internal hides a fault of the authority from the caller.
func Internal(cause error) *Problem {
	return &Problem{
		Code: 50000, OAuth: serverError, Status: http.StatusInternalServerError, Cause: cause,
		What:   "The authority failed on this request.",
		Advice: "The trace id leads to the cause in the authority's log.",
	}
}
