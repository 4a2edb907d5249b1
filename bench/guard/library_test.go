package guardbench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
	"unsafe"
)

// BenchmarkSeen checks tokens whose signature has been verified before, in
// random order. A token arrives in memory that has just been written, as it
// does from the network; writing it there is not measured.
func BenchmarkSeen(b *testing.B) {
	const batch = 64
	tokens := esTokens(b, 100_000)
	arrived := make([]byte, 0, batch*2*len(tokens[0]))
	for _, n := range []int{1, 1_000, 100_000} {
		b.Run(fmt.Sprintf("tokens=%d", n), func(b *testing.B) {
			g := newGuard(b, ecKey().Public(), "ES256", 1<<30)
			for _, raw := range tokens[:n] {
				if d := g.Check(context.Background(), raw, rule); !d.Allowed() {
					b.Fatal(d.Reason)
				}
			}
			b.ReportAllocs()
			ctx, requests := context.Background(), [batch]string{}
			var wall, used time.Duration
			for b.Loop() {
				arrived = arrived[:0]
				for i := range requests {
					start := len(arrived)
					arrived = append(arrived, tokens[rand.IntN(n)]...)
					requests[i] = unsafe.String(&arrived[start], len(arrived)-start)
				}
				began, cpuBegan := time.Now(), cpu(b)
				for _, raw := range requests {
					if d := g.Check(ctx, raw, rule); !d.Allowed() {
						b.Fatal(d.Reason)
					}
				}
				used += cpu(b) - cpuBegan
				wall += time.Since(began)
			}
			b.ReportMetric(float64(wall)/float64(b.N*batch), "ns/op")
			b.ReportMetric(float64(used)/float64(b.N*batch), "cpu-ns/op")
		})
	}
}

// BenchmarkFirstSight checks each token with nothing remembered, by each
// verifier alone.
func BenchmarkFirstSight(b *testing.B) {
	tokens := rsTokens(b, 64)
	for _, v := range verifiers(b) {
		b.Run(v.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := v.verify(tokens[i%len(tokens)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkFirstSightRatio measures all verifiers by turns, so that whatever
// slows the machine down slows all of them, and reports how often ours fits
// into each of the others: guard/x below 1 means that guard is faster. Each
// turn starts with an empty heap and is long enough to pay for its own
// garbage, and for nobody else's.
func BenchmarkFirstSightRatio(b *testing.B) {
	const rounds = 16
	tokens := rsTokens(b, 64)
	all := verifiers(b)
	spent := make([]time.Duration, len(all))
	for b.Loop() {
		for i, v := range all {
			runtime.GC()
			start := cpu(b)
			for range rounds {
				for _, raw := range tokens {
					if err := v.verify(raw); err != nil {
						b.Fatal(err)
					}
				}
			}
			spent[i] += cpu(b) - start
		}
	}
	for i, v := range all {
		b.ReportMetric(float64(spent[i])/float64(b.N*rounds*len(tokens)), v.name+"-cpu-ns")
		if i > 0 {
			b.ReportMetric(float64(spent[0])/float64(spent[i]), "guard/"+v.name)
		}
	}
	b.ReportMetric(0, "ns/op")
}
