package authority

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// The only grant and the only assertion type there are for applications themselves.
const (
	grantClientCredentials = "client_credentials"
	assertionTypeJWT       = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// A request is a token request after its form was read: what later steps go by. It has
// at most one credential.
type request struct {
	version   int    // of the endpoint: 1 or 2
	grant     string // by its full name
	clientID  string // as sent; empty only when an assertion names the client
	secret    string // empty: none
	assertion string // empty: none
	resource  string
	scope     string
	claims    string // JSON text
	library   string // as the client library names itself

	// Of grants that speak for a user; see grant.go.
	code, redirectURI, verifier string
	refreshToken, deviceCode    string
	onBehalfOf, use             string
	username, password          string
	clientInfo                  bool // the client wants to be told how to name the user
}

// parse makes a request of a form and the headers that belong to it.
func parse(f form, header http.Header, version int) (*request, error) {
	grant := f["grant_type"]
	switch {
	case grant == "":
		return nil, aadsts.Missing("grant_type")
	case grant != grantClientCredentials && !isUserGrant(grant):
		return nil, aadsts.GrantType(grant)
	case grant == grantDeviceShort:
		grant = grantDevice
	}
	req := &request{
		version: version, grant: grant,
		clientID: f["client_id"], secret: f["client_secret"],
		resource: f["resource"], scope: f["scope"], claims: f["claims"],
		library: library(f, header),
		code:    f["code"], redirectURI: f["redirect_uri"], verifier: f["code_verifier"],
		refreshToken: f["refresh_token"], deviceCode: f["device_code"],
		onBehalfOf: f["assertion"], use: f["requested_token_use"],
		username: f["username"], password: f["password"],
		clientInfo: f["client_info"] == "1",
	}
	if grant == grantDevice && req.deviceCode == "" {
		req.deviceCode = req.code // ADAL knows it by this name only
	}
	if p := req.readAssertion(f); p != nil {
		return nil, p
	}
	if p := req.readAuthorization(header); p != nil {
		return nil, p
	}
	switch {
	case req.secret != "" && req.assertion != "":
		return nil, aadsts.TwoCredentials()
	case header.Get("Origin") != "" && (req.secret != "" || req.assertion != ""):
		return nil, aadsts.Browser()
	case req.clientID == "" && req.assertion == "":
		return nil, aadsts.Missing("client_id")
	}
	return req, nil
}

// artifact reads what the client brings back, which must be of a kind and tenant.
func (req *request) artifact(kind directory.TokenRecordKind, parameter string, tenant *directory.Tenant) (artifact, error) {
	text := map[directory.TokenRecordKind]string{
		ticketCode: req.code, ticketRefresh: req.refreshToken, ticketDevice: req.deviceCode,
	}[kind]
	if text == "" {
		return artifact{}, aadsts.Missing(parameter)
	}
	v, ok := parseArtifact(kind, text)
	switch {
	case !ok:
		return artifact{}, aadsts.GrantText(parameter)
	case tenant != nil && v.tenant != tenant.ID:
		return artifact{}, aadsts.GrantTenant()
	}
	return v, nil
}

// again gives what is asked for when something is redeemed: what it was made for, or
// another resource. What comes with any sign-in may be asked for now only, as MSAL for Go
// does; of OpenID Connect more was not agreed to.
func (req *request) again(first ask) (ask, error) {
	if req.resource == "" && (req.scope == "" || req.version == 1) {
		return first, nil
	}
	w, err := parseAsk(req.version, req.scope, req.resource)
	if err != nil {
		return ask{}, err
	}
	later := w.OIDC
	w.OIDC = slices.Clone(first.OIDC)
	for _, scope := range usualScopes() {
		if slices.Contains(later, scope) {
			w.OIDC = appendNew(w.OIDC, scope)
		}
	}
	return w, nil
}

// readAssertion takes the client assertion, which must come with its type (RFC 7521
// section 4.2).
func (req *request) readAssertion(f form) error {
	assertion, kind := f["client_assertion"], f["client_assertion_type"]
	switch {
	case assertion == "" && kind == "":
		return nil
	case assertion == "":
		return aadsts.Missing("client_assertion")
	case kind == "":
		return aadsts.Missing("client_assertion_type")
	case kind != assertionTypeJWT:
		return aadsts.Malformed("The client_assertion_type " + text.Quote(kind) + " is not supported.")
	}
	req.assertion = assertion
	return nil
}

// readAuthorization takes id and secret from an Authorization header (RFC 6749 section
// 2.3.1: Basic, both halves form-encoded).
func (req *request) readAuthorization(header http.Header) error {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 || req.secret != "" || req.assertion != "" {
		return aadsts.TwoCredentials()
	}
	id, secret, ok := basicCredentials(values[0])
	if !ok {
		return aadsts.Malformed("The Authorization header is not HTTP Basic with a form-encoded client id and secret.")
	}
	if req.clientID != "" && !strings.EqualFold(req.clientID, id) {
		return aadsts.Malformed("The client_id differs from that of the Authorization header.")
	}
	req.clientID, req.secret = id, secret
	return nil
}

// basicCredentials decodes the value of a Basic Authorization header.
func basicCredentials(value string) (id, secret string, ok bool) {
	scheme, encoded, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	pair, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	rawID, rawSecret, found := strings.Cut(string(pair), ":")
	if !found {
		return "", "", false
	}
	if id, err = unescape(rawID); err != nil || id == "" {
		return "", "", false
	}
	if secret, err = unescape(rawSecret); err != nil {
		return "", "", false
	}
	return id, secret, true
}

// library gives the name and version by which a client library introduces itself: in
// headers, or in the form (MSAL for Node).
func library(f form, header http.Header) string {
	name, version := header.Get("x-client-SKU"), header.Get("x-client-Ver")
	if name == "" {
		name, version = f["x-client-SKU"], f["x-client-VER"]
	}
	if name == "" {
		name, version = header.Get("User-Agent"), ""
	}
	return text.Line(strings.TrimSpace(name+" "+version), aadsts.MaxNoted)
}
