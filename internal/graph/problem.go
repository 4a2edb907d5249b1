package graph

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph/odata"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// The codes of errors.
const (
	codeBadRequest        = "BadRequest"
	codeInvalid           = "Request_BadRequest"
	codeUnsupported       = "Request_UnsupportedQuery"
	codeNotFound          = "Request_ResourceNotFound"
	codeEnabled           = "CannotDeleteOrUpdateEnabledEntitlement"
	codeDuplicate         = "Request_MultipleObjectsWithSameKeyValue"
	codeObjectConflict    = "ObjectConflict"
	codeUnauthenticated   = "InvalidAuthenticationToken"
	codeDenied            = "Authorization_RequestDenied"
	codeNoIdentity        = "Authorization_IdentityNotFound"
	codeUnavailable       = "ServiceUnavailable"
	codeInternal          = "InternalServerError"
	codeMethodNotAllowed  = "Request_BadRequest"
	codeTooLarge          = "RequestEntityTooLarge"
	codeUnsupportedMedia  = "UnsupportedMediaType"
	codeConcurrentChanges = "Directory_ConcurrencyViolation"
)

// Sentences that clients look for, word by word.
const (
	saysDenied        = "Insufficient privileges to complete the operation."
	saysEnabled       = "Permission (scope or role) cannot be deleted or updated unless disabled first."
	saysURITaken      = "Another object with the same value for property identifierUris already exists."
	saysConflict      = "A conflicting object with one or more of the specified property values is present in the directory."
	saysInvalid       = "One or more property values specified are invalid."
	saysRefsExist     = "One or more added object references already exist for the following modified properties: 'owners'."
	saysRefsMissing   = "One or more removed object references do not exist for the following modified properties: 'owners'."
	saysAudience      = "Access token validation failure. Invalid audience."
	saysExpired       = "Lifetime validation failed, the token is expired."
	saysEmptyToken    = "Access token is empty."
	saysNotThereUnder = "Resource '%s' does not exist or one of its queried reference-property objects are not present."
)

// A problem is an error in the form in which Graph tells it.
type problem struct {
	status  int
	code    string
	message string
	details []detail
	header  http.Header
	cause   error // for the log
}

// A detail says more of a problem.
type detail struct {
	code    string
	target  string // member or permission that it is about
	message string
}

func (p *problem) Error() string { return p.message }

// Unwrap returns the cause.
func (p *problem) Unwrap() error { return p.cause }

// with adds a detail.
func (p *problem) with(code, target, message string) *problem {
	p.details = append(p.details, detail{code, target, message})
	return p
}

// badURL is an error for a URL that says nothing.
func badURL(message string) *problem {
	return &problem{status: http.StatusBadRequest, code: codeBadRequest, message: message}
}

// noSegment is an error for a segment of a path that is not there.
func noSegment(name string) *problem {
	return badURL("Resource not found for the segment " + quote(name) + ".")
}

// noGroups is the error for all of groups, which are not part of this directory.
func noGroups() *problem {
	return &problem{status: http.StatusNotFound, code: codeNotFound, message: fmt.Sprintf(saysNotThereUnder, "groups") +
		" There are no groups here: grant app roles to applications, managed identities and users themselves."}
}

// notAllowed is an error for a method that a path does not have.
func notAllowed(allowed []string) *problem {
	slices.Sort(allowed)
	return &problem{
		status: http.StatusMethodNotAllowed, code: codeMethodNotAllowed, message: "Specified HTTP method is not allowed for the request target.",
		header: http.Header{"Allow": {strings.Join(slices.Compact(allowed), ", ")}},
	}
}

// invalid is an error for a request that breaks a rule; the target is the member it is about.
func invalid(target, message string) *problem {
	p := &problem{status: http.StatusBadRequest, code: codeInvalid, message: message}
	if target != "" {
		p = p.with(codeInvalid, target, message)
	}
	return p
}

// notThere is the error for what does not exist, or is not the caller's tenant's.
func notThere(id string) *problem {
	return &problem{status: http.StatusNotFound, code: codeNotFound, message: fmt.Sprintf(saysNotThereUnder, text.Line(id, text.MaxQuoted))}
}

// quote shows a text from outside within a sentence.
func quote(s string) string { return text.Quote(text.Shown(s)) }

// problemOf turns an error into Graph's. This is the only place where that is done.
func problemOf(err error) *problem {
	var known *problem
	var syntax *odata.Error
	var refusal *selfguard.Refusal
	var missing *directory.NotFoundError
	var rule *directory.RuleError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &syntax):
		return syntaxProblem(syntax)
	case errors.As(err, &refusal):
		return unauthenticated(refusal)
	case errors.As(err, &missing):
		return notThere(missing.Ref)
	case errors.Is(err, directory.ErrForbidden):
		return forbidden(err.Error())
	case errors.As(err, &rule):
		return ruleProblem(rule)
	case errors.Is(err, directory.ErrDuplicate):
		return &problem{status: http.StatusBadRequest, code: codeDuplicate, message: saysConflict, cause: err}
	case errors.Is(err, directory.ErrConflict):
		return &problem{status: http.StatusConflict, code: codeConcurrentChanges, message: "The object was changed by someone else meanwhile. Try again.", cause: err}
	case errors.Is(err, directory.ErrNotFound):
		return notThere("")
	}
	return &problem{
		status: http.StatusServiceUnavailable, code: codeUnavailable, message: "The directory does not answer at the moment. Try again.",
		header: http.Header{"Retry-After": {"1"}}, cause: err,
	}
}

