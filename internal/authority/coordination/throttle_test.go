package coordination

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

func testThrottle(t *testing.T, cfg ThrottleConfig) (*throttle, *fixture.Clock) {
	t.Helper()
	c := fixture.NewClock(testids.Start())
	limits, err := newThrottle(cfg, c.Now)
	if err != nil {
		t.Fatal(err)
	}
	return limits, c
}

func fail(limits *throttle, times int, app, source string) {
	for range times {
		limits.Failed(context.Background(), directory.AppID(app), source)
	}
}

func TestThrottleOneSource(t *testing.T) {
	t.Parallel()
	limits, clock := testThrottle(t, ThrottleConfig{})
	fail(limits, 9, "a", "here")
	if wait := limits.Wait(t.Context(), "a", "here"); wait != 0 {
		t.Fatalf("after 9 failures: wait %d s", wait)
	}
	fail(limits, 1, "a", "here")
	if wait := limits.Wait(t.Context(), "a", "here"); wait != 6 {
		t.Fatalf("after 10 failures: wait %d s, want 6", wait)
	}
	if wait := limits.Wait(t.Context(), "a", "there"); wait != 0 {
		t.Errorf("another source waits %d s", wait)
	}
	if wait := limits.Wait(t.Context(), "b", "here"); wait != 0 {
		t.Errorf("another application waits %d s", wait)
	}
	clock.Advance(5500 * time.Millisecond)
	if wait := limits.Wait(t.Context(), "a", "here"); wait != 1 {
		t.Errorf("half a second early: wait %d s, want 1", wait)
	}
	clock.Advance(500 * time.Millisecond)
	if wait := limits.Wait(t.Context(), "a", "here"); wait != 0 {
		t.Errorf("after the time told: wait %d s", wait)
	}
}

func TestThrottleForgetsFailuresBeyondTheLimit(t *testing.T) {
	t.Parallel()
	limits, _ := testThrottle(t, ThrottleConfig{})
	fail(limits, 1000, "a", "here") // requests that were under way
	if wait := limits.Wait(t.Context(), "a", "here"); wait != 6 {
		t.Errorf("wait %d s, want 6: testids.Nobody is locked out", wait)
	}
}

func TestThrottleClockGoingBack(t *testing.T) {
	t.Parallel()
	limits, clock := testThrottle(t, ThrottleConfig{})
	fail(limits, 10, "a", "here")
	clock.Advance(-time.Hour)
	if wait := limits.Wait(t.Context(), "a", "here"); wait != 6 {
		t.Errorf("wait %d s, want 6", wait)
	}
}

func TestThrottleTotal(t *testing.T) {
	t.Parallel()
	limits, clock := testThrottle(t, ThrottleConfig{})
	for i := range 1000 {
		fail(limits, 1, fmt.Sprint("app", i), fmt.Sprint("source", i%50))
	}
	if wait := limits.Wait(t.Context(), "untried", "source7"); wait != 1 {
		t.Errorf("a source with failures waits %d s, want 1", wait)
	}
	if wait := limits.Wait(t.Context(), "app7", "elsewhere"); wait != 0 {
		t.Errorf("a source without failures waits %d s", wait)
	}
	clock.Advance(50 * time.Millisecond)
	if wait := limits.Wait(t.Context(), "untried", "source7"); wait != 0 {
		t.Errorf("with budget again: wait %d s", wait)
	}
}

func TestThrottleMemory(t *testing.T) {
	t.Parallel()
	limits, _ := testThrottle(t, ThrottleConfig{Entries: 100})
	for i := range 10_000 {
		fail(limits, 1, "a", fmt.Sprint(i))
	}
	if len(limits.entries.entries) != 100 || limits.entries.recent.Len() != 100 {
		t.Errorf("%d entries, %d in order; want 100", len(limits.entries.entries), limits.entries.recent.Len())
	}
	fail(limits, 10, "a", "here")
	fail(limits, 40, "b", "there")
	if wait := limits.Wait(t.Context(), "a", "here"); wait == 0 {
		t.Error("a recent entry made room for others")
	}
}

func TestThrottleConfigNegative(t *testing.T) {
	t.Parallel()
	if _, err := newThrottle(ThrottleConfig{Failures: -1}, time.Now); err == nil {
		t.Error("accepted a negative number")
	}
}

