package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"go.uber.org/goleak"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fault"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/launch"
)

// startBindable runs a server with an API, an application and two managed identities.
func startBindable(t *testing.T) *Server {
	t.Helper()
	s, err := Start(t.Context(), Config{NewKey: fixture.NewKeys(), Dir: t.TempDir(), Unannounced: true, Prepare: populate})
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

func populate(ctx context.Context, data *Data) error {
	_, err := data.Directory.Change(ctx, directory.Operator("test"), func(e *directory.Editor) error {
		if err := fixture.Orders(e); err != nil {
			return err
		}
		gone, err := e.Users().Create(directory.User{Tenant: fixture.TenantID, PrincipalName: "gone@contoso.test"}, nil)
		if err != nil {
			return err
		}
		gone.Enabled = false
		_, err = e.Users().Edit(gone.Tenant, gone.ID, func(v *directory.User) error { *v = *gone; return nil })
		return err
	})
	return err
}

func bindFor(t *testing.T, s *Server, req BindRequest) *Binding {
	t.Helper()
	b, err := Bind(t.Context(), s.cfg.Dir, req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// ask asks an App Service endpoint and returns the status and body.
func ask(t *testing.T, endpoint, secret, more string) (int, map[string]string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint+"?api-version=2019-08-01&resource=api%3A%2F%2Forders"+more, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-IDENTITY-HEADER", secret)
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	body := map[string]string{}
	var loose map[string]any
	if err := json.NewDecoder(response.Body).Decode(&loose); err != nil {
		t.Fatal(err)
	}
	for name, value := range loose {
		body[name], _ = value.(string)
	}
	return response.StatusCode, body
}

func TestBindLastsUntilClosed(t *testing.T) {
	t.Parallel()
	s := startBindable(t)
	b := bindFor(t, s, BindRequest{As: "orders-client-mi", Via: "app-service", Also: []string{"orders-user-mi"}})
	status, body := ask(t, b.Endpoint, b.Header, "")
	if status != http.StatusOK || body["client_id"] != string(b.ClientID) || body["access_token"] == "" {
		t.Errorf("got %d for client %q, want a token for %s", status, body["client_id"], b.ClientID)
	}
	other, err := s.data.Directory.Identity(t.Context(), b.Tenant, "orders-user-mi")
	if err != nil {
		t.Fatal(err)
	}
	if status, body := ask(t, b.Endpoint, b.Header, "&client_id="+string(other.Principal.AppID)); status != http.StatusOK || body["client_id"] != string(other.Principal.AppID) {
		t.Errorf("the other identity: got %d for client %q", status, body["client_id"])
	}
	common := s.Endpoints().ManagedIdentity + "/msi/token"
	if status, _ := ask(t, common, b.Header, ""); status != http.StatusOK {
		t.Errorf("common surface: got %d, want 200", status)
	}
	if status, _ := ask(t, common, "another", ""); status != http.StatusUnauthorized {
		t.Errorf("common surface with another secret: got %d, want 401", status)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "the endpoint is gone", func() bool { status, _ := ask(t, b.Endpoint, b.Header, ""); return status == 0 })
	eventually(t, "the common surface forgets the secret", func() bool { status, _ := ask(t, common, b.Header, ""); return status == http.StatusUnauthorized })
	if err := b.Err(); err != nil {
		t.Errorf("closed here, and yet: %v", err)
	}
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

func TestBindEndsWithTheServer(t *testing.T) {
	t.Parallel()
	s := startBindable(t)
	b := bindFor(t, s, BindRequest{As: "orders-client-mi", Via: "imds"})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	<-b.Done()
	if b.Err() == nil {
		t.Error("the server ended the binding, and Err does not say so")
	}
	if _, err := Bind(t.Context(), s.cfg.Dir, BindRequest{As: "orders-client-mi", Via: "imds"}); !errors.Is(err, ErrNoServer) {
		t.Errorf("got %v, want ErrNoServer", err)
	}
}

func TestBindRefusals(t *testing.T) {
	t.Parallel()
	s := startBindable(t)
	for _, tt := range []struct {
		name string
		req  BindRequest
		want string
	}{
		{"nobody of that name", BindRequest{As: "nobody", Via: "imds"}, `no managed identity, application or user "nobody"`},
		{"a user who is no host", BindRequest{As: "dev@contoso.test", Via: "app-service"}, "is a user, and app-service is for"},
		{"a user who is no workload", BindRequest{As: "dev@contoso.test", Via: ViaWorkload}, "is a user, and workload is for"},
		{"a user with identities", BindRequest{As: "dev@contoso.test", Via: "cli", Also: []string{"orders-client-mi"}}, "no further identities"},
		{"a user among identities", BindRequest{As: "orders-client-mi", Via: "app-service", Also: []string{"dev@contoso.test"}}, `"dev@contoso.test"`},
		{"a user who was disabled", BindRequest{As: "gone@contoso.test", Via: "cli"}, "is disabled"},
		{"an application", BindRequest{As: "orders-client", Via: "app-service"}, "is an application"},
		{"no such shape", BindRequest{As: "orders-client-mi", Via: "carrier-pigeon"}, "carrier-pigeon"},
		{"no such tenant", BindRequest{Tenant: "fabrikam", As: "orders-client-mi", Via: "imds"}, `"fabrikam"`},
		{"one of several is nobody", BindRequest{As: "orders-client-mi", Via: "imds", Also: []string{"nobody"}}, `"nobody"`},
		{"a folder of another kind", BindRequest{As: "orders-client-mi", Via: "arc", ArcFolder: "here"}, "absolute path"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Bind(t.Context(), s.cfg.Dir, tt.req)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want one with %s", err, tt.want)
			}
		})
	}
	if _, err := Bind(t.Context(), s.cfg.Dir, BindRequest{As: "nobody", Via: "imds"}); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("got %v, want directory.ErrNotFound", err)
	}
}

func TestBindWorkload(t *testing.T) {
	t.Parallel()
	s := startBindable(t)
	for _, name := range []string{"orders-client", "orders-user-mi"} {
		b := bindFor(t, s, BindRequest{As: name, Via: ViaWorkload})
		if b.Assertion == "" || !b.Expires.After(time.Now()) || b.Endpoint != "" {
			t.Errorf("%s: got assertion of %d bytes until %v, endpoint %q", name, len(b.Assertion), b.Expires, b.Endpoint)
		}
	}
}

func TestBindUser(t *testing.T) {
	t.Parallel()
	s := startBindable(t)
	named := bindFor(t, s, BindRequest{As: "DEV@contoso.test", Via: "cli"})
	if named.Name != "dev@contoso.test" || named.ClientID != launch.AzureCLI || named.Endpoint == "" || named.Header == "" || named.Environment["AZD_AUTH_ENDPOINT"] != named.Endpoint {
		t.Errorf("got %s, client %s, endpoint %q", named.Name, named.ClientID, named.Endpoint)
	}
	if byID := bindFor(t, s, BindRequest{As: string(named.ObjectID), Via: "cli"}); byID.Name != named.Name || byID.Header == named.Header {
		t.Errorf("by object id: got %s", byID.Name)
	}
	if err := named.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "the endpoint is gone", func() bool { status, _ := ask(t, named.Endpoint, named.Header, ""); return status == 0 })
}

