package guard

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// A keptSet is a keys document as it lies in Config.StateDir.
type keptSet struct {
	Issuer   string          `json:"issuer"` // by its own word
	Cloud    string          `json:"cloud,omitempty"`
	Keys     string          `json:"keys"` // the URL
	Fetched  time.Time       `json:"fetched"`
	Document json.RawMessage `json:"document"`
}

const maxKept = 2 * maxKeysSize

// keptName is the name of the file for a source. Another configuration of the
// issuer has another one.
func (s source) keptName() string {
	sum := sha256.Sum256([]byte(s.issuer + "\n" + s.metadata + "\n" + s.keys))
	return "keys-" + base64.RawURLEncoding.EncodeToString(sum[:15]) + ".json"
}

// keep writes a set to where the next start finds it. It replaces the file as a
// whole.
func (s *keySource) keep(set *keySet) error {
	if s.folder == "" {
		return nil
	}
	content, err := json.Marshal(keptSet{set.issuer, set.cloud, set.location.keys, set.fetched.UTC().Round(0), set.document})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return err
	}
	name := s.source.keptName()
	whole, err := os.CreateTemp(s.folder, name+".*") // 0600
	if err != nil {
		return err
	}
	_, err = whole.Write(content)
	if err := errors.Join(err, whole.Close()); err != nil {
		return errors.Join(err, os.Remove(whole.Name()))
	}
	return os.Rename(whole.Name(), filepath.Join(s.folder, name))
}

// restore takes over the set of an earlier start, if there is one that still
// counts. It is fetched anew with the first request.
func (s *keySource) restore() {
	if s.folder == "" {
		return
	}
	set, err := s.kept()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		s.log.Warn("keys of an earlier start are not used", "issuer", s.source.issuer, "error", err)
		return
	}
	s.set.Store(set)
	s.goodUntil.Store(s.clock().Add(s.maxAge - set.age(time.Now())).Unix())
	s.log.Info("keys of an earlier start are used until they are fetched anew", "issuer", s.source.issuer, "fetched", set.fetched)
}

// kept reads the set of an earlier start. It passes the checks of one that was
// fetched.
func (s *keySource) kept() (*keySet, error) {
	f, err := os.Open(filepath.Join(s.folder, s.source.keptName()))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	if err := ownFile(f, s.folder); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxKept))
	if err != nil {
		return nil, err
	}
	return s.readKept(content)
}

func (s *keySource) readKept(content []byte) (*keySet, error) {
	var k keptSet
	if err := json.Unmarshal(content, &k); err != nil {
		return nil, err
	}
	if err := s.source.mayBe(location{issuer: k.Issuer, keys: k.Keys}); err != nil {
		return nil, err
	}
	set, _, err := readKeys(k.Document, location{issuer: k.Issuer, cloud: k.Cloud, keys: k.Keys})
	if err != nil {
		return nil, err
	}
	set.fetched = k.Fetched
	switch age := time.Since(k.Fetched); {
	case age < 0:
		return nil, errors.New("they are of a later time than now")
	case age >= s.maxAge:
		return nil, fmt.Errorf("they are older than %v", s.maxAge)
	}
	return set, nil
}

// mayBe reports whether a location is one that the source could have named.
func (s source) mayBe(at location) error {
	if s.learns && !namesTenant(at.issuer, s.tenant) || !s.learns && at.issuer != s.issuer {
		return errors.New("they are of another issuer")
	}
	if s.metadata == "" {
		if at.keys != s.keys {
			return errors.New("they are of another address")
		}
		return nil
	}
	if err := checkURL("jwks_uri", at.keys); err != nil {
		return err
	}
	from, err := url.Parse(s.metadata)
	if err != nil {
		return err
	}
	to, err := url.Parse(at.keys)
	if err != nil {
		return err
	}
	if token.Origin(from) != token.Origin(to) {
		return errors.New("they are of another host")
	}
	return nil
}

// ownFile refuses a file that other users can write: who chooses the keys chooses
// who is let in.
func ownFile(f *os.File, folder string) error {
	if runtime.GOOS == "windows" {
		return nil // which has other rights, and inherits them
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	in, err := os.Stat(folder)
	if err != nil {
		return err
	}
	const others = 0o022
	if info.Mode().Perm()&others != 0 || in.Mode().Perm()&others != 0 {
		return fmt.Errorf("other users may write %s or its folder: take the right from them (chmod go-w)", f.Name())
	}
	return nil
}
