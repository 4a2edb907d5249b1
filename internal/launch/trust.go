package launch

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

const (
	trustStoreFile = "ca-truststore.p12" // in the data folder: the CA bundle as Java reads it
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
	var variables []Variable
	for _, name := range []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "ROLECALL_CA_BUNDLE"} {
		variables = append(variables, Variable{name, bundle})
	}
	java := "-Djavax.net.ssl.trustStore=" + javaQuote(store) + " -Djavax.net.ssl.trustStorePassword=" + trustStorePassword + " -Djavax.net.ssl.trustStoreType=PKCS12"
	return append(variables, Variable{javaOptions, java}), nil
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

// writeTrustStore writes the bundle as a PKCS #12 trust store, unless that is newer.
func writeTrustStore(folder, bundle string) (string, error) {
	path, err := filepath.Abs(filepath.Join(folder, trustStoreFile))
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
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the CA bundle: %w", err)
	}
	var certificates []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return certificates, nil
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			certificates = append(certificates, certificate)
		}
	}
}
