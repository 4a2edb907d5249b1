package server

import (
	"container/list"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall-auth/rolecall/internal/machine"
)

const (
	// opsConnections is how many connections the ops surface may have: its own, so that it
	// answers whatever happens on the others.
	opsConnections = 32
	// connectionMemory is what a connection with TLS takes, at most and about.
	connectionMemory = 64 << 10
	// fewestConnections are had however little the system has.
	fewestConnections = 64
	// firstRequest is how long a new connection may wait with its first request where
	// others want its place.
	firstRequest = 2 * time.Second
	// placeLook is how often a connection that waits for a place looks again.
	placeLook = 100 * time.Millisecond
	// countStep is at which multiples the owner is told of the number of connections.
	countStep = 256
)

// mostConnections is how many connections the surfaces but ops may have: fewer than the
// files that the process may open, for the database and ops need some, and a quarter of
// the memory.
func mostConnections(files int, memory int64) int {
	most := 1 << 16
	if files > 0 {
		most = min(most, files-max(fewestConnections, files/8))
	}
	if memory > 0 {
		most = min(most, int(memory/4/connectionMemory))
	}
	return max(most, fewestConnections)
}

// connections bounds how many connections some listeners have open together. When there are
// as many as may be, a new one takes the place of the one that has been silent longest; with
// all of them busy, it waits.
type connections struct {
	limit   int
	name    string
	log     *slog.Logger
	onCount func(open int)
	freed   chan struct{} // one may have become free

	mu     sync.Mutex
	open   map[*connection]struct{} // guarded by mu, as all below
	idle   *list.List               // of connections between two requests, the longest silent first
	fresh  *list.List               // of those before the first one
	full   bool                     // that is in the log
	counts int                      // the multiple of countStep that the owner knows
}

func newConnections(name string, limit int, log *slog.Logger) *connections {
	return &connections{
		limit: limit, name: name, log: log, freed: make(chan struct{}, 1),
		open: make(map[*connection]struct{}), idle: list.New(), fresh: list.New(),
	}
}

// A connection is one of the connections that are counted.
type connection struct {
	net.Conn
	in     *connections
	since  time.Time     // it is silent; guarded by in.mu, as the next two
	list   *list.List    // idle, fresh, or nil while it has a request
	place  *list.Element // in list
	inHand atomic.Int32  // requests that were read whole and are not answered yet
}

// count is how many are open.
func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// busy is how many are not between two requests.
func (c *connections) busy() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open) - c.idle.Len()
}

// bound lets a listener's connections count.
func (c *connections) bound(l net.Listener) net.Listener {
	return &boundListener{Listener: l, in: c, closed: make(chan struct{})}
}

type boundListener struct {
	net.Listener
	in     *connections
	once   sync.Once
	closed chan struct{}
}

func (l *boundListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

func (l *boundListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for {
		if c := l.in.add(conn); c != nil {
			return c, nil
		}
		select {
		case <-l.in.freed:
		case <-time.After(placeLook):
		case <-l.closed:
			_ = conn.Close() // nobody answers it any more
			return nil, net.ErrClosed
		}
	}
}

// add counts a connection, in the place of a silent one if need be. It returns nil when all
// are busy.
func (c *connections) add(conn net.Conn) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.limit {
		c.noteFull()
		silent := c.longestSilent()
		if silent == nil {
			return nil
		}
		c.remove(silent)
		_ = silent.Conn.Close() // its client finds out
	}
	added := &connection{Conn: conn, in: c}
	c.open[added] = struct{}{}
	added.wait(c.fresh)
	c.noteCount()
	return added
}

// longestSilent is the connection whose place is taken first.
func (c *connections) longestSilent() *connection {
	if front := c.idle.Front(); front != nil {
		return front.Value.(*connection) // lists hold nothing else
	}
	if front := c.fresh.Front(); front != nil {
		if oldest := front.Value.(*connection); time.Since(oldest.since) > firstRequest {
			return oldest
		}
	}
	return nil
}

// noteFull says once that the bound was reached; again only after it was well below.
func (c *connections) noteFull() {
	if c.full {
		return
	}
	c.full = true
	c.log.Warn("as many connections as there may be: silent ones are closed for new ones, which wait while there are none",
		"for", c.name, "connections", c.limit, "files", machine.Files())
}

// noteCount tells the owner of a multiple that was passed.
func (c *connections) noteCount() {
	open := len(c.open)
	if open < c.limit*3/4 {
		c.full = false
	}
	if step := (open + countStep - 1) / countStep; step != c.counts && c.onCount != nil {
		c.counts = step
		c.onCount(step * countStep)
	}
}

// wait puts a connection that has no request into a list.
func (c *connection) wait(in *list.List) {
	c.leave()
	c.since, c.list, c.place = time.Now(), in, in.PushBack(c)
}

func (c *connection) leave() {
	if c.list != nil {
		c.list.Remove(c.place)
		c.list, c.place = nil, nil
	}
}

func (c *connections) remove(gone *connection) {
	if _, is := c.open[gone]; !is {
		return
	}
	delete(c.open, gone)
	gone.leave()
	c.noteCount()
	c.wake()
}

// wake lets one that waits for a place look again.
func (c *connections) wake() {
	select {
	case c.freed <- struct{}{}:
	default:
	}
}

// Close gives the place back.
func (c *connection) Close() error {
	c.in.mu.Lock()
	c.in.remove(c)
	c.in.mu.Unlock()
	return c.Conn.Close()
}

// connState follows what a server does with its connections.
func connState(conn net.Conn, state http.ConnState) {
	c := counted(conn)
	if c == nil {
		return
	}
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if _, is := c.in.open[c]; !is {
		return
	}
	switch state {
	case http.StateActive:
		c.leave()
	case http.StateIdle:
		c.wait(c.in.idle)
		c.in.wake()
	default:
	}
}

// counted is the connection below TLS.
func counted(conn net.Conn) *connection {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, _ := conn.(*connection)
	return c
}

// cutUnread closes connections whose requests have not come whole: they would hold up a stop
// for as long as their senders like.
func (c *connections) cutUnread() {
	c.mu.Lock()
	var cut []*connection
	for one := range c.open {
		if one.inHand.Load() == 0 {
			cut = append(cut, one)
		}
	}
	c.mu.Unlock()
	for _, one := range cut {
		_ = one.Close() // nothing can be said to its sender
	}
}

type connectionKey struct{}

func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, counted(conn))
}

// follow notes which requests have been read whole, and asks clients to leave a server that
// stops.
func follow(next http.Handler, stopping *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		c, _ := r.Context().Value(connectionKey{}).(*connection)
		if c == nil {
			next.ServeHTTP(w, r)
			return
		}
		body := &followedBody{ReadCloser: r.Body, conn: c}
		defer body.answered()
		if r.Body == nil || r.Body == http.NoBody {
			body.whole()
		} else {
			r.Body = body
		}
		next.ServeHTTP(w, r)
	})
}

// A followedBody notes when its end was read.
type followedBody struct {
	io.ReadCloser
	conn *connection
	read atomic.Bool
}

func (b *followedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.whole()
	}
	return n, err
}

func (b *followedBody) whole() {
	if b.read.CompareAndSwap(false, true) {
		b.conn.inHand.Add(1)
	}
}

func (b *followedBody) answered() {
	if b.read.Swap(true) {
		b.conn.inHand.Add(-1)
	}
}
