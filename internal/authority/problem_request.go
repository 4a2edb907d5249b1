package authority

import "net/http"

// This file holds the problems of a request as such: its form, tenant, scope and
// resource. Each row has one constructor.

// requestProblems gives each problem of this file once, with placeholders.
func requestProblems() []*Problem {
	return []*Problem{
		problemMissing("{parameter}"),
		problemNoForm(),
		problemNoScope(),
		problemMalformed("{What is malformed}."),
		problemTooLarge(),
		problemTwoCredentials(),
		problemResourceOnV2(),
		problemMethod("{method}", "{allowed}"),
		problemGrantType("{grant_type}"),
		problemTenantless("{tenant}"),
		problemSingleTenant("{tenant}"),
		problemTenantUnknown("{tenant}"),
		problemTenantName("{tenant}"),
		problemTenantDisabled("{tenant}"),
		problemNoTenant(),
		problemNoEndpoint("{path}"),
		problemScopeSuffix("{scope}"),
		problemScopeSyntax("{scope}"),
		problemManyResources("{scope}"),
		problemResourceUnknown("{resource}", "{tenant}"),
		problemResourceMalformed("{resource}"),
		problemResourceDisabled("{resource}"),
		problemSelfByName("{resource}", "{client_id}"),
		problemInstanceUnknown("{host}"),
		problemInstanceRequest(),
		problemBrowser(),
		problemThrottled(1),
		problemUnavailable(nil),
		problemInternal(nil),
	}
}

func problemMissing(parameter string) *Problem {
	return &Problem{
		Code: 900144, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The request body must contain the parameter '" + parameter + "'.",
		Fix:  "Send it once, with a value, in the form body of the POST.",
	}
}

func problemNoForm() *Problem {
	return &Problem{
		Code: 900144, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The request body must contain the parameter 'grant_type', but there is no form to read it from.",
		Fix:  "Send the parameters with Content-Type application/x-www-form-urlencoded; JSON and query parameters are not read.",
	}
}

func problemNoScope() *Problem {
	return &Problem{
		Code: 90014, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The required field 'scope' is missing.",
		Fix:  "Name the API, followed by /.default: scope=api://orders/.default.",
	}
}

func problemMalformed(what string) *Problem {
	return &Problem{
		Code: 9002313, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The request is malformed. " + what,
		Fix:  "Send each parameter once, form-encoded, as UTF-8.",
	}
}

func problemTooLarge() *Problem {
	return &Problem{
		Code: 9002313, OAuth: invalidRequest, Status: http.StatusRequestEntityTooLarge,
		What: "The request body is larger than 64 KB.",
		Fix:  "Send only the parameters of the grant.",
	}
}

func problemTwoCredentials() *Problem {
	return &Problem{
		Code: 9002313, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The request is malformed. It authenticates the client in more than one way.",
		Fix:  "Send one of client_secret, client_assertion and the Authorization header.",
	}
}

func problemResourceOnV2() *Problem {
	return &Problem{
		Code: 901002, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The parameter 'resource' is not supported by the v2.0 endpoint.",
		Fix:  "Send scope={resource}/.default instead, or use the endpoint /oauth2/token.",
	}
}

func problemMethod(method, allowed string) *Problem {
	return &Problem{
		Code: 900561, OAuth: invalidRequest, Status: http.StatusMethodNotAllowed,
		What: "This endpoint does not answer " + clean(method, maxNoted) + ".",
		Fix:  "Use " + allowed + ".",
	}
}

func problemGrantType(grant string) *Problem {
	return &Problem{
		Code: 70003, OAuth: unsupportedGrantType, Status: http.StatusBadRequest,
		What: "The grant type " + quoted(grant) + " is not supported.",
		Fix:  "Use client_credentials; for users authorization_code, refresh_token, device_code or, on behalf of them, jwt-bearer.",
	}
}

func problemTenantless(tenant string) *Problem {
	return &Problem{
		Code: 9001023, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "An application cannot get a token for itself at " + quoted("/"+tenant) + ", which names no tenant.",
		Fix:  "Put the tenant's id or domain in place of it.",
	}
}

func problemSingleTenant(tenant string) *Problem {
	return &Problem{
		Code: 50194, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The application is not a multi-tenant application and cannot use " + quoted("/"+tenant) + ".",
		Fix:  "Put the tenant's id or domain in place of it.",
	}
}

func problemTenantUnknown(tenant string) *Problem {
	return &Problem{
		Code: 90002, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The tenant " + quoted(tenant) + " was not found.",
		Fix:  "Check the tenant id or domain in the authority URL, and that this is the right authority.",
	}
}

func problemTenantName(tenant string) *Problem {
	return &Problem{
		Code: 900023, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The tenant " + quoted(tenant) + " is neither a GUID nor a valid domain name.",
		Fix:  "Use the tenant's id, or one of its domains.",
	}
}

