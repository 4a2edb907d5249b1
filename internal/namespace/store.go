package namespace

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/pki"
)

// hashedFolders lists where systems keep a file for each root that they trust, under the name by
// which OpenSSL finds it.
func hashedFolders() []string {
	return []string{
		"/etc/ssl/certs", // Debian, Ubuntu, Arch, Alpine, Gentoo
		"/etc/pki/ca-trust/extracted/pem/directory-hash", // Fedora, RHEL
		"/etc/pki/tls/certs",                             // older Fedora and RHEL
		"/var/lib/ca-certificates/openssl",               // openSUSE
	}
}

// hashedName is the name of a certificate in such a folder.
var hashedName = regexp.MustCompile(`^[0-9a-f]{8}\.[0-9]+$`)

// layStore covers the system's store of trusted certificates by a bundle: its files by the bundle
// itself, and its folders by copies in which those certificates can also be found that the system
// does not trust.
func (c *covering) layStore(bundle string) {
	content, err := os.ReadFile(bundle)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("read the CA bundle: %w", err))
		return
	}
	files := map[string]bool{} // by where they lead
	known := map[string]bool{}
	for _, path := range pki.SystemRootFiles() {
		target, err := filepath.EvalSymlinks(filepath.Join(c.root, path))
		if err != nil || files[target] {
			continue
		}
		if roots, err := os.ReadFile(target); err == nil {
			files[target] = true
			for _, der := range certificates(roots) {
				known[string(der)] = true
			}
		}
	}
	var added [][]byte
	for _, der := range certificates(content) {
		if !known[string(der)] {
			known[string(der)] = true
			added = append(added, der)
		}
	}
	for _, path := range hashedFolders() {
		if target := c.resolve(path); target != "" && isHashed(target) {
			c.copyFolder(target, files, content, added)
		}
	}
	for target := range files {
		if !c.covers(target) {
			c.add(target, content)
		}
	}
}

// covers reports whether a file is in a folder that is covered.
func (c *covering) covers(target string) bool {
	for _, made := range c.all {
		if made.Target == target || strings.HasPrefix(target, made.Target+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// isHashed reports whether OpenSSL finds certificates in a folder.
func isHashed(folder string) bool {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if hashedName.MatchString(entry.Name()) {
			return true
		}
	}
	return false
}

// copyFolder covers a folder by a copy in which some files have another content, with certificates
// added.
func (c *covering) copyFolder(target string, files map[string]bool, content []byte, added [][]byte) {
	source := c.next()
	err := copyTree(source, target, func(path string) []byte {
		if files[path] {
			return content
		}
		return nil
	})
	for _, der := range added {
		err = errors.Join(err, addHashed(source, der))
	}
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("copy the system's store of certificates: %w", err))
		return
	}
	c.all = append(c.all, cover{source, target})
}

// copyTree copies a folder with its links as they are. What other has for a file counts in its place.
// What this user cannot read the program could not read either.
func copyTree(to, from string, other func(path string) []byte) error {
	if err := os.Mkdir(to, 0o755); err != nil { //nolint:gosec // G301: as the folder that it covers
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		source, path := filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())
		switch {
		case entry.IsDir():
			err = copyTree(path, source, other)
		case entry.Type() == os.ModeSymlink:
			err = copyLink(path, source)
		case entry.Type().IsRegular():
			err = copyFile(path, source, other(source))
		}
		if err != nil && !isMissing(err) {
			return err
		}
	}
	return nil
}

func copyLink(to, from string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	return os.Symlink(target, to)
}

func copyFile(to, from string, content []byte) error {
	if content == nil {
		var err error
		if content, err = os.ReadFile(from); err != nil {
			return err
		}
	}
	return os.WriteFile(to, content, 0o444) //nolint:gosec // G306: everybody reads certificates
}

// addHashed puts a certificate where OpenSSL finds it. One that cannot be read is of no use there.
func addHashed(folder string, der []byte) error {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	hash, err := pki.SubjectHash(certificate.RawSubject)
	if err != nil {
		return err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for n := 0; ; n++ {
		file, err := os.OpenFile(filepath.Join(folder, fmt.Sprintf("%08x.%d", hash, n)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444) //nolint:gosec // G302, G304: a certificate, in our folder
		if errors.Is(err, os.ErrExist) {
			continue // of another with this subject
		}
		if err != nil {
			return err
		}
		_, err = file.Write(block)
		return errors.Join(err, file.Close())
	}
}

// certificates are those of a PEM file, in DER. There are many: what is in most is of no interest here.
func certificates(rest []byte) (all [][]byte) {
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		if block.Type == "CERTIFICATE" {
			all = append(all, block.Bytes)
		}
	}
}
