package namespace

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
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/pki"
)

func TestHostsFiles(t *testing.T) {
	t.Parallel()
	names := map[string]netip.Addr{"login.example.test": netip.MustParseAddr("127.0.0.2"), "a.example.test": netip.MustParseAddr("127.0.0.2")}
	const ours = "127.0.0.2 a.example.test\n127.0.0.2 login.example.test\n"
	for old, want := range map[string]string{
		"": ours,
		"127.0.0.1 localhost\n::1 localhost ip6-localhost": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n" + ours,
		"20.190.1.1 login.example.test\n":                  ours,
		"20.190.1.1\tLOGIN.example.test. other # a note\n": "20.190.1.1 other\n" + ours,
		"# 10.0.0.1 a\n\n10.0.0.1\n":                       ours,
	} {
		if got := string(hostsWith([]byte(old), names)); got != want {
			t.Errorf("%q became %q, want %q", old, got, want)
		}
	}
}

func TestNamesComeFromFilesFirst(t *testing.T) {
	t.Parallel()
	for old, want := range map[string]string{
		"": "hosts: files dns\n",
		"passwd: files systemd\nhosts: files mdns4_minimal [NOTFOUND=return] resolve dns # all\nnetworks: files\n": "passwd: files systemd\nnetworks: files\nhosts: files dns\n",
		"# hosts: no\n hosts : resolve\npasswd: files":                                                             "# hosts: no\npasswd: files\nhosts: files dns\n",
	} {
		if got := string(filesFirst([]byte(old))); got != want {
			t.Errorf("%q became %q, want %q", old, got, want)
		}
	}
}

// system makes a folder with the files of a system.
func system(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, content := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := bytes.CutPrefix([]byte(content), []byte("-> ")); ok {
			err = os.Symlink(string(target), path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// covered returns what a program finds in place of the files of a system.
func covered(t *testing.T, root, bundle string) map[string]string {
	t.Helper()
	cfg := Config{Folder: t.TempDir(), Bundle: bundle}
	covers, err := cfg.covers(root)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, c := range covers {
		target, err := filepath.Rel(root, c.Target)
		if err != nil {
			t.Fatal(err)
		}
		found["/"+target] = c.Source
	}
	return found
}

// Links are covered where they lead, what does not exist is not, and sockets by which names are
// looked up elsewhere are.
func TestCovers(t *testing.T) {
	t.Parallel()
	got := covered(t, system(t, map[string]string{
		"/etc/hosts": "127.0.0.1 localhost\n", "/etc/resolv.conf": "-> ../run/systemd/resolve/stub-resolv.conf",
		"/run/systemd/resolve/stub-resolv.conf": "nameserver 127.0.0.53\n", "/run/nscd/socket": "",
	}), "")
	for target, want := range map[string]string{"/etc/hosts": "127.0.0.1 localhost\n", "/run/systemd/resolve/stub-resolv.conf": "nameserver 127.0.0.1\n", "/run/nscd/socket": ""} {
		if content, err := os.ReadFile(got[target]); err != nil || string(content) != want {
			t.Errorf("%s: got %q, %v; want %q", target, content, err, want)
		}
	}
	if len(got) != 3 {
		t.Errorf("%d covers, want 3: %v", len(got), got)
	}
}

// selfSigned is a root in PEM, and the name under which OpenSSL finds it, without the number.
func selfSigned(t *testing.T, name string) (content, hash string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	number, err := pki.SubjectHash(certificate.RawSubject)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), fmt.Sprintf("%08x.", number)
}

// The store of each family of systems is covered, file and folder.
func TestStores(t *testing.T) {
	t.Parallel()
	theirs, theirHash := selfSigned(t, "the system's")
	same, hash := selfSigned(t, "ours") // of the same name as ours, and already there
	ours, _ := selfSigned(t, "ours")
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(bundle, []byte(ours+theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		files  map[string]string
		folder string   // that is covered
		within []string // files in it that are the bundle
		alone  []string // files that are covered by themselves
	}{
		"Debian": {map[string]string{
			"/etc/ssl/certs/ca-certificates.crt": theirs, "/etc/ssl/certs/theirs.pem": theirs, "/etc/ssl/certs/" + theirHash + "0": "-> theirs.pem",
			"/etc/ssl/certs/" + hash + "0": same, "/etc/ssl/certs/java/cacerts": "java's",
		}, "/etc/ssl/certs", []string{"ca-certificates.crt"}, nil},
		"Alpine without a folder": {map[string]string{
			"/etc/ssl/certs/ca-certificates.crt": theirs, "/etc/ssl/cert.pem": "-> certs/ca-certificates.crt",
		}, "", nil, []string{"/etc/ssl/certs/ca-certificates.crt"}},
		"Fedora": {map[string]string{
			"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem": theirs, "/etc/pki/tls/certs/ca-bundle.crt": "-> ../../ca-trust/extracted/pem/tls-ca-bundle.pem",
			"/etc/pki/ca-trust/extracted/pem/directory-hash/theirs.pem": theirs, "/etc/pki/ca-trust/extracted/pem/directory-hash/" + theirHash + "0": "-> theirs.pem",
			"/etc/pki/ca-trust/extracted/pem/directory-hash/" + hash + "0": same,
		}, "/etc/pki/ca-trust/extracted/pem/directory-hash", nil, []string{"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"}},
		"openSUSE": {map[string]string{
			"/var/lib/ca-certificates/ca-bundle.pem": theirs, "/etc/ssl/ca-bundle.pem": "-> ../../var/lib/ca-certificates/ca-bundle.pem",
			"/etc/ssl/certs": "-> ../../var/lib/ca-certificates/openssl", "/var/lib/ca-certificates/openssl/" + hash + "0": same,
		}, "/var/lib/ca-certificates/openssl", nil, []string{"/var/lib/ca-certificates/ca-bundle.pem"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := covered(t, system(t, tt.files), bundle)
			holds := func(path, want string) {
				t.Helper()
				if content, err := os.ReadFile(path); err != nil || string(content) != want {
					t.Errorf("%s: got %q, %v", filepath.Base(path), content, err)
				}
			}
			for _, file := range tt.alone {
				holds(got[file], ours+theirs)
			}
			want := len(tt.alone)
			if tt.folder != "" {
				want++
				for _, file := range tt.within {
					holds(filepath.Join(got[tt.folder], file), ours+theirs)
				}
				holds(filepath.Join(got[tt.folder], hash+"0"), same)
				holds(filepath.Join(got[tt.folder], hash+"1"), ours)
				if matches, _ := filepath.Glob(filepath.Join(got[tt.folder], hash+"2")); len(matches) > 0 {
					t.Error("one certificate too many is added")
				}
			}
			if name == "Debian" {
				holds(filepath.Join(got[tt.folder], theirHash+"0"), theirs)
				holds(filepath.Join(got[tt.folder], "java", "cacerts"), "java's")
			}
			if len(got) != want {
				t.Errorf("%d covers, want %d: %v", len(got), want, got)
			}
		})
	}
}