func problemTenantDisabled(tenant string) *Problem {
	return &Problem{
		Code: 5000225, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The tenant " + quoted(tenant) + " is disabled.",
		Fix:  "An administrator of this authority can enable it.",
	}
}

func problemNoTenant() *Problem {
	return &Problem{
		Code: 90019, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The URL names no tenant.",
		Fix:  "Put the tenant's id or domain first in the path: /contoso.test/oauth2/v2.0/token.",
	}
}

func problemNoEndpoint(path string) *Problem {
	return &Problem{
		OAuth: notFound, Status: http.StatusNotFound,
		What: "There is no endpoint " + quoted(path) + ".",
		Fix:  "The endpoints of a tenant are listed at /{tenant}/v2.0/.well-known/openid-configuration.",
	}
}

func problemScopeSuffix(scope string) *Problem {
	return &Problem{
		Code: 1002012, OAuth: invalidScope, Status: http.StatusBadRequest,
		What: "The scope " + quoted(scope) + " is not valid for client credentials: it must end in /.default.",
		Fix:  "Ask for all roles the application was granted: scope=api://orders/.default.",
	}
}

func problemScopeSyntax(scope string) *Problem {
	return &Problem{
		Code: 70011, OAuth: invalidScope, Status: http.StatusBadRequest,
		What: "The scope " + quoted(scope) + " is not valid.",
		Fix:  "Send one scope that ends in /.default; it cannot be combined with others of the same request.",
	}
}

func problemManyResources(scope string) *Problem {
	return &Problem{
		Code: 700022, OAuth: invalidScope, Status: http.StatusBadRequest,
		What: "The scope " + quoted(scope) + " names more than one resource.",
		Fix:  "Ask for one token per API.",
	}
}

func problemResourceUnknown(resource, tenant string) *Problem {
	return &Problem{
		Code: 500011, OAuth: invalidResource, Status: http.StatusBadRequest,
		What: "The resource principal named " + quoted(resource) + " was not found in the tenant " + quoted(tenant) + ".",
		Fix:  "Check the API's identifier URI or app id, and that the API has a service principal in this tenant.",
	}
}

func problemResourceMalformed(resource string) *Problem {
	return &Problem{
		Code: 50001, OAuth: invalidResource, Status: http.StatusBadRequest,
		What: "The resource " + quoted(resource) + " is not a valid identifier.",
		Fix:  "Use the API's identifier URI or its app id.",
	}
}

func problemResourceDisabled(resource string) *Problem {
	return &Problem{
		Code: 500014, OAuth: invalidResource, Status: http.StatusBadRequest,
		What: "The service principal of the resource " + quoted(resource) + " is disabled.",
		Fix:  "An administrator of the tenant can enable it.",
	}
}

func problemSelfByName(resource, client string) *Problem {
	return &Problem{
		Code: 90009, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The application " + quoted(client) + " asks for a token for itself as " + quoted(resource) + ".",
		Fix:  "For a token to itself an application names its app id: " + clean(client, maxQuoted) + "/.default.",
	}
}

func problemInstanceUnknown(host string) *Problem {
	return &Problem{
		Code: 50049, OAuth: invalidInstance, Status: http.StatusBadRequest,
		What: "The authority host " + quoted(host) + " is not known here.",
		Fix:  "Give the client the URL of this authority, or turn its instance discovery off.",
	}
}

func problemInstanceRequest() *Problem {
	return &Problem{
		Code: 50050, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The instance discovery request is malformed.",
		Fix:  "Send api-version 1.0 or 1.1 and, as authorization_endpoint, the https URL of the authorize endpoint of a tenant.",
	}
}

func problemBrowser() *Problem {
	return &Problem{
		Code: 9002326, OAuth: invalidRequest, Status: http.StatusBadRequest,
		What: "The request came from a web page and carries an application's credential.",
		Fix:  "A credential does not belong in a browser: get the token on the server.",
	}
}

// codeThrottled is the number of the one problem that a second look cannot mend and that
// leaves no sign-in row.
const codeThrottled = 90055

func problemThrottled(seconds int) *Problem {
	return &Problem{
		Code: codeThrottled, OAuth: temporarilyUnavailable, Status: http.StatusTooManyRequests, RetryAfter: seconds,
		What: "Too many failed requests for this application, or for this user, came from this address.",
		Fix:  "Wait for the time in Retry-After, and check the credential.",
	}
}

func problemUnavailable(cause error) *Problem {
	return &Problem{
		Code: 90033, OAuth: temporarilyUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: 1, Cause: cause,
		What: "The authority cannot answer at the moment.",
		Fix:  "Try again; the trace id leads to the cause in the authority's log.",
	}
}

func problemInternal(cause error) *Problem {
	return &Problem{
		Code: 50000, OAuth: serverError, Status: http.StatusInternalServerError, Cause: cause,
		What: "The authority failed on this request.",
		Fix:  "The trace id leads to the cause in the authority's log.",
	}
}
