package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// A sample is a folder with an API and a client in it.
type sample struct {
	dir    string
	tenant directory.TenantID
	client directory.AppID
	app    directory.ObjectID
	secret string
}

// newSample makes one, with a server that is stopped again when it is to be closed.
func newSample(t *testing.T, closed bool) (sample, *server.Server) {
	t.Helper()
	at := sample{dir: filepath.Join(t.TempDir(), "data")}
	s, err := server.Start(t.Context(), server.Config{Dir: at.dir})
	if err != nil {
		t.Fatal(err)
	}
	at.tenant = directory.TenantID(s.Endpoints().Tenants[0].ID)
	_, err = s.Data().Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		api, err := e.Applications().Create(directory.Application{Tenant: at.tenant, Name: "orders-server", IdentifierURIs: []string{"api://orders"}})
		if err != nil {
			return err
		}
		client, err := e.Applications().Create(directory.Application{Tenant: at.tenant, Name: "orders-client"})
		if err != nil {
			return err
		}
		for _, app := range []directory.AppID{api.AppID, client.AppID} {
			if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: at.tenant, AppID: app, Enabled: true}); err != nil {
				return err
			}
		}
		at.client, at.app = client.AppID, client.ID
		_, at.secret, err = e.Credentials().AddSecret(at.tenant, client.ID, "ci", time.Time{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(at.dir, "credentials"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(at.dir, "credentials", "made.secret"), "not moved yet")
	if closed {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return at, nil
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return at, s
}

// token asks a server for a token by the client's secret.
func (at sample) token(ctx context.Context, client *http.Client, authority string) error {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {string(at.client)}, "client_secret": {at.secret}, "scope": {"api://orders/.default"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, authority+"/"+string(at.tenant)+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return err
}

func trusting(s *server.Server) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA().Pool(), MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 16}}
}

func operator() directory.Actor { return directory.Operator("test") }

func back(t *testing.T, cfg server.BackupConfig) {
	t.Helper()
	if _, err := server.Backup(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(cfg.File); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v, %v; want it private", info, err)
	}
	checkNothingLeft(t, filepath.Dir(cfg.File))
}

// checkNothingLeft looks for drafts of backups and restored folders.
func checkNothingLeft(t *testing.T, folder string) {
	t.Helper()
	for _, pattern := range []string{".*restore-*", ".rolecall-backup-*"} {
		if left, err := filepath.Glob(filepath.Join(folder, pattern)); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %q, %v", folder, left, err)
		}
	}
}

func restore(cfg server.RestoreConfig, file string) (*server.Restored, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cfg.From = f
	return server.Restore(context.Background(), cfg)
}

// checkSample serves a restored folder and looks whether it is the one that was backed up.
func checkSample(t *testing.T, at sample, dir string) {
	t.Helper()
	s := start(t, server.Config{Dir: dir})
	client := trusting(s)
	defer client.CloseIdleConnections()
	if err := at.token(t.Context(), client, s.Endpoints().Authority); err != nil {
		t.Errorf("a token by the secret there was: %v", err)
	}
	for _, name := range []string{"kek", "ca.key", "credentials/made.secret"} {
		before, err := os.ReadFile(filepath.Join(at.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s is another one, %v", name, err)
		}
	}
	old, err := server.OpenData(t.Context(), server.DataConfig{Dir: at.dir})
	if err != nil {
		t.Fatal(err)
	}
	before, err := old.Keys.List(t.Context(), string(at.tenant))
	if err := errors.Join(err, old.Close()); err != nil {
		t.Fatal(err)
	}
	after, err := s.Data().Keys.List(t.Context(), string(at.tenant))
	if err != nil || len(before) == 0 || len(after) != len(before) || after[0].ID != before[0].ID {
		t.Errorf("signing keys %v, %v; were %v", after, err, before)
	}
}

func TestABackupIsTheFolder(t *testing.T) {
	for _, tt := range []struct {
		name               string
		closed, withoutKey bool
	}{
		{"of a closed folder", true, false},
		{"of a served one", false, false},
		{"without the key", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at, _ := newSample(t, tt.closed)
			file, dir := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
			back(t, server.BackupConfig{Actor: operator(), Dir: at.dir, File: file, WithoutKey: tt.withoutKey})
			back(t, server.BackupConfig{Actor: operator(), Dir: at.dir, File: file, WithoutKey: tt.withoutKey}) // in the older one's place
			cfg := server.RestoreConfig{Actor: operator(), Dir: dir}
			if tt.withoutKey {
				if _, err := restore(cfg, file); err == nil || !strings.Contains(withFix(err), "--key") {
					t.Errorf("restored without a key: %v", err)
				}
				cfg.Key = filepath.Join(at.dir, "kek")
			}
			if _, err := restore(cfg, file); err != nil {
				t.Fatal(withFix(err))
			}
			checkNothingLeft(t, filepath.Dir(dir))
			checkSample(t, at, dir)
		})
	}
}

