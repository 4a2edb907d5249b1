package guard_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// keptFile returns the one file in a state folder.
func keptFile(t testing.TB, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	return files[0]
}

// A restart while the authority is down lets the same callers in as before, for as long as it
// would have without the restart.
func TestKeysOutliveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		cfg := a.aging()
		cfg.StateDir = filepath.Join(t.TempDir(), "state")
		raw := a.token(t, lasting())
		if r := reason(newGuard(t, cfg), raw); r != "" {
			t.Fatal(r)
		}
		if info, err := os.Stat(keptFile(t, cfg.StateDir)); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v, %v", info, err)
		}
		a.fail(outage)
		time.Sleep(20 * time.Hour)
		g := newGuard(t, cfg)
		if err := g.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		if r := reason(g, raw); r != "" {
			t.Fatalf("after a restart: %s", r)
		}
		if s := g.Keys()[0]; !s.Usable || s.Keys != 1 || time.Since(s.Fetched) < 20*time.Hour {
			t.Errorf("after a restart: %+v", s)
		}
		time.Sleep(4*time.Hour + time.Minute)
		for _, g := range []*guard.Guard{g, newGuard(t, cfg)} {
			if r := reason(g, raw); r != guard.KeysUnavailable {
				t.Errorf("after a day: %q", r)
			}
		}
	})
}

// With the authority there, kept keys only bridge the time until it has answered.
func TestKeptKeysAreFetchedAnewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		cfg := a.aging()
		cfg.StateDir = t.TempDir()
		revoked := a.token(t, lasting())
		if r := reason(newGuard(t, cfg), revoked); r != "" {
			t.Fatal(r)
		}
		a.publish(token.Key{ID: "spare", Public: spareKey().Public()})
		g := newGuard(t, cfg)
		reason(g, revoked)
		synctest.Wait()
		time.Sleep(time.Second)
		if r := reason(g, revoked); r != guard.KeyUnknown {
			t.Errorf("a key that is gone: %q", r)
		}
	})
}

// Anybody who could write the folder would choose who is let in; and keys of another issuer, another
// address or another time are no keys.
func TestKeptKeysThatAreNotUsed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, file string, content string) string
	}{
		{"another issuer", func(_ *testing.T, _, c string) string {
			return strings.Replace(c, `"issuer":"https://`, `"issuer":"https://evil`, 1)
		}},
		{"another host", func(_ *testing.T, _, c string) string {
			return strings.Replace(c, `"keys":"https://authority.test`, `"keys":"https://evil.test`, 1)
		}},
		{"of a later time", func(_ *testing.T, _, c string) string { return strings.Replace(c, `"fetched":"2`, `"fetched":"3`, 1) }},
		{"of an earlier time", func(_ *testing.T, _, c string) string { return strings.Replace(c, `"fetched":"20`, `"fetched":"19`, 1) }},
		{"no JSON", func(_ *testing.T, _, c string) string { return c[1:] }},
		{"no keys", func(_ *testing.T, _, c string) string { return strings.Replace(c, `"keys":[`, `"keyz":[`, 1) }},
		{"written by others", func(t *testing.T, file, c string) string {
			if err := os.Chmod(file, 0o666); err != nil {
				t.Fatal(err)
			}
			return c
		}},
		{"in a folder of others", func(t *testing.T, file, c string) string {
			if err := os.Chmod(filepath.Dir(file), 0o777); err != nil {
				t.Fatal(err)
			}
			return c
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS == "windows" && strings.Contains(tt.name, "others") {
				t.Skip("rights are other ones here")
			}
			a := newAuthority("https://authority.test")
			cfg := a.config()
			cfg.StateDir = t.TempDir()
			raw := a.token(t)
			if r := reason(newGuard(t, cfg), raw); r != "" {
				t.Fatal(r)
			}
			a.fail(outage)
			files, err := filepath.Glob(filepath.Join(cfg.StateDir, "*.json"))
			if err != nil || len(files) == 0 {
				t.Fatalf("%q, %v", files, err)
			}
			for _, file := range files {
				content, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(tt.change(t, file, string(content))), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if r := reason(newGuard(t, cfg), raw); r != guard.KeysUnavailable {
				t.Errorf("got %q", r)
			}
		})
	}
}
