package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/fault"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// startWith runs a server on a folder, as `rolecall serve` does.
func startWith(t *testing.T, cfg Config) *Server {
	t.Helper()
	if cfg.NewKey == nil {
		cfg.NewKey = fixture.NewKeys()
	}
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the server: %v", err)
		}
	})
	return s
}

// freeAddress is one of the loopback interface that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// edit changes the directory as another process would, and waits for the server.
func (s *Server) edit(t *testing.T, f func(e *directory.Editor, tenant directory.TenantID) error) {
	t.Helper()
	data, err := OpenData(t.Context(), DataConfig{Dir: s.cfg.Dir})
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	sequence, err := data.Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		tenant, err := e.Tenants().Find("contoso")
		if err != nil {
			return err
		}
		return f(e, tenant.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	found, err := Find(t.Context(), s.cfg.Dir)
	if err != nil || found == nil {
		t.Fatalf("find the server: %v", err)
	}
	if err := found.Sync(t.Context(), sequence); err != nil {
		t.Fatal(err)
	}
}

// putHost makes or changes the host of that name.
func (s *Server) putHost(t *testing.T, h directory.Host, identities ...string) {
	t.Helper()
	s.edit(t, func(e *directory.Editor, tenant directory.TenantID) error {
		h.Tenant = tenant
		for _, name := range identities {
			identity, err := e.ServicePrincipals().Find(tenant, name)
			if err != nil {
				return err
			}
			h.Identities = append(h.Identities, identity.ID)
		}
		present, err := e.Hosts().Find(tenant, h.Name)
		if errors.Is(err, directory.ErrNotFound) {
			_, err = e.Hosts().Create(h)
			return err
		}
		if err != nil {
			return err
		}
		h.ID = present.ID
		_, err = e.Hosts().Edit(h.Tenant, h.ID, func(v *directory.Host) error { *v = h; return nil })
		return err
	})
}

// lineOf asks for a host as `rolecall env --on` does.
func (s *Server) lineOf(t *testing.T, name string) BindingState {
	t.Helper()
	line, err := Host(t.Context(), s.cfg.Dir, "", name)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func (s *Server) clientID(t *testing.T, name string) string {
	t.Helper()
	tenant, err := s.data.Directory.Tenant(t.Context(), "contoso")
	if err != nil {
		t.Fatal(err)
	}
	identity, err := s.data.Directory.Identity(t.Context(), tenant.ID, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(identity.Principal.AppID)
}

func TestHostsOfTheDirectoryAnswer(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir(), Prepare: populate})
	at := freeAddress(t)
	s.putHost(t, directory.Host{Name: "agent", Listen: at}, "orders-client-mi", "orders-user-mi")
	line := s.lineOf(t, "AGENT")
	if line.Endpoint != "http://"+at+"/msi/token" || line.Name != "orders-client-mi" || line.Environment["IDENTITY_HEADER"] != line.Header {
		t.Errorf("got %s for %s", line.Endpoint, line.Name)
	}
	if status, body := ask(t, line.Endpoint, line.Header, ""); status != http.StatusOK || body["client_id"] != string(line.ClientID) {
		t.Errorf("got %d for client %q, want a token", status, body["client_id"])
	}
	user := s.clientID(t, "orders-user-mi")
	if status, body := ask(t, line.Endpoint, line.Header, "&client_id="+user); status != http.StatusOK || body["client_id"] != user {
		t.Errorf("the other identity: got %d for client %q", status, body["client_id"])
	}
	if status, _ := ask(t, line.Endpoint, strings.Repeat("0", 64), ""); status != http.StatusUnauthorized {
		t.Errorf("with another secret: got %d", status)
	}

	// Programs keep what they were given when the identities change,
	s.putHost(t, directory.Host{Name: "agent", Listen: at}, "orders-user-mi")
	if status, _ := ask(t, line.Endpoint, line.Header, ""); status != http.StatusBadRequest {
		t.Errorf("there is no system-assigned identity any more, and none is named: got %d", status)
	}
	if status, body := ask(t, line.Endpoint, line.Header, "&client_id="+user); status != http.StatusOK || body["client_id"] != user {
		t.Errorf("after a change of identities: got %d for client %q", status, body["client_id"])
	}
	if status, _ := ask(t, line.Endpoint, line.Header, "&client_id="+string(line.ClientID)); status != http.StatusBadRequest {
		t.Errorf("the identity that was taken away: got %d", status)
	}
	// when the host moves,
	moved := freeAddress(t)
	s.putHost(t, directory.Host{Name: "agent", Listen: moved}, "orders-user-mi")
	if status, _ := ask(t, line.Endpoint, line.Header, ""); status != 0 {
		t.Errorf("at its old address: got %d", status)
	}
	if status, _ := ask(t, "http://"+moved+"/msi/token", line.Header, "&client_id="+user); status != http.StatusOK {
		t.Errorf("at its new address: got %d", status)
	}
	// but not when it is gone.
	s.edit(t, func(e *directory.Editor, tenant directory.TenantID) error {
		host, err := e.Hosts().Find(tenant, "agent")
		if err != nil {
			return err
		}
		return e.Hosts().Delete(tenant, host.ID)
	})
	if status, _ := ask(t, "http://"+moved+"/msi/token", line.Header, "&client_id="+user); status != 0 {
		t.Errorf("after the host's end: got %d", status)
	}
	s.putHost(t, directory.Host{Name: "agent", Listen: moved}, "orders-user-mi")
	if again := s.lineOf(t, "agent"); again.Header == line.Header {
		t.Error("a host made anew has the secret of the old one")
	}
	if _, err := Host(t.Context(), s.cfg.Dir, "", "nobody"); !errors.Is(err, directory.ErrNotFound) || !strings.Contains(err.Error(), "agent") {
		t.Errorf("a host there is not: got %v", err)
	}
}

// stoppedWithHost returns the folder of a server that has stopped, and what the programs of
// its host know.
func stoppedWithHost(t *testing.T) (dir string, line BindingState) {
	t.Helper()
	dir = t.TempDir()
	s, err := Start(t.Context(), Config{NewKey: fixture.NewKeys(), Dir: dir, Prepare: populate})
	if err != nil {
		t.Fatal(err)
	}
	s.putHost(t, directory.Host{Name: "agent", Listen: freeAddress(t)}, "orders-client-mi")
	line = s.lineOf(t, "agent")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, line
}

// A container outlives the server: after a restart its variables are as good as before.
func TestHostsKeepTheirSecretsOverARestart(t *testing.T) {
	t.Parallel()
	dir, line := stoppedWithHost(t)
	if status, _ := ask(t, line.Endpoint, line.Header, ""); status != 0 {
		t.Errorf("after the server's end: got %d", status)
	}
	startWith(t, Config{Dir: dir})
	if status, body := ask(t, line.Endpoint, line.Header, ""); status != http.StatusOK || body["access_token"] == "" {
		t.Errorf("after a restart: got %d", status)
	}
}

// Who knew the variables of a host that is gone does not know those of the next one, though it
// has the id and the address of the first, and nobody looked in between.
func TestHostsMadeAnewHaveNewSecrets(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir(), Prepare: populate})
	host := directory.Host{ID: "0a57e11d-0000-4000-8000-000000000001", Name: "agent", Listen: freeAddress(t)}
	s.putHost(t, host, "orders-user-mi")
	before := s.lineOf(t, "agent")
	s.edit(t, func(e *directory.Editor, tenant directory.TenantID) error {
		old, err := e.Hosts().Find(tenant, "agent")
		if err != nil {
			return err
		}
		if err := e.Hosts().Delete(tenant, old.ID); err != nil {
			return err
		}
		host.Tenant, host.Identities = tenant, old.Identities
		_, err = e.Hosts().Create(host)
		return err
	})
	after := s.lineOf(t, "agent")
	if after.Header == before.Header {
		t.Error("a host made anew has the secret of the old one")
	}
	for secret, want := range map[string]int{before.Header: http.StatusUnauthorized, after.Header: http.StatusOK} {
		if status, _ := ask(t, after.Endpoint, secret, "&client_id="+string(after.ClientID)); status != want {
			t.Errorf("got %d, want %d", status, want)
		}
	}
}

