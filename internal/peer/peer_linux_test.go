package peer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
)

// One local port may be the end of connections to several other ports.
func TestOwnersThatShareAPort(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("sockets of other users take root")
	}
	shared := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}} // the first connection chooses a port
	shared.Control = func(_, _ string, raw syscall.RawConn) (failed error) {
		return errors.Join(raw.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
		}), failed)
	}
	for uid := range 4 {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		conn, err := dialFrom(t.Context(), shared, listener.Addr().String(), uid*1000)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		shared.LocalAddr = conn.LocalAddr()
		defer func() {
			if got, err := Find(Address(conn.LocalAddr()), Address(conn.RemoteAddr())); err != nil || got.UID != uid*1000 {
				t.Errorf("a connection of user %d is taken for one of %d (%v)", uid*1000, got.UID, err)
			}
		}()
	}
}

// dialAs connects with a socket of another user, which requires root.
func dialAs(ctx context.Context, address string, uid int) (*net.TCPConn, error) {
	return dialFrom(ctx, net.Dialer{}, address, uid)
}

func dialFrom(ctx context.Context, dialer net.Dialer, address string, uid int) (*net.TCPConn, error) {
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	socket := conn.(*net.TCPConn)
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = syscall.Fchown(int(fd), uid, -1) })
	return socket, errors.Join(err, failed)
}

// The kernel's tables say the same as its answer about one socket. They are used when it does not
// answer.
func TestOwnerInTheTables(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Logf("this machine does not listen at %s: %v", address, err)
			continue
		}
		defer listener.Close()
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		own, server := Address(conn.LocalAddr()), Address(conn.RemoteAddr())
		for name, ask := range map[string]func(own, other netip.AddrPort) (Socket, error){"tables": peerInTables, "answer": diagnose} {
			if got, err := ask(own, server); err != nil || got.UID != os.Getuid() {
				t.Errorf("%s: %s: got user %d, %v", address, name, got.UID, err)
			}
			elsewhere := netip.AddrPortFrom(server.Addr(), server.Port()^1)
			if got, err := ask(own, elsewhere); err == nil {
				t.Errorf("%s: %s: a connection there is not belongs to user %d", address, name, got.UID)
			}
		}
		// A listener is not a connection.
		if got, err := diagnose(server, netip.AddrPortFrom(own.Addr(), own.Port()^1)); err == nil {
			t.Errorf("%s: a listener is taken for a connection of user %d", address, got.UID)
		}
	}
}

// A connection that its owner has closed has no owner, also by the tables, although our end is
// still open.
func TestTheTablesForgetWhatIsClosed(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	own, server := Address(conn.LocalAddr()), Address(conn.RemoteAddr())
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(own, other netip.AddrPort) (Socket, error){"tables": peerInTables, "answer": diagnose} {
		if got, err := ask(own, server); err == nil {
			t.Errorf("%s: a closed connection belongs to user %d", name, got.UID)
		}
	}
}

// Ten thousand connections come and go, and ports are reused: the owner is always right.
func TestOwnerInAThrong(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("sockets of other users take root")
	}
	for range 25 {
		throng(t)
	}
}

// throng has four users make a hundred connections each, at the same time.
func throng(t *testing.T) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted sync.WaitGroup
	accepted.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close() // not before the end: the connections stay half open
		}
	})
	var users sync.WaitGroup
	for uid := range 4 {
		users.Go(func() {
			for range 100 {
				conn, err := dialAs(t.Context(), listener.Addr().String(), uid*1000)
				if err != nil {
					t.Error(err)
					return
				}
				own, server := Address(conn.LocalAddr()), Address(conn.RemoteAddr())
				if got, err := Find(own, server); err != nil || got.UID != uid*1000 {
					t.Errorf("a connection of user %d is taken for one of %d (%v)", uid*1000, got.UID, err)
				}
				conn.Close()
				if got, err := Find(own, server); err == nil {
					t.Errorf("a closed connection of user %d is taken for one of %d", uid*1000, got.UID)
				}
			}
		})
	}
	users.Wait()
	listener.Close()
	accepted.Wait()
}

// BenchmarkOwner compares the two ways of finding the owner of a connection, on a machine as busy
// as it happens to be.
func BenchmarkOwner(b *testing.B) {
	listener, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	conn, err := new(net.Dialer).DialContext(b.Context(), "tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	own, server := Address(conn.LocalAddr()), Address(conn.RemoteAddr())
	for name, ask := range map[string]func(own, other netip.AddrPort) (Socket, error){"tables": peerInTables, "answer": diagnose} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := ask(own, server); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
