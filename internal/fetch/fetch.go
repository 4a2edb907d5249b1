package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Defaults of a [Config].
const (
	DefaultTimeout  = 5 * time.Second
	DefaultMaxBytes = 256 << 10
	DefaultPerHost  = 4
)

const maxHeaderBytes = 32 << 10

// A Resolver finds the addresses of a name. [net.Resolver] is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config says where a [Client] may go and how long it may take. The zero Config is the
// public Internet with the system's certificates.
type Config struct {
	// Allow lists what may be reached besides the public Internet: "localhost",
	// "127.0.0.1:8443", "*.corp.test", "10.0.0.0/8". Hosts listed here may be reached
	// without TLS. A link-local or metadata address must be listed as an address.
	Allow    []string
	RootCAs  func() *x509.CertPool // is called once, at the first fetch; nil means the system's
	Timeout  time.Duration         // of a fetch in total; zero means [DefaultTimeout]
	MaxBytes int64                 // of an answer; zero means [DefaultMaxBytes]
	PerHost  int                   // fetches from one host at the same time; zero means [DefaultPerHost]
	Resolver Resolver              // nil means [net.DefaultResolver]
}

// Check reports what is wrong with the configuration, for a clear message at start-up.
func (c Config) Check() error {
	if c.Timeout < 0 || c.MaxBytes < 0 || c.PerHost < 0 {
		return errors.New("fetch: Timeout, MaxBytes and PerHost must not be negative")
	}
	_, err := parseAllow(c.Allow)
	return err
}

// A Client fetches documents. It is safe for concurrent use and keeps no connections.
type Client struct {
	cfg     Config
	allow   allowList
	invalid error               // of the configuration; every fetch answers it
	http    func() *http.Client // made at the first fetch, for which certificates are read
	hosts   bulkhead
}

// New returns a client. One whose configuration does not pass [Config.Check] fetches
// nothing and says so each time.
func New(cfg Config) *Client {
	c := &Client{cfg: cfg, invalid: cfg.Check()}
	c.allow, _ = parseAllow(cfg.Allow) // its error is in c.invalid
	if c.cfg.Timeout == 0 {
		c.cfg.Timeout = DefaultTimeout
	}
	if c.cfg.MaxBytes == 0 {
		c.cfg.MaxBytes = DefaultMaxBytes
	}
	if c.cfg.PerHost == 0 {
		c.cfg.PerHost = DefaultPerHost
	}
	if c.cfg.Resolver == nil {
		c.cfg.Resolver = net.DefaultResolver
	}
	c.hosts.limit = c.cfg.PerHost
	c.http = sync.OnceValue(c.newHTTP)
	return c
}

func (c *Client) newHTTP() *http.Client {
	var roots *x509.CertPool
	if c.cfg.RootCAs != nil {
		roots = c.cfg.RootCAs()
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would resolve names itself
			DialContext:            c.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			DisableCompression:     true, // the size that counts is the size that arrives
			DisableKeepAlives:      true, // fetches are rare, and idle connections are state
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
		CheckRedirect: c.redirect,
	}
}

// Get returns the body and header of a 200 answer of at most limit bytes; 0 means the
// client's limit.
func (c *Client) Get(ctx context.Context, rawURL string, limit int64) ([]byte, http.Header, error) {
	return c.get(ctx, rawURL, limit, "*/*")
}

// GetJSON is Get for a JSON document: an answer of another content type is an error.
func (c *Client) GetJSON(ctx context.Context, rawURL string, limit int64) ([]byte, http.Header, error) {
	body, header, err := c.get(ctx, rawURL, limit, "application/json, application/jwk-set+json")
	if err != nil {
		return nil, nil, err
	}
	if kind, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, nil, fmt.Errorf("fetch %s: the answer is %.60q, want application/json", rawURL, header.Get("Content-Type"))
	}
	return body, header, nil
}

