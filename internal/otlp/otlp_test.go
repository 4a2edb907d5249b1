package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestParents(t *testing.T) {
	t.Parallel()
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for header, want := range map[string]string{
		"00-" + trace + "-" + span + "-01":                    "sampled",
		"00-" + trace + "-" + span + "-03":                    "sampled",
		"00-" + trace + "-" + span + "-00":                    "not sampled",
		"cc-" + trace + "-" + span + "-01":                    "sampled",
		"cc-" + trace + "-" + span + "-01-what-comes":         "sampled",
		"00-" + trace + "-" + span + "-01-what-comes":         "",
		"cc-" + trace + "-" + span + "-01.what-comes":         "",
		"ff-" + trace + "-" + span + "-01":                    "",
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01":  "",
		"00-" + trace + "-" + strings.Repeat("0", 16) + "-01": "",
		"00-" + strings.ToUpper(trace) + "-" + span + "-01":   "",
		"00-" + trace + "-" + span[:15] + "g-01":              "",
		"00-" + trace + "_" + span + "-01":                    "",
		"00-" + trace + "-" + span:                            "",
		"00-" + trace + "-" + span + "-0":                     "",
		"00-" + trace + "-" + span + "-0x":                    "",
		" 00-" + trace + "-" + span + "-01":                   "",
		"":                                                    "",
	} {
		got := ""
		p, ok := ParseParent(header)
		if ok {
			if got = "not sampled"; p.Sampled {
				got = "sampled"
			}
			if p.Trace.String() != trace || p.Span.String() != span {
				t.Errorf("%q: %s %s", header, p.Trace, p.Span)
			}
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", header, got, want)
		}
	}
}

func FuzzParseParent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more")
	f.Fuzz(func(t *testing.T, header string) {
		p, ok := ParseParent(header)
		if !ok {
			return
		}
		s := Span{Trace: p.Trace, ID: p.Span, Sampled: p.Sampled}
		again, ok := ParseParent(s.Traceparent())
		if !ok || again != p {
			t.Errorf("%q became %q", header, s.Traceparent())
		}
	})
}

