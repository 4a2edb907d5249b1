package coordination

import "container/list"

// An lru is a map of bounded size: what was put longest ago makes room.
type lru[K comparable, V any] struct {
	size    int
	entries map[K]*list.Element // of lruEntry[K, V]
	recent  *list.List          // newest first
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](size int) *lru[K, V] {
	return &lru[K, V]{size: size, entries: map[K]*list.Element{}, recent: list.New()}
}

func (l *lru[K, V]) get(key K) (value V, ok bool) {
	if element, ok := l.entries[key]; ok {
		return element.Value.(*lruEntry[K, V]).value, true
	}
	return value, false
}

func (l *lru[K, V]) put(key K, value V) {
	if element, ok := l.entries[key]; ok {
		element.Value.(*lruEntry[K, V]).value = value
		l.recent.MoveToFront(element)
		return
	}
	if len(l.entries) >= l.size {
		oldest := l.recent.Back()
		delete(l.entries, oldest.Value.(*lruEntry[K, V]).key)
		l.recent.Remove(oldest)
	}
	l.entries[key] = l.recent.PushFront(&lruEntry[K, V]{key, value})
}
