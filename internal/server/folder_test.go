package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// closedFolder is a data folder that was made, and closed again.
func closedFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	openAndClose(t, dir)
	return dir
}

func openAndClose(t *testing.T, dir string) {
	t.Helper()
	data, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := data.Close(); err != nil {
		t.Fatal(err)
	}
}

func removeStore(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "rolecall.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files of the store: %q, %v", files, err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}

// logged is a log that is read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) log() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// await waits until the log has a text.
func (l *logged) await(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(l.String(), text); {
		if time.Now().After(end) {
			t.Fatalf("the log never says %q:\n%s", text, l)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAKeyWithoutItsDatabaseIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(t *testing.T, dir string)
	}{
		{"removed", removeStore},
		{"emptied", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "rolecall.db"), "") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := closedFolder(t)
			tt.lose(t, dir)
			for range 2 { // nothing is made that would let the second one pass
				_, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir})
				if err == nil {
					t.Fatal("opened")
				}
				if text := withFix(err); !strings.Contains(text, "has its key but no database") || !strings.Contains(text, "rolecall restore") {
					t.Errorf("got %q", text)
				}
			}
			if info, err := os.Stat(filepath.Join(dir, "rolecall.db")); err == nil && info.Size() > 0 {
				t.Error("a database was made")
			}
		})
	}
}

// TestAnInterruptedFirstStartHeals leaves what a process leaves that was killed between
// making the key and making the database.
func TestAnInterruptedFirstStartHeals(t *testing.T) {
	for _, empty := range []bool{false, true} {
		dir := closedFolder(t)
		removeStore(t, dir)
		write(t, filepath.Join(dir, ".first-start"), "")
		if empty {
			write(t, filepath.Join(dir, "rolecall.db"), "")
		}
		openAndClose(t, dir)
		if _, err := os.Stat(filepath.Join(dir, ".first-start")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the first start has not ended: %v", err)
		}
	}
}

