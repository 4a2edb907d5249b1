package managedidentity

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// azd's external authentication: a key in the Authorization header, scopes in JSON.
const (
	azdPath    = "/token"
	azdVersion = "2023-07-12-preview"
)

// azd is the protocol by which the Azure Developer CLI asks another program for tokens.
type azd struct{}

func (azd) answer(c *call) (any, *refusal) {
	if p := c.want(http.MethodPost); p != nil {
		return nil, p
	}
	if p := c.wantKey(); p != nil {
		return nil, p
	}
	q, p := parseQuery(c.http.URL.RawQuery)
	switch {
	case p != nil:
		return nil, p
	case c.path != azdPath || q.apiVersion != azdVersion:
		return nil, malformed("Ask at " + azdPath + "?api-version=" + azdVersion + ".")
	}
	asked, p := c.scopes()
	if p != nil {
		return nil, p
	}
	minted, p := c.token(query{resource: asked})
	if p != nil {
		return nil, p
	}
	return struct {
		Status  string `json:"status"`
		Token   string `json:"token"`
		Expires string `json:"expiresOn"`
	}{"success", minted.Token, minted.Expires.UTC().Format(time.RFC3339)}, nil
}

// wantKey refuses callers that do not send the host's secret as a bearer key.
func (c *call) wantKey() *refusal {
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

// scopes reads the one resource that the scopes of a request mean.
func (c *call) scopes() (string, *refusal) {
	var asked struct {
		Scopes   []string `json:"scopes"`
		TenantID string   `json:"tenantId"`
	}
	body := json.NewDecoder(http.MaxBytesReader(c.writer, c.http.Body, maxQuery))
	if err := body.Decode(&asked); err != nil {
		return "", malformed("The body must be a JSON object with the member scopes.")
	}
	if _, err := body.Token(); !errors.Is(err, io.EOF) {
		return "", malformed("The body must be one JSON object.")
	}
	if asked.TenantID != "" && !strings.EqualFold(asked.TenantID, string(c.tenant)) {
		return "", malformed("Tokens of the tenant " + clean(asked.TenantID) + " are not to be had here: this process belongs to " + string(c.tenant) + ".")
	}
	if len(asked.Scopes) != 1 || !isPlain(asked.Scopes[0]) {
		return "", malformed("Exactly one scope is supported, such as api://orders/.default.")
	}
	return strings.TrimSuffix(asked.Scopes[0], "/.default"), nil
}

func (azd) body(p *refusal, _ string) any {
	code := "GetTokenError"
	if p.status == http.StatusUnauthorized {
		code = "NotSignedInError"
	}
	return struct {
		Status  string `json:"status"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}{"error", code, p.message}
}
