package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/fixture"
)

func TestMostConnections(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		files  int
		memory int64
		want   int
	}{
		{1024, 8 << 30, 896},
		{256, 8 << 30, 192},
		{64, 8 << 30, fewestConnections},
		{20000, 8 << 30, 17500},
		{1 << 20, 8 << 30, 32768},
		{1024, 128 << 20, 512},
		{0, 0, 1 << 16},
	} {
		if got := mostConnections(tt.files, tt.memory); got != tt.want {
			t.Errorf("%d files, %d bytes: %d, want %d", tt.files, tt.memory, got, tt.want)
		}
	}
}

// hold opens a connection to the identity surface, which has no TLS, and gets one answer.
func hold(t *testing.T, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.address("managed identity").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	io.WriteString(conn, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return conn
}

// Connections that are kept and silent make room for new ones, health answers at any time,
// and the log has one line.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	var log logLines
	var told atomic.Int64
	s := startWith(t, Config{Dir: t.TempDir(), MaxConnections: 10, Log: log.logger(), OnConnections: func(open int) { told.Store(int64(open)) }})
	var kept []net.Conn
	for range 40 {
		kept = append(kept, hold(t, s))
		if open := s.connections.count(); open > 10 {
			t.Fatalf("%d connections are open", open)
		}
	}
	for i, conn := range []net.Conn{kept[0], kept[29]} {
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("connection %d of long ago: %v, want it closed", i, err)
		}
	}
	for range 50 { // more than ops may have at once
		conn, err := net.Dial("tcp", s.address(opsSurface).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		response, err := http.Get(s.Endpoints().Ops + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
	var document map[string]any
	fetchJSON(t, s, s.Endpoints().Authority+"/"+s.Endpoints().Tenants[0].ID+"/v2.0/.well-known/openid-configuration", &document)
	if lines := log.with("all surfaces but ops"); len(lines) != 1 {
		t.Errorf("the log has %d lines of it: %v", len(lines), lines)
	}
	if told.Load() != countStep {
		t.Errorf("the owner was told of %d connections", told.Load())
	}
}

// Requests under way are not given up for new connections, which wait.
func TestBusyConnectionsKeepTheirPlace(t *testing.T) {
	t.Parallel()
	c := newConnections("test", 2, (&logLines{}).logger())
	one, two := c.add(&net.TCPConn{}), c.add(&net.TCPConn{})
	connState(one, http.StateActive)
	connState(two, http.StateActive)
	if c.add(&net.TCPConn{}) != nil {
		t.Fatal("a third connection has a place")
	}
	connState(two, http.StateIdle)
	three := c.add(&net.TCPConn{})
	if three == nil || c.count() != 2 {
		t.Fatalf("no place after one became silent (%d open)", c.count())
	}
	connState(two, http.StateActive) // a request that came too late
	if _, open := c.open[two]; open {
		t.Error("the one that gave its place is still counted")
	}
	one.Close()
	one.Close()
	if c.count() != 1 {
		t.Errorf("%d are open, want 1", c.count())
	}
}

// A stop while requests come loses none of them: readiness goes first, and whoever follows
// it has been answered when the ports close.
func TestAStopUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Config{Dir: t.TempDir(), NewKey: fixture.NewKeys(), Grace: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	url := s.Endpoints().Authority + "/" + s.Endpoints().Tenants[0].ID + "/v2.0/.well-known/openid-configuration"
	var ready atomic.Bool
	ready.Store(true)
	var answered, lost, leaving atomic.Int64
	var clients sync.WaitGroup
	for i := range 8 {
		transport := &http.Transport{
			DisableKeepAlives: i%4 == 3, ForceAttemptHTTP2: i%4 == 2,
			TLSClientConfig: &tls.Config{RootCAs: s.CA().Pool(), MinVersion: tls.VersionTLS12},
		}
		clients.Go(func() {
			defer transport.CloseIdleConnections()
			for ready.Load() {
				request, _ := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, url, strings.NewReader("a=b")) // no client repeats this by itself
				response, err := transport.RoundTrip(request)
				if err != nil {
					lost.Add(1)
					t.Errorf("lost: %v", err)
					return
				}
				if response.Close {
					leaving.Add(1)
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
				answered.Add(1)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	statusOf := func(path string) int {
		response, err := http.Get(s.Endpoints().Ops + path)
		if err != nil {
			return 0
		}
		response.Body.Close()
		return response.StatusCode
	}
	time.Sleep(300 * time.Millisecond)
	if status := statusOf("/readyz"); status != http.StatusOK {
		t.Fatalf("before the stop: %d", status)
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	eventually(t, "readiness goes", func() bool { return statusOf("/readyz") == http.StatusServiceUnavailable })
	if status := statusOf("/healthz"); status != http.StatusOK {
		t.Errorf("health while it stops: %d", status)
	}
	time.Sleep(500 * time.Millisecond) // until a load balancer looks
	ready.Store(false)
	clients.Wait()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if lost.Load() != 0 || answered.Load() == 0 || leaving.Load() == 0 {
		t.Errorf("%d answered, %d lost, %d asked to leave", answered.Load(), lost.Load(), leaving.Load())
	}
}

// Nobody waits for a request that does not come whole, and one that is being answered is
// waited for.
func TestAHalfSentRequestDoesNotDelayTheStop(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Config{Dir: t.TempDir(), NewKey: fixture.NewKeys(), Grace: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf", "POST /x HTT", "",
	} {
		conn, err := tls.Dial("tcp", s.address(authoritySurface).String(), &tls.Config{RootCAs: s.CA().Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, text)
	}
	time.Sleep(200 * time.Millisecond)
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

// A request that was read whole is answered, however long that takes.
func TestARequestInHandIsNotCut(t *testing.T) {
	t.Parallel()
	c := newConnections("test", 10, (&logLines{}).logger())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in, out := make(chan struct{}), make(chan struct{})
	on := newSurface("test", listener, (&logLines{}).logger())
	on.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(in)
		<-out
		io.WriteString(w, "done")
	})
	on.count(c, new(atomic.Bool))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- on.run(ctx) }()
	answered := make(chan string)
	go func() {
		response, err := http.Post("http://"+listener.Addr().String(), "text/plain", strings.NewReader("body"))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		b, _ := io.ReadAll(response.Body)
		answered <- string(b)
	}()
	<-in
	stop()
	c.cutUnread()
	close(out)
	if got := <-answered; got != "done" {
		t.Errorf("got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// A client that does not trust the certificate is said once, not for each of its tries.
func TestDistrustIsSaid(t *testing.T) {
	t.Parallel()
	var log logLines
	s := startWith(t, Config{Dir: t.TempDir(), Log: log.logger()})
	for range 3 {
		conn, err := tls.Dial("tcp", s.address(authoritySurface).String(), &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS12})
		if err == nil {
			conn.Close()
			t.Fatal("a stranger's certificate is trusted")
		}
	}
	eventually(t, "the warning is there", func() bool { return len(log.with("does not trust the certificate")) > 0 })
	time.Sleep(100 * time.Millisecond)
	if lines := log.with("does not trust the certificate"); len(lines) != 1 || !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "level=WARN") }) {
		t.Errorf("the log: %v", lines)
	}
}

// Where nobody is connected and nobody watches readiness, a stop does not wait; and the log
// tells of start and stop.
func TestAStopWithNobodyThere(t *testing.T) {
	t.Parallel()
	var log logLines
	s, err := Start(t.Context(), Config{Dir: t.TempDir(), NewKey: fixture.NewKeys(), Grace: time.Minute, Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("the stop took %v", took)
	}
	for text, want := range map[string]int{"msg=listening": 1, "msg=stopping": 1, "msg=stopped": 1} {
		if lines := log.with(text); len(lines) != want {
			t.Errorf("%d lines with %s, want %d", len(lines), text, want)
		}
	}
}

// Clients who do not look at readiness, and get a connection for each request, are answered
// until the ports close, and refused from then on. In between nobody is heard and not answered.
func TestAStopAnswersWhoeverHasConnected(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Config{Dir: t.TempDir(), NewKey: fixture.NewKeys(), Grace: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	url := s.Endpoints().Authority + "/" + s.Endpoints().Tenants[0].ID + "/v2.0/.well-known/openid-configuration"
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: s.CA().Pool(), MinVersion: tls.VersionTLS12}}
	var answered, refused atomic.Int64
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for {
				request, _ := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, url, strings.NewReader("a=b")) // no client repeats this by itself
				response, err := transport.RoundTrip(request)
				switch {
				case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET): // of the connection, before a request
					refused.Add(1)
					return
				case err != nil:
					t.Errorf("lost: %v", err)
					return
				}
				response.Body.Close()
				answered.Add(1)
			}
		})
	}
	eventually(t, "all are served", func() bool { return answered.Load() > 100 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	clients.Wait()
	if refused.Load() != 16 {
		t.Errorf("%d were refused in the end, want 16; %d answered", refused.Load(), answered.Load())
	}
}
