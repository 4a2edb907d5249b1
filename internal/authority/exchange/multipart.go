package exchange

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// TokenForm reads the form of a token request like Form. Some programs send it as
// multipart/form-data (RFC 7578), which a token endpoint takes under the same limits.
func (x *Exchange) TokenForm() (Form, error) { return readTokenForm(x.writer, x.Request) }

func readTokenForm(w http.ResponseWriter, r *http.Request) (Form, error) {
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" {
		return readForm(w, r)
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	return ParseMultipart(body, parameters["boundary"])
}

// maxBoundary is the greatest length of a boundary (RFC 2046 section 5.1.1).
const maxBoundary = 70

// ParseMultipart takes a multipart body apart. Each part is a parameter: text, and no file.
func ParseMultipart(body []byte, boundary string) (Form, error) {
	if boundary == "" || len(boundary) > maxBoundary {
		return nil, aadsts.Malformed("Its Content-Type names no boundary of the parts.")
	}
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	seen := make(Form, 8)
	for parts := 1; ; parts++ {
		part, err := reader.NextRawPart()
		if err == io.EOF { // an end before the last boundary is wrapped, and no good end
			return seen.present(), nil
		}
		if err != nil {
			return seen, aadsts.Malformed("Its parts cannot be told apart, or it ended early.").Because(err)
		}
		if parts > MaxFields {
			return nil, tooManyFields()
		}
		if err := seen.addPart(part); err != nil {
			return seen, err
		}
	}
}

// addPart adds the parameter that a part is.
func (f Form) addPart(part *multipart.Part) error {
	name, ok := partName(part)
	if !ok {
		return aadsts.Malformed("A part of it is a file, is encoded, or has no name.")
	}
	value, err := io.ReadAll(part)
	if err != nil {
		return aadsts.Malformed("The body ended early.").Because(err)
	}
	if !isText(name) || !isText(string(value)) {
		return aadsts.Malformed("A parameter is not text in UTF-8.").Because(errNotText)
	}
	return f.add(name, string(value))
}

// partName is the name of the parameter that a part is.
func partName(part *multipart.Part) (string, bool) {
	disposition := part.Header.Values("Content-Disposition")
	if len(disposition) != 1 {
		return "", false
	}
	kind, parameters, err := mime.ParseMediaType(disposition[0])
	if _, file := parameters["filename"]; err != nil || kind != "form-data" || file {
		return "", false
	}
	switch strings.ToLower(part.Header.Get("Content-Transfer-Encoding")) {
	case "", "7bit", "8bit", "binary":
		return parameters["name"], parameters["name"] != ""
	}
	return "", false
}

// add adds a parameter, unless there is one of that name.
func (f Form) add(name, value string) error {
	if _, twice := f[name]; twice {
		return aadsts.Malformed("The parameter " + text.Quote(name) + " occurs more than once.")
	}
	f[name] = value
	return nil
}

// present returns the form without the parameters that have no value.
func (f Form) present() Form {
	for name, value := range f {
		if value == "" {
			delete(f, name)
		}
	}
	return f
}

func tooManyFields() error { return aadsts.Malformed("It has more than 64 parameters.") }

// isText reports whether a name or value is text: UTF-8 without NUL.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }
