package pki_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/pki"
)

// rootsFile returns a file with one root that stands for the system's.
func rootsFile(t *testing.T) string {
	t.Helper()
	return open(t, pki.Config{Dir: t.TempDir()}).Path()
}

// certificates returns the certificates of a PEM file.
func certificates(t *testing.T, path string) []*x509.Certificate {
	t.Helper()
	rest, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, certificate)
	}
}

func TestBundleHoldsBoth(t *testing.T) {
	system := rootsFile(t)
	for _, tt := range []struct{ name, configured, environment string }{
		{"as configured", system, ""},
		{"as SSL_CERT_FILE says", "", system},
		{"as configured, whatever SSL_CERT_FILE says", system, "elsewhere.pem"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("SSL_CERT_FILE", tt.environment)
			ca := open(t, pki.Config{Dir: t.TempDir(), SystemRoots: tt.configured})
			path := filepath.Join(t.TempDir(), "bundle.pem")
			if err := ca.Bundle(path); err != nil {
				t.Fatal(err)
			}
			got, want := certificates(t, path), certificates(t, system)
			if len(got) != 2 || !got[0].Equal(ca.Certificate()) || !got[1].Equal(want[0]) {
				t.Errorf("%d certificates, want this root and the system's", len(got))
			}
		})
	}
}

func TestBundleFromItself(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ca-bundle.pem")
	if err := open(t, pki.Config{Dir: dir, SystemRoots: rootsFile(t)}).Bundle(path); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", path)
	renewed := open(t, pki.Config{Dir: dir, Hosts: []string{"added.test"}})
	if err := renewed.Bundle(path); err != nil {
		t.Fatal(err)
	}
	got := certificates(t, path)
	if len(got) != 2 || !got[0].Equal(renewed.Certificate()) {
		t.Errorf("%d certificates, want the new root in place of the old, and the system's", len(got))
	}
}

func TestBundleUpToDateIsLeftAlone(t *testing.T) {
	t.Parallel()
	ca := open(t, pki.Config{Dir: t.TempDir(), SystemRoots: rootsFile(t)})
	path := filepath.Join(t.TempDir(), "bundle.pem")
	if err := ca.Bundle(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.Bundle(path); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("the file was replaced by its like")
	}
}

func TestBundleWithRootsThatCannotBeRead(t *testing.T) {
	ca := open(t, pki.Config{Dir: t.TempDir()})
	t.Setenv("SSL_CERT_FILE", t.TempDir()) // a folder
	err := ca.Bundle(filepath.Join(t.TempDir(), "bundle.pem"))
	if err == nil || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("got %v, want an error that names the setting", err)
	}
}
