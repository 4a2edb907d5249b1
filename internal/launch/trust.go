package launch

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"software.sslmate.com/src/go-pkcs12"
)

const (
	// trustStorePassword is the one Java's own trust store has. It protects nothing: the
	// content is public, and the format asks for one.
	trustStorePassword = "changeit"
	javaOptions        = "JAVA_TOOL_OPTIONS"
)

// Trust returns the variables that make each runtime trust the certificates of a bundle,
// which holds the system's roots too. Java needs a file of its own, which is kept in the
// folder.
func Trust(folder, bundle string) ([]Variable, error) {
	store, err := writeTrustStore(folder, bundle)
	if err != nil {
		return nil, err
	}
	java := "-Djavax.net.ssl.trustStore=" + javaQuote(store) + " -Djavax.net.ssl.trustStorePassword=" + trustStorePassword + " -Djavax.net.ssl.trustStoreType=PKCS12"
	return append(TrustAt(bundle), Variable{javaOptions, java}), nil
}

// TrustAt is Trust for a bundle that will be at a path, such as one in a container. Java is left
// out, for it does not read bundles.
func TrustAt(bundle string) (variables []Variable) {
	for _, name := range []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "ROLECALL_CA_BUNDLE"} {
		variables = append(variables, Variable{name, bundle})
	}
	return variables
}

// javaQuote quotes for JAVA_TOOL_OPTIONS, which splits at blanks and knows quotes of both
// kinds, in any place of an option, and no other escapes. One that is not closed keeps the
// program from starting.
func javaQuote(text string) string {
	if !strings.ContainsAny(text, " \t'\"") {
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `"'"'"`) + `"`
}

// certificateFiles are the variables by which the caller of a program adds certificates that
// it trusts. Trust replaces them.
func certificateFiles() []string {
	return []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
}

// WithTrusted returns a bundle that has also the certificates that the variables of an
// environment name: a company's own, for example. It is the bundle itself if that has them all,
// and otherwise a new file, whose name says what is in it. The folder for that is asked for only
// then. A file that cannot be read is reported and left out, as it would be by the program.
func WithTrusted(folder func() (string, error), bundle string, inherited []string, say func(format string, args ...any)) (string, error) {
	content, err := os.ReadFile(bundle)
	if err != nil {
		return "", fmt.Errorf("read the CA bundle: %w", err)
	}
	known := sync.OnceValue(func() map[string]bool { // most environments name no file
		known := map[string]bool{}
		for _, certificate := range parseCertificates(content) {
			known[string(certificate.Raw)] = true
		}
		return known
	})
	var added []byte
	for _, name := range certificateFiles() {
		path := valueOf(inherited, name)
		if path == "" {
			continue
		}
		certificates, err := ReadCertificates(path)
		if err != nil || len(certificates) == 0 {
			say("%s names %s, which has no certificates that can be read: the program trusts only the others", name, path)
			continue
		}
		for _, certificate := range certificates {
			if known := known(); !known[string(certificate.Raw)] {
				known[string(certificate.Raw)] = true
				added = append(added, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})...)
			}
		}
	}
	if len(added) == 0 {
		return bundle, nil
	}
	content = append(append(content, '\n'), added...)
	in, err := folder()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	path, err := filepath.Abs(filepath.Join(in, fmt.Sprintf("ca-bundle-%x.pem", sum[:8])))
	if err != nil {
		return "", err
	}
	return path, ReplaceFile(path, content, 0o644)
}

// valueOf returns the value of a variable in an environment.
func valueOf(environ []string, name string) (value string) {
	for _, entry := range environ {
		if n, v, _ := strings.Cut(entry, "="); sameName(n, name) {
			value = v
		}
	}
	return value
}

// trustStoreOf is the name of the trust store that belongs to a bundle.
func trustStoreOf(bundle string) string {
	which, _ := strings.CutPrefix(strings.TrimSuffix(filepath.Base(bundle), ".pem"), "ca-bundle")
	if !strings.HasPrefix(which, "-") {
		which = ""
	}
	return "ca-truststore" + which + ".p12"
}

// writeTrustStore writes the bundle as a PKCS #12 trust store, unless that is newer.
func writeTrustStore(folder, bundle string) (string, error) {
	path, err := filepath.Abs(filepath.Join(folder, trustStoreOf(bundle)))
	if err != nil {
		return "", err
	}
	source, err := os.Stat(bundle)
	if err != nil {
		return "", fmt.Errorf("read the CA bundle: %w", err)
	}
	if made, err := os.Stat(path); err == nil && made.ModTime().After(source.ModTime()) {
		return path, nil
	}
	certificates, err := ReadCertificates(bundle)
	if err != nil {
		return "", err
	}
	store, err := pkcs12.Modern.EncodeTrustStoreEntries(trustEntries(certificates), trustStorePassword)
	if err != nil {
		return "", fmt.Errorf("make a trust store for Java: %w", err)
	}
	return path, ReplaceFile(path, store, 0o644)
}

// trustEntries gives each certificate a name of its own, for Java keeps one of each name.
// Those of their subjects are not: roots share some.
func trustEntries(certificates []*x509.Certificate) []pkcs12.TrustStoreEntry {
	entries := make([]pkcs12.TrustStoreEntry, len(certificates))
	for i, certificate := range certificates {
		entries[i] = pkcs12.TrustStoreEntry{Cert: certificate, FriendlyName: fmt.Sprintf("root-%d", i+1)}
	}
	return entries
}

// ReadCertificates returns the certificates of a PEM file, without those that Go cannot read.
func ReadCertificates(path string) ([]*x509.Certificate, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the CA bundle: %w", err)
	}
	return parseCertificates(content), nil
}

// parseCertificates returns the certificates in PEM, without those that Go cannot read.
func parseCertificates(rest []byte) (certificates []*x509.Certificate) {
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return certificates
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			certificates = append(certificates, certificate)
		}
	}
}
