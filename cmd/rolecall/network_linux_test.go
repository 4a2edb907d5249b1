package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/runas"
)

// aNetworkedProgram is a rolecall.yaml for programs that run in a network of their own.
const aNetworkedProgram = `tenants:
  - name: contoso
    domains: [contoso.test]
    applications:
      - {name: orders-server, identifierUris: [api://orders]}
    managedIdentities:
      - {name: orders-client-mi, type: system}
`

// inNetwork returns a command that runs a program in a network of its own.
func inNetwork(t *testing.T, flags, program []string) *exec.Cmd {
	t.Helper()
	config := filepath.Join(t.TempDir(), "rolecall.yaml")
	if err := os.WriteFile(config, []byte(aNetworkedProgram), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"run", "--config", config, "--as", "orders-client-mi", "--netns"}, flags...)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", append(append(args, "--"), program...)...)
	cmd.Args[0] = "rolecall"
	cmd.Env = append(os.Environ(), keysVariable+"="+keysFile(t))
	cmd.Stderr = t.Output()
	return cmd
}

// servers are programs of several languages that greet at a port of the loopback interface.
func servers(t *testing.T, port string) map[string][]string {
	t.Helper()
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "web") // by which the binary of this test knows what it is
	if err := os.Symlink(this, name); err != nil {
		t.Fatal(err)
	}
	return map[string][]string{
		"Go": {name, "serve", "127.0.0.1:" + port},
		"Python": {"python3", "-c", `import http.server as h
class A(h.BaseHTTPRequestHandler):
    def do_GET(s):
        s.send_response(200); s.send_header('Content-Length', '5'); s.end_headers(); s.wfile.write(b'hello')
h.HTTPServer(('localhost', ` + port + `), A).serve_forever()`},
		"Node": {"node", "-e", `require('http').createServer((q, a) => a.end('hello')).listen(` + port + `)`},
	}
}

// A program's port is reached from outside with --publish, and a port of the machine from inside with
// --forward, whatever the server is written in and at whichever address of the loopback it listens.
func TestPortsOfNetworks(t *testing.T) {
	t.Parallel()
	if !canMakeNamespaces() {
		t.Skip("this user cannot make network namespaces here")
	}
	for _, language := range []string{"Go", "Python", "Node"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			all := servers(t, port)
			server, web := all[language], all["Go"][0]
			if _, err := exec.LookPath(server[0]); err != nil {
				t.Skipf("no %s to serve with", server[0])
			}
			published := inNetwork(t, []string{"--publish", port}, server)
			untilGreeted(t, published, port, func() {
				if err := exec.CommandContext(t.Context(), web, "get", "http://127.0.0.1:"+port).Run(); err != nil {
					t.Errorf("published: %v", err)
				}
			})
			if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
				conn.Close()
				t.Error("the port is still published")
			}
			outside := exec.CommandContext(t.Context(), server[0], server[1:]...)
			untilGreeted(t, outside, port, func() {
				for forwarded, want := range map[string]string{port: "hello", "1": ""} {
					got, err := inNetwork(t, []string{"--forward", forwarded}, []string{web, "get", "http://127.0.0.1:" + port}).Output()
					if string(got) != want || (err == nil) != (want != "") {
						t.Errorf("with port %s forwarded: got %q, %v; want %q", forwarded, got, err, want)
					}
				}
			})
		})
	}
}

// untilGreeted starts a server, does something when it greets, and ends it.
func untilGreeted(t *testing.T, server *exec.Cmd, port string, do func()) {
	t.Helper()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	greeted := false
	for end := time.Now().Add(readyLimit); !greeted && time.Now().Before(end); <-look.C {
		if response, err := client.Get("http://localhost:" + port + "/"); err == nil {
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			greeted = string(body) == "hello"
		}
	}
	if greeted {
		do()
	} else {
		t.Errorf("%v does not answer", server.Args)
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	_ = server.Wait() // a signal ended it
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// systemFiles is a digest of what this machine says of names and of whom it trusts, and its mounts.
func systemFiles(t *testing.T) string {
	t.Helper()
	digest := sha256.New()
	for _, path := range []string{"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/ssl", "/etc/pki"} {
		_ = filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				content, _ := os.ReadFile(path)
				target, _ := os.Readlink(path)
				fmt.Fprintf(digest, "%s %s %x\n", path, target, sha256.Sum256(content))
			}
			return nil
		})
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " /etc") || strings.Contains(line, runas.TemporaryPrefix) { // others are those of other tests
			fmt.Fprint(digest, line)
		}
	}
	return fmt.Sprintf("%x", digest.Sum(nil))
}

