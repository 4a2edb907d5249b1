package credential

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// claimsChallenge returns the claims that an API demands in a Bearer challenge with
// error="insufficient_claims", as JSON, or "".
func claimsChallenge(header http.Header) string {
	for _, value := range header.Values("WWW-Authenticate") {
		for _, params := range bearerChallenges(value) {
			if params["error"] != "insufficient_claims" {
				continue
			}
			if claims := decodeClaims(params["claims"]); claims != "" {
				return claims
			}
		}
	}
	return ""
}

// decodeClaims takes base64 in either alphabet, padded or not: APIs write all of them.
func decodeClaims(text string) string {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	claims, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || !json.Valid(claims) {
		return ""
	}
	return string(claims)
}

// bearerChallenges reads the Bearer challenges of one header line, which may hold several
// schemes (RFC 9110 section 11.6.1). It stops where the line makes no sense.
func bearerChallenges(line string) []map[string]string {
	var all []map[string]string
	var current map[string]string // nil within a scheme that is not Bearer
	for {
		line = strings.TrimLeft(line, " \t,")
		name := line[:tokenLength(line)]
		if name == "" {
			return all
		}
		rest := strings.TrimLeft(line[len(name):], " \t")
		if !strings.HasPrefix(rest, "=") { // a scheme
			current = nil
			if strings.EqualFold(name, "Bearer") {
				current = make(map[string]string)
				all = append(all, current)
			}
			line = rest
			continue
		}
		value, rest, ok := paramValue(strings.TrimLeft(rest[1:], " \t"))
		if !ok {
			return all
		}
		if current != nil {
			current[strings.ToLower(name)] = value
		}
		line = rest
	}
}

// paramValue reads a token or a quoted string.
func paramValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		n := tokenLength(text)
		return text[:n], text[n:], n > 0
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return b.String(), text[i+1:], true
		case '\\':
			i++
			if i == len(text) {
				return "", "", false
			}
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}

// tokenLength counts the token characters that a text begins with (RFC 9110 section 5.6.2).
func tokenLength(text string) int {
	n := strings.IndexFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
	if n < 0 {
		return len(text)
	}
	return n
}
