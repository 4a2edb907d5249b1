package compat

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// TestTracesAreOfTheProtocol reads what `rolecall guard` sends to a collector by OpenTelemetry's
// own messages, which have no room for a member that the protocol does not have.
func TestTracesAreOfTheProtocol(t *testing.T) {
	rolecall := os.Getenv("COMPAT_ROLECALL")
	if rolecall == "" {
		t.Skip("COMPAT_ROLECALL is not set: start this suite with compat/run go")
	}
	bodies := make(chan []byte, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Api-Key") != "a b" {
			t.Errorf("%s %v: %v", r.URL, r.Header, err)
		}
		bodies <- body
	}))
	defer collector.Close()
	var handed string
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handed = r.Header.Get("Traceparent") }))
	defer upstream.Close()

	settings := filepath.Join(t.TempDir(), "guard.yaml")
	content := "listen: 127.0.0.1:0\nupstream: " + upstream.URL + "\nauthority: https://localhost:1/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11\naudience: [api://orders]\n" +
		"rules:\n  - {path: /api/GetOrders, roles: [Orders.Read]}\n  - {path: /healthz, anonymous: true}\n"
	if err := os.WriteFile(settings, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	guard := exec.CommandContext(t.Context(), rolecall, "guard", "--config", settings)
	guard.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b", "OTEL_SERVICE_NAME=orders-guard")
	log, err := guard.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Start(); err != nil {
		t.Fatal(err)
	}
	lines, address := bufio.NewScanner(log), ""
	for address == "" && lines.Scan() {
		if _, at, ok := strings.Cut(lines.Text(), "guards at "); ok {
			address = at
		}
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, path := range []string{"/healthz", "/api/GetOrders"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", parent)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if err := guard.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := guard.Wait(); err != nil {
		t.Errorf("the guard ended: %v", err)
	}
	close(bodies)

	var spans []*trace.Span
	for body := range bodies {
		var data trace.TracesData
		if err := protojson.Unmarshal(withIDs(t, body), &data); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		for _, resource := range data.ResourceSpans {
			if a := resource.Resource.Attributes; len(a) != 1 || a[0].Key != "service.name" || a[0].Value.GetStringValue() != "orders-guard" {
				t.Errorf("resource %v", resource.Resource)
			}
			for _, scope := range resource.ScopeSpans {
				spans = append(spans, scope.Spans...)
			}
		}
	}
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	for i, want := range []string{"GET /healthz", "GET /api/GetOrders"} {
		s := spans[i]
		if s.Name != want || s.Kind != trace.Span_SPAN_KIND_SERVER || hex.EncodeToString(s.TraceId) != parent[3:35] || hex.EncodeToString(s.ParentSpanId) != parent[36:52] || len(s.SpanId) != 8 ||
			s.StartTimeUnixNano == 0 || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("span %d is %v", i, s)
		}
	}
	if want := "00-" + parent[3:35] + "-" + hex.EncodeToString(spans[0].SpanId) + "-01"; handed != want {
		t.Errorf("the upstream was handed %q, want %q", handed, want)
	}
	said := map[string]string{}
	for _, a := range spans[1].Attributes {
		said[a.Key] = a.Value.GetStringValue()
	}
	if said["rolecall.guard.reason"] != "token_missing" || said["http.route"] != "/api/GetOrders" {
		t.Errorf("attributes %v", spans[1].Attributes)
	}
}

// withIDs writes ids as Protocol Buffers have bytes in JSON. OTLP has them in hexadecimal, which
// is its one departure from that encoding.
func withIDs(t *testing.T, body []byte) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, entry := range v {
				walk(entry)
			}
		case map[string]any:
			for name, member := range v {
				if name != "traceId" && name != "spanId" && name != "parentSpanId" {
					walk(member)
					continue
				}
				text, _ := member.(string)
				id, err := hex.DecodeString(text)
				if err != nil {
					t.Fatalf("%s is %q", name, text)
				}
				v[name] = base64.StdEncoding.EncodeToString(id)
			}
		}
	}
	walk(v)
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