func TestBindPrintsNoSecret(t *testing.T) {
	t.Parallel()
	s := startBindable(t)
	b := bindFor(t, s, BindRequest{As: "orders-client-mi", Via: "app-service"})
	for _, text := range []string{b.String(), b.GoString()} {
		if strings.Contains(text, b.Header) {
			t.Error("a line prints its secret")
		}
	}
}

func TestAdminSocketIsTheOwnersAlone(t *testing.T) {
	t.Parallel()
	s := startBindable(t)
	path := s.cfg.Dir + "/" + adminFile
	info, err := os.Stat(path) // follows the link, where there is one
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode is %04o, want 0600", mode)
	}
	handler := ownerOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for uid, want := range map[int]int{os.Getuid(): http.StatusTeapot, 0: http.StatusTeapot, anyone: http.StatusTeapot, 12345: http.StatusForbidden, nobody: http.StatusForbidden} {
		request, err := http.NewRequestWithContext(context.WithValue(t.Context(), peerKey{}, uid), http.MethodPost, "/bindings", nil)
		if err != nil {
			t.Fatal(err)
		}
		recorder := &statusRecorder{header: http.Header{}}
		handler.ServeHTTP(recorder, request)
		if recorder.status != want {
			t.Errorf("user %d: got %d, want %d", uid, recorder.status, want)
		}
	}
}

