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
	"github.com/rolecall-auth/rolecall/directory"
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

// writeCredential keeps a lent certificate's key in the data folder and removes those of
// certificates that are no longer valid.
func writeCredential(dir string, app *directory.Application, both []byte, now time.Time) (string, error) {
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
	return newCredentialFile(dir, app.AppID, ".pem", both)
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

// newCredentialFile keeps something secret of an application in the data folder.
func newCredentialFile(dir string, app directory.AppID, ending string, content []byte) (string, error) {
	folder, err := makeCredentialFolder(dir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, fmt.Sprintf("%s-%s%s", app, rand.Text()[:8], ending))
	return path, launch.ReplaceFile(path, content, 0o600)
}

// toolsEnding ends the name of the folder with an application's stand-ins for az and azd.
const toolsEnding = ".tools"

// credentialFiles lists what is kept of the application with that app id, or of all: keys,
// and folders of stand-ins.
func credentialFiles(dir, appID string) ([]string, error) {
	folder := filepath.Join(dir, credentialFolder)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list the kept keys: %w", err)
	}
	var files []string
	for _, entry := range entries {
		ending := filepath.Ext(entry.Name())
		if strings.HasPrefix(entry.Name(), appID) && (ending == ".pem" || ending == toolsEnding) {
			files = append(files, filepath.Join(folder, entry.Name()))
		}
	}
	return files, nil
}
