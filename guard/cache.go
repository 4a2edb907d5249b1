package guard

import (
	"strings"
	"sync"
	"sync/atomic"
)

// A verified is what the signature of a token vouches for: the result of all
// checks that depend on nothing but the token, the configuration and the keys.
type verified struct {
	caller     Caller
	expires    int64 // Unix time at which it ends, skew included
	source     *keySource
	generation uint64 // of source when the signature was checked
}

func (v *verified) current(now int64) bool {
	return now < v.expires && v.generation == v.source.generation.Load()
}

// A cache remembers verified tokens. The key is the whole token compared
// whole: no digest or prefix of it can stand for another one. It is bounded
// in bytes and forgets what has not been used lately.
type cache struct {
	shards [cacheShards]shard
}

const (
	cacheShards = 16 // few enough to fill evenly, enough for many cores

	// entryOverhead is what an entry costs beside its token: the caller, two
	// structs, the places in map and ring.
	entryOverhead = 700
)

type shard struct {
	mu      sync.RWMutex
	entries map[string]*cacheEntry
	ring    []*cacheEntry // the same entries, in the order of the clock hand
	hand    int
	bytes   int
	limit   int
}

type cacheEntry struct {
	raw      string
	verified *verified // guarded by the shard's mutex
	bytes    int
	used     atomic.Bool // since the hand came by
}

// newCache returns a cache of about limit bytes, or nil, which remembers
// nothing, for a limit below zero.
func newCache(limit int) *cache {
	if limit < 0 {
		return nil
	}
	c := &cache{}
	for i := range c.shards {
		c.shards[i].limit = limit / cacheShards
		c.shards[i].entries = make(map[string]*cacheEntry)
	}
	return c
}

// shard picks by a byte of the signature, which nobody can choose without the
// key. The last few characters are avoided: they do not take all values.
func (c *cache) shard(raw string) *shard {
	i := 0
	if len(raw) > 8 {
		i = int(raw[len(raw)-6]) ^ int(raw[len(raw)-7])<<1
	}
	return &c.shards[i%cacheShards]
}

func (c *cache) get(raw string, now int64) *verified {
	if c == nil {
		return nil
	}
	s := c.shard(raw)
	s.mu.RLock()
	entry := s.entries[raw]
	var v *verified
	if entry != nil {
		v = entry.verified
	}
	s.mu.RUnlock()
	if v == nil || !v.current(now) {
		return nil
	}
	if !entry.used.Load() { // writing each time would make cores wait for each other
		entry.used.Store(true)
	}
	return v
}

// put remembers v. The size is that of the token and of the text its claims
// still refer to.
func (c *cache) put(raw string, v *verified, size int) {
	if c == nil {
		return
	}
	s := c.shard(raw)
	size += entryOverhead
	if size > s.limit {
		return
	}
	// The string may be a piece of a larger buffer that should not live on.
	entry := &cacheEntry{raw: strings.Clone(raw), verified: v, bytes: size}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.entries[raw]; old != nil { // another request was faster, or the old one has ended
		old.verified = v
		return
	}
	for s.bytes+size > s.limit {
		s.evictLocked()
	}
	s.entries[entry.raw] = entry
	s.ring = append(s.ring, entry)
	s.bytes += size
}

// evictLocked moves the hand to the next entry that has not been used since
// it last came by, and drops that.
func (s *shard) evictLocked() {
	for {
		if s.hand >= len(s.ring) {
			s.hand = 0
		}
		entry := s.ring[s.hand]
		if entry.used.Swap(false) {
			s.hand++
			continue
		}
		last := len(s.ring) - 1
		s.ring[s.hand] = s.ring[last]
		s.ring[last] = nil
		s.ring = s.ring[:last]
		delete(s.entries, entry.raw)
		s.bytes -= entry.bytes
		return
	}
}