// TestADatabaseRemovedUnderTheServer is what `rm DATA/rolecall.db*` does to a running server
// and to the commands that come then.
func TestADatabaseRemovedUnderTheServer(t *testing.T) {
	var log logged
	dir := filepath.Join(t.TempDir(), "data")
	s := start(t, server.Config{Dir: dir, Log: log.log()})
	if status, body := readiness(t, s); status != http.StatusOK {
		t.Fatalf("before: %d %s", status, body)
	}
	removeStore(t, dir)
	if _, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir}); err == nil || !strings.Contains(err.Error(), "no database") {
		t.Errorf("a command: %v", err)
	}
	if status, body := readiness(t, s); status != http.StatusServiceUnavailable || !strings.Contains(body, "removed or replaced") {
		t.Errorf("readiness: %d %s", status, body)
	}
	log.await(t, "no longer in its place")
	if _, err := s.Data().Directory.Change(t.Context(), directory.Operator("test"), makeTenant("lost")); !errors.Is(err, directory.ErrReplaced) {
		t.Errorf("a change of the server's: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// TestADatabaseReplacedUnderTheServer puts another database where the server's was.
func TestADatabaseReplacedUnderTheServer(t *testing.T) {
	for _, tt := range []struct {
		name string
		from func(t *testing.T, dir string) string
	}{
		{"by another", func(t *testing.T, _ string) string { return closedFolder(t) }},
		{"by an older one of its own", func(t *testing.T, dir string) string {
			openAndClose(t, dir)
			older := t.TempDir()
			content, err := os.ReadFile(filepath.Join(dir, "rolecall.db"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(older, "rolecall.db"), string(content))
			return older
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			other := tt.from(t, dir)
			s := start(t, server.Config{Dir: dir})
			removeStore(t, dir)
			if err := os.Rename(filepath.Join(other, "rolecall.db"), filepath.Join(dir, "rolecall.db")); err != nil {
				t.Fatal(err)
			}
			_, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir})
			if err == nil || !strings.Contains(withFix(err), "another database") || !strings.Contains(withFix(err), "stop the server") {
				t.Errorf("a command: %v", err)
			}
			if status, body := readiness(t, s); status != http.StatusServiceUnavailable || !strings.Contains(body, "removed or replaced") {
				t.Errorf("readiness: %d %s", status, body)
			}
		})
	}
}

func makeTenant(name string) func(*directory.Editor) error {
	return func(e *directory.Editor) error {
		_, err := e.Tenants().Create(directory.Tenant{Name: name, Enabled: true})
		return err
	}
}

// readiness asks /readyz.
func readiness(t *testing.T, s *server.Server) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Endpoints().Ops+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// filledFolder is one with many tenants in it, so that its database has pages to damage.
func filledFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	data, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	_, err = data.Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		tenant, err := e.Tenants().Create(directory.Tenant{Name: "contoso", Enabled: true})
		for i := 0; i < 300 && err == nil; i++ {
			_, err = e.Applications().Create(directory.Application{Tenant: tenant.ID, Name: fmt.Sprintf("application-%d", i)})
		}
		return err
	})
	if err := errors.Join(err, data.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

const pageSize = 4096

// overwrite damages pages of the folder's database, but for the first ones.
func overwrite(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "rolecall.db"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for page := int64(2); page < info.Size()/pageSize; page++ {
		if _, err := f.WriteAt(bytes.Repeat([]byte{0xA5}, pageSize), page*pageSize); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADamagedDatabaseIsNotOpened(t *testing.T) {
	dir := filledFolder(t)
	overwrite(t, dir)
	for range 2 {
		_, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir})
		if err == nil {
			t.Fatal("opened")
		}
		if text := withFix(err); !strings.Contains(text, "is damaged") || !strings.Contains(text, "restore a backup") {
			t.Errorf("got %q", text)
		}
	}
}

// TestADamagedPageIsNotOpened overwrites one page that is in nobody's way when the folder
// is opened.
func TestADamagedPageIsNotOpened(t *testing.T) {
	dir := filledFolder(t)
	path := filepath.Join(dir, "rolecall.db")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(content[len(content)/pageSize/2*pageSize:], bytes.Repeat([]byte{0xA5}, pageSize))
	write(t, path, string(content))
	_, err = server.OpenData(t.Context(), server.DataConfig{Dir: dir})
	if err == nil || !strings.Contains(withFix(err), "restore a backup") {
		t.Errorf("got %v", err)
	}
}

func TestWhatWasNotClosedIsCheckedOnce(t *testing.T) {
	dir := closedFolder(t)
	if err := os.Remove(filepath.Join(dir, "closed.json")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		var log logged
		data, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir, Log: log.log()})
		if err != nil {
			t.Fatal(err)
		}
		if err := data.Close(); err != nil {
			t.Error(err)
		}
		if got := strings.Contains(log.String(), "checked the database"); got != want {
			t.Errorf("checked: %v, want %v; the log:\n%s", got, want, &log)
		}
	}
}

// TestDamageUnderTheServer overwrites pages that a running server comes to read.
func TestDamageUnderTheServer(t *testing.T) {
	var log logged
	dir := filledFolder(t)
	s := start(t, server.Config{Dir: dir, Log: log.log()})
	if status, body := readiness(t, s); status != http.StatusOK {
		t.Fatalf("before: %d %s", status, body)
	}
	openAndClose(t, dir)
	overwrite(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for n := 0; ctx.Err() == nil && !strings.Contains(log.String(), "is damaged"); n++ { // what is in memory still answers
		_, _ = s.Data().Directory.Change(ctx, directory.Operator("test"), makeTenant(fmt.Sprintf("new-%d", n)))
	}
	log.await(t, "restore a backup")
	if status, body := readiness(t, s); status != http.StatusServiceUnavailable || !strings.Contains(body, "damaged") {
		t.Errorf("readiness: %d %s", status, body)
	}
	_ = s.Close() // it cannot even write its log back
	if _, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir}); err == nil || !strings.Contains(withFix(err), "restore a backup") {
		t.Errorf("opened again: %v", err)
	}
}

// TestAPlantedFolderIsRefused is a folder of another user's, made for root to fall for.
func TestAPlantedFolderIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	for _, planted := range []string{".", "kek", "ca.key", "rolecall.db"} {
		dir := filepath.Join(t.TempDir(), "data")
		s := start(t, server.Config{Dir: dir}) // makes ca.key
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(dir, planted), 65534, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir}); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
			t.Errorf("%s: opened by a command: %v", planted, err)
		}
		if s, err := server.Start(t.Context(), server.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
			t.Errorf("%s: served: %v", planted, err)
			if err == nil {
				_ = s.Close()
			}
		}
	}
}
