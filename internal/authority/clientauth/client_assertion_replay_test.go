package clientauth

import (
	"context"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
)

func TestReplayIsNoted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	raw := b.good()
	for i := range 100 {
		proven, p := b.verify(raw, testids.Client)
		if p != nil {
			t.Fatal(p)
		}
		if proven.replayed != (i > 0) {
			t.Fatalf("presentation %d: replayed is %v", i+1, proven.replayed)
		}
		b.clock.Advance(5 * time.Second)
	}
}

func TestReplayIsRefusedWhereAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.app.StrictAssertions = true
	raw := b.good()
	accepted, refused := 0, 0
	for i := range 100 { // a minute's retries, then six minutes more
		_, p := b.verify(raw, testids.Client)
		switch {
		case p == nil && i <= 12:
			accepted++
		case p != nil && i > 12 && p.Code == 50012:
			refused++
		default:
			t.Fatalf("presentation %d after %d s: %v", i+1, i*5, p)
		}
		b.clock.Advance(5 * time.Second)
	}
	t.Logf("%d accepted within the minute, %d refused after it", accepted, refused)
}

func TestSameJTIInAnotherAssertion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.app.StrictAssertions = true
	claims := b.claims()
	if _, p := b.verify(b.sign(b.header(), claims, b.keys[0]), testids.Client); p != nil {
		t.Fatal(p)
	}
	b.wantRefused(t, b.sign(b.header(), claims.with(object{"x": 1}), b.keys[0]), testids.Client, 50012)
}

func TestRefusedAssertionIsNotRemembered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.app.StrictAssertions = true
	claims := b.claims()
	b.wantRefused(t, b.sign(b.header(), claims, b.keys[1]), testids.Client, 700027)
	if proven, p := b.verify(b.sign(b.header(), claims, b.keys[0]), testids.Client); p != nil || proven.replayed {
		t.Errorf("got %+v, %v", proven, p)
	}
}

func TestFullMemoryRefusesStrictApplications(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.v.strict = &smallMemory{room: 1}
	b.app.StrictAssertions = true
	if _, p := b.verify(b.good(), testids.Client); p != nil {
		t.Fatal(p)
	}
	_, p := b.verify(b.good(), testids.Client)
	if p == nil || p.Status != 503 {
		t.Errorf("got %v, want 503", p)
	}
	b.app.StrictAssertions = false
	if _, p := b.verify(b.good(), testids.Client); p != nil {
		t.Errorf("an application that does not ask for it: %v", p)
	}
}

// A smallMemory of used assertions has room for few, and is full then.
type smallMemory struct {
	coordination.Replays
	room int
}

func (m *smallMemory) Note(context.Context, coordination.Use, time.Time) coordination.Outcome {
	if m.room == 0 {
		return coordination.Full
	}
	m.room--
	return coordination.First
}
