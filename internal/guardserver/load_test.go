package guardserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/guardserver"
	"github.com/rolecall-auth/rolecall/internal/machine"
)

// A crowd is a guard's clients of every kind, and what became of the requests of the good ones.
type crowd struct {
	t       testing.TB
	address string
	token   string

	good, lost atomic.Int64
	mu         sync.Mutex
	took       []time.Duration // of good requests; guarded by mu
	first      error           // why the first was lost; likewise
}

// lose notes a good request that was not answered as it should be.
func (c *crowd) lose(err error) {
	c.lost.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = err
	}
}

// visit sends good requests, one after the other, until ctx ends. A request that has begun is
// waited for.
func (c *crowd) visit(ctx context.Context, transport *http.Transport, method, path string, pause time.Duration) {
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	var took []time.Duration
	for ctx.Err() == nil {
		start := time.Now()
		if err := c.ask(client, method, path); err != nil {
			c.lose(fmt.Errorf("%s %s: %w", method, path, err))
		} else {
			c.good.Add(1)
			took = append(took, time.Since(start))
		}
		if pause > 0 {
			wait(ctx, pause)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, took...)
}

func (c *crowd) ask(client *http.Client, method, path string) error {
	req, err := http.NewRequest(method, "http://"+c.address+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || string(body) != "orders" {
		return fmt.Errorf("%s %.60q", resp.Status, body)
	}
	return nil
}

// wait waits, if ctx does not end before.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// begin opens a connection and sends the beginning of a request; nil if that does not work.
func (c *crowd) begin(ctx context.Context, text string) net.Conn {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil
	}
	if _, err := io.WriteString(conn, text); err != nil {
		_ = conn.Close()
		return nil
	}
	return conn
}

func (c *crowd) request(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: orders.test\r\nAuthorization: Bearer " + c.token + "\r\n"
}

// dawdle never gets to the end of a request.
func (c *crowd) dawdle(ctx context.Context) {
	for ctx.Err() == nil {
		conn := c.begin(ctx, c.request("/api/GetOrders"))
		for conn != nil && ctx.Err() == nil {
			wait(ctx, 50*time.Millisecond)
			if _, err := io.WriteString(conn, "X: y\r\n"); err != nil {
				break
			}
		}
		hangUp(conn)
	}
}

// sip reads a large answer slowly.
func (c *crowd) sip(ctx context.Context) {
	for ctx.Err() == nil {
		conn := c.begin(ctx, c.request("/api/large")+"Connection: close\r\n\r\n")
		for some := make([]byte, 4<<10); conn != nil && ctx.Err() == nil; wait(ctx, 20*time.Millisecond) {
			if _, err := conn.Read(some); err != nil {
				break
			}
		}
		hangUp(conn)
	}
}

// slam asks and resets the connection, somewhere on the way.
func (c *crowd) slam(ctx context.Context) {
	paths := []string{"/api/large", "/api/hang", "/api/GetOrders"}
	for ctx.Err() == nil {
		conn := c.begin(ctx, c.request(paths[rand.N(len(paths))])+"\r\n")
		wait(ctx, rand.N(20*time.Millisecond))
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		hangUp(conn)
	}
}

// hang asks for what the upstream never answers, and gives up.
func (c *crowd) hang(ctx context.Context) {
	for ctx.Err() == nil {
		conn := c.begin(ctx, c.request("/api/hang")+"\r\n")
		wait(ctx, 500*time.Millisecond)
		hangUp(conn)
	}
}

func hangUp(conn net.Conn) {
	if conn != nil {
		_ = conn.Close()
	}
}

// idle opens n connections, sends a request over each, and keeps them until until returns.
func idle(address string, n int, until func() error) error {
	var all []net.Conn
	defer func() {
		for _, conn := range all {
			_ = conn.Close()
		}
	}()
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		all = append(all, conn)
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: orders.test\r\n\r\n"); err != nil {
			return err
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		_ = resp.Body.Close() // small, and in the buffer
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
	}
	return until()
}

// idleVariable makes a process of this test binary the one that idles, so that not one process
// has both ends of ten thousand connections.
const idleVariable = "ROLECALL_TEST_IDLE"

// idleProcess is that process: it says when all connections are there, and ends with its input.
func idleProcess(address string) error {
	count, address, _ := strings.Cut(address, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	return idle(address, n, func() error {
		fmt.Println("idle")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	})
}

// idlers keeps n connections open that nothing is asked over, and returns what ends them.
func idlers(t *testing.T, address string, n int) func() {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), idleVariable+"="+strconv.Itoa(n)+" "+address)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "idle\n" {
		t.Fatalf("%d connections: %q, %v", n, line, err)
	}
	return func() {
		if err := errors.Join(in.Close(), child.Wait()); err != nil {
			t.Errorf("idle connections: %v", err)
		}
	}
}

// openFiles is how many files and connections this process has; 0 where the system does not say.
func openFiles(t testing.TB) int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Logf("open files are not counted: %v", err)
	}
	return len(all)
}

