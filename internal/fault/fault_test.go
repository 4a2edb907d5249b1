package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rule{
		"token:429,retry-after=2,times=3": {Surface: Token, Status: 429, RetryAfter: 2, Times: 3},
		"identity:410":                    {Surface: Identity, Status: 410},
		"identity:400":                    {Surface: Identity, Status: 400},
		" token : 503 , delay=1s ":        {Surface: Token, Status: 503, Delay: time.Second},
		"token:slow=250ms":                {Surface: Token, Delay: 250 * time.Millisecond},
		"identity:drop":                   {Surface: Identity, Drop: true},
		"token:expired,times=1":           {Surface: Token, Expired: true, Times: 1},
		"token:drop-key":                  {Surface: Keys, DropKey: true},
		"keys:drop-key":                   {Surface: Keys, DropKey: true},
		"keys:500":                        {Surface: Keys, Status: 500},
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func TestParseRefusals(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "token", "token:", ":429", "portal:429", "token:200", "token:399", "token:600", "token:429,times=0", "token:429,times=-1", "token:429,times=x",
		"token:retry-after=2", "token:429,retry-after=-1", "token:429,retry-after=soon", "token:delay=61s", "token:delay=2h", "token:delay=-1s", "token:delay=soon",
		"token:429,drop", "token:drop,expired", "identity:drop-key", "keys:expired", "token:429,nonsense",
		"token:429,503", "token:429,429", "token:429,times=1,times=2", "token:429,delay=1s,slow=2s", "token:drop=yes", "token:expired=2h", "keys:drop-key=1", "token:429=1",
	} {
		if rule, err := Parse(text); err == nil {
			t.Errorf("%q: got %+v", text, rule)
		} else if text != "" && !strings.Contains(err.Error(), "fault") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// around sends requests through an injector to a handler that answers 200 and says how old
// a token was to be.
func around(t *testing.T, i *Injector, path string) *http.Response {
	t.Helper()
	handler := i.Authority(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Age", Age(r.Context()).String())
		w.Write([]byte(`{"keys":[{"kid":"current"},{"kid":"next"}]}`))
	}))
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, path, nil))
	return recorder.Result()
}

func mustNew(t *testing.T, texts ...string) *Injector {
	t.Helper()
	rules := make([]Rule, len(texts))
	for n, text := range texts {
		var err error
		if rules[n], err = Parse(text); err != nil {
			t.Fatal(err)
		}
	}
	i, err := New(rules...)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

const tokenPath = "/contoso.test/oauth2/v2.0/token"

func TestNothingGoesWrongByItself(t *testing.T) {
	t.Parallel()
	for _, path := range []string{tokenPath, "/t/oauth2/token", "/t/discovery/v2.0/keys"} {
		if got := around(t, new(Injector), path); got.StatusCode != http.StatusOK || got.Header.Get("X-Age") != "0s" {
			t.Errorf("%s: got %d, age %s", path, got.StatusCode, got.Header.Get("X-Age"))
		}
	}
}

func TestStatusesInTurn(t *testing.T) {
	t.Parallel()
	i := mustNew(t, "token:429,retry-after=2,times=2", "token:503,times=1", "keys:500,times=1")
	for n, want := range []int{429, 429, 503, 200, 200} {
		got := around(t, i, strings.ToUpper(tokenPath)+"/")
		var body map[string]any
		if got.StatusCode != want {
			t.Errorf("answer %d: got %d, want %d", n, got.StatusCode, want)
		}
		if err := json.NewDecoder(got.Body).Decode(&body); err != nil {
			t.Errorf("answer %d is not JSON: %v", n, err)
		}
		if after := got.Header.Get("Retry-After"); (after == "2") != (want == 429) {
			t.Errorf("answer %d: Retry-After is %q", n, after)
		}
	}
	if got := around(t, mustNew(t, "token:503"), "/t/oauth2/token"); got.StatusCode != 503 {
		t.Errorf("version 1: got %d, want 503", got.StatusCode)
	}
	if got := around(t, i, "/t/discovery/keys"); got.StatusCode != 500 {
		t.Errorf("keys: got %d, want 500", got.StatusCode)
	}
	if got := around(t, i, "/t/v2.0/.well-known/openid-configuration"); got.StatusCode != 200 {
		t.Errorf("metadata: got %d, want 200", got.StatusCode)
	}
}

func TestOnlyWhatPassesIsToldToPass(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 404, 405, 408, 410, 429, 500, 502, 503} {
		got := around(t, mustNew(t, fmt.Sprintf("token:%d", status)), tokenPath)
		var body struct{ Error string }
		if err := json.NewDecoder(got.Body).Decode(&body); err != nil || got.StatusCode != status {
			t.Errorf("got %d, %v, want %d", got.StatusCode, err, status)
		}
		want := "temporarily_unavailable"
		if status < 404 || status == 405 {
			want = "invalid_request"
		}
		if body.Error != want {
			t.Errorf("%d: the error is %s, want %s", status, body.Error, want)
		}
	}
}

