package explain

import (
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// An Answer is how an API refused a request: what it said, and what its words mean in terms
// of the guard's reasons, whichever library it uses.
type Answer struct {
	Status  int          `json:"status"`
	Reason  guard.Reason `json:"reason,omitempty"`  // empty when the API gives none that is known
	Says    string       `json:"says,omitempty"`    // its own words, on one line; empty when it has none
	TraceID string       `json:"traceId,omitempty"` // by which its log has the refusal
	API     string       `json:"api,omitempty"`     // what it calls itself in its challenge: an application id or an identifier URI
	// Behind is how far the API's clock is behind; negative when it is ahead. DateKnown is
	// false when the API does not tell its time.
	Behind    time.Duration `json:"behindNanoseconds,omitempty"`
	DateKnown bool          `json:"dateKnown,omitempty"`
	// Guarded is set when the answer is one of the guard's.
	Guarded bool `json:"guarded,omitempty"`
	// Bare is set when the challenge has no error, as the one for a request without a token.
	Bare bool `json:"bare,omitempty"`
}

// maxAnswer bounds what is read of the body of a refusal.
const maxAnswer = 64 << 10

// ReadAnswer reads a refusal of an API, at a time by this machine's clock.
func ReadAnswer(status int, header http.Header, body []byte, now time.Time) Answer {
	a := Answer{Status: status}
	challenge := readChallenge(header.Values("WWW-Authenticate"))
	a.API = cmp.Or(challenge["resource_id"], strings.TrimSuffix(challenge["scope"], "/.default"))
	a.Bare = challenge[schemeSeen] != "" && challenge["error"] == ""
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		a.Behind, a.DateKnown = now.Sub(date).Round(time.Second), true
	}
	said := readBody(header.Get("Content-Type"), body[:min(len(body), maxAnswer)])
	a.TraceID = plainTrace.FindString(said["trace_id"])
	words := cmp.Or(challenge["error_description"], said["error_description"])
	for _, name := range []string{"detail", "message", "title", "msg", "error", "text"} {
		words = cmp.Or(words, said[name])
	}
	a.Says = tokenLike.ReplaceAllString(text.Line(strings.TrimSpace(words), text.MaxQuoted), "(a token)")
	switch reason := guard.Reason(said["reason"]); {
	case isReason(reason):
		a.Reason, a.Guarded = reason, true
	default:
		a.Reason = reasonIn(strings.Join([]string{challenge["error_description"], said["error_description"], said["detail"], said["message"], said["title"], said["msg"], said["text"]}, "\n"))
	}
	return a
}

// FitsStranger reports whether an API may answer so to the token of a server that it does not
// know.
func (a Answer) FitsStranger() bool {
	switch a.Reason {
	case "", guard.IssuerUnknown, guard.KeysUnavailable, guard.KeyUnknown, guard.SignatureInvalid:
		return true
	default:
		return false
	}
}

var (
	plainTrace = regexp.MustCompile(`^[0-9a-f]{32}$`)
	tokenLike  = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}(\.[A-Za-z0-9_-]*)*`)
)

// isReason reports whether a reason is one of the guard's: each of them has words of its own.
func isReason(r guard.Reason) bool {
	return r != "" && r.Description() != guard.Reason("").Description()
}

// readBody returns the texts of a JSON object by the names of its members, or any other body
// as "text".
func readBody(contentType string, body []byte) map[string]string {
	said := map[string]string{}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) == nil {
		for name, value := range members {
			var s string
			if json.Unmarshal(value, &s) == nil {
				said[strings.ToLower(name)] = s
			}
		}
		return said
	}
	if !strings.Contains(contentType, "html") && len(body) < 1<<10 {
		said["text"] = string(body)
	}
	return said
}

// schemeSeen is the name under which readChallenge notes the scheme.
const schemeSeen = " scheme"

// readChallenge returns the parameters of the Bearer challenges, the first of each name
// (RFC 9110 section 11.2). It takes parameters that are separated by spaces alone as well,
// as App Service sends them.
func readChallenge(values []string) map[string]string {
	parameters := map[string]string{}
	for _, value := range values {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
		if !strings.EqualFold(strings.TrimSuffix(scheme, ","), "Bearer") {
			continue
		}
		parameters[schemeSeen] = "Bearer"
		for rest != "" {
			rest = strings.TrimLeft(rest, " \t,")
			end := strings.IndexAny(rest, "=, \t")
			if end < 0 {
				break
			}
			name := strings.ToLower(rest[:end])
			if rest[end] != '=' { // a word without a value, such as another scheme
				rest = rest[end:]
				continue
			}
			var content string
			content, rest = parameterValue(rest[end+1:])
			if _, twice := parameters[name]; !twice {
				parameters[name] = content
			}
		}
	}
	return parameters
}

// parameterValue reads the value at the beginning of a text: a word or a quoted string.
func parameterValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		if end := strings.IndexAny(s, ", \t"); end >= 0 {
			return s[:end], s[end:]
		}
		return s, ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:]
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// phrases are what libraries say of a refusal, in lower case, with the reason that it means.
// The first that is found counts.
var phrases = []struct {
	reason guard.Reason
	said   []string
}{
	{guard.AudienceMismatch, []string{"idx10214", "audience", "aud claim", `"aud"`}},
	{guard.IssuerUnknown, []string{"idx10205", "idx40001", "issuer", "iss claim", `"iss"`}},
	{guard.TokenNotYetValid, []string{"idx10222", "not valid before", "not yet valid", "jwt not active", "used before", "nbf claim", `"nbf"`}},
	{guard.TokenExpired, []string{"idx10223", "expired", `"exp"`}},
	{guard.KeyUnknown, []string{"idx10500", "idx10501", "idx10503", "signature key was not found", "no matching key", "matching signing key", "signing key"}},
	{guard.SignatureInvalid, []string{"idx10511", "signature", "jwt verification fails"}},
	{guard.NoPermissions, []string{"idw10201"}},
	{guard.RoleMissing, []string{"idw10202"}},
	{guard.ScopeMissing, []string{"idw10203", "insufficient scope"}},
	{guard.TokenMissing, []string{"jwt is missing", "no auth token", "no authorization token", "authorization header is missing", "missing authorization", "missing token"}},
}

// reasonIn finds the reason that an API's words mean.
func reasonIn(words string) guard.Reason {
	words = strings.ToLower(words)
	for _, phrase := range phrases {
		for _, said := range phrase.said {
			if strings.Contains(words, said) {
				return phrase.reason
			}
		}
	}
	return ""
}
