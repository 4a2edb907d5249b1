package memory

import "hash/maphash"

// A tree is an immutable ordered map from strings: a treap whose changes copy the path
// they touch and share the rest. The zero tree is empty. Priorities are a hash of the
// key, so that equal content has equal shape, whatever the order it came in.
type tree[V any] struct{ root *node[V] }

type node[V any] struct {
	key         string
	value       V
	priority    uint64
	left, right *node[V]
}

func (t tree[V]) get(key string) (value V, ok bool) {
	for n := t.root; n != nil; {
		switch {
		case key < n.key:
			n = n.left
		case key > n.key:
			n = n.right
		default:
			return n.value, true
		}
	}
	return value, false
}

func (t tree[V]) set(seed maphash.Seed, key string, value V) tree[V] {
	return tree[V]{insert(t.root, key, value, maphash.String(seed, key))}
}

func (t tree[V]) remove(key string) tree[V] { return tree[V]{remove(t.root, key)} }

// ascend calls yield for each entry whose key is at least from, in order, until it
// returns false.
func (t tree[V]) ascend(from string, yield func(key string, value V) bool) {
	ascend(t.root, from, yield)
}

func insert[V any](n *node[V], key string, value V, priority uint64) *node[V] {
	if n == nil {
		return &node[V]{key: key, value: value, priority: priority}
	}
	c := *n
	switch {
	case key < n.key:
		c.left = insert(n.left, key, value, priority)
		if c.left.priority > c.priority {
			return rotateRight(&c)
		}
	case key > n.key:
		c.right = insert(n.right, key, value, priority)
		if c.right.priority > c.priority {
			return rotateLeft(&c)
		}
	default:
		c.value = value
	}
	return &c
}

// rotateRight lifts the left child of n; both are fresh copies of this change.
func rotateRight[V any](n *node[V]) *node[V] {
	up := n.left
	n.left, up.right = up.right, n
	return up
}

// rotateLeft lifts the right child of n; both are fresh copies of this change.
func rotateLeft[V any](n *node[V]) *node[V] {
	up := n.right
	n.right, up.left = up.left, n
	return up
}

func remove[V any](n *node[V], key string) *node[V] {
	if n == nil {
		return nil
	}
	if key == n.key {
		return merge(n.left, n.right)
	}
	c := *n
	if key < n.key {
		c.left = remove(n.left, key)
	} else {
		c.right = remove(n.right, key)
	}
	return &c
}

// merge joins two trees of which every key of the first sorts before the second's.
func merge[V any](a, b *node[V]) *node[V] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		c := *a
		c.right = merge(a.right, b)
		return &c
	default:
		c := *b
		c.left = merge(a, b.left)
		return &c
	}
}

func ascend[V any](n *node[V], from string, yield func(string, V) bool) bool {
	if n == nil {
		return true
	}
	if from < n.key && !ascend(n.left, from, yield) {
		return false
	}
	if from <= n.key && !yield(n.key, n.value) {
		return false
	}
	return ascend(n.right, from, yield)
}
