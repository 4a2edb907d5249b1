package authoritytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/peer"
	"github.com/rolecall-auth/rolecall/internal/publicnames"
)

// PublicNames lead code that has Microsoft's own host names in its source to the authority. It is
// an [http.RoundTripper] for code of the test's own process, and [PublicNames.Environ] is for the
// processes that the test starts. It is safe for concurrent use.
type PublicNames struct {
	// URL is the authority as such code names it: "https://login.microsoftonline.com".
	URL string

	login     *Authority
	origin    origin.Origin
	gateway   *publicnames.Gateway
	transport *http.Transport
	closed    []string // names at which nothing answers, and that nobody is to reach
	proxy     func() *publicnames.Proxy
}

// PublicNames returns what answers as login.microsoftonline.com and under the other names of
// Entra's public cloud, until the test ends. The tokens have the issuers that Entra's have,
// such as https://login.microsoftonline.com/TENANT/v2.0, and signing keys of their own: they are
// no tokens of [Authority.URL], nor the other way round.
//
// Requests to other hosts go where they say, but those for Microsoft Graph and the resource
// manager fail: tokens of the test are not for the real ones.
func (a *Authority) PublicNames() *PublicNames {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.public == nil {
		a.public = a.openPublicNames(origin.AzureCloud)
	}
	return a.public
}

func (a *Authority) openPublicNames(cloud origin.Cloud) *PublicNames {
	a.t.Helper()
	at, err := origin.Public(cloud)
	a.check("answer under public names", err)
	issuer, err := a.issuer.At(at)
	a.check("answer under public names", err)
	p := &PublicNames{URL: at.BaseURL, login: a, origin: at, closed: slices.Concat(cloud.GraphHosts(), cloud.ManagerHosts(), cloud.PortalHosts(), cloud.UnansweredHosts())}
	p.gateway, err = publicnames.NewGateway(publicnames.GatewayConfig{
		Hosts: cloud.LoginHosts(), Handler: a.faults.Authority(issuer.Handler()), Say: func(line string) { a.log.Warn("public names: " + line) },
	})
	a.check("answer under public names", err)
	p.transport = p.newTransport()
	p.proxy = sync.OnceValue(p.openProxy)
	a.t.Cleanup(func() {
		p.transport.CloseIdleConnections()
		if err := p.gateway.Close(); err != nil {
			a.t.Errorf("authoritytest: close the public names: %v", err)
		}
	})
	return p
}

// newTransport returns a transport for this process, which needs no proxy.
func (p *PublicNames) newTransport() *http.Transport {
	roots, err := x509.SystemCertPool()
	if err != nil { // the test's own servers need none of them
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(p.gateway.CA())
	roots.AddCert(p.login.server.Certificate())
	dialer := &net.Dialer{Timeout: 30 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			switch {
			case err != nil:
				return nil, err
			case p.gateway.Answers(host) && port == "443":
				return p.gateway.Dial(host), nil
			case p.gateway.Answers(host), slices.Contains(p.closed, strings.ToLower(strings.TrimSuffix(host, "."))):
				return nil, fmt.Errorf("authoritytest: nothing answers at %s in this test, and what is meant for it must not reach the real one", address)
			}
			return dialer.DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
	}
}

// RoundTrip implements [http.RoundTripper].
func (p *PublicNames) RoundTrip(r *http.Request) (*http.Response, error) {
	return p.transport.RoundTrip(r)
}

// HTTPClient returns a client that reaches the authority under the names and carries no token. It
// is what a [guard.Config] takes whose authority is https://login.microsoftonline.com/TENANT.
func (p *PublicNames) HTTPClient() *http.Client { return &http.Client{Transport: p} }

// Environ returns the environment of a child process in the form of [os.Environ]: the test's own,
// with the proxy that leads the process to the names and the certificates that it has to trust, in
// the words of each runtime, and without what would lead it elsewhere. The proxy serves the test
// and the processes below it, until the test ends. Who the process acts as is to be appended:
//
//	cmd.Env = append(names.Environ(), "AZURE_TENANT_ID="+app.TenantID, …)
func (p *PublicNames) Environ() []string {
	a := p.login
	a.t.Helper()
	folder := a.t.TempDir()
	own := filepath.Join(folder, "ca-bundle.pem")
	a.check("write the CA bundle", p.writeBundle(own))
	bundle, err := launch.WithTrusted(func() (string, error) { return folder, nil }, own, os.Environ(), func(format string, args ...any) {
		a.log.Warn("public names: " + fmt.Sprintf(format, args...))
	})
	a.check("write the CA bundle", err)
	trust, err := launch.Trust(folder, bundle)
	a.check("write the trust store", err)
	variables, _, err := launch.ProxyVariables(folder, os.Environ(), p.proxy().URL(), slices.Concat(p.gateway.Hosts(), p.closed))
	a.check("lead to the proxy", err)
	variables = append(variables, launch.Variable{Name: "ROLECALL_AUTHORITY", Value: p.URL})
	return launch.Environment(os.Environ(), launch.Joined(append(trust, variables...)))
}

// writeBundle writes the certificates to trust: the system's, that of the names and the
// authority's own.
func (p *PublicNames) writeBundle(path string) error {
	if err := p.gateway.Bundle(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: p.login.server.Certificate().Raw})
	return errors.Join(err, f.Close())
}

// openProxy starts the proxy for the test's processes.
func (p *PublicNames) openProxy() *publicnames.Proxy {
	a := p.login
	a.t.Helper()
	cfg := publicnames.ProxyConfig{
		Gateway: p.gateway, Closed: p.closed, Upstream: launch.Upstream(os.Environ()),
		Say: func(line string) { a.log.Warn("public names: " + line) },
	}
	if peer.Tells() {
		cfg.Admit = admitProcesses
	}
	proxy, err := publicnames.Listen(context.WithoutCancel(a.t.Context()), cfg)
	a.check("open a proxy", err)
	a.t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			a.t.Errorf("authoritytest: close the proxy: %v", err)
		}
	})
	return proxy
}

// admitProcesses admits the test's process and those that it has started.
func admitProcesses(conn net.Conn) error {
	socket, err := peer.Find(peer.Address(conn.RemoteAddr()), peer.Address(conn.LocalAddr()))
	if err != nil {
		return err
	}
	if peer.Holds(os.Getpid(), socket) {
		return nil
	}
	return peer.CheckDescendant(os.Getpid(), socket)
}

// IdentityEnvironment is [Identity.Environment] with tokens as those of the names: their issuers are the
// public ones. The variables are to be appended to [PublicNames.Environ].
func (p *PublicNames) IdentityEnvironment(i *Identity, host string, others ...*Identity) map[string]string {
	p.login.t.Helper()
	return maps.Clone(i.open(host, p.origin, others).Environment())
}
