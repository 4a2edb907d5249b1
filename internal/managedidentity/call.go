package managedidentity

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// The headers that clients send.
const (
	identityHeader = "X-Identity-Header"
	secretHeader   = "Secret"
	metadataHeader = "Metadata"
	requestID      = "X-Ms-Client-Request-Id"
)

// A call is one request on its way to its one answer.
type call struct {
	*Endpoint
	http        *http.Request
	writer      http.ResponseWriter // limits bodies; answers are written by serve alone
	path        string              // without doubled slashes and one at the end, lower case
	correlation string
}

// serve is the one way in and out.
func (h *Endpoint) serve(w http.ResponseWriter, r *http.Request) {
	c := &call{Endpoint: h, http: r, writer: w, path: normalPath(r.URL.Path), correlation: r.Header.Get(requestID)}
	if !guid.Is(c.correlation) {
		c.correlation = guid.New()
	}
	var body any
	p := h.admit(r)
	if p == nil {
		body, p = h.platform.answer(c)
	}
	status := http.StatusOK
	if p != nil {
		status, body = p.status, h.platform.body(p, c.correlation)
		p.headers(w.Header())
	}
	c.log(r.Context(), status, p)
	encoded, err := json.Marshal(body)
	if err != nil { // strings and numbers: it cannot be
		status, encoded = http.StatusInternalServerError, []byte("{}")
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store, no-cache")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Ms-Request-Id", c.correlation)
	header.Set("Content-Length", strconv.Itoa(len(encoded)))
	w.WriteHeader(status)
	w.Write(encoded) // the caller may be gone
}

// headers sets what tells a client how to go on.
func (p *refusal) headers(header http.Header) {
	if p.allow != "" {
		header.Set("Allow", p.allow)
	}
	if p.challenge != "" {
		header.Set("WWW-Authenticate", p.challenge)
	}
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
}

// log keeps a line of the call. What came with it is cleaned; tokens and secrets are not
// in it.
func (c *call) log(ctx context.Context, status int, p *refusal) {
	level := slog.LevelDebug
	attributes := []slog.Attr{
		slog.String("shape", string(c.kind)), slog.String("method", clean(c.http.Method)), slog.String("path", clean(c.path)),
		slog.Int("status", status), slog.String("correlation", c.correlation),
	}
	if p != nil {
		level = slog.LevelInfo
		attributes = append(attributes, slog.String("reason", clean(p.message)))
		if p.cause != nil {
			attributes = append(attributes, slog.String("cause", clean(p.cause.Error())))
		}
	}
	c.service.log.LogAttrs(ctx, level, "managed identity", attributes...)
}

// requireMethod refuses methods other than one.
func (c *call) requireMethod(method string) *refusal {
	if c.http.Method != method {
		return notAllowed(c.http.Method, method)
	}
	return nil
}

// requireMetadata refuses callers that were lured into fetching a URL: those cannot set a
// header.
func (c *call) requireMetadata() *refusal {
	if values := c.http.Header.Values(metadataHeader); len(values) != 1 || values[0] != "true" {
		return malformed("Required metadata header not specified")
	}
	return nil
}

// requireSecret refuses callers that do not send the host's secret in one of the headers. One
// that sends it twice has it right twice.
func (c *call) requireSecret(headers ...string) *refusal {
	found := false
	for _, name := range headers {
		values := c.http.Header.Values(name)
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 || !c.isSecret(values[0]) {
			return wrongSecret(name)
		}
		found = true
	}
	if !found {
		return wrongSecret(headers[0])
	}
	return nil
}

// isSecret compares in a time that tells nothing.
func (h *Endpoint) isSecret(text string) bool {
	return subtle.ConstantTimeCompare([]byte(text), []byte(h.secret)) == 1
}

