package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

const (
	crashTenant  = directory.TenantID("7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11")
	crashAPI     = "orders-server"
	crashWriters = 16
	stepsPerApp  = 4
)

// Each writer makes the same changes in the same order, so that the number of changes
// that happened says all there is to find. The n-th change is step n%4 in the life of
// the writer's application n/4:
//
//	0: the application, its service principal and an assignment are created
//	1: a secret is added
//	2: an identifier URI is added
//	3: every other application is deleted, of the rest the service principal disabled
func crashStep(e *directory.Editor, writer string, n int) error {
	name := crashApp(writer, n/stepsPerApp)
	if n%stepsPerApp == 0 {
		return crashCreate(e, name)
	}
	app, err := e.Applications().Find(crashTenant, name)
	if err != nil {
		return err
	}
	switch {
	case n%stepsPerApp == 1:
		_, _, err = e.Credentials().AddSecret(crashTenant, app.ID, "ci", time.Time{})
	case n%stepsPerApp == 2:
		changed := *app
		changed.IdentifierURIs = []string{"api://" + name}
		_, err = e.Applications().Edit(changed.Tenant, changed.ID, func(v *directory.Application) error { *v = changed; return nil })
	case deletedInTheEnd(n / stepsPerApp):
		err = e.Applications().Delete(crashTenant, app.ID)
	default:
		var p *directory.ServicePrincipal
		if p, err = e.ServicePrincipals().Find(crashTenant, name); err == nil {
			disabled := *p
			disabled.Enabled = false
			_, err = e.ServicePrincipals().Edit(disabled.Tenant, disabled.ID, func(v *directory.ServicePrincipal) error { *v = disabled; return nil })
		}
	}
	return err
}

func crashApp(writer string, k int) string { return fmt.Sprintf("%s-%d", writer, k) }

func deletedInTheEnd(k int) bool { return k%2 == 1 }

func crashCreate(e *directory.Editor, name string) error {
	api, err := e.Applications().Find(crashTenant, crashAPI)
	if err != nil {
		return err
	}
	apiPrincipal, err := e.ServicePrincipals().Find(crashTenant, crashAPI)
	if err != nil {
		return err
	}
	app, err := e.Applications().Create(directory.Application{Tenant: crashTenant, Name: name})
	if err != nil {
		return err
	}
	principal, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: crashTenant, AppID: app.AppID})
	if err != nil {
		return err
	}
	_, _, err = e.Assignments().Add(crashTenant, principal.ID, apiPrincipal.ID, api.AppRoles[0].ID)
	return err
}

// crashAudit is how many audit rows the first n changes of a writer leave.
func crashAudit(n int) (rows int) {
	for i := range n {
		switch {
		case i%stepsPerApp == 0, i%stepsPerApp == 3 && deletedInTheEnd(i/stepsPerApp):
			rows += 3
		default:
			rows++
		}
	}
	return rows
}

// crashApps is what the first n changes of a writer leave: applications with the steps
// each has behind it.
func crashApps(writer string, n int) map[string]int {
	apps := map[string]int{}
	for k := 0; k*stepsPerApp < n; k++ {
		steps := min(n-k*stepsPerApp, stepsPerApp)
		if steps == stepsPerApp && deletedInTheEnd(k) {
			continue
		}
		apps[crashApp(writer, k)] = steps
	}
	return apps
}

// runWriters is the child: it changes the directory until it is killed, and says after
// each change that was acknowledged which one it was.
func runWriters(ctx context.Context, path, actor string) error {
	d, _, err := openDirectory(ctx, path)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for w := range crashWriters {
		writer := fmt.Sprintf("%s-%d", actor, w)
		go func() {
			for n := 0; ; n++ {
				if _, err := d.Change(ctx, directory.Operator(writer), func(e *directory.Editor) error { return crashStep(e, writer, n) }); err != nil {
					failed <- fmt.Errorf("%s, change %d: %w", writer, n, err)
					return
				}
				fmt.Fprintln(os.Stdout, writer) // one write, so lines stay whole
			}
		}()
	}
	return <-failed
}

// TestKill kills a process in the midst of changes from sixteen writers, again and
// again, and looks each time whether all it acknowledged is there, and nothing by halves.
// ROLECALL_KILLS says how often, when that shall be more than a few times.
func TestKill(t *testing.T) {
	few := 3
	if testing.Short() || raceDetector {
		few = 1
	}
	path := filepath.Join(t.TempDir(), "rolecall.db")
	prepareCrash(t, path)
	acked := map[string]int{}
	for round := range fixture.Rounds(t, fixture.Kills, few) {
		enough := 1000 + rand.IntN(200)
		maps.Copy(acked, writeAndKill(t, child(t, path, fmt.Sprintf("round%d", round)), enough))
		verifyCrash(t, path, acked)
		if t.Failed() {
			t.Fatalf("in round %d, killed after %d changes", round, enough)
		}
	}
}

