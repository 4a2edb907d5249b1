package guardbench

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
)

// BenchmarkForgedKids sends ten thousand tokens with kids that nobody has beside good traffic,
// and reports how often keys were fetched and what that did to the good requests' times: the
// ratio of the 99th percentiles with and without, each at the same rate of requests. Without,
// the others have no token at all.
func BenchmarkForgedKids(b *testing.B) {
	const forgeries = 10_000
	var fetches atomic.Int64
	g, err := guard.New(b.Context(), guard.Config{
		Issuers:  []guard.Issuer{{Issuer: issuer, Keys: "https://authority.test/keys"}},
		Audience: []string{apiID},
		HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			fetches.Add(1)
			time.Sleep(20 * time.Millisecond)
			return &http.Response{StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(strings.NewReader(string(keysDocument(rsaKey().Public()))))}, nil
		})},
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := g.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(g.Require("Orders.Read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 100
	ask := func(authorization string, want int) time.Duration {
		req, err := http.NewRequest(http.MethodGet, server.URL, nil)
		if err != nil {
			b.Error(err)
			return 0
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		start := time.Now()
		resp, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return 0
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			b.Errorf("status %d, want %d", resp.StatusCode, want)
		}
		return time.Since(start)
	}
	good := "Bearer " + rsTokens(b, 1)[0]
	body := base64.RawURLEncoding.EncodeToString(claims("forged")) + ".c2lnbmF0dXJl"
	// Each round is a second of 500 good requests and as many others as are given.
	second := func(others []string) time.Duration {
		const perSecond = 500
		took := make([]time.Duration, perSecond)
		var wg sync.WaitGroup
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for i := range took {
			for _, other := range others[i*len(others)/perSecond : (i+1)*len(others)/perSecond] {
				wg.Go(func() { ask(other, http.StatusUnauthorized) })
			}
			wg.Go(func() { took[i] = ask(good, http.StatusOK) })
			<-tick.C
		}
		wg.Wait()
		slices.Sort(took)
		return took[perSecond*99/100]
	}
	var with, without []time.Duration
	before := fetches.Load()
	for b.Loop() {
		const rounds = 10
		for round := range rounds {
			forged := make([]string, forgeries/rounds)
			for i := range forged {
				header := fmt.Sprintf(`{"alg":"RS256","kid":"k%d-%d"}`, b.N, round*len(forged)+i)
				forged[i] = "Bearer " + base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + body
			}
			without = append(without, second(make([]string, len(forged))))
			with = append(with, second(forged))
		}
	}
	slices.Sort(with)
	slices.Sort(without)
	p99, bare := with[len(with)/2], without[len(without)/2]
	b.ReportMetric(float64(fetches.Load()-before), "fetches")
	b.ReportMetric(float64(bare.Microseconds()), "p99-without-µs")
	b.ReportMetric(float64(p99.Microseconds()), "p99-with-µs")
	b.ReportMetric(float64(p99)/float64(bare), "with/without")
	b.ReportMetric(0, "ns/op")
}
