package publicnames

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/pki"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A GatewayConfig says what a gateway answers for.
type GatewayConfig struct {
	Hosts []string          // required: DNS names, in lower case
	Next  http.RoundTripper // gets the requests, whose URLs and Host headers have the bare name
	// Handler answers the requests in place of Next, in this process. Their Host headers have the
	// bare name, and their remote addresses are those of the connections.
	Handler http.Handler
	Say     func(string)     // told what a program cannot see, in one line; nil: nobody
	Now     func() time.Time // nil means time.Now
}

// A Gateway answers for host names, on connections that lead there by whichever way.
type Gateway struct {
	hosts   map[string]bool
	ca      *pki.CA
	tls     *tls.Config
	server  *http.Server
	pass    http.Handler
	arrived *arrivals
	say     func(string)
	served  chan struct{}
}

// NewGateway returns a gateway that serves until it is closed.
func NewGateway(cfg GatewayConfig) (*Gateway, error) {
	if (cfg.Next == nil) == (cfg.Handler == nil) {
		return nil, errors.New("publicnames: one of Next and Handler is required")
	}
	ca, err := pki.Temporary(cfg.Hosts, cfg.Now)
	if err != nil {
		return nil, err
	}
	g := &Gateway{hosts: map[string]bool{}, ca: ca, arrived: newArrivals(), say: cfg.Say, served: make(chan struct{})}
	if g.say == nil {
		g.say = func(string) {}
	}
	g.say = onceEach(g.say)
	for _, host := range cfg.Hosts {
		g.hosts[host] = true
	}
	g.tls = ca.TLSConfig()
	certificate := g.tls.GetCertificate
	g.tls.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if err := g.checkServerName(hello); err != nil {
			return nil, err
		}
		return certificate(hello)
	}
	g.pass = g.passTo(cfg)
	g.server = &http.Server{ //nolint:gosec // Limit sets the times
		Handler: http.HandlerFunc(g.serveTLS), TLSConfig: g.tls, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, nameKey{}, nameOf(conn))
		},
	}
	exchange.Limit(g.server)
	go func() {
		defer close(g.served)
		_ = g.server.Serve(g.arrived) // it ends when the gateway is closed
	}()
	return g, nil
}

// passTo is what takes requests for the names.
func (g *Gateway) passTo(cfg GatewayConfig) http.Handler {
	if cfg.Handler != nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Scheme, r.URL.Host = "", "" // as a server finds it
			r.RequestURI = r.URL.RequestURI()
			for name := range r.Header {
				if strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" {
					r.Header.Del(name)
				}
			}
			cfg.Handler.ServeHTTP(w, r)
		})
	}
	return &httputil.ReverseProxy{
		Rewrite: func(*httputil.ProxyRequest) {}, Transport: cfg.Next, FlushInterval: -1, BufferPool: newBuffers(),
		ErrorHandler: g.unanswered, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
}

// CA is the certificate of the gateway's authority, as PEM. Only the programs that are led here may
// trust it.
func (g *Gateway) CA() []byte { return g.ca.PEM() }

// Bundle writes that certificate and the system's roots to a file, for runtimes that take one in
// place of their own roots.
func (g *Gateway) Bundle(path string) error { return g.ca.Bundle(path) }

// Pool has that certificate alone.
func (g *Gateway) Pool() *x509.CertPool { return g.ca.Pool() }

// Answers reports whether the gateway answers for a host, without its port.
func (g *Gateway) Answers(host string) bool { return g.hosts[bareName(host)] }

// Hosts lists what the gateway answers for.
func (g *Gateway) Hosts() []string {
	var hosts []string
	for host := range g.hosts {
		hosts = append(hosts, host)
	}
	return hosts
}

// Serve takes a connection to one of the names, on which the client speaks TLS. Without a name, the
// client's TLS says which it is.
func (g *Gateway) Serve(conn net.Conn, name string) {
	g.arrived.add(tls.Server(&named{conn, bareName(name)}, g.tls))
}

// Dial connects to one of the names within this process. The client speaks TLS on the connection.
func (g *Gateway) Dial(name string) net.Conn {
	client, server := net.Pipe()
	g.Serve(inside{server}, name)
	return client
}

// inside is the server's end of a connection within this process.
type inside struct{ net.Conn }

// RemoteAddr implements [net.Conn].
func (inside) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// ServeListener takes the connections of a listener until that is closed.
func (g *Gateway) ServeListener(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept connections to public names: %w", err)
		}
		g.Serve(conn, "")
	}
}