// TestProcesses lets several processes write to one file at the same time.
func TestProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rolecall.db")
	prepareCrash(t, path)
	var mu sync.Mutex
	var all sync.WaitGroup
	acked := map[string]int{}
	for p := range 3 {
		cmd := child(t, path, fmt.Sprintf("process%d", p))
		all.Go(func() {
			counts := writeAndKill(t, cmd, 100)
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(acked, counts)
		})
	}
	all.Wait()
	verifyCrash(t, path, acked)
}

func prepareCrash(t *testing.T, path string) {
	t.Helper()
	d, store, err := openDirectory(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, store)
	_, err = d.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		if _, err := e.Tenants().Create(directory.Tenant{ID: crashTenant, Name: "contoso"}); err != nil {
			return err
		}
		api, err := e.Applications().Create(directory.Application{Tenant: crashTenant, Name: crashAPI, AppRoles: []directory.AppRole{
			{Value: "Orders.Read", Enabled: true, Members: []directory.MemberType{directory.MemberApplication}},
		}})
		if err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: crashTenant, AppID: api.AppID})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func closeStore(t testing.TB, store io.Closer) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// writeAndKill runs the child until it has acknowledged enough changes, kills it, and
// returns how many changes of each writer it acknowledged.
func writeAndKill(t *testing.T, cmd *exec.Cmd, enough int) map[string]int {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return nil
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return nil
	}
	acked, total := map[string]int{}, 0
	lines := bufio.NewScanner(out)
	for lines.Scan() { // also what it wrote before it died
		acked[lines.Text()]++
		if total++; total == enough {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || total < enough {
		t.Errorf("the writing process ended by itself (%v) after %d changes", err, total)
	}
	return acked
}

// verifyCrash opens what a killed process left behind.
func verifyCrash(t *testing.T, path string, acked map[string]int) {
	t.Helper()
	d, store, err := openDirectory(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, store)
	rows, err := store.AuditRows(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := audit.Verify(0, nil, rows); err != nil {
		t.Error(err)
	}
	audited := map[string]int{}
	for _, row := range rows {
		audited[row.Actor]++
	}
	found := foundApps(t, d)
	for writer, n := range acked {
		apps := map[string]int{}
		for name, steps := range found {
			if strings.HasPrefix(name, writer+"-") {
				apps[name] = steps
			}
		}
		// The change after the last acknowledged one may have happened too.
		whole := slices.ContainsFunc([]int{n, n + 1}, func(n int) bool {
			return maps.Equal(apps, crashApps(writer, n)) && audited[writer] == crashAudit(n)
		})
		if !whole {
			t.Errorf("%s acknowledged %d changes; found %d audit rows and %v", writer, n, audited[writer], apps)
		}
	}
	verifyFeed(t, store)
}

// foundApps returns the applications with the steps that each shows.
func foundApps(t *testing.T, d *directory.Directory) map[string]int {
	t.Helper()
	applications, err := d.View(t.Context()).Applications().All(crashTenant)
	if err != nil {
		t.Fatal(err)
	}
	api, err := d.Named(t.Context(), crashTenant, crashAPI)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, app := range applications {
		if app.Name == crashAPI {
			continue
		}
		c, err := d.Instance(t.Context(), crashTenant, app.AppID)
		if err != nil {
			t.Fatal(err)
		}
		if c.Principal == nil {
			t.Fatalf("%s has no service principal", c.Application.Name)
		}
		if roles, _, err := d.Roles(t.Context(), c, api); err != nil || len(roles) != 1 {
			t.Fatalf("%s has the roles %q, %v", c.Application.Name, roles, err)
		}
		steps := 1 + len(c.Application.Secrets) + len(c.Application.IdentifierURIs)
		if !c.Principal.Enabled {
			steps++
		}
		found[c.Application.Name] = steps
	}
	return found
}

// verifyFeed checks that the feed has no gap. Only when it is longer than 100,000 changes may it
// have forgotten the oldest.
func verifyFeed(t *testing.T, store directory.Store) {
	t.Helper()
	newest, err := store.Sequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	changes, err := store.Changes(t.Context(), 0, 0)
	if err != nil || int64(len(changes)) < min(newest, 100_000) {
		t.Errorf("got %d changes, %v; the newest is %d", len(changes), err, newest)
	}
	for i, change := range changes {
		if want := newest - int64(len(changes)-1-i); change.Sequence != want {
			t.Fatalf("change %d of %d has the sequence %d, want %d", i, len(changes), change.Sequence, want)
		}
	}
}
