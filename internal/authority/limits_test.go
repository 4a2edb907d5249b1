package authority

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
)

// serve starts a real server with the limits set.
func (w *world) serve() *httptest.Server {
	w.t.Helper()
	server := httptest.NewUnstartedServer(w.handler)
	exchange.Limit(server.Config)
	server.Start()
	w.t.Cleanup(server.Close)
	return server
}

// raw sends bytes and gives the status of the answer, 0 when there is none.
func raw(t *testing.T, server *httptest.Server, request string) int {
	t.Helper()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	go func() { _, _ = connection.Write([]byte(request)) }() // the server may close before all is sent
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := w.serve()
	request := func(size int) string {
		start := "GET /contoso.test/discovery/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Fill: "
		const end = "\r\n\r\n"
		return start + strings.Repeat("x", size-len(start)-len(end)) + end
	}
	line := func(size int) string {
		start := "GET /contoso.test/discovery/keys?"
		const end = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
		return start + strings.Repeat("x", size-len(start)-len(end)) + end
	}
	for _, tt := range []struct {
		name    string
		request string
		want    int
	}{
		{"headers of 32 KB", request(exchange.MaxHeader), 200},
		{"one byte more", request(exchange.MaxHeader + 1), 431},
		{"a hundred times as much", request(100 * exchange.MaxHeader), 431},
		{"a request line of 32 KB", line(exchange.MaxHeader), 200},
		{"one byte more", line(exchange.MaxHeader + 1), 431},
		{"a hundred times as much", line(100 * exchange.MaxHeader), 431},
	} {
		if got := raw(t, server, tt.request); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := w.serve()
	request := func(size int, declared bool) string {
		body := w.good().encode()
		body += "&x=" + strings.Repeat("x", size-len(body)-3)
		head := "POST " + pathV2 + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
		if declared {
			return head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
		}
		return head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	for _, declared := range []bool{true, false} {
		for _, tt := range []struct{ size, want int }{{exchange.MaxBody, 200}, {exchange.MaxBody + 1, 413}, {100 * exchange.MaxBody, 413}} {
			if got := raw(t, server, request(tt.size, declared)); got != tt.want {
				t.Errorf("%d bytes, declared %v: got %d, want %d", tt.size, declared, got, tt.want)
			}
		}
	}
	cut := "POST " + pathV2 + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
	if got := raw(t, server, cut); got != 400 {
		t.Errorf("a broken body got %d, want 400", got)
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	var server http.Server
	exchange.Limit(&server)
	if server.ReadHeaderTimeout == 0 || server.ReadTimeout == 0 || server.WriteTimeout == 0 || server.IdleTimeout == 0 || server.MaxHeaderBytes == 0 {
		t.Errorf("some limit is missing: %+v", &server)
	}
}
