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
	"github.com/rolecall-auth/rolecall/internal/loopback"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
	"github.com/rolecall-auth/rolecall/internal/pki"
)

// ErrListen says that a surface's port is taken or not ours to take.
var ErrListen = errors.New("cannot listen on a port")

// listen binds the surfaces' sockets and builds what answers on them.
func (s *Server) listen(ctx context.Context) error {
	host := s.cfg.Host
	if host == "" {
		host = "localhost"
	}
	if err := s.openCA(host); err != nil {
		return err
	}
	plans := surfacePlans()
	for _, plan := range plans {
		if err := s.bind(ctx, plan, host); err != nil {
			return err
		}
	}
	admin, err := s.listenAdmin(ctx)
	if err != nil {
		return err
	}
	s.surfaces = append(s.surfaces, s.newAdmin(admin))
	if err := s.wrapFaults(); err != nil {
		return err
	}
	for i, plan := range plans {
		on := s.surfaces[i].http
		answering, err := plan.build(s, on)
		if err != nil {
			return err
		}
		on.Handler = answering.handler()
	}
	return nil
}

// bind takes the socket of a surface and tells where it is.
func (s *Server) bind(ctx context.Context, plan surfacePlan, host string) error {
	address, scheme, name := "127.0.0.1", "http", "127.0.0.1"
	if plan.public && s.cfg.Listen != "" {
		address = s.cfg.Listen
	}
	var secure *tls.Config
	if plan.tls {
		secure, scheme, name = s.ca.TLSConfig(), "https", host
	}
	number := 0
	if s.cfg.Port != 0 {
		number = s.cfg.Port + plan.offset
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(number)))
	if err != nil {
		return &refusedError{
			what: fmt.Sprintf("the surface %s cannot listen on its port: %v", plan.name, err), fix: "choose another base port with --port, or 0 for free ones", cause: errors.Join(ErrListen, err),
		}
	}
	s.surfaces = append(s.surfaces, newSurface(plan.name, listener, secure, s.log))
	*plan.endpoint(&s.endpoints) = scheme + "://" + net.JoinHostPort(name, port(listener))
	return nil
}

// address is where a surface listens.
func (s *Server) address(name string) net.Addr {
	for _, surface := range s.surfaces {
		if surface.name == name {
			return surface.listener.Addr()
		}
	}
	return nil
}

// wrapFaults makes the faults that were asked for, which the surfaces' handlers are wrapped in.
func (s *Server) wrapFaults() error {
	front := s.address(authoritySurface)
	if len(s.cfg.Faults) > 0 && !loopback.IsAddr(front) {
		return refused("leave out --fault or --listen", "faults are for this machine only, and the server listens on %s", front)
	}
	var err error
	if s.faults, err = fault.New(s.cfg.Faults...); err != nil {
		return err
	}
	s.faults.Log = s.log
	return nil
}

// ownClient reaches the server's own authority, whatever its name resolves to here.
func (s *Server) ownClient() *http.Client {
	front := s.address(authoritySurface).String()
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

func port(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String()) // an address that net made
	return port
}

func (s *Server) buildAuthority(*http.Server) (answering, error) {
	fetcher, err := s.fetcher()
	if err != nil {
		return answering{}, err
	}
	s.authority, err = authority.New(authority.Config{
		BaseURL: s.endpoints.Authority, Directory: s.data.Directory, Keys: s.data.Keys, Fetch: fetcher,
		V1Issuer: s.cfg.V1Issuer, Age: fault.Age, AllowPassword: s.cfg.AllowPasswords, Now: s.cfg.Now, Log: s.log,
	})
	if err != nil {
		return answering{}, err
	}
	return answering{byDefault: s.faults.Authority(s.authority.Handler())}, nil
}

// buildIdentities makes the surface that managed identities have in common, and what opens
// the directory's hosts.
func (s *Server) buildIdentities(on *http.Server) (answering, error) {
	var err error
	s.identities, err = managedidentity.New(managedidentity.Config{
		Directory: s.data.Directory, Minter: s.authority, TLS: s.ca.TLSConfig(), ArcFolder: s.cfg.ArcFolder,
		PlatformCache: s.cfg.PlatformCache, Wrap: s.faults.Identity, Now: s.cfg.Now, Log: s.log,
	})
	if err != nil {
		return answering{}, err
	}
	allowed, err := parseAddresses(s.cfg.AllowHosts)
	if err != nil {
		return answering{}, err
	}
	s.hosts = &hosts{
		service: s.identities, directory: s.data.Directory, key: s.data.hostKey, allowed: allowed, faulty: len(s.cfg.Faults) > 0, log: s.log,
		entries: make(map[entryKey]*hostEntry),
	}
	on.DisableGeneralOptionsHandler, on.ConnContext = true, managedidentity.ConnContext
	return answering{byDefault: s.identities.Handler()}, nil
}

func (s *Server) buildManager(*http.Server) (answering, error) {
	var err error
	s.manager, err = arm.New(arm.Config{
		Authority: s.endpoints.Authority, URL: s.endpoints.ResourceManager, Directory: s.data.Directory,
		HTTPClient: s.ownClient(), Now: s.cfg.Now, Log: s.log,
	})
	if err != nil {
		return answering{}, err
	}
	return answering{byDefault: s.manager.Handler()}, nil
}

func (s *Server) buildOps(*http.Server) (answering, error) {
	return answering{byDefault: s.ops()}, nil
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
