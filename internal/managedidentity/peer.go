package managedidentity

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
)

// errPeerUnknown says that this system does not tell which user owns a connection.
var errPeerUnknown = errors.New("this system does not tell which user owns a connection")

// TellsOwners reports whether this system tells which user owns a connection. Where it does
// not, the owner of an endpoint is not enforced.
func TellsOwners() bool { return tellsOwners }

// connKey is the context key of a connection's owner.
type connKey struct{}

// ConnContext is for [net/http.Server]: it makes it possible to find the user whose process
// made a request's connection.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	remote, local := addressOf(conn.RemoteAddr()), addressOf(conn.LocalAddr())
	return context.WithValue(ctx, connKey{}, sync.OnceValues(func() (int, error) { return peer(remote, local) }))
}

func addressOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// callerOf returns the id of the user whose process made the request's connection. It is looked
// up once for each connection.
func callerOf(ctx context.Context) (int, error) {
	find, ok := ctx.Value(connKey{}).(func() (int, error))
	if !ok {
		return 0, errors.New("the server does not use ConnContext")
	}
	return find()
}
