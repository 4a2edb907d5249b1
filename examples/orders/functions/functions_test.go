package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// invoke posts an invocation as the host does and reads the outcome.
func invoke(t *testing.T, h http.Handler, function string, body []byte) (status int, o map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/"+function, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Azure-Functions-InvocationId", "5e2b9c10-7d1f-4c52-8e77-0d3a6f4b9e21")
	h.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil || o == nil {
		t.Fatalf("the outcome is no JSON object, and the host would wait for ever: %q", w.Body)
	}
	return w.Code, o
}

func fixture(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestInvocationBecomesTheRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file, method, uri, host, header, value, body string
	}{
		{"get.json", "GET", "/api/GetOrders?region=North&region=South", "localhost:7071", "Authorization", "Bearer header.payload.signature", ""},
		{"post-text.json", "POST", "/api/GetOrders", "orders.contoso.test", "Content-Type", "application/json; charset=utf-8", `{"name":"möbel"}`},
		{"post-bytes.json", "POST", "/api/GetOrders", "orders.contoso.test", "Content-Type", "application/octet-stream", "\x00\x01\x02\xff"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			called := false
			h := New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				called = true
				body, err := io.ReadAll(r.Body)
				if err != nil || string(body) != tt.body || r.ContentLength != int64(len(tt.body)) {
					t.Errorf("body %q of length %d, %v; want %q", body, r.ContentLength, err, tt.body)
				}
				if r.Method != tt.method || r.RequestURI != tt.uri || r.URL.RequestURI() != tt.uri || r.Host != tt.host {
					t.Errorf("got %s %s at %s", r.Method, r.RequestURI, r.Host)
				}
				if got := r.Header.Values(tt.header); !reflect.DeepEqual(got, []string{tt.value}) {
					t.Errorf("%s: %q, want %q", tt.header, got, tt.value)
				}
				if r.Header.Get("X-Azure-Functions-InvocationId") != "" || r.Header.Get("Content-Length") != "" || r.Header.Get("Host") != "" {
					t.Errorf("headers that are not the client's: %v", r.Header)
				}
			}))
			h.HTTP("GetOrders", "req", "res")
			if status, _ := invoke(t, h, "GetOrders", fixture(t, tt.file)); status != http.StatusOK || !called {
				t.Errorf("status %d, called %t", status, called)
			}
		})
	}
}

// A path that begins with two slashes is a path, not a host.
func TestInvocationKeepsOddPaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"//elsewhere.test/api/GetOrders", "/api/%2e%2e/GetOrders", "/api/a%2Fb?", "/api/;a=b"} {
		h := New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Host != "" || r.RequestURI != path || r.URL.RequestURI() != path || r.Host != "localhost:7071" {
				t.Errorf("%s: got %q at %q, URL %+v", path, r.RequestURI, r.Host, r.URL)
			}
		}))
		h.HTTP("GetOrders", "req", "res")
		body := `{"Data":{"req":{"Url":"http://localhost:7071` + path + `","Method":"GET","Headers":{}}}}`
		if status, o := invoke(t, h, "GetOrders", []byte(body)); status != http.StatusOK {
			t.Errorf("%s: %d %v", path, status, o)
		}
	}
}

func TestAnswerBecomesTheOutcome(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   map[string]any
	}{
		{"refusal", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Add("WWW-Authenticate", `Bearer realm="api"`)
			w.Header().Add("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			w.Header().Set("Too-Late", "yes")
			w.WriteHeader(http.StatusOK)
			_, _ = io.WriteString(w, `{"error":"invalid_token"}`)
		}, map[string]any{"statusCode": 401.0, "body": `{"error":"invalid_token"}`,
			"headers": map[string]any{"Www-Authenticate": `Bearer realm="api", Basic realm="x"`}}},
		{"nothing said", func(http.ResponseWriter, *http.Request) {},
			map[string]any{"statusCode": 200.0, "body": "", "headers": map[string]any{}}},
		{"early hints", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, "[]")
		}, map[string]any{"statusCode": 200.0, "body": "[]", "headers": map[string]any{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := New(tt.answer)
			h.HTTP("GetOrders", "req", "res")
			status, got := invoke(t, h, "GetOrders", fixture(t, "get.json"))
			want := map[string]any{"Outputs": map[string]any{"res": tt.want}, "Logs": []any{}, "ReturnValue": nil}
			if status != http.StatusOK || !reflect.DeepEqual(got, want) {
				t.Errorf("got %d %v, want 200 %v", status, got, want)
			}
		})
	}
}

func TestForwardedRequestsPassThrough(t *testing.T) {
	t.Parallel()
	h := New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.Method+" "+r.RequestURI)
	}))
	h.HTTP("GetOrders", "req", "res")
	for _, request := range []string{"GET /", "GET /api/GetOrders?a=b", "POST /api/GetOrders", "GET /GetOrders", "POST /getorders", "POST /GetOrders/"} {
		method, uri, _ := strings.Cut(request, " ")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, uri, nil))
		if w.Code != http.StatusTeapot || w.Body.String() != request {
			t.Errorf("%s: the application got %d %q", request, w.Code, w.Body)
		}
	}
}

