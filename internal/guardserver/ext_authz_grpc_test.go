package guardserver_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardserver"
)

// message appends a field of bytes to a message of protocol buffers.
func message(b []byte, number int, value string) []byte {
	b = binary.AppendUvarint(b, uint64(number)<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

// checkRequest is what Envoy sends.
func checkRequest(method, host, path string, headers ...string) []byte {
	request := message(message(message(nil, 2, method), 4, path), 5, host)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request = message(request, 3, string(message(message(nil, 1, strings.ToLower(name)), 2, value)))
	}
	return message(nil, 1, string(message(nil, 4, string(message(nil, 2, string(request))))))
}

// call makes a call of gRPC, and returns its status and the message of its answer.
func (w *world) call(name string, sent []byte) (status string, answer []byte) {
	w.t.Helper()
	transport := overHTTP2()
	defer transport.CloseIdleConnections()
	status, answer, err := callOver(transport, w.url+name, sent)
	if err != nil {
		w.t.Fatal(err)
	}
	return status, answer
}

func overHTTP2() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: protocols}
}

// callOver makes a call over connections that may be there already.
func callOver(transport *http.Transport, url string, sent []byte) (status string, answer []byte, err error) {
	framed := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(sent)))
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(append(framed, sent...)))
	if err != nil {
		return "", nil, err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", nil, err
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/grpc" {
		return "", nil, fmt.Errorf("%s, %v", resp.Status, resp.Header)
	}
	if status = resp.Trailer.Get("Grpc-Status"); status == "" {
		status = resp.Header.Get("Grpc-Status")
	}
	if len(body) >= 5 {
		answer = body[5:]
	}
	return status, answer, nil
}

func TestExtAuthzOverGRPC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("mode: ext-authz", ordersRules))
	const check = "/envoy.service.auth.v3.Authorization/Check"
	good := "authorization: Bearer " + w.token("Orders.Read")
	for _, tt := range []struct {
		name    string
		request []byte
		reason  guard.Reason
	}{
		{"in", checkRequest("GET", "orders.test", "/api/GetOrders?x=1", good, "x-ms-client-principal-name: evil", "x_ms_client_principal: evil"), ""},
		{"anonymous", checkRequest("GET", "orders.test", "/healthz"), ""},
		{"no token", checkRequest("GET", "orders.test", "/api/GetOrders"), guard.TokenMissing},
		{"another method", checkRequest("PUT", "orders.test", "/api/GetOrders", good), guard.NoPolicy},
		{"two readings", checkRequest("GET", "orders.test", "/healthz/%2e%2e/api/GetOrders", good), guard.PathNotCanonical},
		{"two tokens, joined", checkRequest("GET", "orders.test", "/api/GetOrders", good+","+strings.TrimPrefix(good, "authorization: ")), guard.MultipleCredentials},
	} {
		status, answer := w.call(check, tt.request)
		if status != "0" {
			t.Errorf("%s: status %s", tt.name, status)
			continue
		}
		text := string(answer)
		if tt.reason != "" {
			if !strings.Contains(text, `"reason":"`+string(tt.reason)+`"`) || !bytes.HasPrefix(answer, []byte{0x0a, 2, 8}) {
				t.Errorf("%s: %q", tt.name, text)
			}
			continue
		}
		if !bytes.HasPrefix(answer, []byte{0x0a, 0, 0x1a}) {
			t.Errorf("%s: %q", tt.name, text)
		}
		if tt.name == "in" != strings.Contains(text, "\x0a\x19x-ms-client-principal-idp\x12\x03aad") || !strings.Contains(text, "authorization") {
			t.Errorf("%s: %q", tt.name, text)
		}
		if tt.name == "in" && (!strings.Contains(text, "\x2a\x15x_ms_client_principal") || !strings.Contains(text, "\x2a\x1ax-ms-client-principal-name")) {
			t.Errorf("%s: what has to go is not named: %q", tt.name, text)
		}
	}
	for call, want := range map[string]string{check: "3", "/envoy.service.auth.v3.Authorization/Watch": "12", "/grpc.health.v1.Health/Check": "3"} {
		if status, _ := w.call(call, []byte{0x0a, 0x7f}); status != want {
			t.Errorf("%s with nonsense: status %s, want %s", call, status, want)
		}
	}
	if status, answer := w.call("/grpc.health.v1.Health/Check", nil); status != "0" || !bytes.Equal(answer, []byte{8, 1}) {
		t.Errorf("health: %s %x", status, answer)
	}
	if status, _ := w.call("/grpc.health.v1.Health/Check", message(nil, 1, "other")); status != "5" {
		t.Errorf("health of another service: %s", status)
	}
	// What is not gRPC is no yes, whatever it asks.
	for _, path := range []string{"/healthz", check} {
		if resp, _ := w.get(path, "Content-Type: application/grpc"); resp.StatusCode == http.StatusOK {
			t.Errorf("%s over HTTP/1: %s", path, resp.Status)
		}
	}
}

// A guard that is told to stop under load answers every call that has reached it, and its log has
// a line for each of them.
func TestADrainOfExtAuthzLosesNoCallAndNoLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("mode: ext-authz", ordersRules), func(cfg *guardserver.Config) { cfg.Grace = 50 * time.Millisecond })
	url := w.url + "/envoy.service.auth.v3.Authorization/Check"
	sent := checkRequest("GET", "orders.test", "/api/GetOrders", "authorization: Bearer "+w.token("Orders.Read"))
	var answered atomic.Int64
	var wait sync.WaitGroup
	for range 2 {
		transport := overHTTP2()
		defer transport.CloseIdleConnections()
		for range 8 { // over one connection, as Envoy asks
			wait.Go(func() {
				for {
					status, answer, err := callOver(transport, url, sent)
					if refused := (*net.OpError)(nil); errors.As(err, &refused) && refused.Op == "dial" {
						return // nobody listens any more
					}
					if err != nil || status != "0" || !bytes.HasPrefix(answer, []byte{0x0a, 0, 0x1a}) {
						t.Errorf("after %d calls: status %q, %q, %v", answered.Load(), status, answer, err)
						return
					}
					answered.Add(1)
				}
			})
		}
	}
	until(t, "some calls", func() bool { return answered.Load() > 200 })
	w.end()
	wait.Wait()
	if lines := strings.Count(w.log.String(), "msg=decision"); int64(lines) != answered.Load() {
		t.Errorf("%d lines of %d calls", lines, answered.Load())
	}
}