// Ids are unique within a tenant: hosts of two tenants may have the same one.
func TestHostsOfTwoTenantsAreTwoHosts(t *testing.T) {
	t.Parallel()
	const id = "0a57e11d-0000-4000-8000-000000000001"
	s := startWith(t, Config{Dir: t.TempDir(), Prepare: populate})
	at, other := freeAddress(t), freeAddress(t)
	s.putHost(t, directory.Host{ID: id, Name: "agent", Listen: at}, "orders-client-mi")
	s.edit(t, func(e *directory.Editor, _ directory.TenantID) error {
		tenant, err := e.Tenants().Create(directory.Tenant{Name: "fabrikam", Enabled: true})
		if err != nil {
			return err
		}
		identity, err := e.ServicePrincipals().Create(directory.ServicePrincipal{
			Tenant: tenant.ID, Name: "their-mi", Type: directory.PrincipalManagedIdentity, IdentityKind: directory.IdentitySystem,
		})
		if err != nil {
			return err
		}
		_, err = e.Hosts().Create(directory.Host{Tenant: tenant.ID, ID: id, Name: "agent", Listen: other, Identities: []directory.ObjectID{identity.ID}})
		return err
	})
	secrets := make(map[string]bool)
	for tenant, want := range map[string]string{"contoso": "orders-client-mi", "fabrikam": "their-mi"} {
		line, err := Host(t.Context(), s.cfg.Dir, tenant, "agent")
		if err != nil || line.Name != want {
			t.Errorf("%s: got %q, %v", tenant, line.Name, err)
		}
		secrets[line.Header] = true
	}
	if len(secrets) != 2 {
		t.Error("hosts of two tenants have one secret")
	}
	// Without a tenant, one that is alone with its name is found, and the others are not guessed.
	if _, err := Host(t.Context(), s.cfg.Dir, "", "agent"); err == nil || !strings.Contains(err.Error(), "2 tenants have a host") {
		t.Errorf("a host of either tenant: got %v", err)
	}
	s.putHost(t, directory.Host{Name: "alone", Listen: freeAddress(t)}, "orders-user-mi")
	if line, err := Host(t.Context(), s.cfg.Dir, "", "alone"); err != nil || line.Name != "orders-user-mi" {
		t.Errorf("the only host of that name: got %q, %v", line.Name, err)
	}
	if _, err := Host(t.Context(), s.cfg.Dir, "", "nobody"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("a host there is not: got %v", err)
	}

	// One goes and the other takes its place, between two looks: it is still another host.
	before, err := Host(t.Context(), s.cfg.Dir, "contoso", "agent")
	if err != nil {
		t.Fatal(err)
	}
	s.edit(t, func(e *directory.Editor, tenant directory.TenantID) error {
		if err := e.Hosts().Delete(tenant, id); err != nil {
			return err
		}
		fabrikam, err := e.Tenants().Find("fabrikam")
		if err != nil {
			return err
		}
		host, err := e.Hosts().Find(fabrikam.ID, id)
		if err != nil {
			return err
		}
		host.Listen = at
		_, err = e.Hosts().Edit(host.Tenant, host.ID, func(v *directory.Host) error { *v = *host; return nil })
		return err
	})
	after, err := Host(t.Context(), s.cfg.Dir, "fabrikam", "agent")
	if err != nil || after.Header == before.Header {
		t.Errorf("the host of another tenant has the secret of the one before it (%v)", err)
	}
}

