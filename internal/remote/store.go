package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/folder"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// Config says what a Store works with.
type Config struct {
	Dir     string           // required: the folder, which is made when something is kept
	Keyring Keyring          // nil: secrets are in the folder alone
	Now     func() time.Time // nil means time.Now
}

// A Store keeps servers by name. Several processes may use one folder at once.
type Store struct{ cfg Config }

// New returns a store. It touches nothing.
func New(cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, failure(nil, "set XDG_STATE_HOME or HOME", "there is no folder to keep sign-ins in")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Store{cfg}, nil
}

// Dir is the folder of sign-ins for an environment; empty where it has no home.
func Dir(lookup func(string) (string, bool)) string {
	if base, ok := lookup("XDG_STATE_HOME"); ok && filepath.IsAbs(base) {
		return filepath.Join(base, "rolecall")
	}
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home, ok := lookup(name); ok && home != "" {
			return filepath.Join(home, ".local", "state", "rolecall")
		}
	}
	return ""
}

// The files of the folder. Those of one server begin with its name.
const (
	stateFile    = "servers.json"
	stateLock    = ".servers.lock"
	bundleSuffix = ".ca-bundle.pem"
	secretSuffix = ".secret"
	lockSuffix   = ".lock"
	lentSuffix   = ".lent" // a folder
)

func (s *Store) path(name string) string { return filepath.Join(s.cfg.Dir, name) }

// List returns what is kept of all servers, by name.
func (s *Store) List() ([]Record, error) {
	kept, err := s.read()
	if err != nil {
		return nil, err
	}
	return kept.Servers, nil
}

// Names returns the names of all servers.
func (s *Store) Names() ([]string, error) {
	servers, err := s.List()
	names := make([]string, len(servers))
	for i := range servers {
		names[i] = servers[i].Name
	}
	return names, err
}

// Open returns a server to work with. It asks the network nothing.
func (s *Store) Open(name string) (*Server, error) {
	r, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return s.open(*r)
}

func (s *Store) find(name string) (*Record, error) {
	kept, err := s.read()
	if err != nil {
		return nil, err
	}
	if r := kept.find(name); r != nil {
		return r, nil
	}
	fix := "sign in to one first: `rolecall login URL --name " + name + "`"
	if CheckName(name) != nil {
		fix = "sign in to one first: `rolecall login URL`"
	}
	if len(kept.Servers) > 0 {
		names := make([]string, len(kept.Servers))
		for i := range kept.Servers {
			names[i] = kept.Servers[i].Name
		}
		fix = "there are " + strings.Join(names, ", ") + "; or " + fix
	}
	return nil, failure(ErrUnknown, fix, "there is no server %q on this machine", text.Shown(name))
}

func (s *state) find(name string) *Record {
	if i := slices.IndexFunc(s.Servers, func(r Record) bool { return r.Name == name }); i >= 0 {
		return &s.Servers[i]
	}
	return nil
}

func (s *Store) read() (*state, error) {
	path := s.path(stateFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &state{Version: stateVersion}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the servers: %w", err)
	}
	kept, err := parseState(b)
	if err != nil {
		return nil, failure(err, "move it away and sign in again", "%s cannot be used: %v", path, err)
	}
	return kept, nil
}

// change changes the state under its lock.
func (s *Store) change(ctx context.Context, f func(*state)) (err error) {
	unlock, err := folder.Lock(ctx, s.path(stateLock))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	kept, err := s.read()
	if err != nil {
		return err
	}
	f(kept)
	slices.SortFunc(kept.Servers, func(a, b Record) int { return strings.Compare(a.Name, b.Name) })
	b, err := encode(kept)
	if err != nil {
		return err
	}
	return folder.WriteFile(s.path(stateFile), b)
}

// alone runs f while no other process uses the sign-in of a server.
func (s *Store) alone(ctx context.Context, name string, f func() error) (err error) {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return err
	}
	unlock, err := folder.Lock(ctx, s.path(name+lockSuffix))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return f()
}

// put keeps a server in place of what had its name.
func (s *Store) put(ctx context.Context, r Record, bundle []byte, kept secrets) (Record, error) {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return r, err
	}
	if err := os.Chmod(s.cfg.Dir, 0o700); err != nil { //nolint:gosec // a folder
		return r, err
	}
	err := s.alone(ctx, r.Name, func() (err error) {
		if r.Bundle = len(bundle) > 0; r.Bundle {
			err = folder.WriteFile(s.path(r.Name+bundleSuffix), bundle)
		} else {
			err = removed(s.path(r.Name + bundleSuffix))
		}
		if err != nil {
			return err
		}
		if err := s.forgetKey(r.Name); err != nil {
			return err
		}
		if r.Keyring, err = s.sealSecrets(r.Name, kept); err != nil {
			return err
		}
		return s.change(ctx, func(all *state) {
			all.drop(r.Name)
			all.Servers = append(all.Servers, r)
		})
	})
	return r, err
}

func (s *state) drop(name string) {
	s.Servers = slices.DeleteFunc(s.Servers, func(r Record) bool { return r.Name == name })
}

// Remove forgets a server and all that is kept of it, also in the system's keyring.
func (s *Store) Remove(ctx context.Context, name string) error {
	if _, err := s.find(name); err != nil {
		return err
	}
	return s.alone(ctx, name, func() error {
		// The secrets go first: what is left after a crash in between can be removed again.
		err := errors.Join(s.forgetKey(name), removed(s.path(name+secretSuffix)), removed(s.path(name+bundleSuffix)), os.RemoveAll(s.path(name+lentSuffix)))
		if err != nil {
			return fmt.Errorf("remove the sign-in at %s: %w", name, err)
		}
		if err := s.change(ctx, func(all *state) { all.drop(name) }); err != nil {
			return err
		}
		return removed(s.path(name + lockSuffix))
	})
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
