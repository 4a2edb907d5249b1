package guardserver

import (
	"bufio"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

// A batchListener accepts connections that read and write in batches while s is asked over gRPC.
// There a call is small, and net/http's HTTP/2 makes some eight system calls of it: it reads each
// frame in two, and writes header, message and trailer of an answer one after the other.
type batchListener struct {
	net.Listener
	s *Server
}

// Accept waits for the next connection.
func (l batchListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if f := l.s.File(); f.Mode != guardfile.ModeExtAuthz || f.Dialect != guardfile.DialectGRPC {
		return conn, nil
	}
	return newBatchConn(conn), nil
}

const (
	batchRead  = 8 << 10         // bytes that are read at a time
	batchLimit = 64 << 10        // bytes that wait to be sent before writers wait too
	closeLimit = 1 * time.Second // in which a connection that is closed sends what waits
)

// A batchConn is a connection that reads ahead, and that sends what several writers have written
// at once. It has one reader at a time, which is how net/http reads.
type batchConn struct {
	net.Conn
	in *bufio.Reader

	mu      sync.Mutex
	changed sync.Cond // of what follows
	waiting []byte    // written and not sent; guarded by mu, as below
	err     error     // why nothing more is sent
	closed  bool
	sent    chan struct{} // closed when nothing more will be
}

// newBatchConn returns a connection that has to be closed.
func newBatchConn(conn net.Conn) *batchConn {
	c := &batchConn{Conn: conn, in: bufio.NewReaderSize(conn, batchRead), sent: make(chan struct{})}
	c.changed.L = &c.mu
	go c.send()
	return c
}

// Read reads what has come.
func (c *batchConn) Read(b []byte) (int, error) { return c.in.Read(b) }

// Write leaves b to be sent. That an earlier one could not be sent is an error of a later one.
func (c *batchConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) >= batchLimit && c.err == nil && !c.closed {
		c.changed.Wait()
	}
	switch {
	case c.err != nil:
		return 0, c.err
	case c.closed:
		return 0, net.ErrClosed
	}
	c.waiting = append(c.waiting, b...)
	c.changed.Broadcast()
	return len(b), nil
}

// send sends what is written until the connection is closed.
func (c *batchConn) send() {
	defer close(c.sent)
	var spare []byte
	for {
		batch, more := c.next(spare)
		if !more {
			return
		}
		if _, err := c.Conn.Write(batch); err != nil {
			c.fail(err)
			return
		}
		spare = batch[:0]
	}
}

// next waits for something to send and returns it all. What is written next goes to spare.
func (c *batchConn) next(spare []byte) (batch []byte, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) == 0 {
		if c.closed {
			return nil, false
		}
		c.changed.Wait()
	}
	c.mu.Unlock()
	// Those who can go on may have more to send: a handler that is through with one frame, and then
	// the goroutine that serves the connection with the next.
	runtime.Gosched()
	runtime.Gosched()
	c.mu.Lock()
	batch, c.waiting = c.waiting, spare
	c.changed.Broadcast()
	return batch, true
}

// fail has writers fail.
func (c *batchConn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err, c.waiting = err, nil
	c.changed.Broadcast()
}

// Close sends what waits, unless that takes long, and closes the connection.
func (c *batchConn) Close() error {
	_ = c.SetWriteDeadline(time.Now().Add(closeLimit)) // one that is closed already has sent everything
	c.mu.Lock()
	c.closed = true
	c.changed.Broadcast()
	c.mu.Unlock()
	<-c.sent
	return c.Conn.Close()
}
