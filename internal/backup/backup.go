package backup

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// The names that files have in a backup; they are those of the data folder.
const (
	Database    = "rolecall.db"
	Key         = "kek"
	Credentials = "credentials/" // begins the names of the files in that folder
)

const (
	magic         = "rolecall backup\n"
	formatVersion = 1
	sumSize       = sha256.Size

	// What a reader takes. The database is bounded by the disk: nothing of it is kept in memory.
	maxHeader   = 4 << 20
	maxFiles    = 20_000
	maxFile     = 1 << 20
	maxDatabase = 1 << 44
)

// A Header says what is in a backup. Everything in it is what somebody wrote, until the
// checksum has been read.
type Header struct {
	Created time.Time `json:"created"`
	Version string    `json:"rolecall"` // of the program that wrote it
	KEK     string    `json:"kek"`      // fingerprint of the folder's key
	Sealed  bool      `json:"sealed"`   // without the key: the private files are sealed by it
	Files   []Entry   `json:"files"`    // in the order of their contents
}

// An Entry is a file of a backup.
type Entry struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // as it is in the backup
}

// credentialName is what files below Credentials are called: no folder below it, and no
// name that begins with a dot.
var credentialName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.(pem|secret)$`)

// isFile reports whether a file of a data folder belongs into a backup.
func isFile(name string) bool {
	switch name {
	case Database, Key, "ca.key", "ca.pem":
		return true
	}
	rest, ok := strings.CutPrefix(name, Credentials)
	return ok && IsCredential(rest)
}

// IsCredential reports whether a file of the folder credentials/ belongs into a backup.
func IsCredential(name string) bool { return credentialName.MatchString(name) }

// isPrivate reports whether a file is sealed where the key is left out. The certificate is
// public; the database is sealed where it has to be.
func isPrivate(name string) bool { return name != Database && name != "ca.pem" }

// check looks whether the header describes a backup that can be restored.
func (h *Header) check() error {
	if len(h.Files) > maxFiles {
		return fmt.Errorf("it names %d files; %d are the most", len(h.Files), maxFiles)
	}
	seen := make(map[string]bool, len(h.Files))
	for _, entry := range h.Files {
		most := int64(maxFile)
		if entry.Name == Database {
			most = maxDatabase
		}
		switch {
		case !isFile(entry.Name):
			return fmt.Errorf("it names the file %.80q, which is none of a data folder", entry.Name)
		case seen[entry.Name]:
			return fmt.Errorf("it names the file %q twice", entry.Name)
		case entry.Size < 0 || entry.Size > most:
			return fmt.Errorf("its file %q has %d bytes; %d are the most", entry.Name, entry.Size, most)
		}
		seen[entry.Name] = true
	}
	switch {
	case !seen[Database]:
		return errors.New("it has no database")
	case seen[Key] == h.Sealed:
		return errors.New("it does not say truly whether the key is in it")
	}
	return nil
}

// code is the HMAC of a checksum.
func code(kek *keyring.KEK, sum []byte) []byte {
	h := hmac.New(sha256.New, kek.Derive("backup"))
	h.Write(sum)
	return h.Sum(nil)
}

// sealContext ties what is sealed to its name.
func sealContext(name string) []byte { return []byte("backup/" + name) }

// A Problem says what is wrong with a backup and what to do.
type Problem struct {
	What  string
	Next  string
	Cause error // nil where What says it all
}

func (p *Problem) Error() string {
	if p.Cause == nil {
		return p.What
	}
	return p.What + ": " + p.Cause.Error()
}

// Fix says what to do.
func (p *Problem) Fix() string { return p.Next }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }

const anotherBackup = "take another backup; this one is damaged"
