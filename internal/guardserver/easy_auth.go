package guardserver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// The headers of App Service Authentication.
const (
	headerPrincipal     = "X-Ms-Client-Principal"
	headerPrincipalID   = "X-Ms-Client-Principal-Id"
	headerPrincipalName = "X-Ms-Client-Principal-Name"
	headerPrincipalIDP  = "X-Ms-Client-Principal-Idp"
	headerForwarded     = "X-Ms-Token-Aad-Access-Token"
)

const (
	easyAuthBytes = 8 << 20 // of memory for principals
	providerName  = "aad"

	nameType = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
	roleType = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
)

// claimTypes are the names that App Service gives to claims; the others keep theirs. It is never
// written to.
var claimTypes = map[string]string{
	"oid":         "http://schemas.microsoft.com/identity/claims/objectidentifier",
	"tid":         "http://schemas.microsoft.com/identity/claims/tenantid",
	"scp":         "http://schemas.microsoft.com/identity/claims/scope",
	"sub":         "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
	"nameid":      "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
	"upn":         "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
	"email":       "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
	"unique_name": nameType,
	"given_name":  "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
	"family_name": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
	"idp":         "http://schemas.microsoft.com/identity/claims/identityprovider",
	"amr":         "http://schemas.microsoft.com/claims/authnmethodsreferences",
	"acr":         "http://schemas.microsoft.com/claims/authnclassreference",
}

// A principalClaim is a claim as App Service writes it.
type principalClaim struct {
	Type  string `json:"typ"`
	Value string `json:"val"`
}

// A principal is what X-MS-CLIENT-PRINCIPAL holds, in base64.
type principal struct {
	Provider string           `json:"auth_typ"`
	Claims   []principalClaim `json:"claims"`
	NameType string           `json:"name_typ"`
	RoleType string           `json:"role_typ"`
}

// easyAuth writes the headers of App Service Authentication.
type easyAuth struct {
	token   bool // whether the token is among them
	headers []told
	made    *remembered[[]told]
}

func newEasyAuth(token bool) *easyAuth {
	return &easyAuth{token, saysNothing(headerPrincipal, headerPrincipalID, headerPrincipalIDP, headerPrincipalName, headerForwarded), newRemembered[[]told](easyAuthBytes)}
}

func (e *easyAuth) nobody() []told { return e.headers }

func (e *easyAuth) caller(caller guard.Caller, raw string) []told {
	if made, ok := e.made.get(raw); ok {
		return made
	}
	claims := claimsOf(raw)
	if claims == nil {
		return nil
	}
	text, err := encodeJSON(principal{providerName, principalClaims(claims), nameType, roleType})
	if err != nil {
		return nil
	}
	weight, forwarded := 2*len(text), ""
	if e.token {
		forwarded = strings.Clone(raw)
		weight += len(raw)
	}
	made := saying(e.headers, base64.StdEncoding.EncodeToString(text), headerSafe(principalID(caller)), providerName, headerSafe(principalName(claims, caller)), forwarded)
	e.made.put(raw, made, weight)
	return made
}

// encodeJSON encodes without the escapes that are for HTML.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// claimsOf returns the claims of a token that a guard has let in, or nil.
func claimsOf(raw string) *token.Object {
	t, err := token.Parse(raw, tokenLimits)
	if err != nil {
		return nil
	}
	return &t.Claims
}

// principalClaims returns one claim for each value, in the order of the token. Roles have both
// the names by which programs look for them.
func principalClaims(claims *token.Object) []principalClaim {
	all := []principalClaim{}
	for _, name := range claims.Names() {
		value, _ := claims.Get(name)
		kind, known := claimTypes[name]
		if !known {
			kind = name
		}
		for _, text := range claimValues(value) {
			all = append(all, principalClaim{kind, text})
			if name == "roles" || name == "role" {
				all = append(all, principalClaim{roleType, text})
			}
		}
	}
	return all
}

// claimValues returns the values of a claim as texts.
func claimValues(value token.Value) []string {
	if s, ok := value.String(); ok {
		return []string{s}
	}
	elements, ok := value.Elements()
	if !ok {
		return []string{value.Raw()}
	}
	texts := make([]string, len(elements))
	for i, element := range elements {
		if s, ok := element.String(); ok {
			texts[i] = s
			continue
		}
		texts[i] = element.Raw()
	}
	return texts
}

// principalID is how the caller is known: by its object, or without one by its application.
func principalID(caller guard.Caller) string {
	if caller.ObjectID == "" {
		return caller.ClientID
	}
	return caller.ObjectID
}

// principalName is a name for people. An application has one only if its token says so.
func principalName(claims *token.Object, caller guard.Caller) string {
	names := []string{"preferred_username", "upn", "unique_name", "email", "name"}
	if caller.Kind != guard.CallerUser {
		names = []string{"app_displayname"}
	}
	for _, name := range names {
		value, _ := claims.Get(name)
		if s, ok := value.String(); ok && s != "" {
			return s
		}
	}
	return ""
}

// headerSafe returns a text as it may stand in a header: percent-encoded if it has more than
// printable ASCII.
func headerSafe(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return url.PathEscape(s)
		}
	}
	return strings.TrimSpace(s)
}

// authPrefix is where App Service answers itself.
const authPrefix = "/.auth"

// isAuthPath reports whether a request is for what App Service answers itself.
func isAuthPath(request guard.Request) bool {
	if !strings.HasPrefix(request.Path, "/.") { // nothing else is canonically that, and most requests are done with here
		return false
	}
	path, ok := request.CanonicalPath()
	return ok && (path == authPrefix || strings.HasPrefix(path, authPrefix+"/"))
}

// me answers /.auth/me, by which a program learns who it is to the API, and says of the other
// addresses there that nobody signs in here.
func (s *Server) me(w http.ResponseWriter, r *http.Request, a *api, request guard.Request) {
	path, _ := request.CanonicalPath()
	if path != authPrefix+"/me" || request.Method != http.MethodGet {
		writeJSON(w, http.StatusNotFound, map[string]string{
			"error": "not_found", "error_description": "This guard checks tokens and signs nobody in. Of /.auth it has GET /.auth/me.",
		})
		return
	}
	span := s.begin(request)
	d := a.guard.Decide(r.Context(), request, guard.Rule{Path: path, Caller: guard.CallerAny})
	s.tell(r.Context(), a, r.Host, request, r.RemoteAddr, d, "")
	s.end(&judged{d, a, request, span}, 0)
	caller, ok := d.Caller()
	raw := tokenIn(request.Header)
	claims := claimsOf(raw)
	if !d.Allowed() || !ok || claims == nil {
		answer(w, r, d.Answer())
		return
	}
	me := map[string]any{
		"provider_name": providerName, "user_id": principalID(caller), "user_claims": principalClaims(claims), "expires_on": caller.Expires.UTC().Format(time.RFC3339),
	}
	if a.forward {
		me["access_token"] = raw
	}
	writeJSON(w, http.StatusOK, []any{me})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := encodeJSON(v)
	if err != nil {
		status, text = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // a client that has gone needs no answer
}
