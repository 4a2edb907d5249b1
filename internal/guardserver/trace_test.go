package guardserver_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/guardserver"
	"github.com/rolecall-auth/rolecall/internal/otlp"
)

// A seenSpan is a span as a collector reads it.
type seenSpan struct {
	TraceID, SpanID, ParentSpanID, Name string
	Status                              struct{ Code int }
	Attributes                          []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
}

// said is what the attributes of a span say, in one line.
func (s seenSpan) said() string {
	var all []string
	for _, a := range s.Attributes {
		all = append(all, a.Key+"="+a.Value.StringValue+a.Value.IntValue)
	}
	return strings.Join(all, " ")
}

// collect returns an exporter to a collector, and what that gets once the guard has ended.
func collect(t *testing.T) (traces *otlp.Exporter, spans func() []seenSpan) {
	t.Helper()
	got := make(chan []byte, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
		}
		got <- body
	}))
	t.Cleanup(server.Close)
	traces, err := otlp.New(otlp.Config{Endpoint: server.URL + "/v1/traces", Scope: "tests"})
	if err != nil {
		t.Fatal(err)
	}
	return traces, func() (all []seenSpan) {
		close(got)
		for body := range got {
			if strings.Contains(string(body), "eyJ") {
				t.Errorf("a collector got a token: %s", body)
			}
			var request struct {
				ResourceSpans []struct{ ScopeSpans []struct{ Spans []seenSpan } }
			}
			if err := json.Unmarshal(body, &request); err != nil {
				t.Fatal(err)
			}
			all = append(all, request.ResourceSpans[0].ScopeSpans[0].Spans...)
		}
		return all
	}
}

const (
	someTrace  = "0af7651916cd43dd8448eb211c80319c"
	someParent = "b7ad6b7169203331"
)