// Close ends all connections.
func (g *Gateway) Close() error {
	err := g.server.Close()
	<-g.served
	return err
}

// named is a connection to one of the names; empty: to any.
type named struct {
	net.Conn
	name string
}

type nameKey struct{}

// nameOf is the name that a connection was made to.
func nameOf(conn net.Conn) string {
	if secured, ok := conn.(*tls.Conn); ok {
		if to, ok := secured.NetConn().(*named); ok {
			return to.name
		}
	}
	return ""
}

// errServerName ends a handshake: what the client says in it is not what it connected to.
var errServerName = errors.New("the name in the TLS handshake is not the one that the connection was made to")

// checkServerName refuses a client that asks for another name than it connected to.
func (g *Gateway) checkServerName(hello *tls.ClientHelloInfo) error {
	asked := bareName(hello.ServerName)
	to, _ := hello.Conn.(*named)
	switch {
	case asked == "": // some clients send none
		return nil
	case !g.hosts[asked], to != nil && to.name != "" && to.name != asked:
		g.say(fmt.Sprintf("refused a TLS handshake: %v (%s)", errServerName, text.Line(hello.ServerName, maxQuoted)))
		return errServerName
	}
	return nil
}

// maxQuoted is how much of a value from outside goes into a line, in bytes.
const maxQuoted = 120

// serveTLS answers a request on a connection to one of the names.
func (g *Gateway) serveTLS(w http.ResponseWriter, r *http.Request) {
	name, _ := r.Context().Value(nameKey{}).(string)
	if name == "" {
		name = bareName(r.TLS.ServerName)
	}
	host, port := splitHost(r.Host)
	switch {
	case name == "" && g.hosts[host]: // nothing else says it
		name = host
	case host != name:
		g.misdirected(w, name, r.Host)
		return
	}
	if port != "" && port != httpsPort {
		g.misdirected(w, name, r.Host)
		return
	}
	g.answer(w, r, name)
}

// misdirected refuses a request whose Host header names another host (RFC 9110 section 15.5.20).
func (g *Gateway) misdirected(w http.ResponseWriter, name, host string) {
	g.say(fmt.Sprintf("refused a request on a connection to %s: its Host header says %s", text.Line(name, maxQuoted), text.Line(host, maxQuoted)))
	http.Error(w, "The Host header names another host than the connection was made to.", http.StatusMisdirectedRequest)
}

// answer hands a request for one of the names on. Nothing of the way that it came remains in it.
func (g *Gateway) answer(w http.ResponseWriter, r *http.Request, name string) {
	r.URL.Scheme, r.URL.Host, r.Host = "https", name, name
	g.pass.ServeHTTP(w, r)
}

// unanswered is the answer when there is nobody to hand a request to.
func (g *Gateway) unanswered(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client is gone
	}
	g.say(fmt.Sprintf("%s does not answer: the server has stopped, or is too busy (%v)", r.Host, err))
	http.Error(w, "Rolecall's server does not answer.", http.StatusServiceUnavailable)
}

const httpsPort = "443"

// bareName is a host name as names are compared: in lower case, without the dot at the end.
func bareName(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// splitHost takes a Host header apart.
func splitHost(header string) (name, port string) {
	name, port, err := net.SplitHostPort(header)
	if err != nil {
		return bareName(header), ""
	}
	return bareName(name), port
}

// arrivals is a listener whose connections come from elsewhere.
type arrivals struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newArrivals() *arrivals {
	a := &arrivals{conns: make(chan net.Conn), closed: make(chan struct{})}
	a.close = sync.OnceFunc(func() { close(a.closed) })
	return a
}

// add waits until the connection is taken. After the end it is closed.
func (a *arrivals) add(conn net.Conn) {
	select {
	case a.conns <- conn:
	case <-a.closed:
		_ = conn.Close()
	}
}

// Accept implements net.Listener.
func (a *arrivals) Accept() (net.Conn, error) {
	select {
	case conn := <-a.conns:
		return conn, nil
	case <-a.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (a *arrivals) Close() error { a.close(); return nil }

// Addr implements net.Listener.
func (a *arrivals) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// buffers are what answers are copied through.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}}
}

func (b *buffers) Get() []byte     { return *b.pool.Get().(*[]byte) }
func (b *buffers) Put(used []byte) { b.pool.Put(&used) }
