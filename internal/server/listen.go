package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rolecall-auth/rolecall/internal/arm"
	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/fault"
	"github.com/rolecall-auth/rolecall/internal/fetch"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
	"github.com/rolecall-auth/rolecall/internal/pki"
)

// ErrListen says that a surface's port is taken or not ours to take.
var ErrListen = errors.New("a port cannot be listened on")

// listen binds the surfaces' sockets and builds what answers on them.
func (s *Server) listen(ctx context.Context) error {
	host := s.cfg.Host
	if host == "" {
		host = "localhost"
	}
	if err := s.openCA(host); err != nil {
		return err
	}
	front, err := s.bind(ctx, s.cfg.Listen, authoritySurface)
	if err != nil {
		return err
	}
	s.surfaces = append(s.surfaces, newSurface("authority", front, s.ca.TLSConfig(), s.log))
	identity, err := s.bind(ctx, "", identitySurface)
	if err != nil {
		return err
	}
	s.surfaces = append(s.surfaces, newSurface("managed identity", identity, nil, s.log))
	manager, err := s.bind(ctx, s.cfg.Listen, managerSurface)
	if err != nil {
		return err
	}
	s.surfaces = append(s.surfaces, newSurface("resource manager", manager, s.ca.TLSConfig(), s.log))
	ops, err := s.bind(ctx, "", opsSurface)
	if err != nil {
		return err
	}
	s.surfaces = append(s.surfaces, newSurface("ops", ops, nil, s.log))
	admin, err := s.listenAdmin(ctx)
	if err != nil {
		return err
	}
	s.surfaces = append(s.surfaces, s.newAdmin(admin))
	s.endpoints.Authority = "https://" + net.JoinHostPort(host, port(front))
	s.endpoints.ManagedIdentity = "http://" + net.JoinHostPort("127.0.0.1", port(identity))
	s.endpoints.ResourceManager = "https://" + net.JoinHostPort(host, port(manager))
	s.endpoints.Ops = "http://" + net.JoinHostPort("127.0.0.1", port(ops))
	return s.serve()
}

// serve builds what answers on the surfaces.
func (s *Server) serve() error {
	if len(s.cfg.Faults) > 0 && !isLoopback(s.surfaces[0].listener.Addr()) {
		return fmt.Errorf("faults are for this machine only, and the server listens on %s: leave out the faults or the address", s.surfaces[0].listener.Addr())
	}
	faults, err := fault.New(s.cfg.Faults...)
	if err != nil {
		return err
	}
	faults.Log = s.log
	if err := s.buildAuthority(); err != nil {
		return err
	}
	s.identities, err = managedidentity.New(managedidentity.Config{
		Directory: s.data.Directory, Minter: s.authority, TLS: s.ca.TLSConfig(), ArcFolder: s.cfg.ArcFolder,
		PlatformCache: s.cfg.PlatformCache, Wrap: faults.Identity, Now: s.cfg.Now, Log: s.log,
	})
	if err != nil {
		return err
	}
	allowed, err := parseAddresses(s.cfg.AllowHosts)
	if err != nil {
		return err
	}
	s.hosts = &hosts{
		service: s.identities, directory: s.data.Directory, key: s.data.hostKey, allowed: allowed, faulty: len(s.cfg.Faults) > 0, log: s.log,
		placed: make(map[placeKey]*placed),
	}
	s.surfaces[0].http.Handler = faults.Authority(s.authority.Handler())
	s.surfaces[1].http.DisableGeneralOptionsHandler = true
	s.surfaces[1].http.Handler, s.surfaces[1].http.ConnContext = s.identities.Handler(), managedidentity.ConnContext
	s.manager, err = arm.New(arm.Config{
		Authority: s.endpoints.Authority, URL: s.endpoints.ResourceManager, Directory: s.data.Directory,
		HTTPClient: s.ownClient(), Now: s.cfg.Now, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.surfaces[2].http.Handler = s.manager.Handler()
	s.surfaces[3].http.Handler = s.ops()
	return nil
}

// ownClient reaches the server's own authority, whatever its name resolves to here.
func (s *Server) ownClient() *http.Client {
	front := s.surfaces[0].listener.Addr().String()
	roots := x509.NewCertPool()
	roots.AddCert(s.ca.Certificate())
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", front)
		},
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		IdleConnTimeout: time.Minute,
	}}
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// openCA opens the certificate authority and writes the bundle that clients trust.
func (s *Server) openCA(host string) error {
	var err error
	s.ca, err = pki.Open(pki.Config{Dir: s.cfg.Dir, Hosts: []string{host}, Now: s.cfg.Now})
	if err != nil {
		return err
	}
	s.endpoints.CABundle, err = filepath.Abs(filepath.Join(s.cfg.Dir, BundleFile))
	if err != nil {
		return err
	}
	return s.ca.Bundle(s.endpoints.CABundle)
}

func (s *Server) bind(ctx context.Context, address string, place int) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1"
	}
	number := 0
	if s.cfg.Port != 0 {
		number = s.cfg.Port + place
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(number)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w: choose another base port, or 0 for free ones", ErrListen, err)
	}
	return listener, nil
}

func port(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String()) // an address that net made
	return port
}

func (s *Server) buildAuthority() error {
	fetcher, err := s.fetcher()
	if err != nil {
		return err
	}
	s.authority, err = authority.New(authority.Config{
		BaseURL: s.endpoints.Authority, Directory: s.data.Directory, Keys: s.data.Keys, Fetch: fetcher,
		V1Issuer: s.cfg.V1Issuer, Age: fault.Age, AllowPassword: s.cfg.AllowPasswords, Now: s.cfg.Now, Log: s.log,
	})
	return err
}

// fetcher is the one client that goes out, for the keys of federated issuers. It trusts the
// folder's own authority too, so that an issuer may live behind it.
func (s *Server) fetcher() (*fetch.Client, error) {
	roots, err := x509.SystemCertPool()
	if err != nil { // a system that keeps none
		roots = x509.NewCertPool()
	}
	roots.AddCert(s.ca.Certificate())
	cfg := fetch.Config{Allow: s.cfg.AllowIssuers, RootCAs: roots}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	return fetch.New(cfg), nil
}
