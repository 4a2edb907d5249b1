package publicnames

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// metadataHost is where programs on Azure's virtual machines ask for tokens.
const metadataHost = "169.254.169.254"

// A ProxyConfig says whom a proxy serves and where it leads.
type ProxyConfig struct {
	Gateway *Gateway // required: answers for Microsoft's names
	// Closed are names that are refused, although they are none of the gateway's: what would be
	// sent there is meant for here.
	Closed []string
	// Listen is an address and port. Empty means a free port on the loopback interface.
	Listen string
	// Admit tells whether the process at the other end of a connection may use the proxy. Nil means
	// whoever has the credential in the proxy's URL. It is for proxies that listen themselves.
	Admit func(net.Conn) error
	// Credential is asked for, user and password as a URL has them. Empty means none, or a new one
	// for a proxy that listens itself and has no Admit.
	Credential string
	// Metadata is the address and port of what answers in place of the metadata service. Empty means
	// that there is none.
	Metadata string
	// Allow are the other hosts that can be reached, as names, addresses or "*.name". None means all
	// of them.
	Allow   []string
	Offline bool // no other host can be reached
	// Elsewhere means that the programs may be on other machines, in containers or another user's:
	// nothing of this machine is reached for them, by whichever name.
	Elsewhere bool
	// Upstream returns the proxy through which a URL is reached, or nil. Nil means that there is
	// none.
	Upstream func(*url.URL) (*url.URL, error)
	Say      func(string) // told what programs cannot see, in one line; nil: nobody
}

// A Proxy serves the programs of one run until it is closed.
type Proxy struct {
	cfg      ProxyConfig
	listener net.Listener // nil: another server has it answer
	server   *http.Server // nil likewise
	outside  *http.Transport
	pass     *httputil.ReverseProxy
	done     context.Context
	stop     context.CancelFunc
	tunnels  sync.WaitGroup
	served   chan struct{}
}

// maxConnections is how many connections a proxy has at a time. Others wait.
const maxConnections = 4096

// Listen starts a proxy.
func Listen(ctx context.Context, cfg ProxyConfig) (*Proxy, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Admit == nil && cfg.Credential == "" {
		cfg.Credential = NewCredential()
	}
	p, err := NewProxy(cfg)
	if err != nil {
		return nil, err
	}
	p.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for programs that use public names: %w", err)
	}
	p.server = &http.Server{ //nolint:gosec // Limit sets the times
		Handler: p, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), DisableGeneralOptionsHandler: true,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if cfg.Admit == nil {
				return ctx
			}
			return context.WithValue(ctx, admitKey{}, sync.OnceValue(func() error { return cfg.Admit(conn) }))
		},
	}
	exchange.Limit(p.server)
	p.served = make(chan struct{})
	go func() {
		defer close(p.served)
		_ = p.server.Serve(netutil.LimitListener(p.listener, maxConnections)) // it ends when the proxy is closed
	}()
	return p, nil
}

// NewProxy returns a proxy that listens nowhere: another server, which tells whose requests they
// are, has it answer those that are for a proxy.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	if cfg.Gateway == nil {
		return nil, errors.New("publicnames: Gateway is missing")
	}
	if cfg.Say == nil {
		cfg.Say = func(string) {}
	}
	cfg.Say = onceEach(cfg.Say)
	if cfg.Upstream == nil {
		cfg.Upstream = func(*url.URL) (*url.URL, error) { return nil, nil }
	}
	p := &Proxy{cfg: cfg}
	p.done, p.stop = context.WithCancel(context.Background())
	p.outside = &http.Transport{
		DialContext: p.dialPlain, IdleConnTimeout: time.Minute, DisableCompression: true,
		Proxy: func(r *http.Request) (*url.URL, error) { return p.cfg.Upstream(r.URL) },
	}
	p.pass = &httputil.ReverseProxy{
		Rewrite: func(*httputil.ProxyRequest) {}, Transport: p.outside, FlushInterval: -1,
		ErrorHandler: p.unreached, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	return p, nil
}

// NewCredential makes a credential for a proxy.
func NewCredential() string { return "run:" + rand.Text() }

// admitKey is the context key of the answer whether a connection's process is admitted.
type admitKey struct{}

// Address is where the proxy listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// URL is what programs are given. It may hold a credential, which ends with the proxy.
func (p *Proxy) URL() string { return p.URLAt(p.Address()) }

// URLAt is that for programs that reach the proxy at another address.
func (p *Proxy) URLAt(address string) string {
	if p.cfg.Credential == "" {
		return "http://" + address
	}
	return "http://" + p.cfg.Credential + "@" + address
}

