package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// MetadataAddress is where programs on Azure's virtual machines ask for tokens. It exists
// in namespaces only.
const MetadataAddress = "169.254.169.254"

// A Namespace is a network of a program's own: a loopback interface that also has the
// metadata service's address, and nothing else. What the program reaches besides itself is
// relayed, connection by connection. The network of the machine is not touched.
type Namespace struct {
	work   chan func() // done by the one thread that is in the namespace
	ended  chan struct{}
	closed context.Context
	close  context.CancelFunc

	added     int // addresses besides the metadata service's
	relays    sync.WaitGroup
	listeners []net.Listener
}

// NewNamespace makes a network. It needs the rights to do so.
func NewNamespace() (*Namespace, error) {
	closed, stop := context.WithCancel(context.Background())
	n := &Namespace{work: make(chan func()), ended: make(chan struct{}), closed: closed, close: stop}
	made := make(chan error)
	go n.live(made)
	if err := <-made; err != nil {
		stop()
		return nil, err
	}
	return n, nil
}

// live is the thread in the namespace. It is never unlocked, so it ends with the goroutine
// and nothing else ever runs on it.
func (n *Namespace) live(made chan<- error) {
	runtime.LockOSThread()
	defer close(n.ended)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if errors.Is(err, unix.EPERM) {
			err = errors.New("it needs root, or the capability CAP_SYS_ADMIN")
		}
		made <- fmt.Errorf("make a network namespace: %w", err)
		return
	}
	if err := setUpLoopback(); err != nil {
		made <- fmt.Errorf("set up the loopback interface of the network namespace: %w", err)
		return
	}
	made <- nil
	for {
		select {
		case <-n.closed.Done():
			return
		case f := <-n.work:
			f()
		}
	}
}

// setUpLoopback brings up the interface of the thread's namespace and gives it the second
// address, to which no other machine answers.
func setUpLoopback() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket) //nolint:errcheck // nothing was written
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, up); err != nil {
		return err
	}
	return addAddress(socket, "lo:0", net.ParseIP(MetadataAddress))
}

// addAddress gives the interface a further address under a name of its own.
func addAddress(socket int, name string, address net.IP) error {
	for _, step := range []struct {
		request uint
		address net.IP
	}{
		{unix.SIOCSIFADDR, address},
		{unix.SIOCSIFNETMASK, net.IPv4bcast},
	} {
		set, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		if err := set.SetInet4Addr(step.address.To4()); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(socket, step.request, set); err != nil {
			return err
		}
	}
	return nil
}

// AddAddress makes an address of another machine, or of this one outside of the loopback
// interface, one that Relay can listen at.
func (n *Namespace) AddAddress(address string) error {
	ip := net.ParseIP(address)
	if ip = ip.To4(); ip == nil {
		return fmt.Errorf("%q is not an address of IPv4", address)
	}
	n.added++
	name := fmt.Sprintf("lo:%d", n.added)
	return n.do(func() error {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket) //nolint:errcheck // nothing was written
		return addAddress(socket, name, ip)
	})
}

// do has the thread in the namespace do something.
func (n *Namespace) do(f func() error) error {
	done := make(chan error, 1)
	select {
	case n.work <- func() { done <- f() }:
		return <-done
	case <-n.closed.Done():
		return net.ErrClosed
	}
}

// start starts a program in the namespace.
func (n *Namespace) start(cmd *exec.Cmd) error { return n.do(cmd.Start) }

// Relay listens in the namespace at one address and passes each connection on to another
// outside.
func (n *Namespace) Relay(inside, outside string) error {
	var listener net.Listener
	err := n.do(func() (err error) {
		listener, err = new(net.ListenConfig).Listen(n.closed, "tcp", inside)
		return err
	})
	if err != nil {
		return fmt.Errorf("listen in the network namespace: %w", err)
	}
	n.listeners = append(n.listeners, listener)
	n.relays.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			n.relays.Go(func() { n.pass(conn, outside) })
		}
	})
	return nil
}

// pass connects the two ends until both have said all.
func (n *Namespace) pass(inner net.Conn, outside string) {
	defer inner.Close() //nolint:errcheck // the program may be gone
	outer, err := new(net.Dialer).DialContext(n.closed, "tcp", outside)
	if err != nil {
		return
	}
	defer outer.Close() //nolint:errcheck // so may the other end
	stop := context.AfterFunc(n.closed, func() {
		_, _ = inner.Close(), outer.Close()
	})
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { halfPass(outer, inner) })
	both.Go(func() { halfPass(inner, outer) })
	both.Wait()
}

// halfPass copies one direction and passes its end on.
func halfPass(to, from net.Conn) {
	_, _ = io.Copy(to, from) // either end may break off
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

// Close ends the relays. The namespace is gone with the last process in it.
func (n *Namespace) Close() error {
	n.close()
	var errs []error
	for _, listener := range n.listeners {
		errs = append(errs, listener.Close())
	}
	n.relays.Wait()
	<-n.ended
	return errors.Join(errs...)
}
