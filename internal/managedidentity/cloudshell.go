package managedidentity

import (
	"io"
	"mime"
	"net/http"
)

// cloudShellPath is the path of the token endpoint. Clients take it from their environment.
const cloudShellPath = "/oauth2/token"

// formType is the media type of forms.
const formType = "application/x-www-form-urlencoded"

// cloudShell is the platform of Azure Cloud Shell: a form in a POST. MSAL for Java sends the
// same members as the query of a GET.
type cloudShell struct{}

func (cloudShell) answer(c *call) (any, *refusal) {
	if c.http.Method != http.MethodPost && c.http.Method != http.MethodGet {
		return nil, notAllowed(c.http.Method, http.MethodPost)
	}
	if p := c.requireMetadata(); p != nil {
		return nil, p
	}
	if c.path != cloudShellPath {
		return nil, malformed("There is nothing at this path: use the URL that the environment gives.")
	}
	raw, p := c.form()
	if p != nil {
		return nil, p
	}
	q, p := parseQuery(raw)
	if p != nil {
		return nil, p
	}
	body, _, p := c.body(q)
	return body, p
}

// form returns the form-encoded parameters.
func (c *call) form() (string, *refusal) {
	if c.http.Method == http.MethodGet {
		return c.http.URL.RawQuery, nil
	}
	if kind, _, err := mime.ParseMediaType(c.http.Header.Get("Content-Type")); err != nil || kind != formType {
		return "", malformed("The Content-Type must be " + formType + ".")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.writer, c.http.Body, maxQuery))
	if err != nil {
		return "", malformed("The form could not be read, or is too long.")
	}
	return string(body), nil
}

func (cloudShell) body(p *refusal, c *call) any {
	return map[string]fabricError{"error": {Code: p.code, Message: c.traced(p.message)}}
}

func (cloudShell) url(e *Endpoint) string { return "http://" + e.address + cloudShellPath }

func (p cloudShell) environment(e *Endpoint) map[string]string {
	return map[string]string{"MSI_ENDPOINT": p.url(e), credentialChoice: choiceIdentity}
}
