package credential

import (
	"net/url"
	"regexp"
	"strings"
)

// Settings get mixed up, and authorities repeat what they were sent: a secret that stands in
// the place of the client id comes back in the words of a refusal, as do a token in an
// answer and the password of a proxy in an error of net/http. None of it reaches an [Error].

// shortest is the length below which a text is no secret, and looking for it would only
// garble words.
const shortest = 8

// hidden lists what errors of a credential must not repeat: its secrets, and ids that do
// not look like any.
func hidden(tenantID, clientID string, secrets ...string) []string {
	if !plainTenant(tenantID) {
		secrets = append(secrets, tenantID)
	}
	if !plainClient(clientID) {
		secrets = append(secrets, clientID)
	}
	var hide []string
	for _, secret := range secrets {
		for _, text := range []string{secret, strings.TrimSpace(secret), url.QueryEscape(secret), url.PathEscape(secret)} {
			if len(text) >= shortest {
				hide = append(hide, text)
			}
		}
	}
	return hide
}

func plainTenant(id string) bool { return isGUID(id) || strings.Contains(id, ".") }

func plainClient(id string) bool { return isGUID(id) || strings.Contains(id, "://") }

func isGUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range []byte(text) {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		hex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
		if hyphen != (c == '-') || !hyphen && !hex {
			return false
		}
	}
	return true
}

var (
	tokenLike    = regexp.MustCompile(`eyJ[\w-]{8,}(\.[\w-]*)*`)
	userinfoLike = regexp.MustCompile(`//[^/\s@"']+@`)
)

// conceal puts a mark in the place of what must not be repeated, and of what looks like a
// token or like a user name and password in a URL.
func conceal(text string, hide []string) string {
	const mark = "***"
	for _, secret := range hide {
		text = strings.ReplaceAll(text, secret, mark)
	}
	return userinfoLike.ReplaceAllString(tokenLike.ReplaceAllString(text, mark), "//"+mark+"@")
}