// syntaxProblem words what is wrong with a URL.
func syntaxProblem(err *odata.Error) *problem {
	code := codeInvalid
	switch {
	case err.Part == "path":
		return badURL(err.Error())
	case err.Unsupported:
		code = codeUnsupported
	}
	p := &problem{status: http.StatusBadRequest, code: code, message: err.Error()}
	return p.with(code, err.Part, err.Message)
}

// forbidden is the error for a caller who may not do what it asked for.
func forbidden(why string) *problem {
	p := &problem{status: http.StatusForbidden, code: codeDenied, message: saysDenied}
	return p.with(codeDenied, "", why)
}

// ruleProblem words a rule of the model: Graph's sentence where clients know one, then ours.
func ruleProblem(rule *directory.RuleError) *problem {
	target := wireTarget(rule.Field)
	p := &problem{status: http.StatusBadRequest, code: codeInvalid, message: rule.Error()}
	code := codeInvalid
	switch {
	case errors.Is(rule, directory.ErrDuplicate) && strings.HasPrefix(target, "identifierUris"):
		p.message, code = saysURITaken+" "+rule.Error(), codeObjectConflict
		target = "identifierUris"
	case errors.Is(rule, directory.ErrDuplicate):
		p.message, code = saysConflict+" "+rule.Error(), codeObjectConflict
	case errors.Is(rule, directory.ErrEnabled):
		p.code, p.message = codeEnabled, saysEnabled+" "+rule.Error()
		code = codeEnabled
	case errors.Is(rule, directory.ErrNotFound):
	default:
		p.message = saysInvalid + " " + rule.Error()
	}
	return p.with(code, target, rule.Error())
}

// wireTarget is the name on the wire of a member of the model.
func wireTarget(field string) string {
	for _, pair := range [][2]string{
		{"scopes", "api.oauth2PermissionScopes"}, {"tokenVersion", "api.requestedAccessTokenVersion"}, {"redirectUris", "web.redirectUris"},
		{"permissions", "requiredResourceAccess"}, {"preAuthorized", "api.preAuthorizedApplications"}, {"name", "displayName"},
		{"spaRedirectUris", "spa.redirectUris"}, {"nativeRedirectUris", "publicClient.redirectUris"}, {"der", "key"},
	} {
		rest, is := strings.CutPrefix(field, pair[0])
		if is && (rest == "" || rest[0] == '[' || rest[0] == '.') {
			return pair[1] + rest
		}
	}
	return field
}

// unauthenticated words a refusal of the guard.
func unauthenticated(refusal *selfguard.Refusal) *problem {
	if refusal.Outcome == guard.Forbidden {
		return forbidden(refusal.What)
	}
	p := &problem{status: http.StatusUnauthorized, code: codeUnauthenticated, message: refusal.What, cause: refusal}
	switch refusal.Reason {
	case "":
		p.message = saysEmptyToken + " " + refusal.What
	case guard.AudienceMismatch:
		p.message = saysAudience + " Request a token for " + Resource + "/.default or for the URL of this API."
	case guard.TokenExpired:
		p.message = saysExpired
	default: // the guard's own words
	}
	return p
}

// refusal is the answer to a request that failed.
func (a *API) refusal(r *http.Request, ids requestIDs, err error) answer {
	p := problemOf(err)
	if p.status >= http.StatusInternalServerError {
		a.cfg.Log.ErrorContext(r.Context(), "graph cannot answer", "method", r.Method, "path", text.Line(r.URL.Path, text.MaxQuoted), "request", ids.request, "error", err)
	} else {
		a.cfg.Log.InfoContext(r.Context(), "graph refused a request", "method", r.Method, "path", text.Line(r.URL.Path, text.MaxQuoted), "request", ids.request, "status", p.status, "code", p.code, "reason", text.Line(err.Error(), 4*text.MaxQuoted))
	}
	given := answer{status: p.status, header: p.header.Clone(), body: object{{"error", p.envelope(ids, a)}}}
	if p.status == http.StatusUnauthorized {
		given.header = http.Header{"Www-Authenticate": {
			`Bearer realm="", authorization_uri="` + a.cfg.Authority + `/common/oauth2/authorize", client_id="` + AppID + `", error="invalid_token"`,
		}}
	}
	return given
}

// envelope is the member "error" of an answer.
func (p *problem) envelope(ids requestIDs, a *API) object {
	o := object{{"code", p.code}, {"message", p.message}}
	if len(p.details) > 0 {
		details := make([]object, len(p.details))
		for i, d := range p.details {
			details[i] = object{{"code", d.code}, {"target", orNull(d.target)}, {"message", d.message}}
		}
		o = append(o, member{"details", details})
	}
	return append(o, member{"innerError", object{
		{"date", a.cfg.Now().UTC().Format("2006-01-02T15:04:05")}, {"request-id", ids.request}, {"client-request-id", ids.client},
	}})
}
