package guardbench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/guardserver"
)

// BenchmarkMemory shows a guard of each form fifty times as many different tokens as it
// remembers, and compares the most memory that is in use after each of the last ten fills with that
// of the first ten.
func BenchmarkMemory(b *testing.B) {
	const (
		fill  = 2_000 // tokens, of which neither the guard nor what makes headers remembers more
		fills = 50
	)
	tokens := esTokens(b, fill*fills)
	for _, mode := range []string{"forward-auth", "ext-authz"} {
		b.Run(mode, func(b *testing.B) {
			before := heap() // of which the tokens are nearly all
			g := newGuard(b, ecKey().Public(), "ES256", 2<<20)
			settings, err := guardfile.Parse("guard.yaml", fmt.Appendf(nil,
				"listen: 127.0.0.1:0\nmode: %s\n%s\nauthority: https://authority.test/%s\naudience: [%s]\nrules:\n  - {path: /api/orders, roles: [Orders.Read]}\n",
				mode, map[string]string{"forward-auth": "dialect: nginx", "ext-authz": "dialect: http"}[mode], tenant, apiID))
			if err != nil {
				b.Fatal(err)
			}
			handler, err := guardserver.Handler(g, settings)
			if err != nil {
				b.Fatal(err)
			}
			path := map[string]string{"forward-auth": "/guard/check", "ext-authz": "/api/orders"}[mode]
			var early, late uint64
			for b.Loop() {
				early, late = 0, 0
				for i := range fills {
					show(b, handler, path, tokens[i*fill:(i+1)*fill])
					switch used := heap() - before; {
					case i < 10:
						early = max(early, used)
					case i >= fills-10:
						late = max(late, used)
					}
				}
			}
			runtime.KeepAlive(tokens)
			if late > early+early/20 {
				b.Errorf("of the last ten fills %d bytes are in use, and were %d of the first ten", late, early)
			}
			b.ReportMetric(float64(late)/float64(early), "last/first")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// show sends a request with each of the tokens.
func show(b *testing.B, handler http.Handler, path string, tokens []string) {
	b.Helper()
	for _, raw := range tokens {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil)
		r.RemoteAddr = "127.0.0.1:40000"
		r.Header = http.Header{"Authorization": {"Bearer " + raw}, "X-Original-Method": {"GET"}, "X-Original-Uri": {"/api/orders"}}
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != http.StatusOK || w.Header().Get("X-Ms-Client-Principal") == "" {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

// heap is the memory in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what the first one has finalized
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
