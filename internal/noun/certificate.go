package noun

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
)

// readCertificate finds the certificate in a file: the first one of a PEM file, or DER. A private
// key beside it is left where it is; one alone is refused.
func readCertificate(name string, content []byte) (*x509.Certificate, error) {
	der, hasKey := content, false
	if bytes.Contains(content, []byte("-----BEGIN ")) {
		der = nil
		for rest := content; der == nil; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type == "CERTIFICATE" {
				der = block.Bytes
			}
			hasKey = hasKey || bytes.HasSuffix([]byte(block.Type), []byte("PRIVATE KEY"))
		}
	}
	found, err := x509.ParseCertificate(der)
	switch {
	case err == nil:
		return found, nil
	case hasKey:
		return nil, command.Failed("give the certificate that belongs to it; the private key stays with the client", "%s holds a private key and no certificate", name)
	}
	return nil, command.Failed("give a certificate in PEM or DER", "%s holds no certificate", name)
}

// addCertificate lets a certificate prove an application, beside those there are.
func (m *manager) addCertificate(ctx context.Context, client *graphclient.Client, app lookup.API, file, name string) error {
	content, err := m.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	certificate, err := readCertificate(file, content)
	if err != nil {
		return err
	}
	before, err := m.members(ctx, client, app, "keyCredentials")
	if err != nil {
		return err
	}
	added := member{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(certificate.Raw)}
	if name != "" {
		added["displayName"] = name
	}
	all := append(slices.Clone(before), added)
	if err := client.Do(ctx, http.MethodPatch, "applications/"+string(app.ID), member{"keyCredentials": all}, nil); err != nil {
		return err
	}
	after, err := m.members(ctx, client, app, "keyCredentials")
	if err != nil {
		return err
	}
	fresh := slices.DeleteFunc(after, func(one member) bool {
		return slices.ContainsFunc(before, func(old member) bool { return old["keyId"] == one["keyId"] })
	})
	l := credentialListing(fresh)
	if len(fresh) == 1 {
		l.Value = fresh[0]
	}
	return m.Print(m.format, l)
}
