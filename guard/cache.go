package guard

import (
	"strings"
	"sync"
	"sync/atomic"
	"unique"
)

// A verified is what the signature of a token vouches for: the result of all
// checks that depend on nothing but the token, the configuration and the keys.
// The fields that every request reads come first and close together: of a
// hundred thousand entries, only a few are in the processor's cache.
type verified struct {
	expires    int64  // Unix time at which it ends, skew included
	generation uint64 // of source when the signature was checked
	source     *keySource
	used       atomic.Bool // since the cache last considered dropping it
	capable    bool        // whether the client understands claims challenges
	bound      bool        // whether the token is bound to a key or certificate
	binding    binding     // and how
	slot       int         // index in the ring of its shard, guarded by the shard's mutex
	caller     Caller
	roles      [4]string // where caller.Roles lies, if it fits
	thumbprint string    // of the key or certificate to which the token is bound
	kid        string    // of the key that signed it; empty where no revocations are followed
}

// newVerified returns the result of an inspection that found no fault.
func newVerified(in *inspection) *verified {
	v := &verified{
		expires: in.exp + in.skew(), generation: in.generation, source: in.issuer.keys,
		bound: in.bound != "", binding: in.boundBy, thumbprint: in.bound, caller: in.caller,
	}
	if in.guard.follower != nil {
		v.kid, v.capable = in.kid, in.capable
	}
	if len(in.caller.Roles) <= len(v.roles) {
		v.caller.Roles = append(v.roles[:0], in.caller.Roles...)
	}
	for i, role := range v.caller.Roles {
		v.caller.Roles[i] = unique.Make(role).Value() // few roles, many tokens: all share one string
	}
	return v
}

// current reports whether the result still holds: the token has not ended, and
// its key is still published, as far as that could be asked lately.
func (v *verified) current(now int64) bool {
	return now < v.expires && v.generation == v.source.generation.Load() && now < v.source.goodUntil.Load()
}

// A cache remembers verified tokens. The key is the whole token compared
// whole: no digest or prefix of one token can be taken for another. It is
// bounded in bytes and forgets what has not been used lately.
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
	entries map[string]*verified
	ring    []cacheEntry // the same entries, in the order of the clock hand
	hand    int
	bytes   int
	limit   int
}

type cacheEntry struct {
	raw      string
	verified *verified
	bytes    int
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
		c.shards[i].entries = make(map[string]*verified)
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
	v := s.entries[raw]
	s.mu.RUnlock()
	if v == nil || !v.current(now) {
		return nil
	}
	if !v.used.Load() { // writing each time would make cores wait for each other
		v.used.Store(true)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.entries[raw]; old != nil { // another request was faster, or the old one has ended
		v.slot = old.slot
		s.ring[v.slot].verified = v
		s.entries[s.ring[v.slot].raw] = v
		return
	}
	for s.bytes+size > s.limit {
		s.evictLocked()
	}
	raw = strings.Clone(raw) // it may be a piece of a larger buffer that should not live on
	v.slot = len(s.ring)
	s.entries[raw] = v
	s.ring = append(s.ring, cacheEntry{raw, v, size})
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
		if entry.verified.used.Swap(false) {
			s.hand++
			continue
		}
		last := len(s.ring) - 1
		s.ring[s.hand] = s.ring[last]
		s.ring[s.hand].verified.slot = s.hand
		s.ring[last] = cacheEntry{}
		s.ring = s.ring[:last]
		delete(s.entries, entry.raw)
		s.bytes -= entry.bytes
		return
	}
}
