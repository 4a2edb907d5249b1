package guardserver

import (
	"fmt"
	"strings"
	"testing"
)

// However many tokens come, what is remembered of them stays within its bounds, and what is used
// is not forgotten at once.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	m := newRemembered[string](limit)
	key := func(i int) string { return fmt.Sprintf("%08d%s", i, strings.Repeat("x", 1000)) }
	for i := range 50_000 { // fifty times what there is room for
		m.put(key(i), "v", 500)
		if v, ok := m.get(key(i)); !ok || v != "v" {
			t.Fatal("what was put is not there")
		}
		held := 0
		if i%1000 == 0 {
			for _, part := range []map[string]string{m.young, m.old} {
				for k, v := range part {
					held += len(k) + len(v) + 500
				}
			}
		}
		if held > limit {
			t.Fatalf("%d bytes are held, of at most %d", held, limit)
		}
	}
	if _, ok := m.get(key(0)); ok {
		t.Error("the first is still there")
	}
	m.put(strings.Repeat("y", 2*limit), "huge", 0)
	if held := len(m.young) + len(m.old); held > limit/1000 {
		t.Errorf("%d entries after one that is too large", held)
	}
}