// Who took a copy of everything, and who put one into the place of a directory, stands in the
// audit trail of the folder; nobody does either without the right to it.
func TestBackupsAreTheActors(t *testing.T) {
	dir := closedFolder(t)
	file, restored := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
	other := directory.Actor{Kind: directory.ActorUser, Name: "dev@contoso.test", Rights: directory.AllRights() &^ directory.Manage(directory.Backups)}
	if _, err := server.Backup(t.Context(), server.BackupConfig{Actor: other, Dir: dir, File: file}); !errors.Is(err, directory.ErrForbidden) {
		t.Errorf("a backup without the right to it: %v", err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a backup without the right to it is there: %v", err)
	}
	back(t, server.BackupConfig{Actor: directory.Operator("cli:backup"), Dir: dir, File: file, WithoutKey: true})
	if row := lastRow(t, dir); row.Action != "directory.backup" || row.Actor != "cli:backup" || row.ActorKind != "operator" || !strings.Contains(row.Detail, "without the key") {
		t.Errorf("after the backup: got %+v", row)
	}
	cfg := server.RestoreConfig{Actor: other, Dir: restored, Key: filepath.Join(dir, "kek")}
	if _, err := restore(cfg, file); !errors.Is(err, directory.ErrForbidden) {
		t.Errorf("restored without the right to it: %v", err)
	}
	cfg.Actor = directory.Operator("cli:restore")
	if _, err := restore(cfg, file); err != nil {
		t.Fatal(withFix(err))
	}
	if row := lastRow(t, restored); row.Action != "directory.restore" || row.Actor != "cli:restore" || row.ActorKind != "operator" || !strings.Contains(row.Detail, "without the key") {
		t.Errorf("after it was restored: got %+v", row)
	}
}

// lastRow is the newest row of the audit trail of a closed folder, which must be whole.
func lastRow(t *testing.T, dir string) audit.Row {
	t.Helper()
	data, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := data.Directory.AuditRows(t.Context(), 0, 1000)
	_, broken := data.Directory.VerifyAudit(t.Context())
	if err := errors.Join(err, broken, data.Close()); err != nil || len(rows) == 0 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows[len(rows)-1]
}

func TestABackupToAWriter(t *testing.T) {
	at, _ := newSample(t, true)
	var out bytes.Buffer
	if _, err := server.Backup(t.Context(), server.BackupConfig{Actor: operator(), Dir: at.dir, Out: &out}); err != nil {
		t.Fatal(err)
	}
	checkNothingLeft(t, at.dir)
	dir := t.TempDir() // there already, and empty
	if _, err := server.Restore(t.Context(), server.RestoreConfig{Actor: operator(), Dir: dir, From: &out}); err != nil {
		t.Fatal(withFix(err))
	}
	checkSample(t, at, dir)
}

func TestAFullFolderIsRestoredByForceAlone(t *testing.T) {
	at, _ := newSample(t, true)
	file := filepath.Join(t.TempDir(), "backup")
	back(t, server.BackupConfig{Actor: operator(), Dir: at.dir, File: file})
	dir := closedFolder(t)
	before := contents(t, dir)
	if _, err := restore(server.RestoreConfig{Actor: operator(), Dir: dir}, file); err == nil || !strings.Contains(withFix(err), "--force") {
		t.Errorf("without force: %v", err)
	}
	if !maps.Equal(contents(t, dir), before) {
		t.Error("the folder was changed by a refusal")
	}
	done, err := restore(server.RestoreConfig{Actor: operator(), Dir: dir, Force: true}, file)
	if err != nil {
		t.Fatal(withFix(err))
	}
	kept := contents(t, done.Aside)
	for name, content := range before {
		if kept[name] != content {
			t.Errorf("%s was not kept aside as it was", name)
		}
	}
	checkSample(t, at, dir)
}

// contents reads the files of a folder that say what is in it.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range []string{"kek", "rolecall.db"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(content)
	}
	return all
}

