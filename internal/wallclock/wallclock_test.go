package wallclock_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/wallclock"
)

// Half an hour is waited for, and after a minute the clock jumps.
func TestWait(t *testing.T) {
	t.Parallel()
	const half = 30 * time.Minute
	for _, tt := range []struct {
		name string
		jump time.Duration
		want time.Duration // by the monotonic clock, to within the time between two looks
	}{
		{"no jump", 0, half},
		{"a second ahead", time.Second, half},
		{"five minutes ahead", 5 * time.Minute, half - 5*time.Minute},
		{"three days ahead, as after a sleep", 3 * 24 * time.Hour, time.Minute},
		{"five minutes back", -5 * time.Minute, time.Minute},
		{"three days back", -3 * 24 * time.Hour, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var jumped atomic.Int64
				start := time.Now()
				time.AfterFunc(time.Minute, func() { jumped.Store(int64(tt.jump)) })
				if !wallclock.Wait(t.Context(), func() time.Time { return time.Now().Add(time.Duration(jumped.Load())) }, half) {
					t.Error("it says that the context ended")
				}
				if waited := time.Since(start); waited < tt.want-time.Second || waited > tt.want+5*time.Second {
					t.Errorf("it took %v, want %v", waited, tt.want)
				}
			})
		})
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if wallclock.Wait(ctx, time.Now, time.Hour) || time.Since(start) != time.Second {
			t.Errorf("it went on for %v", time.Since(start))
		}
	})
}
