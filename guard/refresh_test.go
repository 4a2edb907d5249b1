package guard

import (
	"testing"
	"time"
)

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
