package exchange

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
)

// A Form holds the parameters of a request body: each name once, none without a value.
type Form map[string]string

// readForm reads the body of a POST. The query is never part of it. Next to a problem it
// returns the parameters read until then.
func readForm(w http.ResponseWriter, r *http.Request) (Form, error) {
	if !isFormType(r.Header.Get("Content-Type")) {
		return nil, aadsts.NoForm()
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	return ParseForm(string(body))
}

// readBody reads the body of a form, which must not be compressed.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "" {
		return nil, aadsts.NoForm()
	}
	if r.ContentLength > MaxBody {
		return nil, aadsts.TooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, aadsts.TooLarge()
	}
	if err != nil {
		return nil, aadsts.Malformed("The body ended early.").Because(err)
	}
	return body, nil
}

// isFormType reports whether a Content-Type is that of a form, whatever its parameters.
func isFormType(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded")
}

// ParseForm splits a form-encoded body. RFC 6749 section 3.2: a parameter sent without a
// value counts as left out, and none may be sent twice.
func ParseForm(body string) (Form, error) {
	if strings.Count(body, "&") >= MaxFields {
		return nil, tooManyFields()
	}
	seen := make(Form, 8)
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		name, value, err := unescapePair(pair)
		if err != nil {
			return seen, aadsts.Malformed("A parameter is not form-encoded text.").Because(err)
		}
		if err := seen.add(name, value); err != nil {
			return seen, err
		}
	}
	return seen.present(), nil
}

var errNotText = errors.New("NUL or invalid UTF-8")

// unescapePair decodes name=value; both must be text.
func unescapePair(pair string) (name, value string, err error) {
	name, value, _ = strings.Cut(pair, "=")
	if name, err = Unescape(name); err != nil {
		return "", "", err
	}
	if value, err = Unescape(value); err != nil {
		return "", "", err
	}
	return name, value, nil
}

// Unescape decodes form-encoded text. Its errors never hold the text, which may be a secret.
func Unescape(s string) (string, error) {
	text, err := url.QueryUnescape(s)
	if err != nil || !isText(text) {
		return "", errNotText
	}
	return text, nil
}
