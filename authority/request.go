package authority

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// The only grant and the only assertion type there are for applications.
const (
	grantClientCredentials = "client_credentials"
	assertionTypeJWT       = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// A request is a token request after its form was read: what later steps go by. It has
// at most one credential.
type request struct {
	version   int    // of the endpoint: 1 or 2
	clientID  string // as sent; empty only when an assertion names the client
	secret    string // empty: none
	assertion string // empty: none
	resource  string
	scope     string
	claims    string // JSON text
	library   string // as the client library names itself
}

// parse makes a request of a form and the headers that belong to it.
func parse(f form, header http.Header, version int) (*request, *Problem) {
	switch f["grant_type"] {
	case grantClientCredentials:
	case "":
		return nil, problemMissing("grant_type")
	default:
		return nil, problemGrantType(f["grant_type"])
	}
	req := &request{
		version:  version,
		clientID: f["client_id"], secret: f["client_secret"],
		resource: f["resource"], scope: f["scope"], claims: f["claims"],
		library: library(f, header),
	}
	if p := req.readAssertion(f); p != nil {
		return nil, p
	}
	if p := req.readAuthorization(header); p != nil {
		return nil, p
	}
	switch {
	case req.secret != "" && req.assertion != "":
		return nil, problemTwoCredentials()
	case header.Get("Origin") != "" && (req.secret != "" || req.assertion != ""):
		return nil, problemBrowser()
	case req.clientID == "" && req.assertion == "":
		return nil, problemMissing("client_id")
	}
	return req, nil
}

// readAssertion takes the client assertion, which must come with its type (RFC 7521
// section 4.2).
func (req *request) readAssertion(f form) *Problem {
	assertion, kind := f["client_assertion"], f["client_assertion_type"]
	switch {
	case assertion == "" && kind == "":
		return nil
	case assertion == "":
		return problemMissing("client_assertion")
	case kind == "":
		return problemMissing("client_assertion_type")
	case kind != assertionTypeJWT:
		return problemMalformed("The client_assertion_type " + quoted(kind) + " is not supported.")
	}
	req.assertion = assertion
	return nil
}

// readAuthorization takes id and secret from an Authorization header (RFC 6749 section
// 2.3.1: Basic, both halves form-encoded).
func (req *request) readAuthorization(header http.Header) *Problem {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 || req.secret != "" || req.assertion != "" {
		return problemTwoCredentials()
	}
	id, secret, ok := basicCredentials(values[0])
	if !ok {
		return problemMalformed("The Authorization header is not HTTP Basic with a form-encoded client id and secret.")
	}
	if req.clientID != "" && !strings.EqualFold(req.clientID, id) {
		return problemMalformed("The client_id differs from that of the Authorization header.")
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
	return clean(strings.TrimSpace(name+" "+version), maxNoted)
}
