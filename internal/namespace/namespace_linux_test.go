package namespace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asInside names what this test's own binary does as a program in a namespace.
const asInside = "NAMESPACE_TEST_INSIDE"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		os.Exit(Enter(os.Args[1:], os.Stderr))
	}
	if what := os.Getenv(asInside); what != "" {
		inside(what, os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

// inside is the program in a namespace. What it prints is what the test looks at.
func inside(what string, args []string) {
	switch what {
	case "get":
		client := &http.Client{Transport: &http.Transport{Proxy: nil}, Timeout: 10 * time.Second}
		for _, url := range args {
			response, err := client.Get(url)
			if err != nil {
				fmt.Println("error:", err)
				continue
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			fmt.Printf("%s\n", body)
		}
	case "look up":
		resolvers := map[string]*net.Resolver{"files": net.DefaultResolver, "server": {PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, nameServer.String())
		}}}
		for _, how := range []string{"files", "server"} {
			for _, name := range args {
				found, err := resolvers[how].LookupHost(context.Background(), name)
				missing, _ := errors.AsType[*net.DNSError](err)
				fmt.Println(how, name, found, missing != nil && missing.IsNotFound)
			}
		}
	case "serve":
		listener, err := net.Listen("tcp", args[0])
		if err != nil {
			fmt.Println("error:", err)
			return
		}
		_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "from inside") }))
	case "who":
		status, _ := os.ReadFile("/proc/self/status")
		for line := range strings.Lines(string(status)) {
			if name, value, _ := strings.Cut(line, ":"); strings.HasPrefix(name, "Cap") && name != "CapBnd" {
				fmt.Println(name, strings.TrimSpace(value))
			}
		}
		files, _ := os.ReadDir("/proc/self/fd")
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", os.Getpid()))
		fmt.Println("uid", os.Getuid(), "gid", os.Getgid(), "pid", os.Getpid(), "files", len(files), "children", string(children))
	}
}

// runInside runs this binary in a namespace and returns what it printed.
func runInside(t *testing.T, cfg Config, what string, args ...string) string {
	t.Helper()
	out := &strings.Builder{}
	cmd, n := startInside(t, cfg, out, what, args...)
	if err := cmd.Wait(); err != nil {
		t.Errorf("in the namespace: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	return out.String()
}

func startInside(t *testing.T, cfg Config, out io.Writer, what string, args ...string) (*exec.Cmd, *Namespace) {
	t.Helper()
	n := newNamespace(t, cfg)
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), asInside+"="+what)
	cmd.Stdout, cmd.Stderr = out, out
	err := n.Start(cmd)
	if no, ok := errors.AsType[*RightsError](err); ok {
		t.Skipf("no network namespace can be made here: %v: %s", no, no.Fix())
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd, n
}

func newNamespace(t *testing.T, cfg Config) *Namespace {
	t.Helper()
	cfg.Folder = t.TempDir()
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// greeting is a server of the machine that says which host it was asked as.
func greeting(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello "+r.Host) }))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestWhatIsReached(t *testing.T) {
	t.Parallel()
	server := greeting(t)
	const somewhere = "127.0.0.2:80"
	got := runInside(t, Config{
		Names:  map[string]netip.Addr{"login.example.test": netip.MustParseAddr("127.0.0.2")},
		Relays: []Relay{{MetadataAddress + ":80", server}},
		Services: []Service{{somewhere, func(l net.Listener) error {
			return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "service "+r.Host) }))
		}}},
	}, "get", "http://"+MetadataAddress+"/", "http://login.example.test/", "http://"+server+"/", "http://192.0.2.1/", "http://other.example.test/")
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != 5 {
		t.Fatalf("got %s", got)
	}
	for i, want := range []string{"hello " + MetadataAddress, "service login.example.test", "connection refused", "network is unreachable", "no such host"} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("got %q, want %q", lines[i], want)
		}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		if strings.HasPrefix(address.String(), MetadataAddress) {
			t.Errorf("this machine has the address %s now", address)
		}
	}
}

// Names resolve by the hosts file, and alike by the name server for programs that ask it directly.
// No other name is looked up anywhere.
func TestNamesResolve(t *testing.T) {
	t.Parallel()
	got := runInside(t, Config{Names: map[string]netip.Addr{"login.example.test": netip.MustParseAddr("127.0.0.2")}},
		"look up", "login.example.test", "LOGIN.example.test.", "localhost", "evil.login.example.test", "login.example.test.evil.test")
	for _, how := range []string{"files", "server"} {
		for _, want := range []string{
			"login.example.test [127.0.0.2] false", "LOGIN.example.test. [127.0.0.2] false",
			"evil.login.example.test [] true", "login.example.test.evil.test [] true",
		} {
			if !strings.Contains(got, how+" "+want+"\n") {
				t.Errorf("%s: want %q in\n%s", how, want, got)
			}
		}
		if !strings.Contains(got, how+" localhost [") || strings.Contains(got, "localhost []") {
			t.Errorf("%s: localhost does not resolve:\n%s", how, got)
		}
	}
}

// A published port is passed on to a program that listens at either address of the loopback
// interface, until the namespace is closed.
func TestPublish(t *testing.T) {
	t.Parallel()
	for name, host := range map[string]string{"IPv4": "127.0.0.1", "IPv6": "::1", "all addresses": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			cmd, n := startInside(t, Config{Publish: []uint16{port}}, t.Output(), "serve", net.JoinHostPort(host, strconv.Itoa(int(port))))
			defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			if got := untilAnswered(t, loopbackPort(port)); got != "from inside" {
				t.Errorf("got %q", got)
			}
			publisher := n.publisher.Pid
			if err := n.Close(); err != nil {
				t.Error(err)
			}
			if _, err := net.Dial("tcp", loopbackPort(port)); err == nil {
				t.Error("the port is still published")
			}
			if err := syscall.Kill(publisher, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("the process that passed connections on is still there: %v", err)
			}
		})
	}
}

