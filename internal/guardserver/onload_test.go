package guardserver_test

import (
	"net"
	"sync"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/guardserver"
)

// Who has to make room learns how many APIs and connections there are, and that they have gone.
func TestLoadIsTold(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	apis, connections := -1, -1
	is := func(wantAPIs, wantConnections int) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return apis == wantAPIs && connections == wantConnections
		}
	}
	w := newWorld(t)
	w.start(w.settings("", ordersRules), func(cfg *guardserver.Config) {
		cfg.OnLoad = func(a, c int) {
			mu.Lock()
			defer mu.Unlock()
			apis, connections = a, c
		}
	})
	until(t, "one API is told", is(1, 0))
	conn, err := net.Dial("tcp", w.server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	until(t, "one connection is told", is(1, 256))
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "none is told", is(1, 0))
}
