package grants

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// The grant types. Device codes and on-behalf-of have long names by their RFCs; MSAL for Go
// and for Node send the short one for device codes.
const (
	grantClientCredentials = "client_credentials"
	grantCode              = "authorization_code"
	grantRefresh           = "refresh_token"
	grantDevice            = "urn:ietf:params:oauth:grant-type:device_code"
	grantDeviceShort       = "device_code"
	grantOnBehalf          = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantPassword          = "password"
)

// assertionTypeJWT is the only type of client assertion there is.
const assertionTypeJWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// isUserGrant reports whether a grant type speaks for a user.
func isUserGrant(grant string) bool {
	switch grant {
	case grantCode, grantRefresh, grantDevice, grantDeviceShort, grantOnBehalf, grantPassword:
		return true
	}
	return false
}

// needsNoProof reports whether a client without a credential may use a grant type: one that
// a user stands behind, who proves what there is to prove.
func needsNoProof(grant string) bool {
	switch grant {
	case grantCode, grantRefresh, grantDevice, grantPassword:
		return true
	}
	return false
}

// A tokenRequest is a token request after its form was read: what later steps go by.
type tokenRequest struct {
	version    int    // of the endpoint: 1 or 2
	grant      string // by its full name
	credential clientauth.Credential
	resource   string
	scope      string
	claims     string // JSON text
	binding    issuance.Binding
	proof      *token.Proof // of the key of the binding, still to be verified; nil if there is none
	spn        bool         // audiences that are app ids stand behind "spn:"

	// Of grants that speak for a user.
	code, redirectURI, verifier string
	refreshToken, deviceCode    string
	onBehalfOf, use             string
	username, password          string
	clientInfo                  bool // the client asks to be told how to name the user
}

// parse makes a request of a form, and of the headers and the client certificate (DER) that
// belong to it.
func parse(f exchange.Form, header http.Header, certificate []byte, version int) (*tokenRequest, error) {
	grant := f["grant_type"]
	switch {
	case grant == "":
		return nil, aadsts.Missing("grant_type")
	case grant != grantClientCredentials && !isUserGrant(grant):
		return nil, aadsts.GrantType(grant)
	case grant == grantDeviceShort:
		grant = grantDevice
	}
	if f["fmi_path"] != "" {
		return nil, aadsts.FMIPath()
	}
	req := &tokenRequest{
		version: version, grant: grant,
		credential: clientauth.Credential{ClientID: f["client_id"], Secret: f["client_secret"], Certificate: string(certificate), Public: needsNoProof(grant)},
		resource:   f["resource"], scope: f["scope"], claims: f["claims"],
		code: f["code"], redirectURI: f["redirect_uri"], verifier: f["code_verifier"],
		refreshToken: f["refresh_token"], deviceCode: f["device_code"],
		onBehalfOf: f["assertion"], use: f["requested_token_use"],
		username: f["username"], password: f["password"],
		clientInfo: f["client_info"] == "1",
	}
	if grant == grantDevice && req.deviceCode == "" {
		req.deviceCode = req.code // ADAL knows it by this name only
	}
	var p error
	req.binding, req.proof, p = issuance.ParseBinding(issuance.BindingRequest{
		TokenType: f["token_type"], Confirmation: f["req_cnf"], Proofs: header.Values("DPoP"), Certificate: certificate,
	})
	if p != nil {
		return nil, p
	}
	if p := req.readAssertion(f); p != nil {
		return nil, p
	}
	if p := req.readAuthorization(header); p != nil {
		return nil, p
	}
	switch {
	case req.credential.Secret != "" && req.credential.Assertion != "":
		return nil, aadsts.TwoCredentials()
	case header.Get("Origin") != "" && (req.credential.Secret != "" || req.credential.Assertion != ""):
		return nil, aadsts.Browser()
	case req.credential.ClientID == "" && req.credential.Assertion == "":
		return nil, aadsts.Missing("client_id")
	}
	return req, nil
}

// audience is how a token names the resource that was asked for by identifier. ADAL and the
// Azure plugin of Kubernetes send api-version=1.0 and get "spn:" before an app id.
func (req *tokenRequest) audience(identifier string) string {
	if req.spn && guid.Is(identifier) {
		return scope.WithSPN(identifier)
	}
	return identifier
}

// opaqueToken reads what the client brings back, which must be of a kind and tenant.
func (req *tokenRequest) opaqueToken(kind directory.TokenRecordKind, parameter string, tenant *directory.Tenant) (records.OpaqueToken, error) {
	sent := map[directory.TokenRecordKind]string{
		records.KindCode: req.code, records.KindRefresh: req.refreshToken, records.KindDevice: req.deviceCode,
	}[kind]
	if sent == "" {
		return records.OpaqueToken{}, aadsts.Missing(parameter)
	}
	t, ok := records.ParseOpaqueToken(kind, sent)
	switch {
	case !ok:
		return records.OpaqueToken{}, aadsts.GrantText(parameter)
	case tenant != nil && t.Tenant != tenant.ID:
		return records.OpaqueToken{}, aadsts.GrantTenant()
	}
	return t, nil
}

// readAssertion takes the client assertion, which must come with its type (RFC 7521
// section 4.2).
func (req *tokenRequest) readAssertion(f exchange.Form) error {
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
	req.credential.Assertion = assertion
	return nil
}

// readAuthorization takes id and secret from an Authorization header (RFC 6749 section
// 2.3.1: Basic, both halves form-encoded).
func (req *tokenRequest) readAuthorization(header http.Header) error {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 || req.credential.Secret != "" || req.credential.Assertion != "" {
		return aadsts.TwoCredentials()
	}
	id, secret, ok := basicCredentials(values[0])
	if !ok {
		return aadsts.Malformed("The Authorization header is not HTTP Basic with a form-encoded client id and secret.")
	}
	if req.credential.ClientID != "" && !strings.EqualFold(req.credential.ClientID, id) {
		return aadsts.Malformed("The client_id differs from that of the Authorization header.")
	}
	req.credential.ClientID, req.credential.Secret = id, secret
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
	if id, err = exchange.Unescape(rawID); err != nil || id == "" {
		return "", "", false
	}
	if secret, err = exchange.Unescape(rawSecret); err != nil {
		return "", "", false
	}
	return id, secret, true
}