// However many sources ask for device codes, those that asked of late are kept in mind.
func TestThrottleDeviceCodesMemory(t *testing.T) {
	t.Parallel()
	limits, _ := testThrottle(t, ThrottleConfig{Entries: 100, DeviceCodes: 3})
	devices := limits.deviceCodes()
	for i := range 10_000 {
		if wait := devices.Spend(t.Context(), "a", fmt.Sprint(i)); wait != 0 {
			t.Fatalf("source %d waits %d s", i, wait)
		}
	}
	if len(devices.entries.entries) != 100 || devices.entries.recent.Len() != 100 || len(limits.entries.entries) != 0 {
		t.Errorf("%d entries, %d in order; want 100", len(devices.entries.entries), devices.entries.recent.Len())
	}
	for range 3 {
		devices.Spend(t.Context(), "b", "here")
	}
	if wait := devices.Spend(t.Context(), "b", "here"); wait != 300 {
		t.Errorf("wait %d s, want a third of a code's life", wait)
	}
	devices.Restore(t.Context(), "b", "here")
	if wait := devices.Spend(t.Context(), "b", "here"); wait != 0 {
		t.Errorf("with one answered: wait %d s", wait)
	}
	for range 5 {
		devices.Restore(t.Context(), "b", "here") // more than there is
	}
	for range 3 {
		devices.Spend(t.Context(), "b", "here")
	}
	if wait := devices.Spend(t.Context(), "b", "here"); wait == 0 {
		t.Error("what was taken back twice is allowed twice")
	}
}

// There is an end to the device codes of all sources together.
func TestThrottleDeviceCodesTotal(t *testing.T) {
	t.Parallel()
	limits, clock := testThrottle(t, ThrottleConfig{})
	devices := limits.deviceCodes()
	given := 0
	for i := range 2 * deviceTotal {
		if devices.Spend(t.Context(), "a", fmt.Sprint(i)) == 0 {
			given++
		}
	}
	if given != deviceTotal {
		t.Errorf("%d were given, want %d", given, deviceTotal)
	}
	devices.Restore(t.Context(), "a", "7")
	if wait := devices.Spend(t.Context(), "a", "late"); wait != 0 {
		t.Errorf("with one answered: wait %d s", wait)
	}
	clock.Advance(time.Minute)
	if wait := devices.Spend(t.Context(), "a", "later"); wait != 0 {
		t.Errorf("a minute later: wait %d s", wait)
	}
}

// What providers hand out as a whole counts as a whole, too.
func TestThrottleNetworks(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][]string{
		"192.0.2.1":           {"192.0.2.1"},
		"127.9.9.9":           {"127.0.0.1"},
		"::/64":               {"127.0.0.1"},
		"::1":                 {"127.0.0.1"},
		"::ffff:127.0.0.5":    {"127.0.0.1"},
		"2001:db8:1:2ff::/64": {"2001:db8:1:2ff::/64", "2001:db8:1:200::/56", "2001:db8:1::/48"},
		"2001:db8:1:2ff:3::4": {"2001:db8:1:2ff::/64", "2001:db8:1:200::/56", "2001:db8:1::/48"},
		"unix":                {"unix"},
		"":                    {""},
	} {
		if got := networks(canonical(source)); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", source, got, want)
		}
	}
	limits, _ := testThrottle(t, ThrottleConfig{})
	for i := range 40 { // a tenth of what each network of 64 bits may
		fail(limits, 1, "a", fmt.Sprintf("2001:db8:1:%x::/64", i<<8))
	}
	if wait := limits.Wait(t.Context(), "a", "2001:db8:1:ffff::/64"); wait == 0 {
		t.Error("a network of 48 bits has no end of sources")
	}
	if wait := limits.Wait(t.Context(), "a", "2001:db8:2:ffff::/64"); wait != 0 {
		t.Errorf("the next one waits %d s", wait)
	}
}

// Strangers, however many, fill a part of the rows that are kept, of their tenant only.
func TestNoteworthyHasAnEnd(t *testing.T) {
	t.Parallel()
	limits, clock := testThrottle(t, ThrottleConfig{})
	rows := 0
	for i := range 115_000 {
		if limits.Noteworthy(t.Context(), "t", fmt.Sprint(i), i%2 == 0) {
			rows++
		}
	}
	if rows != strangerRows {
		t.Errorf("%d rows, want %d", rows, strangerRows)
	}
	if !limits.Noteworthy(t.Context(), "u", "7", false) {
		t.Error("another tenant has no room")
	}
	clock.Advance(time.Minute)
	if !limits.Noteworthy(t.Context(), "t", "late", true) {
		t.Error("a minute later there is no room")
	}
}