// Close ends the proxy and all connections through it.
func (p *Proxy) Close() error {
	p.stop()
	var err error
	if p.server != nil {
		err = p.server.Close()
		<-p.served
	}
	p.outside.CloseIdleConnections()
	p.tunnels.Wait()
	return err
}

// ServeHTTP answers a request to the proxy.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.admits(w, r) {
		return
	}
	switch {
	case r.Method == http.MethodConnect:
		p.connect(w, r)
	case r.URL.IsAbs() && r.URL.Host != "":
		p.forward(w, r)
	default:
		p.refuse(w, http.StatusBadRequest, "a request that names no host", "This is a proxy.")
	}
}

// admits refuses those whom the proxy is not for.
func (p *Proxy) admits(w http.ResponseWriter, r *http.Request) bool {
	if admit, ok := r.Context().Value(admitKey{}).(func() error); ok {
		if err := admit(); err != nil {
			p.refuse(w, http.StatusForbidden, fmt.Sprintf("a process that is not of this run: %v", err), "This proxy belongs to the processes of one run.")
			return false
		}
	}
	if p.cfg.Credential == "" {
		return true
	}
	user, password, _ := basic(r.Header.Get("Proxy-Authorization"))
	if subtle.ConstantTimeCompare([]byte(user+":"+password), []byte(p.cfg.Credential)) == 1 {
		return true
	}
	// Many programs send it only when they are asked, on the same connection.
	w.Header().Set("Proxy-Authenticate", `Basic realm="rolecall"`)
	http.Error(w, "This proxy requires the credential in its URL.", http.StatusProxyAuthRequired)
	return false
}

// basic reads a Proxy-Authorization header.
func basic(header string) (user, password string, ok bool) {
	return (&http.Request{Header: http.Header{"Authorization": {header}}}).BasicAuth()
}

// refuse answers and says why in the proxy's own log, for programs show the status alone. Each
// reason is said once.
func (p *Proxy) refuse(w http.ResponseWriter, status int, what, why string) {
	p.cfg.Say("refused " + what)
	http.Error(w, why, status)
}

// maxSaid is how many different lines are said.
const maxSaid = 1000

// onceEach says each line once, and no more than there is room for.
func onceEach(say func(string)) func(string) {
	var mu sync.Mutex
	said := map[string]bool{} // guarded by mu
	return func(line string) {
		mu.Lock()
		again := said[line] || len(said) >= maxSaid
		if !again {
			said[line] = true
		}
		mu.Unlock()
		if !again {
			say(line)
		}
	}
}

// A refusal says why a host is not reached.
type refusal struct {
	status    int
	what, why string // for the log, and for the program
}

// connect opens a tunnel: to the gateway for its names, through to others.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	name, port, err := net.SplitHostPort(r.Host)
	if err != nil || name == "" || port == "" {
		p.refuse(w, http.StatusBadRequest, "a CONNECT to "+quote(r.Host), "CONNECT requires a host and a port.")
		return
	}
	switch {
	case p.cfg.Gateway.Answers(name) && port == httpsPort:
		if conn := p.hijack(w); conn != nil {
			p.cfg.Gateway.Serve(conn, name)
		}
		return
	case bareName(name) == metadataHost && p.cfg.Metadata != "":
		p.tunnel(w, r, func(ctx context.Context) (net.Conn, error) { return dial(ctx, p.cfg.Metadata) })
		return
	}
	if no := p.check(name, port); no != nil {
		p.refuse(w, no.status, no.what, no.why)
		return
	}
	p.tunnel(w, r, func(ctx context.Context) (net.Conn, error) { return p.dialOut(ctx, r.Host) })
}

// hijack takes the connection of a CONNECT and tells the client that it can go on.
func (p *Proxy) hijack(w http.ResponseWriter) net.Conn {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	if err := errors.Join(conn.SetDeadline(time.Time{}), established(conn)); err != nil {
		_ = conn.Close()
		return nil
	}
	if n := buffered.Reader.Buffered(); n > 0 { // a client that did not wait
		begun, _ := buffered.Peek(n)
		return &resumed{conn, io.MultiReader(strings.NewReader(string(begun)), conn)}
	}
	return conn
}

func established(conn net.Conn) error {
	_, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	return err
}

// resumed is a connection of which a part was read already.
type resumed struct {
	net.Conn
	rest io.Reader
}

func (c *resumed) Read(b []byte) (int, error) { return c.rest.Read(b) }