// The deletion of an identity shows at once, and its host goes on without it.
func TestHostsLoseIdentitiesThatGo(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir(), Prepare: populate})
	s.putHost(t, directory.Host{Name: "agent", Listen: freeAddress(t)}, "orders-client-mi")
	line := s.lineOf(t, "agent")
	s.edit(t, func(e *directory.Editor, tenant directory.TenantID) error {
		identity, err := e.ServicePrincipals().Find(tenant, "orders-client-mi")
		if err != nil {
			return err
		}
		return e.ServicePrincipals().Delete(tenant, identity.ID)
	})
	if status, body := ask(t, line.Endpoint, line.Header, ""); status != http.StatusBadRequest || body["message"] != "Identity not found" {
		t.Errorf("got %d: %v", status, body)
	}
	if _, err := Host(t.Context(), s.cfg.Dir, "", "agent"); err == nil || !strings.Contains(err.Error(), "has no managed identity") {
		t.Errorf("got %v", err)
	}
}

// What the directory says does not open the machine to a network: the operator does.
func TestHostsStayOnTheMachineUnlessAllowed(t *testing.T) {
	t.Parallel()
	log := &logged{}
	s := startWith(t, Config{Dir: t.TempDir(), Prepare: populate, Log: slog.New(slog.NewTextHandler(log, nil))})
	for _, address := range []string{"192.0.2.1:8450", "0.0.0.0:8450", "[::]:8450", "[2001:db8::1]:8450"} {
		s.putHost(t, directory.Host{Name: "agent", Listen: address, Names: []string{"box.test"}}, "orders-client-mi")
		if _, err := Host(t.Context(), s.cfg.Dir, "", "agent"); err == nil || !strings.Contains(fix.Of(err), "--allow-host") {
			t.Errorf("%s: got %v", address, err)
		}
		if state := s.Hosts(); len(state) != 1 || state[0].Problem == nil || state[0].Listen != address {
			t.Errorf("%s: got %+v", address, state)
		}
	}
	if err := s.hosts.reconcile(t.Context()); err != nil { // tried again
		t.Fatal(err)
	}
	if got := strings.Count(log.String(), "host not opened"); got != 4 {
		t.Errorf("the log tells %d times that a host was not opened, want once for each address", got)
	}
}

