package managedidentity

import (
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // the thumbprint that Service Fabric's clients compare
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// listen opens the socket of an endpoint.
func listen(ctx context.Context, cfg EndpointConfig) (net.Listener, error) {
	at := cmp.Or(cfg.Listen, "127.0.0.1:0")
	address, err := netip.ParseAddrPort(at)
	if err != nil {
		return nil, fmt.Errorf("managed identities: cannot listen at %q: write an address and port such as 172.17.0.1:8450", at)
	}
	if !address.Addr().IsLoopback() && !cfg.Platform.HasSecret() && len(cfg.From) == 0 {
		return nil, fmt.Errorf("managed identities: clients of the platform %s send no secret, and anybody can reach %s: name the networks from which requests are admitted", cfg.Platform, at)
	}
	config := net.ListenConfig{}
	if !address.Addr().IsLoopback() {
		config.Control = oneHop
	}
	network := "tcp6"
	if address.Addr().Is4() { // otherwise 0.0.0.0 would include IPv6
		network = "tcp4"
	}
	listener, err := config.Listen(ctx, network, at)
	if err != nil {
		return nil, fmt.Errorf("listen for an endpoint's requests: %w", err)
	}
	if cfg.Proxy != nil { // tunnels last
		listener = netutil.LimitListener(listener, maxProxied)
	}
	return listener, nil
}

// maxProxied is how many connections an endpoint has at a time that is a proxy too. Others wait.
const maxProxied = 4096

// secure puts TLS on the listener of a Service Fabric endpoint. Its clients pin the
// certificate, so it stays the same for the life of the endpoint.
func (e *Endpoint) secure(listener net.Listener) (net.Listener, error) {
	if e.kind != directory.PlatformServiceFabric {
		return listener, nil
	}
	certificate, err := e.service.certificate()
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	sum := sha1.Sum(certificate.Certificate[0]) //nolint:gosec // see the import
	e.thumbprint = strings.ToUpper(hex.EncodeToString(sum[:]))
	return tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}}), nil
}

func (s *Service) certificate() (*tls.Certificate, error) {
	switch {
	case s.cfg.TLS == nil:
		return nil, errors.New("managed identities: Service Fabric needs a server certificate, and there is none")
	case s.cfg.TLS.GetCertificate != nil:
		return s.cfg.TLS.GetCertificate(nil)
	case len(s.cfg.TLS.Certificates) > 0:
		return &s.cfg.TLS.Certificates[0], nil
	}
	return nil, errors.New("managed identities: the TLS configuration has no certificate")
}

// The limits of a listener.
const (
	headerTime  = 5 * time.Second
	requestTime = 15 * time.Second
	answerTime  = 2 * time.Minute // faults may delay answers
	idleTime    = 2 * time.Minute
	headerBytes = 32 << 10
)

// run serves requests in a goroutine for which stop waits.
func (e *Endpoint) run(listener net.Listener) {
	e.http = &http.Server{
		Handler:           e.handler(),
		ConnContext:       ConnContext,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      answerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    headerBytes,
		// Even OPTIONS * has to pass the admission checks.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(e.service.log.With("surface", "host").Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(e.served)
		if err := e.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			e.service.log.Error("serve an endpoint", "error", err)
		}
	}()
}