// underLoad starts a guard before an upstream that answers, answers at length, late, or never.
func underLoad(t *testing.T) (*world, *crowd) {
	t.Helper()
	w := newWorld(t)
	large := make([]byte, 4<<20)
	w.upstream.Close()
	w.upstream = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/large":
			_, _ = rw.Write(large)
		case "/api/hang":
			<-r.Context().Done()
		case "/api/late":
			time.Sleep(rand.N(300 * time.Millisecond)) // what a drain has to wait for
			fallthrough
		default:
			_, _ = io.WriteString(rw, "orders")
		}
	}))
	t.Cleanup(w.upstream.Close)
	w.start(w.settings("", "\n  - {path: /api/*, methods: [GET, POST], roles: [Orders.Read]}\n  - {path: /healthz, anonymous: true}\n"), func(cfg *guardserver.Config) {
		cfg.Grace = 500 * time.Millisecond
		cfg.Log = slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // what the log costs belongs to the load
	})
	c := &crowd{t: t, address: w.server.Addr().String(), token: w.token("Orders.Read")}
	if err := c.ask(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, http.MethodGet, "/api/GetOrders"); err != nil {
		t.Fatal(err)
	}
	return w, c
}

// visitors are good clients of every kind.
func (c *crowd) visitors(ctx context.Context, wg *sync.WaitGroup, path string) {
	for range 4 {
		wg.Go(func() { c.visit(ctx, &http.Transport{}, http.MethodGet, path, 0) })
		wg.Go(func() { c.visit(ctx, &http.Transport{}, http.MethodPost, path, 5*time.Millisecond) })
	}
	wg.Go(func() {
		c.visit(ctx, &http.Transport{DisableKeepAlives: true}, http.MethodGet, path, 10*time.Millisecond)
	})
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	wg.Go(func() { c.visit(ctx, &http.Transport{Protocols: protocols}, http.MethodGet, path, 0) })
}

// TestLoad has good clients ask as fast as they can beside slow ones, resets, idle connections
// and requests that the upstream never answers; and then looks for what is left of it all. It
// takes a second or two, or ROLECALL_LOAD seconds with ten thousand idle connections.
func TestLoad(t *testing.T) {
	const many = 10_000
	seconds, quiet := fixture.Rounds(t, fixture.Load, 1), 100
	if whole := seconds >= 10; whole {
		if quiet = many; machine.Files() > 0 && machine.Files() < quiet+2000 {
			t.Skipf("%d idle connections take more open files than the %d that the system allows (ulimit -Hn)", quiet, machine.Files())
		}
	}
	w, c := underLoad(t)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)

	start := time.Now()
	end := idlers(t, c.address, quiet)
	t.Logf("%d idle connections are there after %v", quiet, time.Since(start).Round(time.Millisecond))
	ctx, stop := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second)
	defer stop()
	var wg sync.WaitGroup
	c.visitors(ctx, &wg, "/api/GetOrders")
	for range 20 {
		wg.Go(func() { c.dawdle(ctx) })
		wg.Go(func() { c.sip(ctx) })
		wg.Go(func() { c.slam(ctx) })
		wg.Go(func() { c.hang(ctx) })
	}
	wg.Wait()
	end()
	c.report(seconds)
	if all := c.good.Load() + c.lost.Load(); c.lost.Load()*1000 > all {
		t.Errorf("%d of %d good requests were lost, the first with: %v", c.lost.Load(), all, c.first)
	}
	w.upstream.CloseClientConnections() // those that the guard keeps for later
	until(t, fmt.Sprintf("no more than %d goroutines and %d open files", goroutines, files), func() bool {
		return runtime.NumGoroutine() <= goroutines && openFiles(t) <= files
	})
}

// report logs what the good clients saw.
func (c *crowd) report(seconds int) {
	slices.Sort(c.took)
	at := func(share float64) time.Duration {
		if len(c.took) == 0 {
			return 0
		}
		return c.took[int(share*float64(len(c.took)-1))].Round(10 * time.Microsecond)
	}
	c.t.Logf("%d good requests in %d s, %d lost; half of them took %v, 99 %% at most %v", c.good.Load(), seconds, c.lost.Load(), at(0.5), at(0.99))
}

// A guard that is told to stop under load answers every request that its clients have begun:
// they see at /readyz that it stops, as a load balancer does.
func TestADrainUnderLoadLosesNoRequest(t *testing.T) {
	w, c := underLoad(t)
	ready := "http://" + w.server.OpsAddr().String() + "/readyz"
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	c.visitors(ctx, &wg, "/api/late")
	c.visitors(ctx, &wg, "/api/GetOrders")
	until(t, "some requests", func() bool { return c.good.Load() > 200 })
	w.stop()
	until(t, "that it stops", func() bool {
		resp, err := http.Get(ready)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	stop()
	wg.Wait()
	w.end()
	if c.lost.Load() > 0 {
		t.Errorf("%d of %d requests were lost, the first with: %v", c.lost.Load(), c.lost.Load()+c.good.Load(), c.first)
	}
}
