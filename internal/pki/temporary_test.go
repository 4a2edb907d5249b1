package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// A temporary authority vouches for its names, and whoever had its key could vouch for no other.
func TestTemporary(t *testing.T) {
	t.Chdir(t.TempDir())
	ca, err := Temporary([]string{"login.microsoftonline.com", "STS.windows.net"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.serverCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, good := range map[string]bool{
		"login.microsoftonline.com": true, "LOGIN.microsoftonline.com": true, "sts.windows.net": true,
		"localhost": false, "127.0.0.1": false, "microsoftonline.com": false, "graph.microsoft.com": false, "login.microsoftonline.com.evil.test": false,
	} {
		_, err := server.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: name})
		if (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, forged := range map[string]*x509.Certificate{
		"another name": {DNSNames: []string{"graph.microsoft.com"}},
		"localhost":    {DNSNames: []string{"localhost"}},
		"an address":   {IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}},
		"an address 6": {IPAddresses: []net.IP{net.IPv6loopback}},
		"both":         {DNSNames: []string{"login.microsoftonline.com", "graph.microsoft.com"}},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		forged.SerialNumber, forged.NotBefore, forged.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		leaf, err := sign(forged, ca.certificate, &key.PublicKey, ca.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: ca.Pool()}); err == nil {
			t.Errorf("%s: the authority vouches for it", name)
		}
	}
	if files, err := os.ReadDir("."); err != nil || len(files) > 0 {
		t.Errorf("something was written: %v, %v", files, err)
	}
	for _, hosts := range [][]string{nil, {"127.0.0.1"}, {"login.microsoftonline.com", "::1"}, {"*.microsoftonline.com"}} {
		if _, err := Temporary(hosts, nil); err == nil {
			t.Errorf("%q: an authority was made", hosts)
		}
	}
}
