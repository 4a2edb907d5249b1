package credential

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// filePassword is that of the files in testdata/certificates, which OpenSSL 3 wrote.
const filePassword = "geheim"

func TestCertificateFilesOfTodaysTools(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/certificates/client.cer")
	if err != nil {
		t.Fatal(err)
	}
	for file, password := range map[string]string{
		"openssl3.p12":       filePassword, // AES-256 and HMAC-SHA-256, the default of OpenSSL 3
		"windows.p12":        filePassword, // triple DES and SHA-1, the default of Windows
		"rc2.p12":            filePassword, // the default of OpenSSL 1
		"openssl3-empty.p12": "",
		"aes256.pem":         filePassword, // openssl pkcs8 -topk8
		"aes192-sha512.pem":  filePassword,
		"aes128-sha1.pem":    filePassword,
		"des3.pem":           filePassword,
		"traditional.pem":    filePassword, // openssl rsa -traditional -aes256
	} {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join("testdata/certificates", file)
			c, err := LoadCertificate(path, password)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Chain) != 1 || !bytes.Equal(c.Chain[0].Raw, want) {
				t.Errorf("read %d certificates, or another", len(c.Chain))
			}
			for _, wrong := range []string{"canary", ""} {
				if wrong == password {
					continue
				}
				if _, err := LoadCertificate(path, wrong); err == nil || !strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "canary") {
					t.Errorf("password %q: got %v", wrong, err)
				}
			}
		})
	}
}

// What Windows and Java write is made here by the library, so that the chain is in it too.
func TestPKCS12WithAChain(t *testing.T) {
	t.Parallel()
	root, leaf := newCertificate(t, "root", time.Now()), newCertificate(t, "orders-client", time.Now())
	for name, encoder := range map[string]*pkcs12.Encoder{
		"AES-256, HMAC-SHA-256": pkcs12.Modern2023, "triple DES, SHA-1": pkcs12.LegacyDES, "RC2, SHA-1": pkcs12.LegacyRC2, "without a password": pkcs12.Passwordless,
	} {
		password := filePassword
		if encoder == pkcs12.Passwordless {
			password = ""
		}
		content, err := encoder.Encode(leaf.Key, root.Chain[0], leaf.Chain, password)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCertificate(content, password)
		if err != nil || len(c.Chain) != 2 || !c.Chain[0].Equal(leaf.Chain[0]) {
			t.Errorf("%s: %d certificates, %v; want the client's first", name, len(c.Chain), err)
		}
	}
}

func TestPEMOfManyShapes(t *testing.T) {
	t.Parallel()
	c := newCertificate(t, "orders-client", time.Now())
	plain := pemOf(t, c)
	for name, content := range map[string][]byte{
		"byte order mark":      append([]byte(byteOrderMark), plain...),
		"windows line endings": bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n")),
		"words in between":     append([]byte("Bag Attributes\n    friendlyName: x\n"), plain...),
		"other blocks":         append(pem.EncodeToMemory(&pem.Block{Type: "DH PARAMETERS", Bytes: []byte{0}}), plain...),
	} {
		if got, err := ParseCertificate(content, ""); err != nil || !got.Chain[0].Equal(c.Chain[0]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseCertificate(plain, "not needed"); err != nil {
		t.Errorf("a password that nothing asks for: %v", err)
	}
}

func TestCertificateFilesAreRefusedWithAReason(t *testing.T) {
	t.Parallel()
	c := newCertificate(t, "orders-client", time.Now())
	plain, public := pemOf(t, c), certificatePEM(c.Chain[0])
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := pem.Decode(plain)
	file := func(name string) []byte {
		content, err := os.ReadFile("testdata/certificates/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	garbled := file("openssl3.p12")
	for _, tt := range []struct {
		name, password, want string
		content              []byte
	}{
		{"DER certificate", "", "without its private key", file("client.cer")},
		{"no key", "", "there is no private key", public},
		{"no certificate", "", "there is no certificate", pem.EncodeToMemory(key)},
		{"two keys", "", "several private keys", append(pem.EncodeToMemory(key), plain...)},
		{"another's key", "", "belongs to another certificate", append(public, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: mustPKCS8(t, newCertificate(t, "x", time.Now()).Key)})...)},
		{"EC key", "", "accept RSA keys", append(public, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...)},
		{"EC key in PKCS#8", "", "accept RSA keys", append(public, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: mustPKCS8(t, curve)})...)},
		{"scrypt", filePassword, "openssl pkcs8 -topk8", file("scrypt.pem")},
		{"PBES1", filePassword, "openssl pkcs8 -topk8", file("pbes1.pem")},
		{"encrypted and cut", filePassword, "PKCS#8", append(public, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{0x30, 0}})...)},
		{"garbage", "", "neither PEM nor PKCS#12", []byte("canary canary")},
		{"empty", "", "neither PEM nor PKCS#12", nil},
		{"cut PKCS#12", filePassword, "neither PEM nor PKCS#12", garbled[:len(garbled)/2]},
	} {
		_, err := ParseCertificate(tt.content, tt.password)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func mustPKCS8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// A file names the work to be done for it, and is not obeyed in everything.
func FuzzDecryptPKCS8(f *testing.F) {
	for _, name := range []string{"aes256.pem", "aes192-sha512.pem", "aes128-sha1.pem", "des3.pem", "scrypt.pem", "pbes1.pem"} {
		content, err := os.ReadFile("testdata/certificates/" + name)
		if err != nil {
			f.Fatal(err)
		}
		block, _ := pem.Decode(content)
		f.Add(block.Bytes)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if plain, err := decryptPKCS8(der, "x"); err == nil && len(plain) > len(der) {
			t.Errorf("%d bytes out of %d", len(plain), len(der))
		}
	})
}