// Each decision of a proxy is one span, and the upstream's spans belong to it.
func TestTracesOfAProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}
	traces, spans := collect(t)
	w.start(w.settings("", ordersRules), func(cfg *guardserver.Config) { cfg.Traces = traces })
	good := "Authorization: Bearer " + w.token("Orders.Read")
	sampled, not := "Traceparent: 00-"+someTrace+"-"+someParent+"-01", "Traceparent: 00-"+someTrace+"-"+someParent+"-00"
	var trace string // by which a refusal is called
	for _, request := range []func() (*http.Response, string){
		func() (*http.Response, string) {
			return w.get("/api/GetOrders?x=secret", good, sampled, "Tracestate: a=b")
		},
		func() (*http.Response, string) { return w.send(http.MethodPost, "/api/GetOrders", nil, good) },
		func() (*http.Response, string) { return w.get("/api/GetOrders") },
		func() (*http.Response, string) { return w.get("/secret", good) },
		func() (*http.Response, string) { return w.send("SECRET", "/healthz", nil) },
		func() (*http.Response, string) { return w.get("/.auth/me", good) },
		func() (*http.Response, string) { return w.get("/healthz", not) },
		func() (*http.Response, string) { return w.get("/healthz", "Traceparent: nonsense", "Tracestate: a=b") },
	} {
		if resp, body := request(); resp.StatusCode == http.StatusUnauthorized {
			var refusal struct {
				Trace string `json:"trace_id"`
			}
			if err := json.Unmarshal([]byte(body), &refusal); err != nil {
				t.Fatal(err)
			}
			trace = refusal.Trace
		}
	}
	metrics := func() string {
		resp, err := http.Get("http://" + w.server.OpsAddr().String() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if text := metrics(); !strings.Contains(text, `rolecall_guard_spans_total{result="dropped"} 0`) {
		t.Error(text)
	}
	w.end()
	client := w.login.App("client").ClientID
	all, asked := spans(), w.requests()
	want := []string{
		"GET /api/GetOrders: http.request.method=GET http.route=/api/GetOrders rolecall.guard.outcome=allow rolecall.guard.client=" + client + " http.response.status_code=200",
		"POST /api/GetOrders: http.request.method=POST http.route=/api/GetOrders rolecall.guard.outcome=allow rolecall.guard.client=" + client + " http.response.status_code=500",
		"GET /api/GetOrders: http.request.method=GET http.route=/api/GetOrders rolecall.guard.outcome=unauthenticated rolecall.guard.reason=token_missing http.response.status_code=401",
		"GET: http.request.method=GET rolecall.guard.outcome=forbidden rolecall.guard.reason=no_policy http.response.status_code=403",
		"_OTHER: http.request.method=_OTHER rolecall.guard.outcome=forbidden rolecall.guard.reason=no_policy http.response.status_code=403",
		"GET /.auth/me: http.request.method=GET http.route=/.auth/me rolecall.guard.outcome=allow rolecall.guard.client=" + client,
		"GET /healthz: http.request.method=GET http.route=/healthz rolecall.guard.outcome=allow http.response.status_code=200",
	}
	if len(all) != len(want) || len(asked) != 4 {
		t.Fatalf("%d spans, %d requests at the upstream", len(all), len(asked))
	}
	for i, s := range all {
		if got := s.Name + ": " + s.said(); got != want[i] {
			t.Errorf("span %d is\n%s, want\n%s", i, got, want[i])
		}
		if failed := s.Status.Code == 2; failed != strings.Contains(s.said(), "status_code=500") {
			t.Errorf("span %d failed: %t", i, failed)
		}
	}
	if all[0].TraceID != someTrace || all[0].ParentSpanID != someParent || all[2].TraceID != trace || all[2].ParentSpanID != "" {
		t.Errorf("spans %+v and %+v, and the refusal is called by %s", all[0], all[2], trace)
	}
	for i, want := range []string{
		fmt.Sprintf("00-%s-%s-01", someTrace, all[0].SpanID), fmt.Sprintf("00-%s-%s-01", all[1].TraceID, all[1].SpanID),
		"00-" + someTrace + "-*-00", fmt.Sprintf("00-%s-%s-01", all[6].TraceID, all[6].SpanID),
	} {
		got := asked[i].Header.Get("Traceparent")
		if head, tail, ok := strings.Cut(want, "*"); ok {
			if !strings.HasPrefix(got, head) || !strings.HasSuffix(got, tail) || strings.Contains(got, someParent) {
				t.Errorf("the upstream got %q, want %q", got, want)
			}
		} else if got != want {
			t.Errorf("the upstream got %q, want %q", got, want)
		}
		state := ""
		if i == 0 {
			state = "a=b"
		}
		if got := asked[i].Header.Get("Tracestate"); got != state {
			t.Errorf("request %d: Tracestate %q, want %q", i, got, state)
		}
	}
}

// Where requests are only judged, spans belong to the trace that the proxy names.
func TestTracesOfDecisions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, parent := "Authorization: Bearer "+w.token("Orders.Read"), "Traceparent: 00-"+someTrace+"-"+someParent+"-01"
	for mode, ask := range map[string]func(w *world, headers ...string){
		"forward-auth\ndialect: traefik": func(w *world, headers ...string) {
			w.get("/guard/check", append(headers, "X-Forwarded-Method: GET", "X-Forwarded-Uri: /api/GetOrders", "X-Forwarded-Host: a")...)
		},
		"ext-authz\ndialect: http": func(w *world, headers ...string) { w.get("/api/GetOrders", headers...) },
		"ext-authz": func(w *world, headers ...string) {
			w.call("/envoy.service.auth.v3.Authorization/Check", checkRequest("GET", "orders.test", "/api/GetOrders", headers...))
		},
	} {
		w := w.beside(t)
		traces, spans := collect(t)
		w.start(w.settings("mode: "+mode, ordersRules), func(cfg *guardserver.Config) { cfg.Traces = traces })
		ask(w, good, parent)
		ask(w, parent)
		w.end()
		all := spans()
		if len(all) != 2 {
			t.Fatalf("%s: %d spans", mode, len(all))
		}
		if !strings.Contains(all[0].said(), "outcome=allow") || !strings.Contains(all[1].said(), "reason=token_missing") {
			t.Errorf("%s: %s; %s", mode, all[0].said(), all[1].said())
		}
		for _, s := range all {
			if s.TraceID != someTrace || s.ParentSpanID != someParent || s.SpanID == someParent {
				t.Errorf("%s: %+v", mode, s)
			}
		}
	}
}
