package credential

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestNoAnswerIsExplained(t *testing.T) {
	t.Parallel()
	startAuthority(t)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	host := "https://" + gone.Addr().String()
	cred, err := NewADAL(ADALConfig{TenantID: testTenant, ClientID: testClient, Secret: testSecret, Options: &Options{AuthorityHost: host}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = cred.GetToken(t.Context(), scoped(testScope))
	if err == nil || !strings.Contains(err.Error(), "check that the authority runs at "+host) {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = cred.GetToken(ctx, scoped(testScope)); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "Next:") {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNetworkAdvice(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"dial tcp: lookup login.contoso.test: no such host":                                            "check that the authority runs",
		"tls: failed to verify certificate: x509: certificate is valid for example.com, not localhost": "host name",
		"x509: certificate signed by unknown authority":                                                envCABundle,
		"context deadline exceeded":                                                                    "can be reached",
		"something else":                                                                               "",
	} {
		if got := networkAdvice("https://localhost:8443", errors.New(text)); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 14, 5, 6, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7":                             7 * time.Second,
		"Mon, 23 Nov 2026 14:06:06 GMT": time.Minute,
		"Mon, 23 Nov 2026 14:00:00 GMT": 0,
		"":                              0,
		"-1":                            0,
		"soon":                          0,
		"99999999999999999999":          0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

// The words of an authority end up in logs, so they must not be able to forge one.
func TestForeignWordsAreTamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\r\n\tb \x00 c\x1b[31m":                     "a b c [31m",
		"right\u202eleft":                             "rightleft",
		"AADSTS1: Why. Trace ID: 1 Correlation ID: 2": "AADSTS1: Why.",
		strings.Repeat("é", maxReason+1):              strings.Repeat("é", maxReason) + "…",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestAnswersOfManyShapes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, code, text string
		status                 int
		retryAfter             string
	}{
		{"as Entra writes it", `{"error":"invalid_client","error_description":"AADSTS7000215: Wrong. Trace ID: x","error_codes":[7000215]}`,
			"AADSTS7000215", "test credential: invalid_client: AADSTS7000215: Wrong. Next: configure the secret's value", 401, ""},
		{"without codes", `{"error":"invalid_client","error_description":"AADSTS700016: Who?"}`, "AADSTS700016", "check the client id", 400, ""},
		{"description that begins otherwise", `{"error":"invalid_client","error_description":"AADSTSx: Who?"}`, "", "AADSTSx: Who?", 400, ""},
		{"App Service", `{"statusCode":400,"message":"No identity."}`, "", "No identity.", 400, ""},
		{"throttled", `{"error":"temporarily_unavailable","error_description":"AADSTS90055: Slow down."}`, "AADSTS90055", "wait 7s", 429, "7"},
		{"down", `<html>`, "", "https://localhost answered 503 without saying why. Next: try again in a while", 503, ""},
		{"redirect", ``, "", "is a token authority", 302, ""},
		{"wrong types", `{"error":7}`, "", "answered 400", 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if tt.retryAfter != "" {
				w.Header().Set("Retry-After", tt.retryAfter)
			}
			w.WriteHeader(tt.status)
			resp := w.Result()
			defer resp.Body.Close()
			cause := errors.New("cause")
			err := refused("test", "https://localhost", nil, resp, []byte(tt.body), cause)
			if err.Code != tt.code || err.Status != tt.status || !strings.Contains(err.Error(), tt.text) || !errors.Is(err, cause) {
				t.Errorf("got %s %d %v, want %s and %q", err.Code, err.Status, err, tt.code, tt.text)
			}
		})
	}
}
