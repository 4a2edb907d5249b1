// Package wallclock waits by the wall clock, which the lifetimes of tokens and credentials are
// about. Timers go by a clock that stops while a laptop sleeps.
//
// It owns nothing else. Start at [Wait].
package wallclock

import (
	"context"
	"time"
)

// look is how often the clock is read, which is how late a wait may end after a sleep.
const look = 5 * time.Second

// Wait returns when a duration has passed by the clock now, or the clock was set back, which
// makes what is waited for due as well. It reports whether the context has not ended before.
func Wait(ctx context.Context, now func() time.Time, duration time.Duration) bool {
	start := now().Round(0)
	for last := start; ; {
		at := now().Round(0)
		left := duration - at.Sub(start)
		if left <= 0 || at.Before(last) {
			return ctx.Err() == nil
		}
		last = at
		timer := time.NewTimer(min(left, look))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}
