package coordination

import (
	"fmt"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
)

// A refused assertion leaves no trace: it must not use up somebody's jti.
func testUse(n int, expires time.Time) Use {
	return NewUse(testids.Tenant, testids.Client, fmt.Sprint(n), fmt.Sprint("assertion ", n), expires)
}

// A jti is unique within its application only; two may choose the same.
func TestUsesOfOneJTIByTwoApplications(t *testing.T) {
	t.Parallel()
	mine := NewUse(testids.Tenant, testids.Client, "1", "assertion", time.Time{})
	for name, other := range map[string]Use{
		"application": NewUse(testids.Tenant, testids.API, "1", "assertion", time.Time{}),
		"tenant":      NewUse(testids.OtherTenant, testids.Client, "1", "assertion", time.Time{}),
	} {
		if mine.key == other.key {
			t.Errorf("the use by another %s counts as this one's", name)
		}
	}
}

func TestReplaysExpire(t *testing.T) {
	t.Parallel()
	r := newReplays(10, 10)
	now := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	for i := range 10 {
		if o := r.Note(t.Context(), testUse(i, now.Add(time.Duration(i)*time.Minute)), now); o != First {
			t.Fatalf("use %d: %v", i, o)
		}
	}
	for i := range 10 {
		at := now.Add(time.Duration(i)*time.Minute + 59*time.Second)
		if o := r.Note(t.Context(), testUse(i, at), at); o != Again && o != Retried {
			t.Errorf("use %d was forgotten before its end", i)
		}
		r.sweep(at.Add(time.Second))
		if len(r.seen) != 9-i || len(r.buckets) != 9-i {
			t.Errorf("%d uses in %d buckets are left after minute %d, want %d", len(r.seen), len(r.buckets), i+1, 9-i)
		}
	}
}

func TestFullReplaysForgetNothingAlive(t *testing.T) {
	t.Parallel()
	r := newReplays(100, 100)
	now := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	for i := range 100 {
		r.Note(t.Context(), testUse(i, now.Add(time.Hour)), now)
	}
	if o := r.Note(t.Context(), testUse(100, now.Add(time.Hour)), now); o != Full {
		t.Errorf("one too many: %v, want full", o)
	}
	later := now.Add(2 * time.Minute)
	for i := range 100 {
		if o := r.Note(t.Context(), testUse(i, now.Add(time.Hour)), later); o != Again {
			t.Errorf("use %d was forgotten", i)
		}
	}
	if r.NoteAnyway(t.Context(), testUse(100, now.Add(2*time.Hour)), later) || len(r.seen) != 1 {
		t.Errorf("those who only want to know: %d uses are remembered, want the new one", len(r.seen))
	}
}

func TestOneApplicationCannotFillTheMemory(t *testing.T) {
	t.Parallel()
	r := newReplays(10, 2)
	now := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	ends := now.Add(time.Minute)
	r.Note(t.Context(), testUse(1, ends), now)
	r.Note(t.Context(), testUse(2, ends), now)
	if o := r.Note(t.Context(), testUse(3, ends), now); o != Full {
		t.Errorf("over its share: %v, want full", o)
	}
	if o := r.Note(t.Context(), NewUse(testids.Tenant, testids.API, "3", "assertion", ends), now); o != First {
		t.Errorf("another application: %v, want first", o)
	}
	if o := r.Note(t.Context(), testUse(3, ends.Add(time.Hour)), ends.Add(time.Minute)); o != First {
		t.Errorf("after the others expired: %v, want first", o)
	}
}
