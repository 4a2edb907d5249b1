package guardserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/loopback"
)

// Bounds of the connections to an upstream. There is none on how long an answer may take once it
// has begun: streams have no end.
const (
	dialLimit      = 5 * time.Second
	answerLimit    = 4 * time.Minute // until the header of the answer, which is what Azure gives an app
	idleUpstream   = 90 * time.Second
	idlePerHost    = 512
	copyBufferSize = 32 << 10
)

// An upstream is where requests go that were let in.
type upstream struct {
	*httputil.ReverseProxy
	transport *http.Transport
	scheme    string
	host      string
	near      bool // on this machine, where it answers to the name by which clients call
}

// newUpstream returns the way to an address; roots are PEM, and empty for the system's.
func newUpstream(address string, roots []byte, s *Server) (*upstream, error) {
	protocols := new(http.Protocols)
	u := &upstream{transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: dialLimit}).DialContext, ResponseHeaderTimeout: answerLimit, IdleConnTimeout: idleUpstream,
		MaxIdleConnsPerHost: idlePerHost, DisableCompression: true, Protocols: protocols, ExpectContinueTimeout: time.Second,
	}}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		protocols.SetHTTP1(true)
		u.scheme, u.host, u.near = "http", "localhost", true
		u.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, "unix", path)
		}
	} else if err := u.overTCP(address, roots, protocols); err != nil {
		return nil, err
	}
	u.ReverseProxy = &httputil.ReverseProxy{
		Rewrite: u.rewrite, Transport: u.transport, FlushInterval: -1, ModifyResponse: s.tethered, ErrorHandler: s.failed, BufferPool: &buffers{},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return u, nil
}

func (u *upstream) overTCP(address string, roots []byte, protocols *http.Protocols) error {
	at, err := url.Parse(address)
	if err != nil {
		return err
	}
	u.scheme, u.host, u.near = at.Scheme, at.Host, loopback.Is(at.Hostname())
	switch at.Scheme {
	case "h2c":
		u.scheme = "http"
		protocols.SetUnencryptedHTTP2(true)
	case "https":
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
		u.transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if len(roots) == 0 {
			return nil
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(roots) {
			return errors.New("caBundle holds no certificate in PEM form")
		}
		u.transport.TLSClientConfig.RootCAs = pool
	default:
		protocols.SetHTTP1(true)
	}
	return nil
}

// buffers lends the buffers by which bodies are copied.
type buffers struct{ pool sync.Pool }

// Get returns a buffer.
func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[copyBufferSize]byte); ok {
		return buffer[:]
	}
	return make([]byte, copyBufferSize)
}

// Put takes it back.
func (b *buffers) Put(buffer []byte) { b.pool.Put((*[copyBufferSize]byte)(buffer)) }