// token gives the token that a query asks for.
func (c *call) token(q query) (authority.Minted, *refusal) {
	if p := q.requireResource(); p != nil {
		return authority.Minted{}, p
	}
	client, p := c.choose(q.by)
	if p != nil {
		return authority.Minted{}, p
	}
	return c.mint(authority.MintRequest{Identity: client.Principal.AppID, Resource: q.resource})
}

// mint gives the token of a request that says who asks for what.
func (c *call) mint(req authority.MintRequest) (authority.Minted, *refusal) {
	req.Tenant, req.CorrelationID = c.tenant, c.correlation
	req.Source, req.Library = source(c.http), library(c.http.Header)
	minted, err := c.service.tokens.token(c.http.Context(), req)
	if err != nil {
		return authority.Minted{}, refused(err)
	}
	return minted, nil
}

// choose finds the identity that is meant among those assigned to the host: the first of
// them when none is named.
func (c *call) choose(by selector) (*directory.Instance, *refusal) {
	identities := c.assigned()
	if by.kind == byDefault && len(identities) > 1 {
		identities = identities[:1] // when that is gone, nobody else is meant
	}
	for _, identity := range identities {
		client, err := c.service.cfg.Directory.Client(c.http.Context(), c.tenant, identity.App)
		switch {
		case errors.Is(err, directory.ErrNotFound) || err == nil && (client.Principal == nil || !identity.is(client.Principal)):
			continue // deleted since, whatever has its ids now
		case err != nil:
			return nil, refused(err)
		case by.names(client.Principal):
			return client, nil
		}
	}
	return nil, notFound()
}

// names reports whether the selector means the identity.
func (by selector) names(p *directory.ServicePrincipal) bool {
	switch by.kind {
	case byClient:
		return strings.EqualFold(by.value, string(p.AppID))
	case byObject:
		return strings.EqualFold(by.value, string(p.ID))
	case byResource:
		return p.ResourceID != "" && strings.EqualFold(strings.Trim(by.value, "/"), strings.Trim(p.ResourceID, "/"))
	default: // nobody was selected: the host's first identity is meant
		return true
	}
}

// A tokenBody is a good answer in the one spelling that all clients read: numbers are
// strings, dates are seconds since 1970, expires_in comes before expires_on (in MSAL for
// .NET the last of them wins), and the resource is the one that was asked for, letter by
// letter (Node's cache goes by it).
type tokenBody struct {
	AccessToken string `json:"access_token"`
	ClientID    string `json:"client_id"`
	ExpiresIn   string `json:"expires_in"`
	ExpiresOn   string `json:"expires_on"`
	NotBefore   string `json:"not_before"`
	Resource    string `json:"resource"`
	TokenType   string `json:"token_type"`
}

func (c *call) body(q query) (tokenBody, authority.Minted, *refusal) {
	minted, p := c.token(q)
	if p != nil {
		return tokenBody{}, authority.Minted{}, p
	}
	left := max(0, minted.Expires.Sub(c.service.cfg.Now())/time.Second)
	return tokenBody{
		AccessToken: minted.Token, ClientID: string(minted.ClientID),
		ExpiresIn: strconv.FormatInt(int64(left), 10), ExpiresOn: unix(minted.Expires), NotBefore: unix(minted.NotBefore),
		Resource: q.resource, TokenType: "Bearer",
	}, minted, nil
}

// source is the address that a request came from.
func source(r *http.Request) string {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return address
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// library gives the name by which a client library introduces itself.
func library(header http.Header) string {
	if name := header.Get("x-client-SKU"); name != "" {
		return strings.TrimSpace(name + " " + header.Get("x-client-Ver"))
	}
	return header.Get("User-Agent")
}

// normalPath makes paths comparable: clients put a slash at the end, or two in front.
func normalPath(requested string) string { return strings.ToLower(path.Clean("/" + requested)) }

// maxLogged is the longest text from outside in a log line or a message.
const maxLogged = 200

// clean makes a text from outside fit for a log line or a message.
func clean(s string) string { return text.Line(s, maxLogged) }