func TestEveryFaultIsLoggedWithItsListener(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	i := mustNew(t, "identity:429,retry-after=2,times=2", "identity:drop,times=1")
	i.Log = slog.New(slog.NewTextHandler(&log, nil))
	server := httptest.NewServer(i.Identity(http.NotFoundHandler()))
	transport := &http.Transport{DisableKeepAlives: true}
	for range 4 { // the last is answered by the handler
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"?resource=secret", nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := transport.RoundTrip(request); err == nil {
			response.Body.Close()
		}
	}
	server.Close()
	listener := " listener=" + server.Listener.Addr().String()
	for _, want := range []string{`fault="identity:429,retry-after=2,times=2"` + listener, `fault="identity:429,retry-after=2,times=1"` + listener, `fault="identity:drop,times=1"` + listener} {
		if !strings.Contains(log.String(), want+"\n") {
			t.Errorf("%s is not in the log", want)
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines != 3 || strings.Contains(log.String(), "secret") {
		t.Errorf("want three lines and nothing of the request: %s", log.String())
	}
}

func TestSetAndAdd(t *testing.T) {
	t.Parallel()
	i := mustNew(t, "token:503")
	if err := i.Set(); err != nil || around(t, i, tokenPath).StatusCode != 200 {
		t.Errorf("taken back: %v", err)
	}
	if err := i.Add(Rule{Surface: Token, Status: 500}); err != nil || around(t, i, tokenPath).StatusCode != 500 {
		t.Errorf("added: %v", err)
	}
	if i.Add(Rule{}) == nil || i.Set(Rule{Surface: Token}) == nil {
		t.Error("rules without meaning are taken")
	}
	if around(t, i, tokenPath).StatusCode != 500 {
		t.Error("a refused rule took the others away")
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	i := mustNew(t, "token:expired,times=1")
	if got := around(t, i, tokenPath).Header.Get("X-Age"); got != "25h0m0s" {
		t.Errorf("age is %s", got)
	}
	if got := around(t, i, tokenPath).Header.Get("X-Age"); got != "0s" {
		t.Errorf("afterwards the age is %s", got)
	}
}

func TestDropKey(t *testing.T) {
	t.Parallel()
	got := around(t, mustNew(t, "token:drop-key"), "/t/discovery/v2.0/keys")
	var body struct {
		Keys []struct{ KID string }
	}
	if err := json.NewDecoder(got.Body).Decode(&body); err != nil || len(body.Keys) != 1 || body.Keys[0].KID != "next" {
		t.Errorf("got %+v, %v", body, err)
	}
}

// What is no keys document passes as it is.
func TestDropKeyLeavesOtherAnswersAlone(t *testing.T) {
	t.Parallel()
	for body, status := range map[string]int{"no JSON": 200, `{"keys":[]}`: 200, `{"error":"x"}`: 404} {
		handler := mustNew(t, "keys:drop-key").Authority(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Own", "kept")
			w.WriteHeader(status)
			w.Write([]byte(body))
		}))
		got := httptest.NewRecorder()
		handler.ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/t/discovery/v2.0/keys", nil))
		if got.Code != status || got.Body.String() != body || got.Header().Get("X-Own") != "kept" {
			t.Errorf("%s: got %d, %s", body, got.Code, got.Body)
		}
	}
}

// Nothing is done for a caller that did not wait.
func TestACallerDoesNotWait(t *testing.T) {
	t.Parallel()
	gone, leave := context.WithCancel(t.Context())
	leave()
	handler := mustNew(t, "identity:delay=1m").Identity(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was answered") }))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil).WithContext(gone))
}

func TestDropAndDelay(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(mustNew(t, "identity:drop,times=1").Identity(http.NotFoundHandler()))
	defer server.Close()
	transport := &http.Transport{DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := transport.RoundTrip(request); err == nil {
		response.Body.Close()
		t.Errorf("got %s, want no answer", response.Status)
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if got := around(t, mustNew(t, "token:delay=30s"), tokenPath); got.StatusCode != 200 || time.Since(start) != 30*time.Second {
			t.Errorf("got %d after %v", got.StatusCode, time.Since(start))
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("token:429,retry-after=2,times=3")
	f.Add("keys:drop-key,delay=1s")
	f.Add("identity:expired,slow=250ms,times=2")
	f.Add("identity:drop")
	f.Fuzz(func(t *testing.T, text string) {
		rule, err := Parse(text)
		if err != nil {
			return
		}
		if rule.check() != nil {
			t.Errorf("%q gives a rule without meaning: %+v", text, rule)
		}
		if again, err := Parse(rule.String()); err != nil || again != rule {
			t.Errorf("%q is written as %s, which is %+v, %v", text, rule, again, err)
		}
	})
}
