package guard

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A suspended machine's timers stand still, and its wall clock goes on: after three days of
// sleep the keys of before count no more, and after two hours they are asked for at the
// first request, which does not wait for the answer.
func TestKeysOfAMachineThatSlept(t *testing.T) {
	const keys = `{"keys":[{"kty":"EC","kid":"k","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	for _, tt := range []struct {
		slept   time.Duration
		down    bool
		want    error
		fetches int64
	}{
		{0, false, nil, 1},
		{2 * time.Hour, false, nil, 2},
		{2 * time.Hour, true, nil, 2},
		{72 * time.Hour, false, nil, 2},
		{72 * time.Hour, true, errKeysUnavailable, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			var fetches atomic.Int64
			var down atomic.Bool
			client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				fetches.Add(1)
				if down.Load() {
					return nil, errors.New("down")
				}
				header := http.Header{"Cache-Control": {"max-age=3600"}}
				return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(keys)), Request: r}, nil
			})}
			fetcher, err := newFetcher(client, "")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &keySource{source: source{issuer: "https://a.test/", keys: "https://a.test/keys"}, fetcher: fetcher, maxAge: defaultMaxKeyAge,
				clock: time.Now, log: slog.New(slog.DiscardHandler), lifetime: ctx}
			context.AfterFunc(ctx, s.stop)
			if found, err := s.find(ctx, "k"); err != nil || len(found) != 1 {
				t.Fatal(found, err)
			}
			v := &verified{expires: time.Now().Add(100 * time.Hour).Unix(), source: s, generation: s.generation.Load()}
			s.sleep(tt.slept)
			down.Store(tt.down)
			if kept := v.current(time.Now().Unix()); kept != (tt.slept < s.maxAge) {
				t.Errorf("slept %v: a kept verdict counts: %t", tt.slept, kept)
			}
			start := time.Now()
			if _, err := s.find(ctx, "k"); !errors.Is(err, tt.want) || time.Since(start) != 0 {
				t.Errorf("slept %v, down %t: %v after %v", tt.slept, tt.down, err, time.Since(start))
			}
			synctest.Wait()
			if got := fetches.Load(); got != tt.fetches {
				t.Errorf("slept %v, down %t: %d fetches, want %d", tt.slept, tt.down, got, tt.fetches)
			}
		})
	}
}

// sleep makes everything look as if the machine had slept since: the monotonic clock cannot
// be made to stand still, so the wall clock of before is moved back.
func (s *keySource) sleep(d time.Duration) {
	set := *s.set.Load()
	set.fetched = set.fetched.Round(0).Add(-d)
	s.set.Store(&set)
	s.goodUntil.Add(-int64(d / time.Second))
	s.due.Add(-int64(d))
}

// transport answers requests in memory.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Keys are fetched anew by the time their server named, within reason: a key that was
// revoked must not be believed any longer.
func TestKeysAreNeverFetchedLaterThanTold(t *testing.T) {
	t.Parallel()
	for told, latest := range map[time.Duration]time.Duration{
		0: refreshEvery, time.Second: refreshEarliest, time.Hour: time.Hour, 24 * time.Hour: refreshLatest, 30 * 24 * time.Hour: refreshLatest,
	} {
		for range 200 {
			if got := refreshAfter(told); got > latest || got < latest*4/5 {
				t.Fatalf("told %v, fetched after %v, want %v to %v", told, got, latest*4/5, latest)
			}
		}
	}
}
