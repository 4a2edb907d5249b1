package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/rolecall-auth/rolecall/internal/folder"
)

// adminFile is the socket by which commands of the folder's owner speak to the server.
const adminFile = "admin.sock"

// adminFolder begins the names of folders for sockets.
const adminFolder = "rolecall-admin-"

// longestSocket is how long the path of a socket may be on every system.
const longestSocket = 100

// listenAdmin makes the folder's socket. Where the folder's path is too long for one, the
// socket is elsewhere and a link leads there.
func (s *Server) listenAdmin(ctx context.Context) (net.Listener, error) {
	path := filepath.Join(s.cfg.Dir, adminFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // of a server that crashed
		return nil, fmt.Errorf("make the admin socket: %w", err)
	}
	if len(path) > longestSocket {
		place, remove, err := folder.MakeTemporary(adminFolder)
		if err != nil {
			return nil, fmt.Errorf("make the admin socket: %w", err)
		}
		s.removeTemp = remove
		target := filepath.Join(place, adminFile)
		if err := os.Symlink(target, path); err != nil {
			return nil, fmt.Errorf("make the admin socket: %w", err)
		}
		path = target
	}
	s.adminPath = path
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("make the admin socket: %w", err)
	}
	// The folder is closed to other users already; this is for its copies.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("close the admin socket to other users: %w", err), listener.Close())
	}
	return listener, nil
}

// removeAdmin takes away what listenAdmin made.
func (s *Server) removeAdmin() error {
	if s.removeTemp == nil {
		return nil
	}
	return errors.Join(os.Remove(filepath.Join(s.cfg.Dir, adminFile)), s.removeTemp())
}

// peerKey is the context key of the user at the other end of the admin socket.
type peerKey struct{}

// newAdmin serves the socket. Bindings last as long as their connection, so nothing limits
// how long an answer takes; they end when the server stops.
func (s *Server) newAdmin(listener net.Listener) *surface {
	admin := newSurface("admin", listener, s.log)
	stopping, stop := context.WithCancel(context.Background())
	admin.http.ReadTimeout, admin.http.WriteTimeout = 0, 0
	admin.http.BaseContext = func(net.Listener) context.Context { return stopping }
	admin.http.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		uid, err := peerUser(conn)
		if err != nil {
			s.log.WarnContext(ctx, "admin socket: who is there?", "error", err)
			uid = nobody
		}
		return context.WithValue(ctx, peerKey{}, uid)
	}
	admin.http.RegisterOnShutdown(stop)
	mux := http.NewServeMux()
	mux.Handle("POST /bindings", serve(readBody[BindRequest], s.makeBinding, s.hold))
	mux.Handle("POST /sync", serve(sequenceOf, s.sync, writeJSON))
	mux.Handle("POST /public", serve(readBody[PublicRequest], s.public.open, writeJSON))
	mux.Handle("GET /host", serve(hostOf, s.hostState, writeJSON))
	mux.Handle("POST /host", serve(hostOf, s.public.openHost, writeJSON))
	admin.http.Handler = ownerOnly(s.public.answer(mux))
	return admin
}

// Users that no process has.
const (
	anyone = -1 // the system does not tell
	nobody = -2
)

// ownerOnly refuses users other than the server's own and root.
func ownerOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if uid, _ := r.Context().Value(peerKey{}).(int); uid != anyone && uid != os.Getuid() && uid != 0 {
			refuse(w, errOtherUser)
			return
		}
		next.ServeHTTP(w, r)
	})
}
