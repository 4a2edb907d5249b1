package server

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

// A client that does not trust the certificate says so to nobody but this server, which warns
// once.
func TestDistrustIsSaidOnce(t *testing.T) {
	t.Parallel()
	var log logLines
	s := startWith(t, Config{Dir: t.TempDir(), Log: log.logger()})
	for range 3 {
		conn, err := tls.Dial("tcp", s.address(authoritySurface).String(), &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", MinVersion: tls.VersionTLS12})
		if err == nil {
			conn.Close()
			t.Fatal("it is trusted")
		}
	}
	const warning = "does not trust the certificate"
	eventually(t, "a warning", func() bool { return len(log.with(warning)) > 0 })
	if lines := log.with(warning); len(lines) != 1 {
		t.Errorf("%d lines: %v", len(lines), lines)
	}
}

// The lines are those of net/http: of Go's clients, of OpenSSL's, and of others' mistakes.
func TestDistrusted(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"http: TLS handshake error from 127.0.0.1:1: remote error: tls: bad certificate":                   true,
		"http: TLS handshake error from 127.0.0.1:1: remote error: tls: unknown certificate authority":     true,
		"http: TLS handshake error from 127.0.0.1:1: local error: tls: bad record MAC":                     true,
		"http: TLS handshake error from 127.0.0.1:1: EOF":                                                  false,
		"http: TLS handshake error from 127.0.0.1:1: tls: first record does not look like a TLS handshake": false,
		"http: TLS handshake error from 127.0.0.1:1: remote error: tls: protocol version not supported":    false,
		"http2: server: error reading preface from client 127.0.0.1:1: local error: tls: bad record MAC":   false,
	} {
		if got := distrusted([]byte(line)); got != want {
			t.Errorf("%s: got %t", line, got)
		}
	}
}
