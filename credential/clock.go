package credential

import "time"

// A moment is read from both of a machine's clocks. The wall clock can be set, and goes on
// while a laptop sleeps; the monotonic one does neither. A token ends by the wall clock, as
// the authority and the API see it; but when that was set back, or was ahead when the token
// came, the life that the authority gave is over by the other clock first.
type moment struct {
	wall int64         // Unix nanoseconds
	mono time.Duration // since the cache began
}

// now reads both clocks at once.
func (c *Cache) now() moment {
	if c.clock != nil {
		return c.clock()
	}
	now := time.Now()
	return moment{wall: now.UnixNano(), mono: now.Sub(c.began)}
}

// add is the moment a duration later, if nobody touches the clocks.
func (m moment) add(d time.Duration) moment {
	return moment{wall: m.wall + int64(d), mono: m.mono + d}
}

// reached reports whether either clock says that a moment has come.
func (m moment) reached(end moment) bool {
	return m.wall >= end.wall || m.mono >= end.mono
}

// left is how long it is to a moment by the clock that reaches it first.
func (m moment) left(end moment) time.Duration {
	return min(time.Duration(end.wall-m.wall), end.mono-m.mono)
}

// longest is more than any token lives, and keeps sums from overflowing.
const longest = 100 * 365 * 24 * time.Hour

// ending is the moment at which what has just arrived ends.
func (m moment) ending(at time.Time) moment {
	return m.add(min(max(at.Round(0).Sub(m.time()), 0), longest))
}

// time is the moment without a monotonic reading: comparing it with a time of others means
// comparing what wall clocks said.
func (m moment) time() time.Time { return time.Unix(0, m.wall) }
