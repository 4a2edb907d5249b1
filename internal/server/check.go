package server

import (
	"github.com/rolecall-auth/rolecall/internal/loopback"
)

// check refuses settings that cannot work together, before anything is touched.
func (s *Server) check() error {
	var err error
	if s.proxies, err = newProxies(s.cfg.TrustedProxies, s.log); err != nil {
		return err
	}
	if (s.cfg.TLSCert == "") != (s.cfg.TLSKey == "") {
		return refused("give --tls-cert FILE and --tls-key FILE", "a certificate and its key belong together, and one of them is missing")
	}
	if s.cfg.PublicURL == "" {
		return nil
	}
	if s.cfg.MutualTLS {
		return refused("leave out --mutual-tls, or --public-url where clients reach the authority itself",
			"with --public-url TLS ends at a proxy, so that no client can show its certificate to the authority")
	}
	if s.cfg.PublicURL, err = parsePublicURL(s.cfg.PublicURL); err != nil {
		return err
	}
	if s.plain() && s.cfg.Listen != "" && !loopback.Is(s.cfg.Listen) && len(s.cfg.TrustedProxies) == 0 {
		return refused("name the proxy's network with --trusted-proxy 10.0.0.0/8, or let the way to it have TLS as well with --tls-cert and --tls-key",
			"with --public-url the authority listens on %s without TLS, and nothing says from where the proxy comes", s.cfg.Listen)
	}
	return nil
}