// tunnel connects a client with what dial reaches.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request, dial func(context.Context) (net.Conn, error)) {
	p.tunnels.Add(1)
	defer p.tunnels.Done()
	ctx, cancel := context.WithTimeout(r.Context(), dialTime)
	outer, err := dial(ctx)
	cancel()
	if err != nil {
		p.unreached(w, r, err)
		return
	}
	defer outer.Close() //nolint:errcheck // the other end may have closed it
	inner := p.hijack(w)
	if inner == nil {
		return
	}
	defer inner.Close() //nolint:errcheck // so may the program
	stop := context.AfterFunc(p.done, func() { _, _ = inner.Close(), outer.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { copyHalf(outer, inner) })
	both.Go(func() { copyHalf(inner, outer) })
	both.Wait()
}

// copyHalf copies one direction and passes its end on.
func copyHalf(to, from net.Conn) {
	_, _ = io.Copy(to, from) // either end may break off
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
}

// CloseWrite passes the end of what is written on.
func (c *resumed) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// forward answers a request in absolute form.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	name, port := r.URL.Hostname(), r.URL.Port()
	r.Header.Del("Proxy-Authorization")
	switch {
	case r.URL.Scheme == "https" && p.cfg.Gateway.Answers(name) && (port == "" || port == httpsPort):
		p.cfg.Gateway.answer(w, r, bareName(name)) // older clients send no CONNECT
	case r.URL.Scheme != "http":
		p.refuse(w, http.StatusBadRequest, "a request in absolute form to "+quote(r.URL.Scheme+"://"+r.URL.Host), "Use CONNECT.")
	case bareName(name) == metadataHost && p.cfg.Metadata != "" && (port == "" || port == "80"):
		r.URL.Host, r.Host = p.cfg.Metadata, metadataHost
		p.pass.ServeHTTP(w, r)
	default:
		if port == "" {
			port = "80"
		}
		if no := p.check(name, port); no != nil {
			p.refuse(w, no.status, no.what, no.why)
			return
		}
		p.pass.ServeHTTP(w, r)
	}
}

// check tells why a host that is none of ours is not reached.
func (p *Proxy) check(host, port string) *refusal {
	name := bareName(host)
	address, _ := netip.ParseAddr(name)
	address = address.Unmap().WithZone("")
	switch {
	case name == metadataHost: // the word unreachable tells libraries that there is no such service
		return &refusal{http.StatusForbidden, "the metadata service, which this program has none of: see --via imds", "The metadata service is unreachable: this program has none."}
	case loopback.Is(name), address.IsLoopback(), address.IsUnspecified(), address.IsLinkLocalUnicast():
		return &refusal{http.StatusForbidden, quote(net.JoinHostPort(host, port)) + ": this machine is reached without the proxy, as NO_PROXY says", "Reach this machine without the proxy."}
	case p.cfg.Gateway.Answers(name):
		return &refusal{http.StatusForbidden, quote(net.JoinHostPort(host, port)) + ": under this name only https at port 443 is answered", "Only https at port 443 is answered under this name."}
	case slices.Contains(p.cfg.Closed, name), p.isBelowOurs(name):
		return &refusal{http.StatusForbidden, quote(host) + ": Rolecall answers nothing under this name, and what is meant for it must not leave this machine", "Rolecall answers nothing under this name."}
	case p.cfg.Offline:
		return &refusal{http.StatusForbidden, quote(net.JoinHostPort(host, port)) + " (--offline)", "This run is offline."}
	case len(p.cfg.Allow) > 0 && !slices.ContainsFunc(p.cfg.Allow, func(allowed string) bool { return matches(allowed, name) }):
		return &refusal{http.StatusForbidden, quote(net.JoinHostPort(host, port)) + ", which is not among --allow", "This run may not reach this host."}
	}
	return nil
}

// isBelowOurs reports whether a name lies below one that the gateway answers for, as the regional
// names of the authority do.
func (p *Proxy) isBelowOurs(name string) bool {
	for _, parent, found := strings.Cut(name, "."); found; _, parent, found = strings.Cut(parent, ".") {
		if p.cfg.Gateway.hosts[parent] {
			return true
		}
	}
	return false
}

// matches reports whether a host is allowed by an entry: a name, an address, or "*.name".
func matches(allowed, name string) bool {
	allowed = bareName(allowed)
	if suffix, ok := strings.CutPrefix(allowed, "*"); ok && strings.HasPrefix(suffix, ".") {
		return strings.HasSuffix(name, suffix)
	}
	return allowed == name
}

// unreached says why a host that may be reached was not.
func (p *Proxy) unreached(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		return // the client is gone
	}
	p.cfg.Say(fmt.Sprintf("could not reach %s: %v", quote(r.Host), err))
	http.Error(w, "The host could not be reached.", http.StatusBadGateway)
}

func quote(s string) string { return text.Line(s, maxQuoted) }
