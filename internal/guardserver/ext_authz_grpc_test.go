package guardserver_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
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
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	framed := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(sent)))
	req, err := http.NewRequest(http.MethodPost, w.url+name, bytes.NewReader(append(framed, sent...)))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/grpc" {
		w.t.Fatalf("%v, %s, %v", err, resp.Status, resp.Header)
	}
	if status = resp.Trailer.Get("Grpc-Status"); status == "" {
		status = resp.Header.Get("Grpc-Status")
	}
	if len(body) >= 5 {
		answer = body[5:]
	}
	return status, answer
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