func FuzzRejectedIn(f *testing.F) {
	f.Add([]byte(`{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}`))
	f.Add([]byte(`{"partialSuccess":{"rejectedSpans":3}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if n := rejectedIn(answer); n < 0 {
			t.Error(n)
		}
	})
}

func FuzzParseList(f *testing.F) {
	f.Add("api-key=a%20b, x=y")
	f.Fuzz(func(t *testing.T, list string) {
		all, err := parseList(list)
		if err != nil {
			return
		}
		for _, a := range all {
			if a.Key == "" || strings.Contains(a.Key, ",") {
				t.Errorf("%q has the key %q", list, a.Key)
			}
		}
	})
}

// settings reads an environment of the lines NAME=value.
func settings(lines ...string) (Config, bool, error) {
	return FromEnvironment(func(name string) (string, bool) {
		for _, line := range lines {
			if value, ok := strings.CutPrefix(line, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}, "guard")
}

func TestSettings(t *testing.T) {
	t.Parallel()
	const at = "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.test:4318"
	for _, tt := range []struct {
		lines    string
		endpoint string
		headers  string
		resource string
	}{
		{"", "", "", ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=", "", "", ""},
		{at, "http://collector.test:4318/v1/traces", "{}", "service.name=guard"},
		{at + "/", "http://collector.test:4318/v1/traces", "{}", "service.name=guard"},
		{at + "/otlp/", "http://collector.test:4318/otlp/v1/traces", "{}", "service.name=guard"},
		{at + "\nOTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://traces.test/x", "https://traces.test/x", "{}", "service.name=guard"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://traces.test", "https://traces.test", "{}", "service.name=guard"},
		{at + "\nOTEL_SDK_DISABLED=true", "", "", ""},
		{at + "\nOTEL_TRACES_EXPORTER=none", "", "", ""},
		{at + "\nOTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b%2Cc, x=1,", "http://collector.test:4318/v1/traces", `{"api-key":"a b,c","x":"1"}`, "service.name=guard"},
		{at + "\nOTEL_EXPORTER_OTLP_HEADERS=a=1\nOTEL_EXPORTER_OTLP_TRACES_HEADERS=b=2", "http://collector.test:4318/v1/traces", `{"b":"2"}`, "service.name=guard"},
		{at + "\nOTEL_SERVICE_NAME=orders-guard\nOTEL_RESOURCE_ATTRIBUTES=service.name=x,deployment.environment=test", "http://collector.test:4318/v1/traces", "{}", "service.name=orders-guard,deployment.environment=test"},
		{at + "\nOTEL_RESOURCE_ATTRIBUTES=service.name=x", "http://collector.test:4318/v1/traces", "{}", "service.name=x"},
	} {
		cfg, on, err := settings(strings.Split(tt.lines, "\n")...)
		if err != nil || on != (tt.endpoint != "") || cfg.Endpoint != tt.endpoint {
			t.Errorf("%q: %q, %t, %v", tt.lines, cfg.Endpoint, on, err)
			continue
		}
		if !on {
			continue
		}
		headers, _ := json.Marshal(cfg.Headers)
		var resource []string
		for _, a := range cfg.Resource {
			resource = append(resource, a.Key+"="+a.Text)
		}
		if string(headers) != tt.headers || strings.Join(resource, ",") != tt.resource {
			t.Errorf("%q: headers %s, resource %q", tt.lines, headers, resource)
		}
	}
	for lines, want := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318":                           "OTEL_EXPORTER_OTLP_ENDPOINT is not the URL",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=ftp://a/":                          "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not the URL",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://user:hunter2@a/":                   "is not the URL",
		at + "\nOTEL_EXPORTER_OTLP_PROTOCOL=grpc":                              "http/json",
		at + "\nOTEL_TRACES_EXPORTER=zipkin":                                   "zipkin",
		at + "\nOTEL_EXPORTER_OTLP_HEADERS=hunter2":                            "OTEL_EXPORTER_OTLP_HEADERS: write it as",
		at + "\nOTEL_EXPORTER_OTLP_HEADERS=a=hunter2%":                         "OTEL_EXPORTER_OTLP_HEADERS: the value of",
		at + "\nOTEL_EXPORTER_OTLP_HEADERS=a=hunter2%0d%0aEvil: x":             "no header",
		at + "\nOTEL_EXPORTER_OTLP_HEADERS=a b=hunter2":                        "no header",
		at + "\nOTEL_EXPORTER_OTLP_TIMEOUT=10s":                                "milliseconds",
		at + "\nOTEL_EXPORTER_OTLP_CERTIFICATE=/nowhere/ca.pem":                "/nowhere/ca.pem",
		at + "\nOTEL_TRACES_SAMPLER=sometimes":                                 "sometimes",
		at + "\nOTEL_TRACES_SAMPLER=parentbased_":                              "no parent",
		at + "\nOTEL_TRACES_SAMPLER=traceidratio\nOTEL_TRACES_SAMPLER_ARG=NaN": "0 to 1",
		at + "\nOTEL_RESOURCE_ATTRIBUTES=x":                                    "OTEL_RESOURCE_ATTRIBUTES",
	} {
		_, _, err := settings(strings.Split(lines, "\n")...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", lines, err, want)
		}
	}
}

func TestSampling(t *testing.T) {
	t.Parallel()
	const sampled, not = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	for _, tt := range []struct {
		lines                          string
		withSampled, withNot, withNone float64 // shares
	}{
		{"", 1, 0, 1},
		{"OTEL_TRACES_SAMPLER=always_on", 1, 1, 1},
		{"OTEL_TRACES_SAMPLER=always_off", 0, 0, 0},
		{"OTEL_TRACES_SAMPLER=parentbased_always_off", 1, 0, 0},
		{"OTEL_TRACES_SAMPLER=parentbased_traceidratio\nOTEL_TRACES_SAMPLER_ARG=0.5", 1, 0, 0.5},
		{"OTEL_TRACES_SAMPLER=parentbased_traceidratio\nOTEL_TRACES_SAMPLER_ARG=0", 1, 0, 0},
		{"OTEL_TRACES_SAMPLER=traceidratio", 1, 1, 1},
	} {
		cfg, _, err := settings(append(strings.Split(tt.lines, "\n"), "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.test")...)
		if err != nil {
			t.Fatal(err)
		}
		e, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for parent, want := range map[string]float64{sampled: tt.withSampled, not: tt.withNot, "": tt.withNone} {
			const rounds = 2000
			n := 0
			for range rounds {
				if s := e.Begin(parent, time.Now()); s.Sampled {
					n++
				}
			}
			if share := float64(n) / rounds; share < want-0.1 || share > want+0.1 {
				t.Errorf("%q with parent %q: %.2f, want %.2f", tt.lines, parent, share, want)
			}
		}
	}
}

// A collector notes what it is sent.
type collector struct {
	mu     sync.Mutex
	bodies [][]byte
	header http.Header
	answer func() (status int, header http.Header, body string)
}

func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies, c.header = append(c.bodies, body), r.Header
	status, header, text := http.StatusOK, http.Header{}, "{}"
	if c.answer != nil {
		if status, header, text = c.answer(); status == 0 {
			return nil, io.ErrUnexpectedEOF
		}
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: header, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

// spans returns what the bodies have, by the members that the protocol has and no others.
func (c *collector) spans(t *testing.T) (all []wireSpan) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, body := range c.bodies {
		var request struct {
			ResourceSpans []struct {
				Resource   struct{ Attributes []wireAttribute }
				ScopeSpans []struct {
					Scope struct{ Name string }
					Spans []wireSpan
				}
			}
		}
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		all = append(all, request.ResourceSpans[0].ScopeSpans[0].Spans...)
	}
	return all
}

// exporting runs an exporter in a bubble until it is stopped.
func exporting(t *testing.T, c *collector, log io.Writer) (e *Exporter, stop func()) {
	t.Helper()
	e, err := New(Config{
		Endpoint: "http://collector.test/v1/traces", Headers: map[string]string{"Api-Key": "hunter2"}, Client: &http.Client{Transport: c},
		Resource: []Attribute{{Key: "service.name", Text: "guard"}}, Scope: "tests", Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()
	return e, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func (e *Exporter) one(name string) {
	s := e.Begin("", time.Now())
	s.Name, s.End = name, time.Now().Add(time.Millisecond)
	e.Add(s)
}

func TestSpansAreSentInBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		e, stop := exporting(t, c, io.Discard)
		s := e.Begin("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", time.Unix(1, 5))
		s.Name, s.End, s.Failed = "GET /api", time.Unix(2, 0), true
		s.Attributes = []Attribute{{Key: "http.route", Text: `/a"b`}, {Key: "http.response.status_code", Number: 502}, {Key: "empty"}}
		e.Add(s)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if n := len(c.spans(t)); n != 0 {
			t.Errorf("%d spans before the delay", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		want := `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"guard"}}]},"scopeSpans":[{"scope":{"name":"tests"},"spans":[` +
			`{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"` + s.ID.String() + `","parentSpanId":"b7ad6b7169203331","name":"GET /api","kind":2,"startTimeUnixNano":"1000000005","endTimeUnixNano":"2000000000",` +
			`"attributes":[{"key":"http.route","value":{"stringValue":"/a\"b"}},{"key":"http.response.status_code","value":{"intValue":"502"}},{"key":"empty","value":{"stringValue":""}}],"status":{"code":2}}]}]}]}`
		if len(c.bodies) != 1 || string(c.bodies[0]) != want {
			t.Errorf("got %s\nwant %s", c.bodies, want)
		}
		if c.header.Get("Content-Type") != "application/json" || c.header.Get("Api-Key") != "hunter2" {
			t.Errorf("header %v", c.header)
		}
		for range batchSize {
			e.one("more")
		}
		synctest.Wait()
		if n := len(c.spans(t)); n != 1+batchSize {
			t.Errorf("%d spans after a batch is full", n)
		}
		e.one("last")
		stop()
		if n := len(c.spans(t)); n != 2+batchSize {
			t.Errorf("%d spans at the end", n)
		}
		if sent, dropped := e.Counts(); sent != 2+batchSize || dropped != 0 {
			t.Errorf("%d sent, %d dropped", sent, dropped)
		}
	})
}

// A collector that is slow, down or unwilling costs spans, which are counted, and nothing else.
func TestACollectorThatFails(t *testing.T) {
	t.Parallel()
	status := func(code int, body string, header ...string) func() (int, http.Header, string) {
		return func() (int, http.Header, string) {
			h := http.Header{}
			for i := 0; i < len(header); i += 2 {
				h.Set(header[i], header[i+1])
			}
			return code, h, body
		}
	}
	for _, tt := range []struct {
		name          string
		answer        func() (int, http.Header, string)
		sent, dropped uint64
		requests      int
	}{
		{"takes all", status(200, ""), 3, 0, 1},
		{"answers what nobody can read", status(200, "<html>"), 3, 0, 1},
		{"refuses some", status(200, `{"partialSuccess":{"rejectedSpans":"2"}}`), 1, 2, 1},
		{"refuses more than there are", status(200, `{"partialSuccess":{"rejectedSpans":"99"}}`), 0, 3, 1},
		{"refuses all", status(400, "no"), 0, 3, 1},
		{"redirects", status(307, "", "Location", "https://evil.test/"), 0, 3, 1},
		{"is overloaded", status(503, ""), 0, 3, 6},
		{"asks for patience", status(429, "", "Retry-After", "25"), 0, 3, 3},
		{"asks for too much patience", status(429, "", "Retry-After", "3600"), 0, 3, 1},
		{"is not there", status(0, ""), 0, 3, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				c := &collector{answer: tt.answer}
				e, stop := exporting(t, c, &log)
				for range 3 {
					e.one("x")
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if sent, dropped := e.Counts(); sent != tt.sent || dropped != tt.dropped || len(c.bodies) != tt.requests {
					t.Errorf("%d sent, %d dropped in %d requests", sent, dropped, len(c.bodies))
				}
				stop()
				if warnings := strings.Count(log.String(), "traces are not taken"); warnings > 1 || (warnings == 1) != (tt.dropped > 0) || strings.Contains(log.String(), "hunter2") {
					t.Errorf("the log has\n%s", &log)
				}
			})
		})
	}
	t.Run("comes back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &collector{answer: status(503, "")}
			e, stop := exporting(t, c, io.Discard)
			e.one("x")
			time.Sleep(10 * time.Second)
			for range 2 * queueSize { // nobody takes them meanwhile
				e.one("y")
			}
			c.mu.Lock()
			c.answer = nil
			c.mu.Unlock()
			time.Sleep(time.Minute)
			stop()
			if sent, dropped := e.Counts(); sent != 1+queueSize || dropped != queueSize {
				t.Errorf("%d sent, %d dropped", sent, dropped)
			}
		})
	})
	t.Run("is not there at the end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &collector{answer: status(503, "")}
			e, stop := exporting(t, c, io.Discard)
			for range 700 {
				e.one("x")
			}
			start := time.Now()
			stop()
			if waited := time.Since(start); waited > 2*lastTimeout {
				t.Errorf("the end took %v", waited)
			}
			if sent, dropped := e.Counts(); sent != 0 || dropped != 700 {
				t.Errorf("%d sent, %d dropped", sent, dropped)
			}
		})
	})
}
