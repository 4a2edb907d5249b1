package namespace

import (
	"context"
	"io"
	"net"
	"sync"
)

// passAll passes the connections of a listener on to the first of some addresses that answers, until
// the listener is closed.
func passAll(ctx context.Context, listener net.Listener, to ...string) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		all.Go(func() { pass(ctx, conn, to) })
	}
}

// pass connects the two ends until both have said all.
func pass(ctx context.Context, inner net.Conn, to []string) {
	defer inner.Close() //nolint:errcheck // the program may be gone
	outer := dialFirst(ctx, to)
	if outer == nil {
		return
	}
	defer outer.Close() //nolint:errcheck // so may the other end
	stop := context.AfterFunc(ctx, func() { _, _ = inner.Close(), outer.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { halfPass(outer, inner) })
	both.Go(func() { halfPass(inner, outer) })
	both.Wait()
}

func dialFirst(ctx context.Context, to []string) net.Conn {
	for _, address := range to {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
			return conn
		}
	}
	return nil
}

// halfPass copies one direction and passes its end on.
func halfPass(to, from net.Conn) {
	_, _ = io.Copy(to, from) // either end may break off
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}