func TestTimer(t *testing.T) {
	t.Parallel()
	next := func(last, next string) *ScheduleStatus {
		return &ScheduleStatus{Last: last, LastUpdated: last, Next: next}
	}
	for file, want := range map[string]Timer{
		"timer.json":             {ScheduleStatus: next("2026-11-23T14:00:00.0123456+00:00", "2026-11-23T14:10:00+00:00")},
		"timer-first.json":       {IsPastDue: true, ScheduleStatus: next("0001-01-01T00:00:00", "2026-11-23T14:10:00")},
		"timer-unmonitored.json": {},
		"timer-string.json":      {IsPastDue: true},
	} {
		t.Run(file, func(t *testing.T) {
			var got []Timer
			h := New(http.NotFoundHandler())
			h.Timer("ProcessOrdersTimer", "timer", func(_ context.Context, timer Timer) error {
				got = append(got, timer)
				return nil
			})
			status, outcome := invoke(t, h, "ProcessOrdersTimer", fixture(t, file))
			if status != http.StatusOK || !reflect.DeepEqual(got, []Timer{want}) {
				t.Errorf("status %d, got %+v, want %+v", status, got, want)
			}
			if want := (map[string]any{"Outputs": map[string]any{}, "Logs": []any{}, "ReturnValue": nil}); !reflect.DeepEqual(outcome, want) {
				t.Errorf("outcome %v", outcome)
			}
		})
	}
}

func TestFailedInvocations(t *testing.T) {
	t.Parallel()
	h := New(http.NotFoundHandler())
	h.HTTP("GetOrders", "req", "res")
	h.Timer("Fails", "timer", func(context.Context, Timer) error { return errors.New("no way led to the orders") })
	for _, tt := range []struct {
		name, function, body string
		status               int
		log                  string
	}{
		{"no JSON", "GetOrders", "GET /", 400, "not the JSON"},
		{"empty", "GetOrders", "", 400, "not the JSON"},
		{"no binding", "GetOrders", `{"Data":{"other":{}}}`, 400, "no value for the HTTP trigger"},
		{"no URL", "GetOrders", `{"Data":{"req":{"Method":"GET"}}}`, 400, "no absolute Url"},
		{"relative URL", "GetOrders", `{"Data":{"req":{"Method":"GET","Url":"/api/GetOrders"}}}`, 400, "no absolute Url"},
		{"bad method", "GetOrders", `{"Data":{"req":{"Method":"G T","Url":"http://localhost/api"}}}`, 400, "HTTP trigger"},
		{"bad bytes", "GetOrders", `{"Data":{"req":{"Method":"POST","Url":"http://localhost/","Headers":{"Content-Type":["application/octet-stream"]},"Body":"%"}}}`, 400, "not base64"},
		{"too long", "GetOrders", strings.Repeat(" ", maxInvocation+1), 400, "read invocation"},
		{"timer fails", "Fails", `{"Data":{"timer":{}}}`, 500, "no way led"},
		{"timer is no object", "Fails", `{"Data":{"timer":[]}}`, 400, "timer value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, outcome := invoke(t, h, tt.function, []byte(tt.body))
			logs, _ := outcome["Logs"].([]any)
			if status != tt.status || len(logs) != 1 || !strings.Contains(logs[0].(string), tt.log) {
				t.Errorf("got %d %v, want %d and %q", status, outcome, tt.status, tt.log)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	hosted := func(name string) string { return map[string]string{portVariable: "34567"}[name] }
	alone := func(string) string { return "" }
	if got := Address(hosted, "127.0.0.1:7071"); got != "127.0.0.1:34567" || !Hosted(hosted) {
		t.Errorf("hosted: %s", got)
	}
	if got := Address(alone, "127.0.0.1:7071"); got != "127.0.0.1:7071" || Hosted(alone) {
		t.Errorf("alone: %s", got)
	}
}

func TestServeStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	listening := make(chan string, 1)
	log := slog.New(slog.NewTextHandler(addressOf(listening), nil))
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, "127.0.0.1:0", http.NotFoundHandler(), log)
	}()
	resp, err := http.Get(<-listening)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := Serve(t.Context(), "127.0.0.1:none", nil, log); err == nil {
		t.Error("an impossible address was listened at")
	}
}

// addressOf picks the address out of the log, where a person would look for it.
type addressOf chan string

func (a addressOf) Write(line []byte) (int, error) {
	if _, address, found := strings.Cut(string(line), "address="); found {
		a <- strings.TrimSpace(address)
	}
	return len(line), nil
}

// Whatever is posted, the host gets an object, or it would wait for ever.
func FuzzInvocation(f *testing.F) {
	for _, name := range []string{"get.json", "post-text.json", "post-bytes.json", "timer.json", "timer-string.json"} {
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h := New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Host != "" || r.URL.Scheme != "" || r.RequestURI != r.URL.RequestURI() {
				t.Errorf("the application got %q as %+v", r.RequestURI, r.URL)
			}
			_, _ = io.Copy(w, r.Body)
		}))
		h.HTTP("GetOrders", "req", "res")
		h.Timer("ProcessOrdersTimer", "timer", func(context.Context, Timer) error { return nil })
		invoke(t, h, "GetOrders", body)
		invoke(t, h, "ProcessOrdersTimer", body)
	})
}
