package server_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/server"
)

func start(t *testing.T, cfg server.Config) *server.Server {
	t.Helper()
	if cfg.NewKey == nil {
		cfg.NewKey = fixture.NewKeys()
	}
	s, err := server.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// get fetches a URL as a client that trusts the server's own authority.
func get(t *testing.T, s *server.Server, url string) (status int, body string) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA().Pool(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

func TestFirstStartMakesEverything(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	s := start(t, server.Config{Dir: dir, Version: "test"})
	at := s.Endpoints()
	if len(at.Tenants) != 1 || at.Tenants[0].Name != "default" {
		t.Errorf("tenants %+v, want one named default", at.Tenants)
	}
	for url, want := range map[string]string{
		at.Authority + "/default/v2.0/.well-known/openid-configuration": at.Authority + "/" + at.Tenants[0].ID + "/v2.0",
		at.Ops + "/healthz": `"ok"`,
		at.Ops + "/readyz":  `"ready"`,
		at.Ops + "/status":  `"version":"test"`,
	} {
		if status, body := get(t, s, url); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want 200 with %s", url, status, body, want)
		}
	}
	modes := map[string]fs.FileMode{
		".": 0o700, "kek": 0o600, "ca.key": 0o600, "ca.pem": 0o644, "ca-bundle.pem": 0o644, "rolecall.db": 0o600, "server.json": 0o600,
	}
	if runtime.GOOS == "windows" {
		modes = nil // there the folder's access list decides
	}
	for name, want := range modes {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", name, info.Mode().Perm(), want)
		}
	}
}

func TestWhatIsKeptSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := server.Start(t.Context(), server.Config{NewKey: fixture.NewKeys(), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	tenant := first.Endpoints().Tenants[0]
	keys, err := first.Data().Keys.List(t.Context(), tenant.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "server.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("server.json after the stop: %v", err)
	}
	second := start(t, server.Config{Dir: dir})
	if got := second.Endpoints().Tenants; len(got) != 1 || got[0] != tenant {
		t.Errorf("tenants %+v, want %+v", got, tenant)
	}
	again, err := second.Data().Keys.List(t.Context(), tenant.ID)
	if err != nil || len(again) != len(keys) || again[0] != keys[0] {
		t.Errorf("keys %+v (%v), want %+v", again, err, keys)
	}
}

func TestOneFolderHasOneServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, server.Config{Dir: dir})
	_, err := server.Start(t.Context(), server.Config{NewKey: fixture.NewKeys(), Dir: dir})
	var inUse *server.InUseError
	if !errors.As(err, &inUse) || inUse.Other == nil {
		t.Fatalf("a second server: %v, want an InUseError that names the first", err)
	}
	if inUse.Other.Authority != s.Endpoints().Authority || inUse.Other.PID != os.Getpid() {
		t.Errorf("the error names %+v", inUse.Other)
	}
	if status, _ := get(t, s, s.Endpoints().Ops+"/healthz"); status != http.StatusOK {
		t.Errorf("the first server answers %d after the second was refused", status)
	}
	if _, err := os.Stat(filepath.Join(dir, "server.json")); err != nil {
		t.Errorf("the refused server removed the traces of the running one: %v", err)
	}
}

// `rolecall serve` and `rolecall apply` of one script may meet in a folder that is new.
func TestCommandsOpenANewFolderAtOnce(t *testing.T) {
	t.Parallel()
	const folders, commands = 20, 4
	for range folders {
		dir := filepath.Join(t.TempDir(), "data")
		failures := make([]error, commands)
		var begin, end sync.WaitGroup
		begin.Add(1)
		for i := range commands {
			end.Go(func() {
				begin.Wait()
				data, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir})
				if err == nil {
					_, err = data.Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
						_, err := e.Tenants().Create(directory.Tenant{Name: fmt.Sprint("tenant-", i)})
						return err
					})
					err = errors.Join(err, data.Close())
				}
				failures[i] = err
			})
		}
		begin.Done()
		end.Wait()
		if err := errors.Join(failures...); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheStoreIsWhereItsURLSays(t *testing.T) {
	t.Parallel()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere.db")
	data, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir, Database: "sqlite:" + file})
	if err != nil {
		t.Fatal(err)
	}
	if err := data.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "rolecall.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder has a store too: %v", err)
	}
	if _, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir, Database: "oracle://db/rolecall"}); err == nil || !strings.Contains(err.Error(), "only sqlite: is supported") {
		t.Errorf("another kind of store: %v", err)
	}
}

func TestAnUnannouncedServerIsNotFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, server.Config{Dir: dir, Unannounced: true})
	if found, err := server.Find(t.Context(), dir); found != nil || err != nil {
		t.Errorf("found %+v, %v", found, err)
	}
	var inUse *server.InUseError
	if _, err := server.Start(t.Context(), server.Config{NewKey: fixture.NewKeys(), Dir: dir}); !errors.As(err, &inUse) || inUse.Other != nil {
		t.Errorf("another server: %v, want an InUseError that names none", err)
	}
}

func TestTracesOfACrashAreNoServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, server.Config{Dir: dir})
	path := filepath.Join(dir, "server.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(){
		"another server has the port": func() { state["instance"] = "somebody else" },
		"nobody has the port":         func() { state["ops"] = "http://127.0.0.1:1" },
	} {
		change()
		content, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		for _, content := range [][]byte{content, content[:len(content)/2]} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if found, err := server.Find(t.Context(), dir); found != nil || err != nil {
				t.Errorf("%s: found %+v, %v", name, found, err)
			}
		}
	}
	if status, _ := get(t, s, s.Endpoints().Ops+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
}

func TestAChangeByAnotherProcessIsAwaited(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, server.Config{Dir: dir})
	tenant := s.Endpoints().Tenants[0]
	other, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	before, err := s.Data().Keys.Signer(t.Context(), tenant.ID)
	if err != nil {
		t.Fatal(err)
	}
	sequence, err := other.Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		_, err := e.Applications().Create(directory.Application{Tenant: directory.TenantID(tenant.ID), Name: "orders-client", TokenVersion: 2})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found, err := server.Find(t.Context(), dir)
	if found == nil || err != nil {
		t.Fatalf("find: %v, %v", found, err)
	}
	if err := found.Sync(t.Context(), sequence); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Data().Directory.Named(t.Context(), directory.TenantID(tenant.ID), "orders-client"); err != nil {
		t.Errorf("the server does not know of the change: %v", err)
	}

	if _, err := other.Keys.Rotate(t.Context(), tenant.ID, audit.Actor{Kind: "operator", Name: "test"}, keyring.RotateOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	if sequence, err = other.Sequence(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := found.Sync(t.Context(), sequence); err != nil {
		t.Fatal(err)
	}
	after, err := s.Data().Keys.Signer(t.Context(), tenant.ID)
	if err != nil || after.KeyID() == before.KeyID() {
		t.Errorf("the server still signs with key %s (%v)", after.KeyID(), err)
	}
}

func TestSurfacesHaveTheLimitsOfTheAuthority(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{Dir: t.TempDir()})
	at := s.Endpoints()
	for _, url := range []string{at.Authority + "/default/discovery/keys", at.Ops + "/healthz"} {
		for size, want := range map[int]int{
			exchange.MaxHeader - 1<<10: http.StatusOK, exchange.MaxHeader + 1<<10: http.StatusRequestHeaderFieldsTooLarge,
		} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-Fill", strings.Repeat("x", size))
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA().Pool(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
			response, err := (&http.Client{Transport: transport}).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s with a header of %d bytes: %d, want %d", url, size, response.StatusCode, want)
			}
		}
	}
}

func TestOpsAnswersToThisMachineAlone(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{Dir: t.TempDir()})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:1234": 200, "127.0.0.1": 200, "[::1]:80": 200,
		"rebound.test": 421, "localhost.rebound.test": 421, "10.0.0.1": 421,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Endpoints().Ops+"/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("Host %s: %d, want %d", host, response.StatusCode, want)
		}
	}
}

func TestWhatCannotBeServedIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
		cfg     server.Config
		want    string
	}{
		{"no folder", nil, server.Config{}, "no folder given"},
		{"a host that MSAL would garble", nil, server.Config{Hosts: []string{"token.contoso.test"}}, "token"},
		{"a folder that others can read", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "mine"), "")
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}, server.Config{}, "open to other users"},
		{"a key that others can read", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "kek"), strings.Repeat("k", 32))
			if err := os.Chmod(filepath.Join(dir, "kek"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, server.Config{}, "chmod 600"},
		{"a store without its key", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "rolecall.db"), "")
		}, server.Config{}, "restore the key"},
		{"an issuer host that is none", nil, server.Config{AllowIssuers: []string{"https://"}}, "https://"},
		{"a preparation that fails", nil, server.Config{Prepare: func(context.Context, *server.Data) error { return errors.New("not today") }}, "not today"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name != "no folder" {
				tt.cfg.Dir = filepath.Join(t.TempDir(), "data")
				if err := os.Mkdir(tt.cfg.Dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if tt.prepare != nil {
				if runtime.GOOS == "windows" {
					t.Skip("files have no such modes here")
				}
				tt.prepare(t, tt.cfg.Dir)
			}
			s, err := server.Start(t.Context(), tt.cfg)
			if err == nil {
				_ = s.Close()
				t.Fatal("it started")
			}
			if text := withFix(err); !strings.Contains(text, tt.want) {
				t.Errorf("error %q, want one with %q", text, tt.want)
			}
		})
	}
}

// withFix is what people read of an error: what happened, and the next step.
func withFix(err error) string {
	if err == nil {
		return "no error"
	}
	return fix.InOneLine(err)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestATakenPortIsSaidPlainly(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{Dir: t.TempDir()})
	_, number, _ := strings.Cut(strings.TrimPrefix(s.Endpoints().Authority, "https://"), ":")
	var port int
	if err := json.Unmarshal([]byte(number), &port); err != nil {
		t.Fatal(err)
	}
	_, err := server.Start(t.Context(), server.Config{NewKey: fixture.NewKeys(), Dir: t.TempDir(), Port: port})
	if !errors.Is(err, server.ErrListen) || !strings.Contains(withFix(err), "choose another base port") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkStartWithData(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		s, err := server.Start(b.Context(), server.Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
