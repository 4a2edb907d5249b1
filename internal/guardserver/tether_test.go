package guardserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/guardserver"
)

// openStream asks for a stream over a connection, and returns it when the stream is open.
func (w *world) openStream(kind, token string) (net.Conn, *bufio.Reader) {
	w.t.Helper()
	header := "Accept: " + kind
	if kind == "websocket" {
		header = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x"
	}
	conn, reader := w.dial("GET /api/GetOrders HTTP/1.1\r\nHost: orders.test\r\nAuthorization: Bearer " + token + "\r\n" + header + "\r\n\r\n")
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			w.t.Fatal(err)
		}
		if strings.Contains(line, "begun") {
			return conn, reader
		}
	}
}

// streams answers with a stream of the kind that is asked for: it says that it has begun, and
// every few milliseconds that it goes on.
func streams(rw http.ResponseWriter, r *http.Request) {
	var out io.Writer = rw
	flush := http.NewResponseController(rw).Flush
	if r.Header.Get("Upgrade") != "" {
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		out, flush = conn, func() error { return nil }
	} else {
		rw.Header().Set("Content-Type", r.Header.Get("Accept"))
	}
	for line := "begun\n"; ; line = "more\n" {
		if _, err := io.WriteString(out, line); err != nil || flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// goesOn reports whether a stream says something for as long as that.
func goesOn(t *testing.T, conn net.Conn, reader io.Reader, long time.Duration) bool {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(long)); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, reader)
	var timeout net.Error
	return n > 0 && errors.As(err, &timeout) && timeout.Timeout()
}

// What stays open ends with the token by which it was let in, and not before; what only takes
// long does not, and neither does anything where the settings say so.
func TestStreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = streams
	token := w.token("Orders.Read")
	expires := w.expiry(token)
	keeps := w.beside(t)
	w.start(w.settings("", ordersRules))
	keeps.start(keeps.settings("endStreams: false", ordersRules))
	const left = 300 * time.Millisecond // by the tests' clock, which stands still
	// A token counts for a minute after its end, in which clocks may differ.
	w.login.Clock().Advance(expires.Add(time.Minute - left).Sub(w.login.Clock().Now()))
	type stream struct {
		name   string
		conn   net.Conn
		reader io.Reader
		ends   bool
	}
	var all []stream
	for _, tt := range []struct {
		name, kind string
		world      *world
		ends       bool
	}{
		{"a websocket", "websocket", w, true},
		{"events", "text/event-stream; charset=utf-8", w, true},
		{"a download", "application/octet-stream", w, false},
		{"a websocket that may stay", "websocket", keeps, false},
		{"events that may stay", "text/event-stream", keeps, false},
	} {
		conn, reader := tt.world.openStream(tt.kind, token)
		all = append(all, stream{tt.name, conn, reader, tt.ends})
	}
	for _, s := range all {
		if !goesOn(t, s.conn, s.reader, left) {
			t.Errorf("%s ended before its token", s.name)
		}
	}
	w.login.Clock().Advance(left)
	until(t, "two streams end", func() bool { return strings.Count(w.log.String(), "because=token_expired") == 2 })
	for _, s := range all {
		if goes := goesOn(t, s.conn, s.reader, 200*time.Millisecond); goes == s.ends {
			t.Errorf("%s goes on after the end of its token: %t", s.name, goes)
		}
		_ = s.conn.Close()
	}
	if log := w.log.String(); strings.Count(log, `msg="stream ended"`) != 2 || strings.Count(log, "because=token_expired") != 2 || strings.Contains(log, token) {
		t.Errorf("the log has\n%s", log)
	}
}

// A stream ends when its token is revoked, where revocations are followed.
func TestStreamsEndWhenTheirTokenIsRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = streams
	token := w.token("Orders.Read")
	w.start(w.settings("revocation: follow", ordersRules), func(cfg *guardserver.Config) {
		cfg.OwnToken = func(guardfile.API, string) (func(context.Context) (string, error), error) {
			return w.api.Revocations().Token, nil
		}
	})
	conn, reader := w.openStream("websocket", token)
	if !goesOn(t, conn, reader, 100*time.Millisecond) {
		t.Fatal("the stream ended by itself")
	}
	w.login.Disable("client")
	until(t, "the stream ends", func() bool { return !goesOn(t, conn, reader, 100*time.Millisecond) })
	if log := w.log.String(); !strings.Contains(log, "because=token_revoked") {
		t.Errorf("the log has\n%s", log)
	}
}

// A stream that its upstream or its client ends leaves nothing behind: goleak looks.
func TestStreamsThatEndByThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			rw.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(rw, "begun\n")
			_ = http.NewResponseController(rw).Flush()
			return
		}
		conn, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nbegun\n")
		said, _ := io.ReadAll(buffered) // until the client has said all
		_, _ = fmt.Fprintf(conn, "heard %q\n", said)
	}
	w.start(w.settings("", ordersRules))
	_, reader := w.openStream("text/event-stream", w.token("Orders.Read"))
	if rest, err := io.ReadAll(io.LimitReader(reader, 7)); err != nil || !strings.HasPrefix(string(rest), "\r\n0") {
		t.Errorf("events: %q, %v", rest, err)
	}
	conn, reader := w.openStream("websocket", w.token("Orders.Read"))
	if _, err := io.WriteString(conn, "bye"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(reader); err != nil || string(answer) != "heard \"bye\"\n" {
		t.Errorf("after the client's half was closed: %q, %v", answer, err)
	}
}

// expiry is when a token ends.
func (w *world) expiry(token string) time.Time {
	w.t.Helper()
	g, err := guard.New(w.t.Context(), w.api.Config())
	if err != nil {
		w.t.Fatal(err)
	}
	caller, ok := g.Check(w.t.Context(), token, guard.Rule{Roles: []string{"Orders.Read"}}).Caller()
	if !ok {
		w.t.Fatal("the token is not good")
	}
	return caller.Expires
}
