package directory

import (
	"fmt"
	"sync"
	"testing"
)

// keyIn returns a key that falls into the given shard.
func keyIn(c *cache, shard *cacheShard, start int) cacheKey {
	for i := start; ; i++ {
		if key := (cacheKey{"t", "k", fmt.Sprint(i)}); c.shard(key) == shard {
			return key
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	c := newCache(limit)
	for i := range 20_000 {
		key := cacheKey{"t", "k", fmt.Sprint(i)}
		c.add(key, &cached{value: i, bytes: 100}, c.epoch(key))
		if size := c.size(); size > limit {
			t.Fatalf("after %d entries it takes %d bytes", i+1, size)
		}
	}
	if size := c.size(); size < limit*3/4 {
		t.Errorf("it keeps only %d of %d bytes", size, limit)
	}
	huge := cacheKey{"t", "k", "huge"}
	c.add(huge, &cached{bytes: limit}, c.epoch(huge))
	if c.get(huge) != nil {
		t.Error("an answer larger than its share was kept")
	}
}

// What is in use stays, however many keys are asked for once.
func TestCacheWithstandsAFlood(t *testing.T) {
	t.Parallel()
	c := newCache(1 << 20)
	var hot []cacheKey
	for i := range 100 {
		key := cacheKey{"t", "hot", fmt.Sprint(i)}
		c.add(key, &cached{value: i, bytes: 100}, c.epoch(key))
		hot = append(hot, key)
	}
	lost := 0
	for i := range 100_000 {
		if i%500 == 0 {
			for _, key := range hot {
				if c.get(key) == nil {
					lost++
					c.add(key, &cached{value: i, bytes: 100}, c.epoch(key))
				}
			}
		}
		key := cacheKey{"t", "flood", fmt.Sprint(i)}
		c.add(key, &cached{}, c.epoch(key))
	}
	if lost > 0 {
		t.Errorf("%d of what was in use was pushed out", lost)
	}
}

func TestCacheKeepsNothingStale(t *testing.T) {
	t.Parallel()
	key := cacheKey{"t", "k", "a"}
	for _, tt := range []struct {
		name string
		do   func(c *cache)
	}{
		{"the key was dropped during the load", func(c *cache) { c.drop(key) }},
		{"everything was dropped during the load", func(c *cache) { c.clear() }},
		{"a neighbour was dropped during the load", func(c *cache) { c.drop(keyIn(c, c.shard(key), 0)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache(1 << 20)
			epoch := c.epoch(key)
			tt.do(c)
			c.add(key, &cached{value: "stale"}, epoch)
			if c.get(key) != nil {
				t.Error("the answer was kept")
			}
		})
	}
	c := newCache(1 << 20)
	c.add(key, &cached{value: "old"}, c.epoch(key))
	c.add(key, &cached{value: "new"}, c.epoch(key))
	if got := c.get(key); got.value != "new" {
		t.Errorf("got %v", got.value)
	}
	c.drop(key)
	if c.get(key) != nil || c.size() != 0 {
		t.Errorf("after a drop: %v, %d bytes", c.get(key), c.size())
	}
}

// A load that overlaps a change never leaves the value from before it.
func TestCacheUnderConcurrentChange(t *testing.T) {
	t.Parallel()
	c := newCache(1 << 20)
	key := cacheKey{"t", "k", "a"}
	var mu sync.RWMutex
	stored := 0
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if c.get(key) == nil {
					epoch := c.epoch(key)
					mu.RLock()
					value := stored
					mu.RUnlock()
					c.add(key, &cached{value: value}, epoch)
				}
			}
		})
	}
	for i := 1; i <= 20_000; i++ {
		mu.Lock()
		stored = i
		mu.Unlock()
		c.drop(key)
		if hit := c.get(key); hit != nil && hit.value.(int) < i {
			t.Fatalf("after change %d it answers %v", i, hit.value)
		}
	}
	close(stop)
	all.Wait()
}

func BenchmarkCacheGet(b *testing.B) {
	c := newCache(1 << 20)
	key := cacheKey{"7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11", KindApplication, "appid/c11e0001-5a5a-4c4c-8d8d-000000000001"}
	c.add(key, &cached{value: 1}, c.epoch(key))
	b.ReportAllocs()
	for b.Loop() {
		if c.get(key) == nil {
			b.Fatal("lost")
		}
	}
}
