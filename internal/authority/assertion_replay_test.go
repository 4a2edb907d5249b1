package authority

import (
	"fmt"
	"testing"
	"time"
)

func TestReplayIsNoted(t *testing.T) {
	b := newBench(t)
	raw := b.good()
	for i := range 100 {
		proven, p := b.verify(raw, testClient)
		if p != nil {
			t.Fatal(p)
		}
		if proven.replayed != (i > 0) {
			t.Fatalf("presentation %d: replayed is %v", i+1, proven.replayed)
		}
		b.clock.advance(5 * time.Second)
	}
}

func TestReplayIsRefusedWhereAsked(t *testing.T) {
	b := newBench(t)
	b.app.StrictAssertions = true
	raw := b.good()
	accepted, refused := 0, 0
	for i := range 100 { // a minute's retries, then six minutes more
		_, p := b.verify(raw, testClient)
		switch {
		case p == nil && i <= 12:
			accepted++
		case p != nil && i > 12 && p.Code == 50012:
			refused++
		default:
			t.Fatalf("presentation %d after %d s: %v", i+1, i*5, p)
		}
		b.clock.advance(5 * time.Second)
	}
	t.Logf("%d accepted within the minute, %d refused after it", accepted, refused)
}

func TestSameJTIInAnotherAssertion(t *testing.T) {
	b := newBench(t)
	b.app.StrictAssertions = true
	claims := b.claims()
	if _, p := b.verify(b.sign(b.header(), claims, b.keys[0]), testClient); p != nil {
		t.Fatal(p)
	}
	b.wantRefused(t, b.sign(b.header(), claims.with(object{"x": 1}), b.keys[0]), testClient, 50012)
}

// A refused assertion leaves no trace: it must not use up somebody's jti.
func TestRefusedAssertionIsNotRemembered(t *testing.T) {
	b := newBench(t)
	b.app.StrictAssertions = true
	claims := b.claims()
	b.wantRefused(t, b.sign(b.header(), claims, b.keys[1]), testClient, 700027)
	if proven, p := b.verify(b.sign(b.header(), claims, b.keys[0]), testClient); p != nil || proven.replayed {
		t.Errorf("got %+v, %v", proven, p)
	}
}

func testUse(n int, expires time.Time) use {
	return newUse(testTenant, testClient, fmt.Sprint(n), fmt.Sprint("assertion ", n), expires)
}

// A jti is unique within its application only; two may choose the same.
func TestUsesOfOneJTIByTwoApplications(t *testing.T) {
	mine := newUse(testTenant, testClient, "1", "assertion", time.Time{})
	for name, other := range map[string]use{
		"application": newUse(testTenant, testAPI, "1", "assertion", time.Time{}),
		"tenant":      newUse(otherOne, testClient, "1", "assertion", time.Time{}),
	} {
		if mine.key == other.key {
			t.Errorf("the use by another %s counts as this one's", name)
		}
	}
}

func TestReplaysExpire(t *testing.T) {
	r := newReplays(10, 10)
	now := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	for i := range 10 {
		if o := r.note(testUse(i, now.Add(time.Duration(i)*time.Minute)), now); o != first {
			t.Fatalf("use %d: %v", i, o)
		}
	}
	for i := range 10 {
		at := now.Add(time.Duration(i)*time.Minute + 59*time.Second)
		if o := r.note(testUse(i, at), at); o != again && o != retried {
			t.Errorf("use %d was forgotten before its end", i)
		}
		r.sweep(at.Add(time.Second))
		if len(r.seen) != 9-i || len(r.buckets) != 9-i {
			t.Errorf("%d uses in %d buckets are left after minute %d, want %d", len(r.seen), len(r.buckets), i+1, 9-i)
		}
	}
}

func TestFullReplaysForgetNothingAlive(t *testing.T) {
	r := newReplays(100, 100)
	now := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	for i := range 100 {
		r.note(testUse(i, now.Add(time.Hour)), now)
	}
	if o := r.note(testUse(100, now.Add(time.Hour)), now); o != full {
		t.Errorf("one too many: %v, want full", o)
	}
	later := now.Add(2 * time.Minute)
	for i := range 100 {
		if o := r.note(testUse(i, now.Add(time.Hour)), later); o != again {
			t.Errorf("use %d was forgotten", i)
		}
	}
	if r.noteAnyway(testUse(100, now.Add(2*time.Hour)), later) || len(r.seen) != 1 {
		t.Errorf("those who only want to know: %d uses are remembered, want the new one", len(r.seen))
	}
}

func TestFullMemoryRefusesStrictApplications(t *testing.T) {
	b := newBench(t)
	b.v.strict = newReplays(1, 1)
	b.app.StrictAssertions = true
	if _, p := b.verify(b.good(), testClient); p != nil {
		t.Fatal(p)
	}
	_, p := b.verify(b.good(), testClient)
	if p == nil || p.Status != 503 {
		t.Errorf("got %v, want 503", p)
	}
	b.app.StrictAssertions = false
	if _, p := b.verify(b.good(), testClient); p != nil {
		t.Errorf("an application that does not ask for it: %v", p)
	}
}

func TestOneApplicationCannotFillTheMemory(t *testing.T) {
	r := newReplays(10, 2)
	now := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	ends := now.Add(time.Minute)
	r.note(testUse(1, ends), now)
	r.note(testUse(2, ends), now)
	if o := r.note(testUse(3, ends), now); o != full {
		t.Errorf("over its share: %v, want full", o)
	}
	if o := r.note(newUse(testTenant, testAPI, "3", "assertion", ends), now); o != first {
		t.Errorf("another application: %v, want first", o)
	}
	if o := r.note(testUse(3, ends.Add(time.Hour)), ends.Add(time.Minute)); o != first {
		t.Errorf("after the others expired: %v, want first", o)
	}
}
