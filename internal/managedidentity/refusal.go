package managedidentity

import (
	"errors"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// A refusal is an answer without a token. A refusal that will not pass has status 400, 401 or
// 405: clients retry 404, 410, 429 and 5xx for up to two minutes.
type refusal struct {
	status     int
	code       string // in the words of the metadata service
	message    string
	retryAfter int    // seconds; 0 means no header
	allow      string // for a wrong method
	challenge  string // WWW-Authenticate of Azure Arc
	cause      error  // for the log
}

// The codes of refusals.
const (
	codeInvalidRequest  = "invalid_request"
	codeInvalidResource = "invalid_resource"
	codeAccessDenied    = "access_denied"
	codeUnauthorized    = "unauthorized_client"
	codeUnavailable     = "temporarily_unavailable"
)

func malformed(message string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: codeInvalidRequest, message: message}
}

// notFound has the words for which Azure.Identity for .NET looks.
func notFound() *refusal { return malformed("Identity not found") }

// severalIdentities refuses a request that names no identity, in the words of the metadata
// service.
func severalIdentities() *refusal {
	return malformed("Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request")
}

// noSystemIdentity does so in the words of App Service, and says what to do.
func noSystemIdentity() *refusal {
	return malformed("No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId. " +
		"The request names none, and there is no system-assigned identity: name a user-assigned one, by client_id for example.")
}

func notAllowed(method, allowed string) *refusal {
	return &refusal{
		status: http.StatusMethodNotAllowed, code: codeInvalidRequest, allow: allowed,
		message: "The method " + clean(method) + " is not supported here: use " + allowed + ".",
	}
}

// wrongSecret refuses a caller that does not know the endpoint's secret.
func wrongSecret(header string) *refusal {
	return &refusal{
		status: http.StatusUnauthorized, code: codeUnauthorized,
		message: "The header " + header + " is missing or not the one of this process: send the value that its environment gives.",
	}
}

// refused converts an error of the minter. Only a refusal that passes by itself asks for a
// retry.
func refused(err error) *refusal {
	problem, ok := errors.AsType[*aadsts.Problem](err)
	if !ok {
		return &refusal{status: http.StatusServiceUnavailable, code: codeUnavailable, retryAfter: 1, message: "No token can be made at the moment.", cause: err}
	}
	p := &refusal{status: http.StatusBadRequest, code: problem.OAuth, message: problem.Error(), cause: problem.Cause}
	if problem.Status >= http.StatusInternalServerError || problem.Status == http.StatusTooManyRequests {
		p.status, p.retryAfter = http.StatusServiceUnavailable, max(1, problem.RetryAfter)
	}
	return p
}
