package guard

import (
	"fmt"
	"testing"
	"time"
)

// The memory of used requests is bounded, and however fast it fills, nothing that it has
// taken is taken again while it counts.
func TestUsedRequestsAreBoundedAndNoneIsForgotten(t *testing.T) {
	t.Parallel()
	const window = 7 * time.Minute
	u := newUsedRequests(window)
	u.most = 100
	start := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	type taken struct {
		name string
		ts   int64
	}
	var all []taken
	refused := 0
	for i := range 2000 {
		now := start.Add(time.Duration(i) * 100 * time.Millisecond) // a window has many times as many as a half
		r := taken{fmt.Sprint("request ", i), now.Unix()}
		if u.first(r.name, r.ts, now) {
			all = append(all, r)
		} else {
			refused++
		}
		if len(u.young.seen) > u.most || len(u.old.seen) > u.most {
			t.Fatalf("%d and %d are remembered", len(u.young.seen), len(u.old.seen))
		}
		for _, old := range all[max(0, len(all)-300):] {
			if now.Unix()-old.ts < int64(window/time.Second) && u.first(old.name, old.ts, now) {
				t.Fatalf("%s was taken twice", old.name)
			}
		}
	}
	if refused > len(all)/10 {
		t.Errorf("%d of %d new requests were refused", refused, refused+len(all))
	}
}

// Once requests come slowly again, nothing of a rush remains.
func TestUsedRequestsAfterARush(t *testing.T) {
	t.Parallel()
	const window = 7 * time.Minute
	u := newUsedRequests(window)
	u.most = 10
	start := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	for i := range 100 { // all signed by a clock that is ahead
		u.first(fmt.Sprint(i), start.Unix()+60, start)
	}
	if u.first("by a right clock", start.Unix(), start) {
		t.Error("nobody can tell whether this one was used")
	}
	later := start.Add(2 * time.Minute)
	if !u.first("signed later", later.Unix(), later) {
		t.Error("a request that cannot have been used is refused")
	}
	// A wall clock that is set back afterwards locks nobody out for longer than a window.
	later = start.Add(window + 3*time.Minute)
	if !u.first("by a clock set back", start.Unix()-3*24*3600, later) {
		t.Error("what the rush left behind outlives its time")
	}
}
