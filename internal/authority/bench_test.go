package authority

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// BenchmarkToken compares a whole token request with the one RSA signature in it:
//
//	go test ./internal/authority -bench Token -count 10 | benchstat -
func BenchmarkToken(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	w := newWorld(b, func(c *Config) { c.Log = slog.New(slog.NewJSONHandler(null, nil)) })
	for _, tt := range []struct {
		name, path string
		form       values
	}{
		{"v2", pathV2, w.good()},
		{"v1", pathV1, w.goodV1().set("resource", "api://legacy")},
	} {
		b.Run(tt.name, func(b *testing.B) {
			body := tt.form.encode()
			w.request(tt.path, body) // makes the signing key
			b.ReportAllocs()
			for b.Loop() {
				if code := w.request(tt.path, body); code != http.StatusOK {
					b.Fatalf("got %d", code)
				}
			}
		})
	}
	b.Run("signature", func(b *testing.B) {
		key, err := fixture.NewKeys()()
		w.must(err)
		digest := sha256.Sum256([]byte("token"))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("refused", func(b *testing.B) { // everything but the signature
		body := w.good().set("scope", "openid").encode()
		b.ReportAllocs()
		for b.Loop() {
			if code := w.request(pathV2, body); code != http.StatusBadRequest {
				b.Fatalf("got %d", code)
			}
		}
	})
}

// request sends a form as cheaply as can be.
func (w *world) request(path, body string) int {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder.Code
}
