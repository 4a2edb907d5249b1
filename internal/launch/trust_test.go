package launch

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// writeBundle writes roots of these names to a bundle.
func writeBundle(t *testing.T, names ...string) (path string) {
	t.Helper()
	var content bytes.Buffer
	for i, name := range names {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := pem.Encode(&content, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(path, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Java keeps one certificate for each name in a trust store, whatever the case of it.
func TestNoRootTakesThePlaceOfAnotherInJava(t *testing.T) {
	t.Parallel()
	bundle := writeBundle(t, "Contoso Root", "CONTOSO ROOT", "Contoso Root", "Racine \U0001F511")
	roots, err := ReadCertificates(bundle)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range trustEntries(roots) {
		if name := strings.ToLower(entry.FriendlyName); slices.Contains(names, name) {
			t.Errorf("two roots are called %s", name)
		} else {
			names = append(names, name)
		}
	}
	if len(names) != 4 {
		t.Errorf("%d names for 4 roots", len(names))
	}
	store, err := writeTrustStore(t.TempDir(), bundle)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := pkcs12.DecodeTrustStore(content, trustStorePassword); err != nil || len(kept) != 4 {
		t.Errorf("the store has %d roots, want 4 (%v)", len(kept), err)
	}
}

// A trust store is made again when the bundle is newer, and only then.
func TestATrustStoreFollowsItsBundle(t *testing.T) {
	t.Parallel()
	folder, bundle := t.TempDir(), writeBundle(t, "Contoso Root")
	made := func() os.FileInfo {
		t.Helper()
		store, err := writeTrustStore(folder, bundle)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(store)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	touch := func(at time.Time) {
		t.Helper()
		if err := os.Chtimes(bundle, at, at); err != nil {
			t.Fatal(err)
		}
	}
	touch(time.Now().Add(-time.Hour))
	first := made()
	if !os.SameFile(first, made()) {
		t.Error("it was made again, and the bundle is old")
	}
	touch(first.ModTime())
	if os.SameFile(first, made()) {
		t.Error("it is as old as the bundle, and was kept")
	}
}

// The Java machine reads its variable with quotes of both kinds and no other escapes.
func TestJavaOptionsAreQuoted(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/plain/x", "/with space/x", "/o'brien/x", `/with "quotes"/x`, `/o'brien "x" y/x`, "/a\tb"} {
		if got := readJavaOptions(t, javaQuote(path)+" -Dnext"); !slices.Equal(got, []string{path, "-Dnext"}) {
			t.Errorf("%s: written as %s, read as %q", path, javaQuote(path), got)
		}
	}
	if got := javaQuote("/plain/x"); got != "/plain/x" {
		t.Errorf("what needs no quotes is written as %s", got)
	}
	folder := filepath.Join(t.TempDir(), "o'brien")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	variables, err := Trust(folder, writeBundle(t, "Contoso Root"))
	if err != nil {
		t.Fatal(err)
	}
	want := "-Djavax.net.ssl.trustStore=" + filepath.Join(folder, trustStoreOf("ca-bundle.pem"))
	i := slices.IndexFunc(variables, func(v Variable) bool { return v.Name == javaOptions })
	if got := readJavaOptions(t, variables[i].Value); got[0] != want {
		t.Errorf("got %q, want %q first", got, want)
	}
}

// readJavaOptions splits options as the Java machine does.
func readJavaOptions(t *testing.T, text string) (options []string) {
	t.Helper()
	for text = strings.TrimLeft(text, " \t"); text != ""; text = strings.TrimLeft(text, " \t") {
		var option strings.Builder
		for text != "" && text[0] != ' ' && text[0] != '\t' {
			if quote := text[:1]; quote == `"` || quote == "'" {
				inner, rest, closed := strings.Cut(text[1:], quote)
				if !closed {
					t.Fatalf("unmatched quote before %s", inner)
				}
				option.WriteString(inner)
				text = rest
				continue
			}
			option.WriteByte(text[0])
			text = text[1:]
		}
		options = append(options, option.String())
	}
	return options
}

// The caller's own certificates stay trusted, by every runtime.
func TestTheCallersCertificatesAreKept(t *testing.T) {
	t.Parallel()
	folder, ours, company, node := t.TempDir(), writeBundle(t, "Ours", "System Root"), writeBundle(t, "Company"), writeBundle(t, "Node", "Node 2")
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	in := func() (string, error) { return folder, nil }
	nobody := filepath.Join(folder, "nobody.pem")
	environ := []string{"SSL_CERT_FILE=" + company, "NODE_EXTRA_CA_CERTS=" + node, "CURL_CA_BUNDLE=" + company, "REQUESTS_CA_BUNDLE=" + nobody}
	both, err := WithTrusted(in, ours, environ, say)
	if err != nil {
		t.Fatal(err)
	}
	if got := subjects(t, both); !slices.Equal(got, []string{"Ours", "System Root", "Company", "Node", "Node 2"}) {
		t.Errorf("the bundle has %q", got)
	}
	if len(said) != 1 || !strings.Contains(said[0], "REQUESTS_CA_BUNDLE names "+nobody) {
		t.Errorf("said %q, want a word about the file that is not there", said)
	}
	variables, err := Trust(folder, both)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variables {
		if v.Name != javaOptions && v.Value != both || v.Name == javaOptions && strings.Contains(v.Value, "ca-truststore.p12") {
			t.Errorf("%s=%s", v.Name, v.Value)
		}
	}
	// A run inside a run has them all already, and so has one without certificates of its own.
	for _, environ := range [][]string{nil, {"SSL_CERT_FILE="}, {"SSL_CERT_FILE=" + ours}} {
		if got, err := WithTrusted(in, ours, environ, say); got != ours || err != nil {
			t.Errorf("%q: got %s, %v", environ, got, err)
		}
	}
	if again, err := WithTrusted(in, ours, []string{"SSL_CERT_FILE=" + both}, say); err != nil || !slices.Equal(subjects(t, again), subjects(t, both)) {
		t.Errorf("a run inside a run: got %s, %v", again, err)
	}
}

func subjects(t *testing.T, bundle string) (names []string) {
	t.Helper()
	certificates, err := ReadCertificates(bundle)
	if err != nil {
		t.Fatal(err)
	}
	for _, certificate := range certificates {
		names = append(names, certificate.Subject.CommonName)
	}
	return names
}