func TestAFolderInUseIsNotRestored(t *testing.T) {
	at, s := newSample(t, false)
	file := filepath.Join(t.TempDir(), "backup")
	back(t, server.BackupConfig{Actor: operator(), Dir: at.dir, File: file})
	if _, err := restore(server.RestoreConfig{Actor: operator(), Dir: at.dir, Force: true}, file); err == nil || !strings.Contains(withFix(err), "a server already runs") || !strings.Contains(withFix(err), "stop it first") {
		t.Errorf("under a server: %v", err)
	}
	client := trusting(s)
	defer client.CloseIdleConnections()
	if err := at.token(t.Context(), client, s.Endpoints().Authority); err != nil {
		t.Error(err)
	}
	dir := closedFolder(t)
	command, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := restore(server.RestoreConfig{Actor: operator(), Dir: dir, Force: true}, file); err == nil || !strings.Contains(err.Error(), "another rolecall process") {
		t.Errorf("under a command: %v", err)
	}
	if err := command.Close(); err != nil {
		t.Error(err)
	}
	checkNothingLeft(t, filepath.Dir(dir))
	openAndClose(t, dir)
}

// TestADamagedBackupChangesNothing restores what is left of a backup by force.
func TestADamagedBackupChangesNothing(t *testing.T) {
	at, _ := newSample(t, true)
	file := filepath.Join(t.TempDir(), "backup")
	back(t, server.BackupConfig{Actor: operator(), Dir: at.dir, File: file})
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := closedFolder(t)
	before := contents(t, dir)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{
		"nothing": nil, "half": whole[:len(whole)/2], "all but a byte": whole[:len(whole)-1], "a byte more": append(bytes.Clone(whole), 0),
		"a bit changed": flipped, "another file": []byte("SQLite format 3\x00"),
	} {
		write(t, file, string(content))
		for _, target := range []string{dir, filepath.Join(t.TempDir(), "new")} {
			_, err := restore(server.RestoreConfig{Actor: operator(), Dir: target, Force: true}, file)
			if err == nil {
				t.Fatalf("%s: restored", name)
			}
			if text := withFix(err); !strings.Contains(text, "backup") || text == err.Error() {
				t.Errorf("%s: %q does not say what to do", name, text)
			}
			checkNothingLeft(t, filepath.Dir(target))
		}
	}
	if !maps.Equal(contents(t, dir), before) {
		t.Error("the folder was changed")
	}
	if left, err := filepath.Glob(dir + ".before*"); err != nil || len(left) > 0 {
		t.Errorf("set aside: %q, %v", left, err)
	}
}

