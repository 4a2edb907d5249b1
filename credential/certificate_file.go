package credential

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// byteOrderMark is what editors on Windows put before a text.
const byteOrderMark = "\uFEFF"

// asn1Sequence is the byte with which a PKCS#12 file begins.
const asn1Sequence = 0x30

// readCertificate reads a certificate with its private key from PEM blocks or PKCS#12.
func readCertificate(content []byte, password string) (Certificate, error) {
	if text := bytes.TrimPrefix(content, []byte(byteOrderMark)); bytes.Contains(text, []byte("-----BEGIN")) {
		return readPEM(text, password)
	}
	if _, err := x509.ParseCertificate(content); err == nil {
		return Certificate{}, errors.New("it is a certificate without its private key, as .cer files are: that is what is registered with the application; name the PEM or PKCS#12 file that has the key too")
	}
	return readPKCS12(content, password)
}

// readPKCS12 leaves everything to the library. It reads what OpenSSL 3 and Windows write
// today (AES and HMAC-SHA-256) and what both wrote before (RC2, triple DES and SHA-1).
func readPKCS12(content []byte, password string) (Certificate, error) {
	key, leaf, others, err := pkcs12.DecodeChain(content, password)
	var unknown pkcs12.NotImplementedError
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && password == "":
		return Certificate{}, errors.New("the PKCS#12 file has a password; give it")
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return Certificate{}, errors.New("the password is not that of the PKCS#12 file")
	case errors.As(err, &unknown):
		return Certificate{}, fmt.Errorf("%w; convert the file to PEM with openssl pkcs12", err)
	case err != nil:
		if len(content) == 0 || content[0] != asn1Sequence {
			return Certificate{}, errors.New("it is neither PEM nor PKCS#12: a PEM file has a line -----BEGIN CERTIFICATE-----")
		}
		return Certificate{}, fmt.Errorf("it is neither PEM nor PKCS#12 that can be read: %w", err)
	}
	return Certificate{Chain: append([]*x509.Certificate{leaf}, others...), Key: key}, nil
}

// readPEM reads PEM blocks. Blocks that say nothing of the certificate or its key, such as
// those of parameters, are skipped.
func readPEM(content []byte, password string) (Certificate, error) {
	var c Certificate
	for {
		var block *pem.Block
		block, content = pem.Decode(content)
		if block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return Certificate{}, fmt.Errorf("certificate %d of the file: %w", len(c.Chain)+1, err)
			}
			c.Chain = append(c.Chain, certificate)
			continue
		}
		key, err := readKey(block, password)
		if err != nil {
			return Certificate{}, fmt.Errorf("private key: %w", err)
		}
		if key != nil && c.Key != nil {
			return Certificate{}, errors.New("there are several private keys; keep the one that belongs to the certificate")
		}
		if key != nil {
			c.Key = key
		}
	}
	switch {
	case len(c.Chain) == 0:
		return Certificate{}, errors.New("there is no certificate; put its CERTIFICATE block into the file, beside the private key")
	case c.Key == nil:
		return Certificate{}, errors.New("there is no private key; put its PRIVATE KEY block into the file, beside the certificate")
	}
	return c, nil
}

// readKey returns the private key of a block, or nil when the block holds something else.
func readKey(block *pem.Block, password string) (crypto.PrivateKey, error) {
	encoded := block.Bytes
	encrypted := block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != ""
	if encrypted && password == "" {
		return nil, errors.New("it is encrypted; give its password")
	}
	switch block.Type {
	case "ENCRYPTED PRIVATE KEY":
		var err error
		if encoded, err = decryptPKCS8(block.Bytes, password); err != nil {
			return nil, err
		}
		key, err := x509.ParsePKCS8PrivateKey(encoded)
		if err != nil { // by one chance in 256 a wrong password leaves what looks padded
			return nil, errWrongPassword
		}
		return key, nil
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(encoded)
		if err != nil { // some tools put PKCS#1 below this name
			if key, err := x509.ParsePKCS1PrivateKey(encoded); err == nil {
				return key, nil
			}
		}
		return key, err
	case "RSA PRIVATE KEY":
		if encrypted {
			var err error
			//nolint:staticcheck // OpenSSL wrote keys so for decades; what it is worth is up to their owner
			if encoded, err = x509.DecryptPEMBlock(block, []byte(password)); err != nil {
				return nil, errWrongPassword
			}
		}
		key, err := x509.ParsePKCS1PrivateKey(encoded)
		if err != nil && encrypted {
			return nil, errWrongPassword
		}
		return key, err
	case "EC PRIVATE KEY", "OPENSSH PRIVATE KEY":
		return nil, fmt.Errorf("it is an %s; authorities accept RSA keys, in PKCS#1 or PKCS#8", block.Type)
	}
	return nil, nil
}
