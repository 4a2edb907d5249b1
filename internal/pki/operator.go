package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// lookInterval is how long a pair of files is taken to be unchanged. It bounds what a
// handshake costs, and how old a certificate can be that was replaced.
const lookInterval = time.Second

// FilesConfig names the operator's own certificate.
type FilesConfig struct {
	Certificate string   // required: a PEM file with the certificate and its chain
	Key         string   // required: a PEM file with its key
	Hosts       []string // names that it must be good for; none: they do not matter
	Now         func() time.Time
	Log         *slog.Logger // nil means discard
}

// Files is a certificate of the operator's own. It is read again when its files change, as
// certbot, cert-manager and mounted secrets replace them; while what they hold is wrong, the
// pair from before is kept. It is safe for concurrent use.
type Files struct {
	cfg FilesConfig

	mu       sync.Mutex
	pair     *tls.Certificate // guarded by mu, as all below
	looked   time.Time        // when the files were last looked at
	content  [][]byte         // of the files when they were last read, right or wrong
	stat     [2]fs.FileInfo   // likewise
	expiring time.Time        // the end that was last warned of
}

// OpenFiles reads the pair. It must be right.
func OpenFiles(cfg FilesConfig) (*Files, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	f := &Files{cfg: cfg}
	if _, err := f.read(); err != nil {
		return nil, err
	}
	return f, nil
}

// ServerConfig returns what a server needs to present the certificate.
func (f *Files) ServerConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return f.current(), nil
		},
	}
}

// ClientConfig returns what a client in this process needs to reach a server of
// ServerConfig: it trusts the very certificate, whoever signed it.
func (f *Files) ClientConfig() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection compares the certificate itself
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, f.current().Leaf.Raw) {
				return errors.New("another server answers at this server's own address")
			}
			return nil
		},
	}
}

// current returns the newest pair that was right.
func (f *Files) current() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.cfg.Now()
	if since := now.Sub(f.looked); since >= 0 && since < lookInterval {
		return f.pair
	}
	changed, err := f.read()
	switch {
	case err != nil && changed:
		f.cfg.Log.Error("the new certificate is not used, the one from before stays", "error", err)
	case changed:
		f.cfg.Log.Info("certificate read again", "file", f.cfg.Certificate, "until", f.pair.Leaf.NotAfter)
	}
	if end := f.pair.Leaf.NotAfter; now.After(end) && !f.expiring.Equal(end) {
		f.expiring = end
		f.cfg.Log.Error("the certificate has expired: clients refuse it", "file", f.cfg.Certificate, "since", end)
	}
	return f.pair
}

// read reads the files if they are others than at the last time, and reports whether they
// were. The pair changes only when everything about the new one is right.
func (f *Files) read() (changed bool, err error) {
	f.looked = f.cfg.Now()
	var content [][]byte
	for i, path := range []string{f.cfg.Certificate, f.cfg.Key} {
		info, err := os.Stat(path)
		if err != nil {
			return f.note(nil), fmt.Errorf("read the certificate: %w", err)
		}
		if old := f.stat[i]; old != nil && os.SameFile(old, info) && old.ModTime().Equal(info.ModTime()) && old.Size() == info.Size() && f.content != nil {
			content = append(content, f.content[i])
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return f.note(nil), fmt.Errorf("read the certificate: %w", err)
		}
		f.stat[i], content = info, append(content, b)
	}
	if !f.note(content) {
		return false, nil
	}
	pair, err := f.check(content[0], content[1])
	if err != nil {
		return true, err
	}
	f.pair = pair
	return true, nil
}

// note keeps what was read, and reports whether it is something else than before.
func (f *Files) note(content [][]byte) bool {
	if len(content) == len(f.content) && (content == nil || bytes.Equal(content[0], f.content[0]) && bytes.Equal(content[1], f.content[1])) {
		return false
	}
	f.content = content
	return true
}

// check refuses a pair that clients would refuse.
func (f *Files) check(certificate, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, &FileError{What: fmt.Sprintf("%s and %s: %s", f.cfg.Certificate, f.cfg.Key, strings.TrimPrefix(err.Error(), "tls: ")),
			Step: "give PEM files: the certificate first, then its chain; the key without a password"}
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, err
		}
	}
	if now := f.cfg.Now(); now.After(pair.Leaf.NotAfter) {
		return nil, &FileError{What: fmt.Sprintf("the certificate in %s ended on %s", f.cfg.Certificate, pair.Leaf.NotAfter.UTC().Format(time.RFC3339)), Step: "renew it"}
	}
	for _, host := range f.cfg.Hosts {
		if pair.Leaf.VerifyHostname(host) != nil {
			names := pair.Leaf.DNSNames
			for _, ip := range pair.Leaf.IPAddresses {
				names = append(names, ip.String())
			}
			step := "get one with that name"
			if len(names) > 0 && !strings.HasPrefix(names[0], "*") {
				step = "name the server as the certificate does: --host " + names[0]
			}
			return nil, &FileError{What: fmt.Sprintf("the certificate in %s is for %s, not for %s", f.cfg.Certificate, strings.Join(names, ", "), host), Step: step}
		}
	}
	return &pair, nil
}

// A FileError says what is wrong with the operator's certificate.
type FileError struct {
	What string
	Step string // what to do about it
}

func (e *FileError) Error() string { return e.What }

// Fix says what to do.
func (e *FileError) Fix() string { return e.Step }