func TestAllowedAddresses(t *testing.T) {
	t.Parallel()
	for _, texts := range [][]string{{"localhost"}, {"172.17.0.1:8450"}, {"172.17.0.0/33"}, {""}} {
		if _, err := parseAddresses(texts); err == nil {
			t.Errorf("%q is taken for an address", texts)
		}
	}
	allowed, err := parseAddresses([]string{"172.16.0.0/12", "10.0.0.1", "::"})
	if err != nil {
		t.Fatal(err)
	}
	h := &hosts{allowed: allowed}
	for address, want := range map[string]bool{
		"172.17.0.1:1": true, "10.0.0.1:1": true, "[::]:1": true, "10.0.0.2:1": false, "0.0.0.0:1": false, "[fd00::1]:1": false,
	} {
		at := netip.MustParseAddrPort(address).Addr()
		if err := h.permit(at); (err == nil) != want {
			t.Errorf("%s: got %v", address, err)
		}
		h.faulty = true
		if err := h.permit(at); err == nil {
			t.Errorf("%s is allowed to a server with faults", address)
		}
		h.faulty = false
	}
}

func TestHostsAtAddressesThatTheMachineLacks(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir(), Prepare: populate, AllowHosts: []string{"192.0.2.1"}})
	s.putHost(t, directory.Host{Name: "agent", Listen: "192.0.2.1:8450"}, "orders-client-mi")
	if _, err := Host(t.Context(), s.cfg.Dir, "", "agent"); err == nil || !strings.Contains(err.Error(), "this machine does not have the address 192.0.2.1, or not yet") {
		t.Errorf("got %v", err)
	}
}

// An address that is not to be had yet is tried again.
func TestHostsAreOpenedWhenTheirAddressComesFree(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir(), Prepare: populate, Faults: []fault.Rule{{Surface: fault.Identity, Status: 503, Times: 1}}})
	taker, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.putHost(t, directory.Host{Name: "agent", Listen: taker.Addr().String()}, "orders-client-mi")
	if _, err := Host(t.Context(), s.cfg.Dir, "", "agent"); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
	if !s.hosts.lacking() {
		t.Error("the server does not know that a host is lacking")
	}
	taker.Close()
	line := s.lineOf(t, "agent")
	if s.hosts.lacking() {
		t.Error("the server holds that a host is lacking")
	}
	for _, want := range []int{http.StatusServiceUnavailable, http.StatusOK} { // faults are for hosts too
		if status, _ := ask(t, line.Endpoint, line.Header, ""); status != want {
			t.Errorf("got %d, want %d", status, want)
		}
	}
}