type statusRecorder struct {
	header http.Header
	status int
}

func (r *statusRecorder) Header() http.Header         { return r.header }
func (r *statusRecorder) WriteHeader(status int)      { r.status = status }
func (r *statusRecorder) Write(b []byte) (int, error) { return len(b), nil }

// holderDir names, for a copy of this test binary, the folder to hold a binding on.
const holderDir = "ROLECALL_TEST_HOLDER_DIR"

// TestMain turns a copy of the test binary into a process that holds a binding.
func TestMain(m *testing.M) {
	dir, holds := os.LookupEnv(holderDir)
	if !holds {
		goleak.VerifyTestMain(m)
	}
	b, err := Bind(context.Background(), dir, BindRequest{As: "orders-client-mi", Via: "app-service"})
	if err != nil {
		os.Stdout.WriteString("error: " + err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString(b.Endpoint + " " + b.Header + "\n")
	<-b.Done()
}

func TestBindEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	s := startBindable(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	holder := exec.CommandContext(t.Context(), self)
	holder.Env = append(os.Environ(), holderDir+"="+s.cfg.Dir)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	endpoint, secret, _ := strings.Cut(strings.TrimSpace(said), " ")
	if status, _ := ask(t, endpoint, secret, ""); status != http.StatusOK {
		t.Fatalf("got %d from the binding of another process (%d bytes said)", status, len(said))
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, out)
	holder.Wait()
	eventually(t, "the killed process's endpoint is gone", func() bool {
		conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(endpoint, "http://"), "/msi/token"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

// A socket's path may be short only; a folder's need not be. What a crashed server left is
// no obstacle.
func TestAdminSocketInADeepFolder(t *testing.T) {
	t.Parallel()
	killed, err := os.MkdirTemp("", adminFolder)
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(killed, old, old); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(t.TempDir(), "gone"), filepath.Join(dir, adminFile)); err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), Config{NewKey: fixture.NewKeys(), Dir: dir, Unannounced: true, Prepare: populate})
	if err != nil {
		t.Fatal(err)
	}
	b := bindFor(t, s, BindRequest{As: "orders-client-mi", Via: "app-service"})
	if status, _ := ask(t, b.Endpoint, b.Header, ""); status != http.StatusOK {
		t.Errorf("got %d", status)
	}
	link, err := os.Readlink(filepath.Join(dir, adminFile))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(link)
	if err := s.Close(); err != nil {
		t.Errorf("close: %v; the socket is in %q", err, folder)
	}
	for _, left := range []string{folder, filepath.Join(dir, adminFile), killed} {
		if _, err := os.Lstat(left); !os.IsNotExist(err) {
			t.Errorf("%s is left behind: %v", left, err)
		}
	}
}

// lineWriter takes the lines of a stream.
type lineWriter struct {
	statusRecorder
	lines chan string
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.lines <- string(b)
	return len(b), nil
}

func (w *lineWriter) Flush() {}

// An assertion is renewed at half of its life, and a failure is no end.
func TestLinesAreRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		calls := 0
		b := &openBinding{state: BindingState{Assertion: "first"}, renew: 30 * time.Minute, now: time.Now, next: func(context.Context) (BindingState, time.Duration, error) {
			if calls++; calls == 1 {
				return BindingState{}, 0, errors.New("the store is away")
			}
			return BindingState{Assertion: "second"}, 30 * time.Minute, nil
		}}
		w := &lineWriter{lines: make(chan string, 10)}
		start := time.Now()
		done := make(chan struct{})
		go func() { defer close(done); b.stream(ctx, w) }()
		if line := <-w.lines; !strings.Contains(line, "first") {
			t.Error("the first line is another")
		}
		if line := <-w.lines; !strings.Contains(line, "second") || time.Since(start) != 30*time.Minute+renewRetry {
			t.Errorf("the next line came after %v", time.Since(start))
		}
		stop()
		<-done
	})
}

