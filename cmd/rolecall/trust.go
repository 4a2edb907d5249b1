package main

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/directory"
)

const (
	credentialFolder = "credentials"       // in the data folder: keys of certificates lent to applications
	trustStoreFile   = "ca-truststore.p12" // in the data folder: the CA bundle as Java reads it
	// trustStorePassword is the one Java's own trust store has. It protects nothing: the
	// content is public, and the format asks for one.
	trustStorePassword = "changeit"
)

// trust returns the variables that make each runtime trust this authority besides the
// system's roots.
func (c *cli) trust(bundle string) ([]variable, error) {
	store, err := writeTrustStore(c.dir, bundle)
	if err != nil {
		return nil, err
	}
	var variables []variable
	for _, name := range []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "ROLECALL_CA_BUNDLE"} {
		variables = append(variables, variable{name, bundle})
	}
	java := "-Djavax.net.ssl.trustStore=" + store + " -Djavax.net.ssl.trustStorePassword=" + trustStorePassword + " -Djavax.net.ssl.trustStoreType=PKCS12"
	if strings.ContainsAny(store, " \t") { // JAVA_TOOL_OPTIONS splits at blanks
		java = strings.Replace(java, store, `"`+store+`"`, 1)
	}
	return append(variables, variable{"JAVA_TOOL_OPTIONS", java}), nil
}

// writeTrustStore writes the bundle as a PKCS #12 trust store, unless that is newer.
func writeTrustStore(dir, bundle string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, trustStoreFile))
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
	certificates, err := readCertificates(bundle)
	if err != nil {
		return "", err
	}
	store, err := pkcs12.Modern.EncodeTrustStore(certificates, trustStorePassword)
	if err != nil {
		return "", fmt.Errorf("make a trust store for Java: %w", err)
	}
	return path, replaceFile(path, store, 0o644)
}

// readCertificates returns the certificates of a PEM file, without those that Go cannot read.
func readCertificates(path string) ([]*x509.Certificate, error) {
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

// encodeCertificate returns a certificate and its key as one PEM file.
func encodeCertificate(certificate credential.Certificate) ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(certificate.Key)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	both := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return append(both, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Chain[0].Raw})...), nil
}

// writeCredential keeps a lent certificate's key in the data folder and removes those of
// certificates that are no longer valid.
func writeCredential(dir string, app *directory.Application, both []byte, now time.Time) (string, error) {
	old, err := credentialFiles(dir, "")
	if err != nil {
		return "", err
	}
	for _, file := range old {
		certificates, err := readCertificates(file)
		if err != nil || len(certificates) == 0 || certificates[0].NotAfter.After(now) {
			continue
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("remove the key of an expired certificate: %w", err)
		}
	}
	return newCredentialFile(dir, app.AppID, ".pem", both)
}

// newCredentialFile keeps something secret of an application in the data folder.
func newCredentialFile(dir string, app directory.AppID, ending string, content []byte) (string, error) {
	folder, err := filepath.Abs(filepath.Join(dir, credentialFolder))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("keep a credential: %w", err)
	}
	path := filepath.Join(folder, fmt.Sprintf("%s-%s%s", app, rand.Text()[:8], ending))
	return path, replaceFile(path, content, 0o600)
}

// credentialFiles lists the kept keys of the application with that app id, or of all.
func credentialFiles(dir, appID string) ([]string, error) {
	folder := filepath.Join(dir, credentialFolder)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list the kept keys: %w", err)
	}
	var files []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), appID) && strings.HasSuffix(entry.Name(), ".pem") {
			files = append(files, filepath.Join(folder, entry.Name()))
		}
	}
	return files, nil
}

// replaceFile writes a file so that nobody ever reads half of it.
func replaceFile(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}
