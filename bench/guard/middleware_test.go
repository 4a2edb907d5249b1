package guardbench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// The client of BenchmarkMiddleware is this test binary once more, so that
// its own work is not counted as the server's.
const (
	clientAddress = "GUARD_BENCH_ADDRESS"
	clientToken   = "GUARD_BENCH_TOKEN"
	clientCount   = "GUARD_BENCH_COUNT"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(clientAddress); address != "" {
		if err := runClient(address, os.Getenv(clientToken), os.Getenv(clientCount)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && bareServers[os.Args[1]] != nil {
		if err := runBare(bareServers[os.Args[1]], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// runClient sends count requests over one connection, one after the other.
func runClient(address, raw, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	request := []byte("GET /api/orders HTTP/1.1\r\nHost: api.test\r\nUser-Agent: bench\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n" +
		"X-Request-Id: 0af7651916cd43dd8448eb211c80319c\r\nAuthorization: Bearer " + raw + "\r\n\r\n")
	answers := bufio.NewReader(conn)
	for range n {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
	}
	return nil
}

// BenchmarkMiddleware serves the same small answer with and without the guard
// over keep-alive connections, by turns, with a token seen before, and
// reports the server's CPU time per request: the median of five rounds.
func BenchmarkMiddleware(b *testing.B) {
	const requests = 20_000
	raw := rsTokens(b, 1)[0]
	orders := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"orders":[]}`)
	})
	bare := httptest.NewServer(orders)
	defer bare.Close()
	guarded := httptest.NewServer(newGuard(b, rsaKey().Public(), "RS256", 0).Require("Orders.Read")(orders))
	defer guarded.Close()
	serve := func(server *httptest.Server) time.Duration {
		client := exec.Command(os.Args[0])
		client.Env = append(os.Environ(), clientAddress+"="+server.Listener.Addr().String(), clientToken+"="+raw, clientCount+"="+strconv.Itoa(requests))
		client.Stderr = os.Stderr
		start := cpu(b)
		if err := client.Run(); err != nil {
			b.Fatal(err)
		}
		return cpu(b) - start
	}
	var withGuard, without []float64
	for b.Loop() {
		for range rounds {
			without = append(without, float64(serve(bare))/requests)
			withGuard = append(withGuard, float64(serve(guarded))/requests)
		}
	}
	b.ReportMetric(median(without), "bare-cpu-ns")
	b.ReportMetric(median(withGuard), "guarded-cpu-ns")
	b.ReportMetric(median(withGuard)/median(without), "guarded/bare")
	b.ReportMetric(0, "ns/op")
}