func TestFaultsStayOnThisMachine(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{NewKey: fixture.NewKeys(), Dir: t.TempDir(), Unannounced: true, Listen: "0.0.0.0", Faults: []fault.Rule{{Surface: fault.Token, Status: 503}}})
	if err == nil || !strings.Contains(err.Error(), "faults are for this machine only") {
		t.Errorf("got %v", err)
	}
}

func TestTheLogTellsWhoseAnswersWentWrong(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s, err := Start(t.Context(), Config{
		Dir: t.TempDir(), Unannounced: true, Prepare: populate, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Faults: []fault.Rule{{Surface: fault.Identity, Status: http.StatusGone}},
	})
	if err != nil {
		t.Fatal(err)
	}
	asks := map[string]int{"orders-client-mi": 2, "orders-user-mi": 1}
	var bindings []*Binding
	for as, times := range asks {
		b := bindFor(t, s, BindRequest{As: as, Via: "app-service"})
		bindings = append(bindings, b)
		for range times {
			if status, _ := ask(t, b.Endpoint, b.Header, ""); status != http.StatusGone {
				t.Errorf("got %d, want 410", status)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, b := range bindings {
		endpoint, err := url.Parse(b.Endpoint)
		if err != nil {
			t.Fatal(err)
		}
		for line, want := range map[string]int{
			"msg=bound as=" + b.Name + " via=app-service endpoint=" + b.Endpoint + "\n":              1,
			`msg="answer goes wrong on purpose" fault=identity:410 listener=` + endpoint.Host + "\n": asks[b.Name],
		} {
			if got := strings.Count(log.String(), line); got != want {
				t.Errorf("%d times, want %d: %s", got, want, line)
			}
		}
	}
}

// azidentity presents the assertion of a binding, unmodified, and stops when it is over.
func TestWorkloadIdentityCredential(t *testing.T) {
	t.Parallel()
	s := startBindable(t)
	b := bindFor(t, s, BindRequest{As: "orders-user-mi", Via: ViaWorkload})
	file := filepath.Join(t.TempDir(), "assertion")
	if err := os.WriteFile(file, []byte(b.Assertion), 0o600); err != nil {
		t.Fatal(err)
	}
	get := func() error {
		options := &azidentity.WorkloadIdentityCredentialOptions{
			ClientID: string(b.ClientID), TenantID: string(b.Tenant), TokenFilePath: file, DisableInstanceDiscovery: true,
		}
		options.Cloud.ActiveDirectoryAuthorityHost = s.Endpoints().Authority
		options.Transport = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA().Pool(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
		credential, err := azidentity.NewWorkloadIdentityCredential(options)
		if err != nil {
			t.Fatal(err)
		}
		_, err = credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"api://orders/.default"}})
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the assertion is worth nothing", func() bool { return get() != nil })
}

func TestBindRefusesTheDisabled(t *testing.T) {
	t.Parallel()
	s := startBindable(t)
	_, err := s.data.Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		tenants, err := e.Tenants().All()
		if err != nil {
			return err
		}
		identity, err := s.data.Directory.Identity(t.Context(), tenants[0].ID, "orders-client-mi")
		if err != nil {
			return err
		}
		disabled := *identity.Principal
		disabled.Enabled = false
		_, err = e.ServicePrincipals().Edit(disabled.Tenant, disabled.ID, func(v *directory.ServicePrincipal) error { *v = disabled; return nil })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, via := range []string{"app-service", ViaWorkload} {
		if b, err := Bind(t.Context(), s.cfg.Dir, BindRequest{As: "orders-client-mi", Via: via}); err == nil {
			t.Errorf("%s: a disabled identity was bound", via)
			b.Close()
		} else if !strings.Contains(err.Error(), "disabled") {
			t.Errorf("%s: %v", via, err)
		}
	}
}
