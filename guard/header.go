package guard

import (
	"net/url"
	"slices"
	"strings"
)

// A scheme is one by which credentials come in the header Authorization.
type scheme uint8

// The schemes. The order is that in which they are looked for.
const (
	bearer        scheme = iota
	signedRequest        // PoP, see SignedRequests
	dpop                 // DPoP, see DPoP
)

// Names of the schemes.
const (
	schemeBearer = "Bearer"
	schemeSigned = "PoP"
	schemeDPoP   = "DPoP"
)

func (s scheme) String() string {
	switch s {
	case signedRequest:
		return schemeSigned
	case dpop:
		return schemeDPoP
	default:
		return schemeBearer
	}
}

// parseAuthorization reads "Bearer", spaces and what should be a b64token
// (RFC 6750 section 2.1), or the same with another scheme that is taken. Schemes
// are compared without case, as all of HTTP's are.
func parseAuthorization(value string, taken []scheme) (raw string, by scheme, reason Reason) {
	end := strings.IndexFunc(value, func(c rune) bool { return !isTokenChar(c) })
	if end < 0 {
		end = len(value)
	}
	i := 0
	for i < len(taken) && !strings.EqualFold(value[:end], taken[i].String()) {
		i++
	}
	if i == len(taken) {
		if _, second, found := strings.Cut(value, ","); found {
			second = strings.TrimLeft(second, " \t")
			for _, other := range taken {
				if hasScheme(second, other.String()) {
					return "", 0, MultipleCredentials
				}
			}
		}
		return "", 0, TokenMissing
	}
	credential := value[end:]
	if strings.Contains(credential, ",") { // two header lines that a proxy has joined
		return "", 0, MultipleCredentials
	}
	raw = strings.TrimLeft(credential, " ")
	if raw == credential || raw == "" {
		return "", 0, CredentialsMalformed
	}
	return raw, taken[i], ""
}

func hasScheme(value, scheme string) bool {
	return len(value) >= len(scheme) && strings.EqualFold(value[:len(scheme)], scheme)
}

// isTokenChar reports whether c may stand in a token of RFC 9110.
func isTokenChar(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

// isB64Token reports whether s is made of the characters of RFC 6750.
func isB64Token(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" {
		return false
	}
	for i := range len(body) {
		c := body[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return true
}

// tokenInQuery reports whether a query names access_token, in any spelling
// that a server behind the guard may decode to it.
func tokenInQuery(query string) bool {
	for query != "" {
		var pair string
		if i := strings.IndexAny(query, "&;"); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			pair, query = query, ""
		}
		name, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if strings.EqualFold(name, "access_token") {
			return true
		}
	}
	return false
}

// Sanitize returns headers without those by which a client could claim to be
// somebody, or that make a server act on another method or path than the one
// that was decided on. It copies them only if it must. Middleware does this by
// itself; any other way to pass on a request that was allowed has to, also
// where the rule is anonymous.
func Sanitize(headers map[string][]string) map[string][]string {
	var out map[string][]string
	for name := range headers {
		if !forbiddenHeader(name) {
			continue
		}
		if out == nil {
			out = cloneLines(headers)
		}
		delete(out, name)
	}
	if slices.ContainsFunc(headers["Cookie"], hasSession) {
		if out == nil {
			out = cloneLines(headers)
		}
		out["Cookie"] = withoutSession(out["Cookie"])
	}
	if out == nil {
		return headers
	}
	return out
}

func cloneLines(headers map[string][]string) map[string][]string {
	out := make(map[string][]string, len(headers))
	for name, lines := range headers {
		out[name] = slices.Clone(lines)
	}
	return out
}

// hasSession reports whether a Cookie line carries an App Service session,
// which only App Service itself can vouch for.
func hasSession(cookies string) bool {
	return strings.Contains(strings.ToLower(cookies), "appserviceauthsession")
}

func withoutSession(lines []string) []string {
	var kept []string
	for _, line := range lines {
		cookies := slices.DeleteFunc(strings.Split(line, ";"), hasSession)
		if rest := strings.TrimSpace(strings.Join(cookies, ";")); rest != "" {
			kept = append(kept, rest)
		}
	}
	return kept
}

// forbiddenPrefixes and forbiddenNames are in the form that plain gives them.
var (
	forbiddenPrefixes = []string{"x-ms-client-principal", "x-ms-token-", "x-guard-"}
	forbiddenNames    = []string{
		"x-zumo-auth", "x-http-method-override", "x-http-method", "x-method-override", "-method",
		"x-original-url", "x-original-uri", "x-original-method", "x-rewrite-url",
	}
)

const longestForbidden = len("x-http-method-override")

// forbiddenHeader compares names as servers do that turn them into variables:
// ignoring case, and reading every character that is no letter or digit as a
// hyphen. To such a server X_MS_CLIENT_PRINCIPAL and X.MS.Client.Principal are
// the same.
func forbiddenHeader(name string) bool {
	if name == "" || isAlphanumeric(name[0]) && name[0]|0x20 != 'x' {
		return false // nearly all headers begin with another letter
	}
	var buf [longestForbidden]byte
	n := min(len(name), len(buf))
	for i := range n {
		if buf[i] = '-'; isAlphanumeric(name[i]) {
			buf[i] = name[i]
			if 'A' <= name[i] && name[i] <= 'Z' {
				buf[i] |= 0x20
			}
		}
	}
	for _, prefix := range forbiddenPrefixes {
		if strings.HasPrefix(string(buf[:n]), prefix) {
			return true
		}
	}
	return len(name) <= longestForbidden && slices.Contains(forbiddenNames, string(buf[:n]))
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
