package guardserver_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whatever bytes a client sends in one connection: the upstream is asked as often as the guard
// has let something in, and never for what only the rule for everybody let in.
func TestNoRequestIsSmuggled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("", "\n  - {path: /open/*, anonymous: true}\n  - {path: /admin/*, roles: [Admin]}\n"))
	const hidden = "GET /admin/x HTTP/1.1\r\nHost: a\r\n\r\n"
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	var cases []string
	for _, te := range []string{
		"Transfer-Encoding: chunked", "Transfer-Encoding:chunked", "Transfer-Encoding: Chunked", "Transfer-Encoding : chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity",
		"Transfer-Encoding: identity, chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked", "Transfer-Encoding:\x0bchunked", " Transfer-Encoding: chunked",
		"X: y\r\n Transfer-Encoding: chunked", "Transfer-Encoding\x00: chunked", "Transfer_Encoding: chunked", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: gzip, chunked", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
	} {
		for _, cl := range []string{"", "Content-Length: 0\r\n", "Content-Length: 4\r\n", fmt.Sprintf("Content-Length: %d\r\n", len(chunked)), "Content-Length: 4\r\nContent-Length: 0\r\n", "Content-Length: +4\r\n", "Content-Length: 4, 4\r\n", "Content-Length: 0x4\r\n"} {
			for _, body := range []string{chunked, "0\r\n\r\n" + hidden} {
				cases = append(cases, "POST /open/x HTTP/1.1\r\nHost: a\r\n"+cl+te+"\r\n\r\n"+body)
			}
		}
	}
	for _, line := range []string{
		"GET /open/x HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", "GET /open/x HTTP/1.0\r\nContent-Length: 5\r\n\r\n", "GET /open/x\r\n", "GET /open/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /open/x\tHTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /open/x HTTP/1.1\nHost: a\n\n", "GET http://b/open/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /open/x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "GET /open/x HTTP/2.0\r\nHost: a\r\n\r\n", "CONNECT /open/x HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /open/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;x=\"\r\n\r\n", "POST /open/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\n\n", "POST /open/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
		"POST /open/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /open/x?\r\nX: y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /open/x#/admin HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		cases = append(cases, line+hidden)
	}
	if len(cases) < 300 {
		t.Fatalf("only %d cases", len(cases))
	}
	total := 0
	for i, request := range cases {
		conn, err := net.Dial("tcp", w.server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request+"GET /admin/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // where the guard waits for more of a body
		answers := readAll(bufio.NewReader(conn))
		_ = conn.Close()
		asked := w.requests() // what is still on its way counts at the next case
		total += len(asked)
		if allowed := strings.Count(w.log.String(), "outcome=allow"); total > allowed {
			t.Fatalf("case %d %q: the upstream was asked %d times, let in were %d", i, request, total, allowed)
		}
		for _, r := range asked {
			if !strings.HasPrefix(r.URL.Path, "/open/") || r.Method == http.MethodConnect || len(r.Trailer) > 0 {
				t.Errorf("case %d %q: the upstream was asked %s %s", i, request, r.Method, r.URL)
			}
		}
		if n := strings.Count(answers, "HTTP/1.1 200"); n > 1 {
			t.Errorf("case %d %q: %d requests of one were answered: %q", i, request, n, answers)
		}
	}
	if total < 50 {
		t.Errorf("only %d requests went through, so little was tried", total)
	}
}

func readAll(r io.Reader) string {
	text, _ := io.ReadAll(r)
	return string(text)
}

// Trailers arrive after the decision.
func TestTrailersEndAtTheGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("", ordersRules))
	for _, announce := range []string{"Trailer: X-MS-CLIENT-PRINCIPAL-ID\r\n", "Trailer: X-Checksum, Authorization\r\n", ""} {
		_, reader := w.dial("POST /api/GetOrders HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n" + announce +
			"Authorization: Bearer " + w.token("Orders.Read") + "\r\n\r\n3\r\nabc\r\n0\r\nX-MS-CLIENT-PRINCIPAL-ID: evil\r\nX-Checksum: 1\r\nAuthorization: evil\r\n\r\n")
		if resp, err := http.ReadResponse(reader, nil); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", resp, err)
		}
		r := w.requests()[0]
		if len(r.Trailer) > 0 || r.Header.Get("Trailer") != "" || r.Header.Get("X-Ms-Client-Principal-Id") == "evil" {
			t.Errorf("the upstream got %v and the trailers %v", r.Header, r.Trailer)
		}
	}
}

// Only a proxy that is named may say who the client is.
func TestForwardedHeadersOfATrustedProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("trustedPeers: [127.0.0.1]", ordersRules))
	w.get("/healthz", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: orders.test", "X_Forwarded_For: evil", "Forwarded: for=evil")
	header := w.requests()[0].Header
	if header.Get("X-Forwarded-For") != "192.0.2.1, 127.0.0.1" || header.Get("X-Forwarded-Proto") != "https" || header.Get("X-Forwarded-Host") != "orders.test" {
		t.Errorf("got %v", header)
	}
	for name, lines := range header {
		if strings.Contains(strings.Join(lines, ""), "evil") {
			t.Errorf("got %s: %q", name, lines)
		}
	}
}
