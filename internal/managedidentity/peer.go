package managedidentity

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/rolecall-auth/rolecall/internal/peer"
)

// TellsOwners reports whether this system tells which user owns a connection. Where it does
// not, the owner of an endpoint is not enforced.
func TellsOwners() bool { return peer.Tells() }

// connKey is the context key of a connection's owner.
type connKey struct{}

// ConnContext is for [net/http.Server]: it makes it possible to find the user whose process
// made a request's connection.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	remote, local := peer.Address(conn.RemoteAddr()), peer.Address(conn.LocalAddr())
	return context.WithValue(ctx, connKey{}, sync.OnceValues(func() (int, error) {
		socket, err := peer.Find(remote, local)
		return socket.UID, err
	}))
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