func TestBackupsThatAreRefused(t *testing.T) {
	dir, elsewhere := closedFolder(t), t.TempDir()
	mine := filepath.Join(elsewhere, "mine.txt")
	write(t, mine, "rolecall backup is what I should read about")
	lost, broken := closedFolder(t), filledFolder(t)
	removeStore(t, lost)
	overwrite(t, broken)
	for _, tt := range []struct {
		name, dir, file, want string
	}{
		{"no folder", filepath.Join(elsewhere, "none"), filepath.Join(elsewhere, "a"), "nothing to back up"},
		{"no database", lost, filepath.Join(elsewhere, "b"), "nothing to back up"},
		{"a damaged one", broken, filepath.Join(elsewhere, "c"), "restore a backup"},
		{"into the folder", dir, filepath.Join(dir, "backup"), "would be lost"},
		{"below the folder", dir, filepath.Join(dir, "credentials", "backup"), "would be lost"},
		{"over a file of mine", dir, mine, "left alone"},
		{"over a folder", dir, elsewhere, "left alone"},
		{"into no folder", dir, filepath.Join(elsewhere, "none", "d"), "no such file"},
	} {
		if err := os.MkdirAll(filepath.Join(dir, "credentials"), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := server.Backup(t.Context(), server.BackupConfig{Actor: operator(), Dir: tt.dir, File: tt.file})
		if err == nil || !strings.Contains(withFix(err), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder that was not there was made: %v", err)
	}
	entries, err := os.ReadDir(elsewhere)
	if err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestABackupThatIsStoppedLeavesNothing(t *testing.T) {
	dir, place := closedFolder(t), t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := server.Backup(ctx, server.BackupConfig{Actor: operator(), Dir: dir, File: filepath.Join(place, "backup")}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(place); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// TestBackupsUnderLoad backs a folder up again and again that a server issues tokens from and
// several change, and looks whether each backup is whole: what was acknowledged before it
// was begun is in it, the audit log has no gap, and no request failed.
func TestBackupsUnderLoad(t *testing.T) {
	at, s := newSample(t, false)
	l := &load{at: at, server: s, client: trusting(s), acknowledged: make([]atomic.Int64, 3)}
	defer l.client.CloseIdleConnections()
	stop := l.start(t.Context(), 4)
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	for round := range 4 {
		for before := l.tokens.Load() + 20; l.tokens.Load() < before; {
			time.Sleep(time.Millisecond)
		}
		atLeast := l.counts()
		back(t, server.BackupConfig{Actor: operator(), Dir: at.dir, File: file})
		restored := filepath.Join(dir, fmt.Sprint("restored", round))
		if _, err := restore(server.RestoreConfig{Actor: operator(), Dir: restored}, file); err != nil {
			t.Fatal(withFix(err))
		}
		l.check(t, restored, atLeast)
	}
	stop()
	if failed := l.failed.Load(); failed != nil {
		t.Errorf("a request failed: %v", *failed)
	}
}

// A load is tokens and changes, as many as there can be.
type load struct {
	at           sample
	server       *server.Server
	client       *http.Client
	tokens       atomic.Int64
	acknowledged []atomic.Int64 // applications, by writer
	failed       atomic.Pointer[error]
}

// start begins the load and returns how it is ended.
func (l *load) start(ctx context.Context, clients int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				l.note(l.at.token(context.WithoutCancel(ctx), l.client, l.server.Endpoints().Authority))
				l.tokens.Add(1)
			}
		})
	}
	for w := range l.acknowledged {
		all.Go(func() {
			for n := int64(1); ctx.Err() == nil; n++ {
				_, err := l.server.Data().Directory.Change(context.WithoutCancel(ctx), directory.Operator(fmt.Sprint("writer-", w)), func(e *directory.Editor) error {
					_, err := e.Applications().Create(directory.Application{Tenant: l.at.tenant, Name: fmt.Sprintf("made-%d-%d", w, n)})
					return err
				})
				l.note(err)
				l.acknowledged[w].Store(n)
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

func (l *load) note(err error) {
	if err != nil {
		l.failed.Store(&err)
	}
}

func (l *load) counts() []int64 {
	counts := make([]int64, len(l.acknowledged))
	for w := range counts {
		counts[w] = l.acknowledged[w].Load()
	}
	return counts
}

// check looks what a restored folder holds.
func (l *load) check(t *testing.T, dir string, atLeast []int64) {
	t.Helper()
	data, err := server.OpenData(t.Context(), server.DataConfig{Dir: dir})
	if err != nil {
		t.Fatal(withFix(err))
	}
	defer func() {
		if err := data.Close(); err != nil {
			t.Error(err)
		}
	}()
	applications, err := data.Directory.View(t.Context()).Applications().List(l.at.tenant, directory.Query{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, app := range applications.Items {
		names = append(names, app.Name)
	}
	for w, count := range atLeast {
		if name := fmt.Sprintf("made-%d-%d", w, count); count > 0 && !slices.Contains(names, name) {
			t.Errorf("%s was acknowledged before the backup was begun, and is not in it", name)
		}
	}
	report, err := data.Directory.VerifyAudit(t.Context())
	if err != nil || report.Rows < int64(len(names)) {
		t.Errorf("%d audit rows for %d applications, %v", report.Rows, len(names), err)
	}
}

// TestWhatKilledCommandsLeftIsSwept looks at what backups and restores that were killed left
// beside their places: copies of a database and its key, of no use to anybody but a thief.
func TestWhatKilledCommandsLeftIsSwept(t *testing.T) {
	t.Parallel()
	dir, place := closedFolder(t), t.TempDir()
	file, target := filepath.Join(place, "backup"), filepath.Join(place, "new[1]")
	leave := func(name string, age time.Duration) string {
		path := filepath.Join(place, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(path, "kek"), "secret")
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var swept, kept []string
	for _, prefix := range []string{".rolecall-backup-", ".new[1].restore-"} {
		swept = append(swept, leave(prefix+"1", 25*time.Hour))
		kept = append(kept, leave(prefix+"2", 23*time.Hour), leave("other"+prefix, 25*time.Hour))
	}
	kept = append(kept, leave(".other.restore-1", 25*time.Hour))
	if _, err := server.Backup(t.Context(), server.BackupConfig{Actor: operator(), Dir: dir, File: file}); err != nil {
		t.Fatal(err)
	}
	if _, err := restore(server.RestoreConfig{Actor: operator(), Dir: target}, file); err != nil {
		t.Fatal(err)
	}
	for _, path := range swept {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	for _, path := range kept {
		if _, err := os.Stat(filepath.Join(path, "kek")); err != nil {
			t.Error(err)
		}
	}
}
