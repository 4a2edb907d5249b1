package authoritytest

import (
	"sync"
	"time"
)

// A Clock stands still until it is told otherwise. The authority and the guards of its
// APIs read it; client libraries read the machine's clock, so a client may still hold a
// token that has expired by this one.
type Clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set sets the time.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Advance moves the time on, or back when d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
