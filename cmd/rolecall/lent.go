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

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/launch"
)

// credentialFolder is where, in the data folder, the keys of lent certificates lie.
const credentialFolder = "credentials"

// encodeCertificate returns a certificate and its key as one PEM file.
func encodeCertificate(certificate credential.Certificate) ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(certificate.Key)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	both := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return append(both, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Chain[0].Raw})...), nil
}

// writeCredential keeps the key of a certificate that a command lent in the data folder, and
// removes those of certificates that are no longer valid.
func writeCredential(dir string, app *directory.Application, command string, both []byte, now time.Time) (string, error) {
	old, err := credentialFiles(dir, "")
	if err != nil {
		return "", err
	}
	for _, file := range old {
		if filepath.Ext(file) != ".pem" {
			continue
		}
		certificates, err := launch.ReadCertificates(file)
		if err != nil || len(certificates) == 0 || certificates[0].NotAfter.After(now) {
			continue
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("remove the key of an expired certificate: %w", err)
		}
	}
	return newCredentialFile(dir, lentStem(app.AppID, command), ".pem", both)
}

// makeCredentialFolder makes the folder, or one in it, that no other user can read.
func makeCredentialFolder(dir string, below ...string) (string, error) {
	folder, err := filepath.Abs(filepath.Join(append([]string{dir, credentialFolder}, below...)...))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("keep a credential: %w", err)
	}
	return folder, nil
}

// lentStem begins the names of files that hold what a command lent to an application.
func lentStem(app directory.AppID, command string) string { return string(app) + "-" + command }

// newCredentialFile keeps something secret in the data folder.
func newCredentialFile(dir, stem, ending string, content []byte) (string, error) {
	folder, err := makeCredentialFolder(dir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, fmt.Sprintf("%s-%s%s", stem, rand.Text()[:8], ending))
	return path, launch.ReplaceFile(path, content, 0o600)
}

// toolsEnding ends the name of the folder with an application's stand-ins for az and azd.
const toolsEnding = ".tools"

// credentialFiles lists what is kept of credentials under names that begin so: keys, and
// folders of stand-ins.
func credentialFiles(dir, stem string) ([]string, error) {
	folder := filepath.Join(dir, credentialFolder)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list the kept keys: %w", err)
	}
	var files []string
	for _, entry := range entries {
		ending := filepath.Ext(entry.Name())
		if strings.HasPrefix(entry.Name(), stem) && (ending == ".pem" || ending == toolsEnding) {
			files = append(files, filepath.Join(folder, entry.Name()))
		}
	}
	return files, nil
}
