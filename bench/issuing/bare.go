package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// bareCommand is the argument that makes this program a bare signing server.
const bareCommand = "serve-bare"

// answerSize is about the size of a token of ours.
const answerSize = 1400

// serveBare answers every form with one signature and as many bytes as a token has: what
// signing, HTTP and TLS cost at least, at the pace of a server that issues tokens.
func serveBare(ctx context.Context, key, certificate string) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "localhost:0")
	if err != nil {
		return err
	}
	signer, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	padding := strings.Repeat("x", answerSize-2*signer.Size())
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ParseForm() != nil {
			http.Error(w, "no form", http.StatusBadRequest)
			return
		}
		digest := sha256.Sum256([]byte(r.Form.Get("client_id")))
		signature, err := rsa.SignPKCS1v15(nil, signer, crypto.SHA256, digest[:])
		if err != nil {
			http.Error(w, "no signature", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3599,"access_token":"%s%x"}`, padding, signature)
	})}
	fmt.Printf("https://localhost:%d/token\n", listener.Addr().(*net.TCPAddr).Port)
	return server.ServeTLS(listener, certificate, key)
}

// A serverCertificate is what the peers show to clients: of the same kind as ours.
type serverCertificate struct {
	key, file string
	pool      *x509.CertPool
}

func newCertificate(dir string) (*serverCertificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peers"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	c := &serverCertificate{key: filepath.Join(dir, "peers.key"), file: filepath.Join(dir, "peers.pem"), pool: x509.NewCertPool()}
	c.pool.AddCert(certificate)
	return c, errors.Join(
		os.WriteFile(c.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
		os.WriteFile(c.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
	)
}
