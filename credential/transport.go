package credential

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// A Transport puts a token on requests to the API the token is for.
//
// The token goes to the origin (scheme, host and port) that was asked first, and to no
// other: a redirect elsewhere is followed without it, also when it leads back. It is
// sent in clear only to this machine.
//
// When the API answers 401 with a claims challenge, the request is repeated once with a
// token that meets the challenge, if its body can be read again.
type Transport struct {
	// Base sends the requests. Nil means http.DefaultTransport.
	Base http.RoundTripper

	// Origin, such as "https://orders.contoso.test", is the only one to get the token.
	// Empty means the origin of each request that is not the outcome of a redirect; set
	// it when a client is also used for hosts that the token is not for.
	Origin string

	cache *Cache
	scope string
}

// NewTransport returns a transport that asks a credential for tokens of a scope such as
// "api://orders/.default". Unless the credential is a *Cache already, it is put behind one.
func NewTransport(cred azcore.TokenCredential, scope string) *Transport {
	return &Transport{cache: Cached(cred), scope: scope}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	wanted, err := t.wantsToken(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if !wanted { // the base closes the body from here on
		return t.base().RoundTrip(req)
	}
	token, err := t.cache.Token(req.Context(), t.scope)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.base().RoundTrip(authorized(req, token))
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	claims := claimsChallenge(resp.Header)
	if claims == "" {
		return resp, nil
	}
	return t.meet(req, resp, claims)
}

// CloseIdleConnections closes those of Base; http.Client.CloseIdleConnections calls it.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// meet repeats a challenged request. What cannot be repeated leaves the challenge to the caller.
func (t *Transport) meet(req *http.Request, challenge *http.Response, claims string) (*http.Response, error) {
	again := req.Clone(req.Context())
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return challenge, nil
		}
		body, err := req.GetBody()
		if err != nil {
			return challenge, nil //nolint:nilerr // the API's answer says more
		}
		again.Body = body
	}
	token, err := t.cache.GetToken(req.Context(), policy.TokenRequestOptions{Scopes: []string{t.scope}, Claims: claims})
	if err != nil {
		closeBody(again)
		return challenge, nil //nolint:nilerr // the API's answer says more
	}
	challenge.Body.Close()
	again.Header.Set("Authorization", "Bearer "+token.Token)
	return t.base().RoundTrip(again)
}

// authorized returns a copy of the request with the token; a RoundTripper must not
// change the request it is given.
func authorized(req *http.Request, token string) *http.Request {
	copied := req.Clone(req.Context())
	copied.Header.Set("Authorization", "Bearer "+token)
	return copied
}

// wantsToken reports whether a request goes where the token may go. What the caller asked
// for in clear is an error; what a redirect leads to is sent on without the token.
func (t *Transport) wantsToken(req *http.Request) (bool, error) {
	here := originOf(req.URL)
	if t.Origin != "" {
		u, err := url.Parse(t.Origin)
		if err != nil || u.Host == "" {
			return false, fmt.Errorf("credential transport: Origin %q is not of the form https://host", conceal(t.Origin, nil))
		}
		if here != originOf(u) {
			return false, nil
		}
	}
	redirected := false
	for step := req; step.Response != nil && step.Response.Request != nil; step = step.Response.Request {
		redirected = true
		if originOf(step.Response.Request.URL) != here {
			return false, nil
		}
	}
	switch {
	case here.scheme == "https":
		return true, nil
	case here.scheme == "http" && isLoopback(req.URL.Hostname()):
		return true, t.refuseProxy(req)
	case redirected:
		return false, nil
	}
	return false, fmt.Errorf("credential transport: %s would get the token in clear; use https, or http only for this machine", req.URL.Redacted())
}

// refuseProxy returns an error if a request in clear would leave this machine after all.
func (t *Transport) refuseProxy(req *http.Request) error {
	base, ok := t.base().(*http.Transport)
	if !ok || base.Proxy == nil {
		return nil
	}
	if proxy, err := base.Proxy(req); err != nil || proxy == nil {
		return err
	}
	return fmt.Errorf("credential transport: a proxy would get the token for %s in clear; use https, or exempt this machine from the proxy", req.URL.Redacted())
}

// An origin is what a token is bound to (RFC 6454).
type origin struct{ scheme, host, port string }

func originOf(u *url.URL) origin {
	o := origin{
		scheme: strings.ToLower(u.Scheme),
		host:   strings.ToLower(u.Hostname()),
		port:   u.Port(),
	}
	if o.port == "" {
		switch o.scheme {
		case "https":
			o.port = "443"
		case "http":
			o.port = "80"
		}
	}
	return o
}

func (t *Transport) base() http.RoundTripper {
	if t.Base != nil {
		return t.Base
	}
	return http.DefaultTransport
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
