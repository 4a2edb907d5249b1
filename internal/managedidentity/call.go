package managedidentity

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
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

// A call is one request on its way to its answer.
type call struct {
	endpoint    *Endpoint
	http        *http.Request
	writer      http.ResponseWriter // limits bodies; only serve writes answers
	path        string              // in lower case, without doubled and trailing slashes
	correlation string
	trace       string // of the sign-in row
	query       query  // as far as it was read
	recorded    bool   // the minter made the row
}

// serve handles every request: it alone admits and answers.
func (e *Endpoint) serve(w http.ResponseWriter, r *http.Request) {
	c := &call{endpoint: e, http: r, writer: w, path: normalPath(r.URL.Path), correlation: r.Header.Get(requestID)}
	if !guid.Is(c.correlation) {
		c.correlation = guid.New()
	}
	c.trace = guid.New()
	var body any
	p := e.admit(r)
	if p == nil {
		body, p = e.platform.answer(c)
	}
	status := http.StatusOK
	if p != nil {
		status, body = p.status, e.platform.body(p, c)
		p.headers(w.Header())
		c.record(r.Context(), p)
	}
	c.log(r.Context(), status, p)
	encoded, err := json.Marshal(body)
	if err != nil { // impossible: it is made of strings and numbers
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

// record makes the sign-in row of a refusal that the minter did not give.
func (c *call) record(ctx context.Context, p *refusal) {
	if c.recorded || p.challenge != "" { // Arc's challenge is the first half of every request
		return
	}
	presented := c.presented()
	c.endpoint.service.cfg.Refused(ctx, directory.SignIn{
		Time: c.endpoint.service.cfg.Now(), Tenant: c.endpoint.tenant, CorrelationID: c.correlation, TraceID: c.trace,
		Resource: clean(c.query.resource), Source: source(c.http), Library: clean(library(c.http.Header)),
		Refusal: p.code, Reason: clean(p.message), Presented: &presented,
	})
}

// presented tells how the identity was named, and which there were to choose from.
func (c *call) presented() directory.Presented {
	const most = 20
	p := directory.Presented{Platform: c.endpoint.kind, Selector: c.query.by.name, Identity: clean(c.query.by.value)}
	assigned := c.endpoint.assigned()
	for _, identity := range assigned[:min(len(assigned), most)] {
		p.Assigned = append(p.Assigned, identity.App)
	}
	return p
}

// headers sets the headers that tell a client how to continue.
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

// log writes a line about the call. Texts of the request are cleaned; there are no tokens or
// secrets in it.
func (c *call) log(ctx context.Context, status int, p *refusal) {
	level := slog.LevelDebug
	attributes := []slog.Attr{
		slog.String("platform", string(c.endpoint.kind)), slog.String("method", clean(c.http.Method)), slog.String("path", clean(c.path)),
		slog.Int("status", status), slog.String("correlation", c.correlation),
	}
	if p != nil {
		level = slog.LevelInfo
		attributes = append(attributes, slog.String("reason", clean(p.message)))
		if p.cause != nil {
			attributes = append(attributes, slog.String("cause", clean(p.cause.Error())))
		}
	}
	c.endpoint.service.log.LogAttrs(ctx, level, "managed identity", attributes...)
}

// requireMethod refuses all methods but one.
func (c *call) requireMethod(method string) *refusal {
	if c.http.Method != method {
		return notAllowed(c.http.Method, method)
	}
	return nil
}

// requireMetadata refuses callers that were tricked into fetching a URL: those cannot set a
// header.
func (c *call) requireMetadata() *refusal {
	if !c.hasMetadata() {
		return malformed("Required metadata header not specified")
	}
	return nil
}

// hasMetadata reports whether a request has the header. Some clients write its value as True.
func (c *call) hasMetadata() bool {
	values := c.http.Header.Values(metadataHeader)
	return len(values) == 1 && strings.EqualFold(values[0], "true")
}

// requireSecret refuses callers that do not send the endpoint's secret in one of the headers. If
// several of them are there, each must be right.
func (c *call) requireSecret(headers ...string) *refusal {
	found := false
	for _, name := range headers {
		values := c.http.Header.Values(name)
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 || !c.endpoint.isSecret(values[0]) {
			return wrongSecret(name)
		}
		found = true
	}
	if !found {
		return wrongSecret(headers[0])
	}
	return nil
}

// isSecret compares in constant time.
func (e *Endpoint) isSecret(text string) bool {
	return subtle.ConstantTimeCompare([]byte(text), []byte(e.secret)) == 1
}

// token returns the token for a query.
func (c *call) token(q query) (issuance.Minted, *refusal) {
	c.query = q
	if p := q.requireResource(); p != nil {
		return issuance.Minted{}, p
	}
	client, p := c.choose(q.by)
	if p != nil {
		return issuance.Minted{}, p
	}
	return c.mint(issuance.MintRequest{Identity: client.Principal.AppID, Resource: q.resource, Claims: q.claims()}, c.endpoint.renewal(q))
}

// renewal returns which token is of no use to a client, on the platforms whose clients say so.
func (e *Endpoint) renewal(q query) renewal {
	if e.kind == directory.PlatformAppService || e.kind == directory.PlatformServiceFabric {
		return renewal{digest: q.stale}
	}
	return renewal{}
}

// mint returns the token for a request that names the identity and the resource.
func (c *call) mint(req issuance.MintRequest, instead renewal) (issuance.Minted, *refusal) {
	req.Tenant, req.Origin, req.CorrelationID = c.endpoint.tenant, c.endpoint.origin, c.correlation
	req.Source, req.Library = source(c.http), library(c.http.Header)
	if presented := c.presented(); presented.Selector == "" && len(presented.Assigned) > 1 {
		req.Presented = &presented
	}
	minted, err := c.endpoint.service.tokens.renew(c.http.Context(), req, instead)
	if minted.TraceID != "" {
		c.trace, c.recorded = minted.TraceID, minted.Correlated == c.correlation
	}
	if err != nil {
		return issuance.Minted{}, refused(err)
	}
	return minted, nil
}

// traced ends a text with the ids by which a refusal is found again.
func (c *call) traced(message string) string {
	return message + " Trace ID: " + c.trace + " Correlation ID: " + c.correlation
}

// A tokenBody is a good answer in the one spelling that all clients read: numbers are strings,
// dates are seconds since 1970, expires_in precedes expires_on (in MSAL for .NET the last of
// them wins), and the resource is exactly the requested one (Node uses it as the key of its
// cache).
type tokenBody struct {
	AccessToken string `json:"access_token"`
	ClientID    string `json:"client_id"`
	ExpiresIn   string `json:"expires_in"`
	ExpiresOn   string `json:"expires_on"`
	NotBefore   string `json:"not_before"`
	Resource    string `json:"resource"`
	TokenType   string `json:"token_type"`
}

func (c *call) body(q query) (tokenBody, issuance.Minted, *refusal) {
	minted, p := c.token(q)
	if p != nil {
		return tokenBody{}, issuance.Minted{}, p
	}
	left := max(0, minted.Expires.Sub(c.endpoint.service.cfg.Now())/time.Second)
	return tokenBody{
		AccessToken: minted.Token, ClientID: string(minted.ClientID),
		ExpiresIn: strconv.FormatInt(int64(left), 10), ExpiresOn: unix(minted.Expires), NotBefore: unix(minted.NotBefore),
		Resource: q.resource, TokenType: "Bearer",
	}, minted, nil
}

// source is the address from which a request came.
func source(r *http.Request) string {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return address
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// library returns the name that a client library gives itself.
func library(header http.Header) string {
	if name := header.Get("x-client-SKU"); name != "" {
		return strings.TrimSpace(name + " " + header.Get("x-client-Ver"))
	}
	return header.Get("User-Agent")
}

// normalPath makes paths comparable: clients add a trailing slash, or double the first.
func normalPath(requested string) string { return strings.ToLower(path.Clean("/" + requested)) }

// maxLogged is the longest text from outside in a log line or a message.
const maxLogged = 200

// clean makes a text from outside fit for a log line or a message.
func clean(s string) string { return text.Line(s, maxLogged) }
