package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/publicnames"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

// A tokenSource asks one authority for tokens, over connections that are kept.
type tokenSource struct {
	client *http.Client
	url    string
	form   string
}

func (s tokenSource) ask(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(s.form))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("got %s: %s", response.Status, body)
	}
	return err
}

// BenchmarkPublicNames compares tokens that come through the proxy of `rolecall run --public-names`
// with tokens that come directly: one after the other, and a thousand on 32 connections. The two
// take turns, so that a busy machine is as busy for both.
func BenchmarkPublicNames(b *testing.B) {
	direct, proxied := publicSources(b)
	for _, source := range []tokenSource{direct, proxied} { // keys are made, connections are there
		if err := source.ask(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("one", func(b *testing.B) {
		var took [2]time.Duration
		for b.Loop() {
			for i, source := range []tokenSource{direct, proxied} {
				start := time.Now()
				if err := source.ask(b.Context()); err != nil {
					b.Fatal(err)
				}
				took[i] += time.Since(start)
			}
		}
		b.ReportMetric(float64(took[1]-took[0])/float64(b.N), "ns-more/op")
	})
	b.Run("thousand", func(b *testing.B) {
		var took [2]time.Duration
		for b.Loop() {
			for i, source := range []tokenSource{direct, proxied} {
				start := time.Now()
				askMany(b, source, 1000, 32)
				took[i] += time.Since(start)
			}
		}
		b.ReportMetric(float64(took[0])/float64(took[1]), "x-direct")
	})
}

func askMany(b *testing.B, source tokenSource, tokens, connections int) {
	b.Helper()
	work := make(chan struct{}, tokens)
	for range tokens {
		work <- struct{}{}
	}
	close(work)
	var workers sync.WaitGroup
	for range connections {
		workers.Go(func() {
			for range work {
				if err := source.ask(b.Context()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
}

// publicSources are a running server's own address, and the same server by Microsoft's names.
func publicSources(b *testing.B) (direct, proxied tokenSource) {
	b.Helper()
	dir := b.TempDir()
	config := filepath.Join(b.TempDir(), "rolecall.yaml")
	content := `tenants:
  - name: contoso
    applications:
      - {name: orders-server, identifierUris: [api://orders], appRoles: [{value: Orders.Read, displayName: Read orders, members: [Application]}]}
      - {name: orders-client, permissions: [{api: orders-server, roles: [Orders.Read], consent: true}]}
`
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		b.Fatal(err)
	}
	c := newCLI(command.Streams{Lookup: os.LookupEnv, Err: b.Output()})
	c.Dir = dir
	wanted, err := applier{c}.readManifest(config)
	if err != nil {
		b.Fatal(err)
	}
	running, err := server.Start(b.Context(), server.Config{Dir: dir, Prepare: func(ctx context.Context, data *server.Data) error {
		return applier{c}.applyAtStart(ctx, data, wanted)
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { running.Close() })
	tenant := running.Endpoints().Tenants[0]
	client, err := running.Data().Directory.Named(b.Context(), directory.TenantID(tenant.ID), "orders-client")
	if err != nil {
		b.Fatal(err)
	}
	issuer := tempcred.Issuer{Directory: running.Data().Directory, Dir: dir, Purpose: "bench", Now: time.Now, Await: func(context.Context, int64) error { return nil }}
	_, secret, err := issuer.AddSecret(b.Context(), client.Application, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {string(client.Application.AppID)}, "client_secret": {secret}, "scope": {"api://orders/.default"}}.Encode()

	const path = "/oauth2/v2.0/token"
	direct = tokenSource{clientOf(b, running.CA().Pool(), nil), running.Endpoints().Authority + "/" + tenant.ID + path, form}
	state, err := server.OpenPublic(b.Context(), dir, server.PublicRequest{Tenant: tenant.ID})
	if err != nil {
		b.Fatal(err)
	}
	next, err := server.PublicTransport(dir)
	if err != nil {
		b.Fatal(err)
	}
	gateway, err := publicnames.NewGateway(publicnames.GatewayConfig{Hosts: state.Hosts, Next: next})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { gateway.Close() })
	proxy, err := publicnames.Listen(b.Context(), publicnames.ProxyConfig{Gateway: gateway, Offline: true, Admit: func(net.Conn) error { return nil }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { proxy.Close() })
	at, err := url.Parse(proxy.URL())
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(gateway.CA())
	return direct, tokenSource{clientOf(b, roots, at), state.Authority + "/" + tenant.ID + path, form}
}

func clientOf(b *testing.B, roots *x509.CertPool, proxy *url.URL) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}}
	if proxy != nil {
		transport.Proxy = http.ProxyURL(proxy)
	}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