func (c *Client) get(ctx context.Context, rawURL string, limit int64, accept string) ([]byte, http.Header, error) {
	if c.invalid != nil {
		return nil, nil, c.invalid
	}
	t, err := c.target(rawURL)
	if err != nil {
		return nil, nil, err
	}
	if limit <= 0 || limit > c.cfg.MaxBytes {
		limit = c.cfg.MaxBytes
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	release, err := c.hosts.enter(ctx, t.origin())
	if err != nil {
		return nil, nil, fmt.Errorf("fetch %s: too many fetches from that host are under way: %w", t.url, err)
	}
	defer release()
	body, header, err := c.do(ctx, t, limit, accept)
	if err != nil {
		return nil, nil, fmt.Errorf("fetch %s: %w", t.url, unwrapURL(err))
	}
	return body, header, nil
}

// Listed reports whether the operator lists the URL's host in [Config.Allow].
func (c *Client) Listed(rawURL string) bool {
	t, err := c.target(rawURL)
	return err == nil && c.allow.hasHost(t)
}

// target checks a URL as far as its text goes.
func (c *Client) target(raw string) (target, error) {
	t, err := parseTarget(raw)
	if err != nil {
		return target{}, err
	}
	if !t.secure && !c.allow.hasHost(t) {
		return target{}, refuse("the scheme is http, want https: without TLS only hosts on the allow list are reached")
	}
	if t.addr.IsValid() {
		if err := c.allow.check(t, t.addr); err != nil {
			return target{}, err
		}
		return t, nil
	}
	if !strings.Contains(t.host, ".") && !c.allow.hasHost(t) {
		return target{}, refuse("the host %q has no domain: add it to the allow list if that is meant", t.host)
	}
	return t, nil
}

func (c *Client) do(ctx context.Context, t target, limit int64, accept string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "rolecall")
	resp, err := c.http().Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("the answer has status %d, want 200", resp.StatusCode)
	case resp.Header.Get("Content-Encoding") != "":
		return nil, nil, errors.New("the answer is compressed, which was not asked for")
	case resp.ContentLength > limit:
		return nil, nil, tooLarge(limit)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(body)) > limit {
		return nil, nil, tooLarge(limit)
	}
	return body, resp.Header, nil
}

func tooLarge(limit int64) error { return fmt.Errorf("the answer is larger than %d bytes", limit) }

// unwrapURL strips the method and URL that net/http puts before its errors: fetch's own
// errors have them already.
func unwrapURL(err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		return inner.Err
	}
	return err
}

// redirect lets one redirect pass if it stays at the origin.
func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > 1 {
		return refuse("it redirects more than once")
	}
	from, err := parseTarget(via[0].URL.String())
	if err != nil {
		return err
	}
	to, err := c.target(req.URL.String())
	if err != nil {
		return err
	}
	if from.origin() != to.origin() {
		return refuse("it redirects to %s, another origin", to.origin())
	}
	return nil
}

// dial resolves the host, checks every address found, and connects to one of them. A
// name that stands for an allowed and a forbidden address at once is refused: nothing
// good looks like that.
func (c *Client) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	t, addrs, err := c.resolve(ctx, hostport)
	if err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		if err := c.allow.check(t, addr); err != nil {
			return nil, err
		}
	}
	dialer := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error { return c.verify(t, address) }}
	var failures []error
	for _, addr := range addrs {
		conn, err := dialer.DialContext(ctx, network, netip.AddrPortFrom(addr, t.port).String())
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// verify judges the address that the kernel is about to connect to.
func (c *Client) verify(t target, address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return refuse("%s is not an address", address)
	}
	return c.allow.check(t, ap.Addr())
}

func (c *Client) resolve(ctx context.Context, hostport string) (target, []netip.Addr, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return target{}, nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return target{}, nil, err
	}
	t := target{host: host, port: uint16(n)}
	if addr, err := netip.ParseAddr(host); err == nil {
		t.addr = addr
		return t, []netip.Addr{addr}, nil
	}
	addrs, err := c.cfg.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return target{}, nil, err
	}
	if len(addrs) == 0 {
		return target{}, nil, fmt.Errorf("%s has no address", host)
	}
	for i, addr := range addrs {
		addrs[i] = addr.Unmap() // resolvers return IPv4 addresses in either form
	}
	return t, addrs, nil
}

// A bulkhead bounds how much is under way for each key, so that a slow host uses up its
// own share only. It forgets keys that are not in use.
type bulkhead struct {
	limit int
	mu    sync.Mutex
	slots map[string]*slot
}

type slot struct {
	tickets chan struct{}
	users   int // that hold or wait for a ticket; guarded by bulkhead.mu
}

// enter waits for a place and returns the function that gives it back.
func (b *bulkhead) enter(ctx context.Context, key string) (leave func(), err error) {
	b.mu.Lock()
	if b.slots == nil {
		b.slots = map[string]*slot{}
	}
	s := b.slots[key]
	if s == nil {
		s = &slot{tickets: make(chan struct{}, b.limit)}
		b.slots[key] = s
	}
	s.users++
	b.mu.Unlock()
	done := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if s.users--; s.users == 0 {
			delete(b.slots, key)
		}
	}
	select {
	case s.tickets <- struct{}{}:
		return func() { <-s.tickets; done() }, nil
	case <-ctx.Done():
		done()
		return nil, ctx.Err()
	}
}
