package guard

import (
	"fmt"
	"strings"
)

// A sight is what was seen where a token belongs, and what to do about it. It
// repeats nothing that was sent: it could be a secret.
type sight struct{ what, fix string }

// credentialsSeen returns the refusal of a request whose credentials cannot be
// used, with what was seen in place of them.
func credentialsSeen(reason Reason, r *Request) *refusal {
	lines := r.Header["Authorization"]
	switch {
	case reason == MultipleCredentials && len(lines) > 1:
		return fail(reason, "", "there are %d headers Authorization", len(lines))
	case reason == MultipleCredentials:
		return fail(reason, "", "the header Authorization has a comma in it: there are two credentials, or a proxy joined two headers")
	case reason == TokenInQuery:
		return fail(reason, "", "the query of the URL has access_token")
	case len(lines) == 0:
		return fail(reason, "", "there is no header Authorization%s", tokenElsewhere(r.Header))
	}
	seen := seenInHeader(lines[0])
	return fail(reason, seen.fix, "the header Authorization: %s", seen.what)
}

// elsewhere are headers in which tokens are sent by mistake, or by proxies
// that know the caller. It is never written to.
var elsewhere = []string{
	"X-Forwarded-Access-Token", "X-Auth-Request-Access-Token", "X-Ms-Token-Aad-Access-Token", "X-Access-Token", "X-Auth-Token",
	"X-Authorization", "Proxy-Authorization", "Authentication", "Access-Token", "Token",
}

func tokenElsewhere(header map[string][]string) string {
	for _, name := range elsewhere {
		if len(header[name]) > 0 {
			return fmt.Sprintf(", but one called %s, in which no token is looked for", name)
		}
	}
	return ""
}

// otherSchemes are known, and not taken here. It is never written to.
var otherSchemes = []string{"Basic", "Negotiate", "NTLM", "Digest", "DPoP", "PoP", "Token", "JWT", "OAuth", "ApiKey", "SharedKey", "AWS4-HMAC-SHA256", "MSAuth1.0"}

// seenInHeader looks at the whole value of an Authorization header in which no
// token was found.
func seenInHeader(value string) sight {
	value = strings.TrimSpace(value)
	switch {
	case value == "":
		return sight{"it is empty", "Get a token first: the variable or the file that the header is made from is empty."}
	case hasQuote(value):
		return sight{"quotes around it", "Send the header without quotes: Authorization: Bearer, a space and the token."}
	case hasScheme(value, schemeBearer):
		return seenAfterScheme(value[len(schemeBearer):])
	case hasScheme(value, "Authorization"):
		return sight{"the name of the header stands in its value once more", "Send Authorization once: the value begins with Bearer."}
	case looksLikeToken(value):
		return sight{"a token without a scheme", "Put Bearer and one space before the token."}
	}
	for _, scheme := range otherSchemes {
		if hasScheme(value, scheme) && (len(value) == len(scheme) || value[len(scheme)] == ' ') {
			return sight{"its scheme is " + scheme, "Send the scheme Bearer, one space and an access token."}
		}
	}
	if seen, ok := seenWord(value); ok {
		return seen
	}
	return sight{"it does not begin with Bearer", sendAsIssued}
}

// seenAfterScheme looks at what follows Bearer, from the next character on.
func seenAfterScheme(rest string) sight {
	if rest == "" {
		return sight{"Bearer, and nothing after it", "Get a token first: the variable or the file that the header is made from is empty."}
	}
	const fix = "Put one space between Bearer and the token."
	switch rest[0] {
	case ' ':
		return seenAsToken(strings.TrimLeft(rest, " "))
	case ':':
		return sight{"a colon behind Bearer", "Leave out the colon: it stands behind Authorization alone. " + fix}
	case '=':
		return sight{"an equals sign behind Bearer", fix}
	case '\t':
		return sight{"a tab behind Bearer", fix}
	case '%', '+':
		return sight{"the space behind Bearer is URL-encoded", "Do not encode the header. " + fix}
	case ',', ';':
		return sight{"a comma or semicolon behind Bearer", fix}
	default:
		return sight{"no space behind Bearer", fix}
	}
}

// seenAsToken looks at what stands in place of a token.
func seenAsToken(raw string) sight {
	if seen, ok := seenWord(raw); ok {
		return seen
	}
	switch {
	case hasQuote(raw):
		return sight{"quotes around it", "Send the token without quotes: jq -r prints it so."}
	case raw[0] == '{':
		return sight{"a JSON object", "Send the member access_token of the authority's answer alone."}
	case hasScheme(raw, schemeBearer) && len(raw) > len(schemeBearer) && strings.ContainsAny(raw[len(schemeBearer):][:1], " :"):
		return sight{"two schemes", "Send Bearer once: the library or tool that sends the header adds it by itself."}
	case strings.ContainsAny(raw, "\r\n"):
		return sight{"a line break within it", "Join the lines of the token: it is one word."}
	case strings.ContainsAny(raw, " \t"):
		return sight{"several words", sendAsIssued}
	case strings.Contains(raw, "…") || strings.HasSuffix(raw, ".."):
		return sight{"it was cut short", "Send the whole token, not what a tool shows of it."}
	case strings.Contains(raw, "%"):
		return sight{"URL-encoding", "Send the token as it is, not URL-encoded."}
	case isB64Token(raw) && !strings.Contains(raw, "."):
		return sight{"one part without dots, such as a secret, a key or a refresh token", "Send the access token exactly as the authority issued it."}
	case isB64Token(raw):
		return sight{"not three parts", sendAsIssued}
	default:
		return sight{"characters that no token has", sendAsIssued}
	}
}

// seenInstead recognizes what has the characters of a token, and is none.
func seenInstead(raw string) (sight, bool) {
	if seen, ok := seenWord(raw); ok {
		return seen, true
	}
	if !isB64Token(raw) || strings.Count(raw, ".") != 2 {
		return seenAsToken(raw), true
	}
	return sight{}, false
}

// seenWord recognizes what programs write in place of a token that they do
// not have.
func seenWord(raw string) (sight, bool) {
	bare := strings.Trim(raw, ` "'`)
	for _, word := range []string{"undefined", "null", "none", "nil", "NaN", "true", "false", "[object Object]", "[object Promise]", "<nil>"} {
		if strings.EqualFold(bare, word) {
			return sight{"the word " + word, "The client had no token when it made the header: wait for the token, and look at its error."}, true
		}
	}
	if bare == "" {
		return sight{"nothing", "Get a token first: the variable or the file that the header is made from is empty."}, true
	}
	if strings.HasPrefix(bare, "$") || strings.HasPrefix(bare, "{{") || strings.HasPrefix(bare, "<") || bare[0] == '%' && bare[len(bare)-1] == '%' {
		return sight{"a placeholder that nothing was put in place of", "Put the token in its place. A shell does so between double quotes, and not between single ones."}, true
	}
	return sight{}, false
}

func hasQuote(s string) bool {
	for _, quote := range []string{`"`, "'", "`", "“", "”", "‘", "’"} {
		if strings.HasPrefix(s, quote) || strings.HasSuffix(s, quote) {
			return true
		}
	}
	return false
}