// A change that came while the store did not answer is not forgotten: it may have taken
// something from a host.
func TestHostsFollowOnceTheStoreAnswersAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &failing{Store: memory.New()}
		dir, err := directory.Open(t.Context(), directory.Config{Store: store, SecretKey: make([]byte, 32)})
		if err != nil {
			t.Fatal(err)
		}
		h := &hosts{directory: dir, log: slog.New(slog.DiscardHandler), entries: make(map[entryKey]*hostEntry)}
		changed := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		go h.run(ctx, changed)
		_, err = dir.Change(ctx, directory.Operator("test"), func(e *directory.Editor) error {
			tenant, err := e.Tenants().Create(directory.Tenant{Name: "contoso", Enabled: true})
			if err != nil {
				return err
			}
			_, err = e.Hosts().Create(directory.Host{Tenant: tenant.ID, Name: "agent"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		store.down.Store(true)
		changed <- struct{}{}
		synctest.Wait()
		store.down.Store(false)
		time.Sleep(hostRetry)
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.entries) != 1 {
			t.Errorf("%d hosts, want the one that came meanwhile", len(h.entries))
		}
	})
}

// failing is a store that does not list anything while it is down.
type failing struct {
	directory.Store
	down atomic.Bool
}

func (f *failing) List(ctx context.Context, tenant, kind, prefix, after string, limit int) ([]directory.Object, []string, error) {
	if f.down.Load() {
		return nil, nil, errors.New("the store does not answer")
	}
	return f.Store.List(ctx, tenant, kind, prefix, after, limit)
}

func TestHostsBelongToUsers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Log("only on Linux does the system tell whose a connection is") // then secrets and listeners decide
		return
	}
	s := startWith(t, Config{Dir: t.TempDir(), Prepare: populate})
	other := "root"
	if os.Getuid() == 0 {
		other = "nobody"
	}
	for _, tt := range []struct {
		user string
		want int
	}{
		{"", http.StatusOK}, {strconv.Itoa(os.Getuid()), http.StatusOK}, {"4711", http.StatusBadRequest}, {other, http.StatusBadRequest},
	} {
		s.putHost(t, directory.Host{Name: "agent", Listen: freeAddress(t), User: tt.user}, "orders-client-mi")
		line := s.lineOf(t, "agent")
		if status, _ := ask(t, line.Endpoint, line.Header, ""); status != tt.want {
			t.Errorf("of the user %q: got %d, want %d", tt.user, status, tt.want)
		}
	}
	s.putHost(t, directory.Host{Name: "agent", Listen: freeAddress(t), User: "no-such-user"}, "orders-client-mi")
	if _, err := Host(t.Context(), s.cfg.Dir, "", "agent"); err == nil || !strings.Contains(err.Error(), `no user "no-such-user"`) {
		t.Errorf("got %v", err)
	}
}

// A server for one command's own use leaves the hosts to the one that serves.
func TestHostsAreLeftToTheServerThatServes(t *testing.T) {
	t.Parallel()
	dir, line := stoppedWithHost(t)
	if _, err := Host(t.Context(), dir, "", "agent"); !errors.Is(err, ErrNoServer) {
		t.Errorf("without a server: got %v", err)
	}
	startWith(t, Config{Dir: dir, Unannounced: true})
	if _, err := Host(t.Context(), dir, "", "agent"); err == nil || !strings.Contains(err.Error(), "rolecall serve") {
		t.Errorf("got %v", err)
	}
	if status, _ := ask(t, line.Endpoint, line.Header, ""); status != 0 {
		t.Errorf("got %d from a server for one command", status)
	}
}

// logged is a log that several goroutines write to.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *logged) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *logged) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }
