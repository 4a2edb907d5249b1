package managedidentity

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
)

// azd's external authentication: a key in the Authorization header, scopes in JSON.
const (
	azdPath    = "/token"
	azdVersion = "2023-07-12-preview"
)

// azd is the platform CLI: the protocol in which the Azure Developer CLI requests tokens from
// another program.
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
		// azd shows only the status of an answer that is not 200.
		p.status, p.retryAfter = http.StatusOK, 0
		return nil, p
	}
	return struct {
		Status  string `json:"status"`
		Token   string `json:"token"`
		Expires string `json:"expiresOn"`
	}{"success", minted.Token, minted.Expires.UTC().Format(time.RFC3339)}, nil
}

// requireKey refuses callers that do not send the endpoint's secret as a bearer key.
func (c *call) requireKey() *refusal {
	values := c.http.Header.Values("Authorization")
	if len(values) != 1 {
		return wrongSecret("Authorization")
	}
	scheme, key, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || !c.endpoint.isSecret(key) {
		return wrongSecret("Authorization")
	}
	return nil
}

// tokenForScopes returns the token for the scopes of a request: for a user, with those scopes;
// for an identity, with all its roles of the one API that they name.
func (c *call) tokenForScopes() (issuance.Minted, *refusal) {
	asked, p := c.scopes()
	if p != nil {
		return issuance.Minted{}, p
	}
	scopes, instead := asked.Scopes, renewal{all: asked.Claims != ""} // a challenge means that cached tokens were refused
	if c.endpoint.user.User != "" {
		user := c.endpoint.user
		user.Scope = strings.Join(scopes, " ")
		return c.mint(issuance.MintRequest{Identity: c.endpoint.assigned()[0].App, User: user, Claims: asked.Claims}, instead)
	}
	if len(scopes) != 1 {
		return issuance.Minted{}, malformed("Exactly one scope is supported, such as api://orders/.default.")
	}
	resource, ok := strings.CutSuffix(scopes[0], "/.default")
	if !ok {
		return issuance.Minted{}, malformed("AADSTS1002012: The scope '" + clean(scopes[0]) + "' is not valid for an application: write the API and /.default, such as api://orders/.default.")
	}
	client, p := c.choose(selector{})
	if p != nil {
		return issuance.Minted{}, p
	}
	return c.mint(issuance.MintRequest{Identity: client.Principal.AppID, Resource: resource, Claims: asked.Claims}, instead)
}

// azdRequest is the body of a request. Claims, a claims request in JSON, is ours: azd has no
// member for it.
type azdRequest struct {
	Scopes   []string `json:"scopes"`
	TenantID string   `json:"tenantId"`
	Claims   string   `json:"claims"`
}

// scopes reads the body of a request.
func (c *call) scopes() (requested azdRequest, p *refusal) {
	body := json.NewDecoder(http.MaxBytesReader(c.writer, c.http.Body, maxQuery))
	if err := body.Decode(&requested); err != nil {
		return azdRequest{}, malformed("The body must be a JSON object with the member scopes.")
	}
	if _, err := body.Token(); !errors.Is(err, io.EOF) {
		return azdRequest{}, malformed("The body must be one JSON object.")
	}
	if requested.TenantID != "" && !strings.EqualFold(requested.TenantID, string(c.endpoint.tenant)) {
		return azdRequest{}, malformed("This process cannot get tokens for the tenant " + clean(requested.TenantID) + ": it belongs to " + string(c.endpoint.tenant) + ".")
	}
	if len(requested.Scopes) == 0 || !isPlain(strings.Join(requested.Scopes, " ")) {
		return azdRequest{}, malformed("Name a scope, such as api://orders/.default.")
	}
	return requested, nil
}

func (azd) body(p *refusal, c *call) any {
	code, message := "GetTokenError", p.message
	if p.status == http.StatusUnauthorized {
		code = "NotSignedInError"
	}
	if strings.HasPrefix(message, "AADSTS") { // the authority's, which records the sign-in under that id
		message = c.traced(message)
	}
	return struct {
		Status  string `json:"status"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}{"error", code, message}
}

func (azd) url(e *Endpoint) string { return "http://" + e.address }

func (p azd) environment(e *Endpoint) map[string]string {
	return map[string]string{"AZD_AUTH_ENDPOINT": p.url(e), "AZD_AUTH_KEY": e.secret}
}