// While a program has files of its own, and after this one is killed, those of the machine are as
// they were, and no process of ours is left.
func TestNetworksTouchNothing(t *testing.T) {
	t.Parallel()
	if !canMakeNamespaces() {
		t.Skip("this user cannot make network namespaces here")
	}
	before := systemFiles(t)
	port := freePort(t)
	cmd := inNetwork(t, []string{"--public-names", "--publish", port}, []string{"sh", "-c", "grep 'login.microsoftonline.com$' /etc/hosts; cat /etc/resolv.conf; echo $$; exec sleep 1000"})
	cmd.Stderr = nil // the program outlives the command, and nobody is to wait for what it may say
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var own string
	var pid int
	if _, err := fmt.Fscanf(out, "127.0.0.2 login.microsoftonline.com\nnameserver %s\n%d\n", &own, &pid); err != nil || own != "127.0.0.1" {
		t.Errorf("the program has the machine's files: %v", err)
	}
	publishers := childrenOf(t, cmd.Process.Pid, "enter-namespace")
	if len(publishers) != 1 {
		t.Errorf("%d processes pass on what is published, want 1", len(publishers))
	}
	if now := systemFiles(t); now != before {
		t.Error("the machine's files have changed while the program runs")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	for _, publisher := range publishers {
		untilGone(t, publisher)
	}
	if now := systemFiles(t); now != before {
		t.Error("the machine's files have changed after the kill")
	}
	if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
		conn.Close()
		t.Error("the port is still published")
	}
}

// childrenOf returns those children of a process that have an argument.
func childrenOf(t *testing.T, pid int, argument string) (found []int) {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		children, _ := os.ReadFile(file)
		for child := range strings.FieldsSeq(string(children)) {
			line, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if bytes.Contains(line, []byte("\x00"+argument+"\x00")) {
				var number int
				_, _ = fmt.Sscan(child, &number)
				found = append(found, number)
			}
		}
	}
	return found
}

func untilGone(t *testing.T, pid int) {
	t.Helper()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for end := time.Now().Add(readyLimit); time.Now().Before(end); <-look.C {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(status), ") Z ") { // nobody may take leave of it in a container
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

// No rights are needed where the system allows user namespaces: a user without any gets the
// same, keeps being that user, and has no rights in the network either.
func TestNetworksWithoutRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user; as that user, the other tests show it")
	}
	base, err := os.MkdirTemp("", "rolecall-test-") // that of the test is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	const nobody = 65534
	content, err := os.ReadFile(keysFile(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"rolecall.yaml": aNetworkedProgram, "keys": string(content)} {
		if err := os.WriteFile(filepath.Join(base, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "run", "--config", filepath.Join(base, "rolecall.yaml"), "--as", "orders-client-mi", "--netns", "--public-names", "--",
		"sh", "-c", `id -u; grep CapEff /proc/self/status; head -1 /etc/resolv.conf; if command -v curl >/dev/null; then env -i curl -sS -m 10 -o /dev/null -w '%{http_code}\n' https://login.microsoftonline.com/contoso.test/discovery/v2.0/keys; else echo 200; fi`)
	cmd.Args[0], cmd.Dir = "rolecall", "/"
	cmd.Env = append(os.Environ(), keysVariable+"="+filepath.Join(base, "keys"), "HOME="+base)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if strings.Contains(errOut.String(), "make a network namespace") {
		t.Skipf("this system lets root alone make namespaces: %s", &errOut)
	}
	if want := "65534\nCapEff:\t0000000000000000\nnameserver 127.0.0.1\n200\n"; err != nil || string(out) != want {
		t.Errorf("got %q, %v; want %q\n%s", out, err, want, &errOut)
	}
}
