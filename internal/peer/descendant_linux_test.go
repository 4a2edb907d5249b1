package peer

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// asked is set to the address to connect to, for this test's own process as a child.
const asked = "PEER_TEST_ASKED"

func TestMain(m *testing.M) {
	if address := os.Getenv(asked); address != "" {
		connect(address)
		return
	}
	os.Exit(m.Run())
}

// connect holds a connection until it is closed at the other end.
func connect(address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, conn)
}

// A connection belongs to a run if its process descends from it: the program, a program of its own,
// and one that was left behind by its parent. This process itself does not, nor does its parent.
func TestDescendants(t *testing.T) {
	if err := AdoptOrphans(); err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := listener.Addr().String()
	self := "/proc/self/exe"
	for name, command := range map[string][]string{
		"child":      {self},
		"grandchild": {"sh", "-c", self + "; true"},
		"orphan":     {"sh", "-c", "(" + self + " &)"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			cmd.Env = append(os.Environ(), asked+"="+address)
			if strings.Contains(strings.Join(command, " "), "-c") {
				exe, err := os.Executable()
				if err != nil {
					t.Fatal(err)
				}
				cmd.Args[2] = strings.ReplaceAll(cmd.Args[2], self, exe)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			conn, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			socket, err := Find(Address(conn.RemoteAddr()), Address(conn.LocalAddr()))
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckDescendant(os.Getpid(), socket); err != nil {
				t.Errorf("of this process: %v", err)
			}
			if err := CheckDescendant(cmd.Process.Pid, socket); (err == nil) != (name == "grandchild") {
				t.Errorf("of the process that was started: %v", err)
			}
			conn.Close()
			_ = cmd.Wait() // its exit code means nothing
		})
	}
	own, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	socket, err := Find(Address(own.LocalAddr()), Address(own.RemoteAddr()))
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckDescendant(os.Getpid(), socket); err == nil {
		t.Error("this process counts as its own descendant")
	}
	if err := CheckDescendant(1, Socket{Inode: ^uint64(0)}); err == nil {
		t.Error("a socket that is not there has a process")
	}
}

func BenchmarkDescendant(b *testing.B) {
	for b.Loop() {
		_ = CheckDescendant(os.Getpid(), Socket{Inode: ^uint64(0)})
	}
}
