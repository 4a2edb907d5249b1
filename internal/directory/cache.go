package directory

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// A cache keeps decoded, immutable answers within a bound of bytes, and can be told that
// answers are stale without ever keeping one that was loaded before it was told.
//
// It is our own rather than a general one because of that second half: every shard
// counts its invalidations, and the loader of an answer brings along the count from
// before the load. If it moved meanwhile, the answer is returned but not kept. That needs
// the count under the lock of the map. Eviction is SIEVE (Zhang et al., NSDI 2024): a
// hit costs one flag under a read lock, and a flood of keys that are asked for once
// does not push out what is in use.
type cache struct {
	seed   maphash.Seed
	shards [cacheShards]cacheShard
}

const (
	cacheShards   = 16
	entryOverhead = 300 // bytes of an entry besides its key and value: map slot, node, headers
)

// A cacheKey is a store key, or a prefix of such keys (ending in '/') for a list.
type cacheKey struct{ tenant, kind, key string }

// A cached answer; a nil value says that there is nothing under the key.
type cached struct {
	value any
	bytes int64 // of the value, roughly
}

type cacheShard struct {
	mu      sync.RWMutex // guards all but visited flags and the counts
	hits    atomic.Uint64
	misses  atomic.Uint64
	evicted atomic.Uint64
	entries map[cacheKey]*cacheNode
	epoch   uint64 // counts invalidations
	bytes   int64
	limit   int64
	newest  *cacheNode
	oldest  *cacheNode
	hand    *cacheNode // where the next search for a victim begins
}

type cacheNode struct {
	key          cacheKey
	answer       *cached
	bytes        int64
	visited      atomic.Bool
	newer, older *cacheNode
}

func newCache(limit int64) *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].limit = limit / cacheShards
		c.shards[i].entries = map[cacheKey]*cacheNode{}
	}
	return c
}

func (c *cache) shard(key cacheKey) *cacheShard {
	return &c.shards[maphash.Comparable(c.seed, key)%cacheShards]
}

// get returns the answer, or nil when there is none.
func (c *cache) get(key cacheKey) *cached {
	s := c.shard(key)
	s.mu.RLock()
	n := s.entries[key]
	if n == nil {
		s.mu.RUnlock()
		s.misses.Add(1)
		return nil
	}
	answer := n.answer
	s.mu.RUnlock()
	s.hits.Add(1)
	if !n.visited.Load() { // a store by every reader would bounce the cache line
		n.visited.Store(true)
	}
	return answer
}

// epoch is to be read before an answer is loaded, and handed to add with it.
func (c *cache) epoch(key cacheKey) uint64 {
	s := c.shard(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.epoch
}

// add keeps an answer, unless something in its shard was invalidated since the epoch.
func (c *cache) add(key cacheKey, answer *cached, epoch uint64) {
	size := answer.bytes + entryOverhead + int64(len(key.tenant)+len(key.kind)+len(key.key))
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != epoch || size > s.limit/4 {
		return
	}
	if n := s.entries[key]; n != nil {
		s.unlink(n)
	}
	for s.bytes+size > s.limit {
		s.evict()
	}
	n := &cacheNode{key: key, answer: answer, bytes: size, older: s.newest}
	if s.newest != nil {
		s.newest.newer = n
	} else {
		s.oldest = n
	}
	s.newest = n
	s.entries[key] = n
	s.bytes += size
}

// drop invalidates what is kept or being loaded under the key.
func (c *cache) drop(key cacheKey) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	if n := s.entries[key]; n != nil {
		s.unlink(n)
	}
}

// clear invalidates everything.
func (c *cache) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.epoch++
		s.entries = map[cacheKey]*cacheNode{}
		s.newest, s.oldest, s.hand, s.bytes = nil, nil, nil, 0
		s.mu.Unlock()
	}
}

// size returns how many bytes the kept answers take, roughly.
func (c *cache) size() int64 {
	var s Stats
	c.count(&s)
	return s.Bytes
}

// count adds up what the shards hold and have done.
func (c *cache) count(stats *Stats) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		stats.Entries += len(s.entries)
		stats.Bytes += s.bytes
		s.mu.RUnlock()
		stats.Hits += s.hits.Load()
		stats.Misses += s.misses.Load()
		stats.Evictions += s.evicted.Load()
	}
}

// evict removes the first entry, from the hand towards newer ones, that was not asked
// for since the hand last passed. The shard is not empty.
func (s *cacheShard) evict() {
	n := s.hand
	if n == nil {
		n = s.oldest
	}
	for n.visited.Load() {
		n.visited.Store(false)
		if n = n.newer; n == nil {
			n = s.oldest
		}
	}
	s.hand = n.newer
	s.unlink(n)
	s.evicted.Add(1)
}

func (s *cacheShard) unlink(n *cacheNode) {
	if s.hand == n {
		s.hand = n.newer
	}
	if n.newer != nil {
		n.newer.older = n.older
	} else {
		s.newest = n.older
	}
	if n.older != nil {
		n.older.newer = n.newer
	} else {
		s.oldest = n.newer
	}
	delete(s.entries, n.key)
	s.bytes -= n.bytes
}
