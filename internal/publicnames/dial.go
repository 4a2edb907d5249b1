package publicnames

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/proxy"
)

// dialTime is how long reaching another host may take.
const dialTime = 30 * time.Second

// errMetadata keeps a name that resolves to the metadata service's address from it.
var errMetadata = errors.New("the name resolves to the address of the metadata service")

// errThisMachine keeps programs that are elsewhere from this machine.
var errThisMachine = errors.New("the name resolves to an address of the machine that the server runs on, which is reached without the proxy, as NO_PROXY says")

// outward dials other hosts. Nothing of this package may reach the metadata service, by whichever
// name.
func outward() *net.Dialer {
	return &net.Dialer{Timeout: dialTime, Control: checkAddress(refuseMetadata)}
}

// direct dials other hosts for a program, by no further proxy.
func (p *Proxy) direct() *net.Dialer {
	if !p.cfg.Elsewhere {
		return outward()
	}
	return &net.Dialer{Timeout: dialTime, Control: checkAddress(refuseMetadata, refuseThisMachine)}
}

// checkAddress is for a dialer: it checks the address that a name was resolved to.
func checkAddress(checks ...func(netip.Addr) error) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		for _, check := range checks {
			if err := check(to.Addr().Unmap()); err != nil {
				return err
			}
		}
		return nil
	}
}

func refuseMetadata(to netip.Addr) error {
	if to.IsLinkLocalUnicast() {
		return errMetadata
	}
	return nil
}

func refuseThisMachine(to netip.Addr) error {
	if to.IsLoopback() || to.IsUnspecified() {
		return errThisMachine
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("list the addresses of this machine: %w", err)
	}
	for _, address := range own {
		if network, ok := address.(*net.IPNet); ok && network.IP.Equal(to.AsSlice()) {
			return errThisMachine
		}
	}
	return nil
}

// dial connects to an address of this machine.
func dial(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// dialPlain is for requests in absolute form: to other hosts, to their proxy, or to the endpoint in
// place of the metadata service.
func (p *Proxy) dialPlain(ctx context.Context, network, address string) (net.Conn, error) {
	if address == p.cfg.Metadata || p.isUpstream(address) {
		return outward().DialContext(ctx, network, address)
	}
	return p.direct().DialContext(ctx, network, address)
}

// isUpstream reports whether an address and port are those of the proxy for requests in absolute
// form.
func (p *Proxy) isUpstream(address string) bool {
	through, err := p.cfg.Upstream(&url.URL{Scheme: "http", Host: "upstream.invalid"})
	return err == nil && through != nil && proxyAddress(through) == address
}

// dialOut reaches another host for a tunnel, through the proxy that was set before if there is one.
func (p *Proxy) dialOut(ctx context.Context, hostPort string) (net.Conn, error) {
	through, err := p.cfg.Upstream(&url.URL{Scheme: "https", Host: hostPort})
	if err != nil {
		return nil, fmt.Errorf("the proxy that was set before: %w", errors.Unwrap(err))
	}
	switch {
	case through == nil:
		return p.direct().DialContext(ctx, "tcp", hostPort)
	case through.Scheme == "socks5" || through.Scheme == "socks5h":
		dialer, err := proxy.FromURL(through, outward())
		if err != nil {
			return nil, fmt.Errorf("the proxy that was set before: %w", err)
		}
		return dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", hostPort)
	}
	conn, err := dialProxy(ctx, through)
	if err != nil {
		return nil, err
	}
	if err := askForTunnel(ctx, conn, through, hostPort); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// dialProxy connects to a proxy by its URL.
func dialProxy(ctx context.Context, through *url.URL) (net.Conn, error) {
	address := proxyAddress(through)
	if through.Scheme == "https" {
		return (&tls.Dialer{NetDialer: outward(), Config: &tls.Config{MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", address)
	}
	return outward().DialContext(ctx, "tcp", address)
}

// proxyAddress is the address and port in a proxy's URL.
func proxyAddress(through *url.URL) string {
	port := through.Port()
	switch {
	case port != "":
	case through.Scheme == "https":
		port = httpsPort
	case strings.HasPrefix(through.Scheme, "socks5"):
		port = "1080"
	default:
		port = "80"
	}
	return net.JoinHostPort(through.Hostname(), port)
}

// askForTunnel sends a CONNECT to another proxy (RFC 9110 section 9.3.6).
func askForTunnel(ctx context.Context, conn net.Conn, through *url.URL, hostPort string) error {
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: hostPort}, Host: hostPort, Header: http.Header{}}
	if user := through.User; user != nil {
		password, _ := user.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := request.Write(conn); err != nil {
		return err
	}
	// One byte at a time: what follows the answer belongs to the tunnel.
	response, err := http.ReadResponse(bufio.NewReaderSize(oneByOne{conn}, 16), request)
	if err != nil {
		return fmt.Errorf("the proxy %s: %w", through.Redacted(), err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the proxy %s answered %s", through.Redacted(), response.Status)
	}
	return conn.SetDeadline(time.Time{})
}

// oneByOne reads a byte at a time, so that a buffer never holds more than was used.
type oneByOne struct{ net.Conn }

func (c oneByOne) Read(b []byte) (int, error) { return c.Conn.Read(b[:min(1, len(b))]) }