func TestPublishWhatIsTaken(t *testing.T) {
	t.Parallel()
	_, port, _ := net.SplitHostPort(greeting(t))
	number, _ := strconv.ParseUint(port, 10, 16)
	if _, err := New(Config{Folder: t.TempDir(), Publish: []uint16{uint16(number)}}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want that the address is in use", err)
	}
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return uint16(listener.Addr().(*net.TCPAddr).Port)
}

// untilAnswered asks until the program has come to listen.
func untilAnswered(t *testing.T, address string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-look.C {
		response, err := client.Get("http://" + address + "/")
		if err != nil {
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	return "no answer"
}

// The program is the process that was started, with the same user, nothing open that it did not get,
// no children, and no rights unless it is root's.
func TestWhoTheProgramIs(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	cmd, n := startInside(t, Config{Publish: []uint16{freePort(t)}}, &out, "who")
	pid := cmd.Process.Pid
	if err := errors.Join(cmd.Wait(), n.Close()); err != nil {
		t.Error(err)
	}
	// The fourth open file is the folder that is read, and Go's runtime has two more.
	if want := fmt.Sprintf("uid %d gid %d pid %d files ", os.Getuid(), os.Getgid(), pid); !strings.Contains(out.String(), want) {
		t.Errorf("got %s, want %s", &out, want)
	}
	plain := exec.Command("/proc/self/exe")
	plain.Env = append(os.Environ(), asInside+"=who")
	without, err := plain.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(out.String(), "files")
	if _, want, _ := strings.Cut(string(without), "files"); got != want {
		t.Errorf("in the namespace: files%s outside: files%s", got, want)
	}
	if rights := func(s string) string { before, _, _ := strings.Cut(s, "uid"); return before }; rights(out.String()) != rights(string(without)) {
		t.Errorf("the program has other rights in the namespace:\n%soutside:\n%s", rights(out.String()), rights(string(without)))
	}
}

// What is no program is refused as outside of a namespace.
func TestProgramsThatCannotStart(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{plain: syscall.ENOEXEC, t.TempDir(): fs.ErrPermission, "/no/such/program": fs.ErrNotExist} {
		n := newNamespace(t, Config{})
		err := n.Start(&exec.Cmd{Path: path, Args: []string{path}})
		if _, ok := errors.AsType[*RightsError](err); ok {
			t.Skipf("no network namespace can be made here: %v", err)
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
	}
}

// All of this needs no root: it is done again by a user without any rights.
func TestWithoutRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("this is not root")
	}
	const nobody = 65534
	cmd := exec.Command("/proc/self/exe", "-test.run=^Test(WhatIsReached|NamesResolve|Publish|WhoTheProgramIs|ProgramsThatCannotStart|TrustIsLaidOver)$", "-test.v")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "no network namespace can be made here") {
		t.Skipf("this system lets root alone make namespaces:\n%s", out)
	}
	if passed := strings.Count(string(out), "--- PASS: Test"); passed < 6 && !strings.Contains(string(out), "--- SKIP") {
		t.Errorf("%d tests passed:\n%s", passed, out)
	}
}

// A program that reads the system's store alone trusts the bundle, by the file and by the folder.
func TestTrustIsLaidOver(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl to ask")
	}
	ours, _ := selfSigned(t, "this run's")
	root, bundle := filepath.Join(t.TempDir(), "root.pem"), filepath.Join(t.TempDir(), "bundle.pem")
	for _, file := range []string{root, bundle} {
		if err := os.WriteFile(file, []byte(ours), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, store := range map[string][]string{
		"file":   {"-CAfile", "/etc/ssl/certs/ca-certificates.crt", "-no-CApath"},
		"folder": {"-no-CAfile", "-CApath", "/etc/ssl/certs"},
	} {
		if _, err := os.Stat("/etc/ssl/certs/ca-certificates.crt"); err != nil || name == "folder" && !isHashed("/etc/ssl/certs") {
			t.Logf("%s: this system has its store elsewhere", name)
			continue
		}
		args := append(append([]string{openssl, "verify"}, store...), root)
		n := newNamespace(t, Config{Bundle: bundle})
		cmd := &exec.Cmd{Path: openssl, Args: args, Stdout: t.Output(), Stderr: t.Output()}
		err := n.Start(cmd)
		if _, ok := errors.AsType[*RightsError](err); ok {
			t.Skipf("no network namespace can be made here: %v", err)
		}
		if err := errors.Join(err, cmd.Wait()); err != nil {
			t.Errorf("%s: in the namespace: %v", name, err)
		}
		if err := exec.Command(openssl, args[1:]...).Run(); err == nil {
			t.Errorf("%s: the machine trusts it", name)
		}
	}
}

func TestConfigsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	here := netip.MustParseAddr("127.0.0.2")
	for name, cfg := range map[string]Config{
		"no folder":              {},
		"no port":                {Folder: folder, Relays: []Relay{{"127.0.0.1", "127.0.0.1:1"}}},
		"another IPv6 address":   {Folder: folder, Relays: []Relay{{"[2001:db8::1]:1", "127.0.0.1:1"}}},
		"a name with a line end": {Folder: folder, Names: map[string]netip.Addr{"a\n10.0.0.1 b": here}},
		"a name in upper case":   {Folder: folder, Names: map[string]netip.Addr{"A": here}},
		"a name without address": {Folder: folder, Names: map[string]netip.Addr{"a": {}}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
