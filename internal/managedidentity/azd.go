package managedidentity

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority"
)

// azd's external authentication: a key in the Authorization header, scopes in JSON.
const (
	azdPath    = "/token"
	azdVersion = "2023-07-12-preview"
)

// azd is the protocol by which the Azure Developer CLI asks another program for tokens.
type azd struct{}

func (azd) answer(c *call) (any, *refusal) {
	if p := c.requireMethod(http.MethodPost); p != nil {
		return nil, p
	}
	if p := c.requireKey(); p != nil {
		return nil, p
	}
	q, p := parseQuery(c.http.URL.RawQuery)
	switch {
	case p != nil:
		return nil, p
	case c.path != azdPath || q.apiVersion != azdVersion:
		return nil, malformed("Ask at " + azdPath + "?api-version=" + azdVersion + ".")
	}
	minted, p := c.tokenForScopes()
	if p != nil {
		// Of an answer that is not 200, azd tells nothing but the status.
		p.status, p.retryAfter = http.StatusOK, 0
		return nil, p
	}
	return struct {
		Status  string `json:"status"`
		Token   string `json:"token"`
		Expires string `json:"expiresOn"`
	}{"success", minted.Token, minted.Expires.UTC().Format(time.RFC3339)}, nil
}

// requireKey refuses callers that do not send the host's secret as a bearer key.
func (c *call) requireKey() *refusal {
	values := c.http.Header.Values("Authorization")
	if len(values) != 1 {
		return wrongSecret("Authorization")
	}
	scheme, key, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || !c.isSecret(key) {
		return wrongSecret("Authorization")
	}
	return nil
}

// tokenForScopes gives the token that the scopes of a request ask for: of a user, as they
// say; of an identity, all that it may do at the one API that they name.
func (c *call) tokenForScopes() (authority.Minted, *refusal) {
	scopes, p := c.scopes()
	if p != nil {
		return authority.Minted{}, p
	}
	if c.user.User != "" {
		user := c.user
		user.Scope = strings.Join(scopes, " ")
		return c.mint(authority.MintRequest{Identity: c.assigned()[0].App, User: user})
	}
	if len(scopes) != 1 {
		return authority.Minted{}, malformed("Exactly one scope is supported, such as api://orders/.default.")
	}
	return c.token(query{resource: strings.TrimSuffix(scopes[0], "/.default")})
}

// scopes reads what a request asks for.
func (c *call) scopes() ([]string, *refusal) {
	var asked struct {
		Scopes   []string `json:"scopes"`
		TenantID string   `json:"tenantId"`
	}
	body := json.NewDecoder(http.MaxBytesReader(c.writer, c.http.Body, maxQuery))
	if err := body.Decode(&asked); err != nil {
		return nil, malformed("The body must be a JSON object with the member scopes.")
	}
	if _, err := body.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed("The body must be one JSON object.")
	}
	if asked.TenantID != "" && !strings.EqualFold(asked.TenantID, string(c.tenant)) {
		return nil, malformed("Tokens of the tenant " + clean(asked.TenantID) + " are not to be had here: this process belongs to " + string(c.tenant) + ".")
	}
	if len(asked.Scopes) == 0 || !isPlain(strings.Join(asked.Scopes, " ")) {
		return nil, malformed("Name a scope, such as api://orders/.default.")
	}
	return asked.Scopes, nil
}

func (azd) body(p *refusal, correlation string) any {
	code, message := "GetTokenError", p.message
	if p.status == http.StatusUnauthorized {
		code = "NotSignedInError"
	}
	if strings.HasPrefix(message, "AADSTS") { // the authority's, which keeps the sign-in under that name
		message += " Correlation ID: " + correlation
	}
	return struct {
		Status  string `json:"status"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}{"error", code, message}
}
