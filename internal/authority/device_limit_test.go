package authority

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// asksForDevice asks for a device code of the public client.
func (w *userWorld) asksForDevice(path, client string, options ...func(*http.Request)) *reply {
	w.t.Helper()
	return w.post(path, values{"client_id": client, "scope": "api://orders/.default"}, options...)
}

// moreTools adds public clients, and gives their app ids.
func (w *userWorld) moreTools(n int) []string {
	w.t.Helper()
	ids := make([]string, n)
	w.edit(func(e *directory.Editor) error {
		for i := range ids {
			ids[i] = fmt.Sprintf("c11e0100-5a5a-4c4c-8d8d-%012d", i)
			if _, err := e.Applications().Create(directory.Application{Tenant: testTenant, AppID: directory.AppID(ids[i]), Name: fmt.Sprint("tool ", i), Public: true}); err != nil {
				return err
			}
			if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: testTenant, AppID: directory.AppID(ids[i]), Enabled: true}); err != nil {
				return err
			}
		}
		return nil
	})
	return ids
}

// Device codes that nobody answers are limited by client and source, however the client is
// spelled; from elsewhere it always gets one.
func TestDeviceCodesOfOneClient(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	v2 := values{"client_id": publicApp, "scope": "api://orders/.default"}
	asks := []func() *reply{
		func() *reply { return w.post(deviceV2Path, v2) },
		func() *reply { return w.post(deviceV1Path, values{"client_id": publicApp, "resource": "api://orders"}) },
		func() *reply {
			return w.post(deviceV2Path, v2.set("client_id", "C11E0005-5A5A-4C4C-8D8D-000000000005"))
		},
		func() *reply { return w.post("/CONTOSO.test/oauth2/V2.0/devicecode/", v2) },
		func() *reply { return w.post("/organizations/oauth2/v2.0/devicecode", v2) },
		func() *reply { return w.post(deviceV2Path, v2, from("192.0.2.1:9")) },
	}
	given := 0
	for i := range 60 {
		r := asks[i%len(asks)]()
		if r.Code == http.StatusOK {
			given++
			continue
		}
		r.refused(http.StatusTooManyRequests, "temporarily_unavailable", 90055)
		if seconds, err := strconv.Atoi(r.Header().Get("Retry-After")); err != nil || seconds < 1 || seconds > 60 {
			t.Fatalf("Retry-After is %q, want whole seconds, and few", r.Header().Get("Retry-After"))
		}
	}
	if given != 20 {
		t.Errorf("%d codes were given, want 20", given)
	}
	for name, r := range map[string]*reply{
		"another source": w.post(deviceV2Path, v2, from("198.51.100.7:1")),
		"another client": w.asksForDevice(deviceV2Path, w.moreTools(1)[0]),
	} {
		if r.Code != http.StatusOK {
			t.Errorf("%s: got %d %v", name, r.Code, r.json["error_description"])
		}
	}
	seconds, err := strconv.Atoi(w.post(deviceV2Path, v2).Header().Get("Retry-After"))
	w.must(err)
	w.clock.Advance(time.Duration(seconds) * time.Second)
	if r := w.post(deviceV2Path, v2); r.Code != http.StatusOK {
		t.Errorf("after the time told: got %d", r.Code)
	}
	if r := w.post(deviceV2Path, v2); r.Code != http.StatusTooManyRequests {
		t.Errorf("and once more: got %d", r.Code)
	}
}

// Other clients' ids are public as well: they help a source to some more codes, and no further.
func TestDeviceCodesOfOneSource(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	clients := w.moreTools(12)
	given := 0
	for _, client := range clients {
		for range 15 {
			if w.asksForDevice(deviceV2Path, client).Code == http.StatusOK {
				given++
			}
		}
	}
	if given != 80 {
		t.Errorf("%d codes were given, want 80", given)
	}
	w.asksForDevice(deviceV2Path, publicApp).refused(http.StatusTooManyRequests, "temporarily_unavailable", 90055)
	if r := w.asksForDevice(deviceV2Path, clients[0], from("[2001:db8::1]:1")); r.Code != http.StatusOK {
		t.Errorf("from elsewhere: got %d", r.Code)
	}
}

// A code that a user answered, either way, no longer counts. What gave no code never did.
func TestDeviceCodesAnswered(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	for range 50 {
		w.post(deviceV2Path, values{"client_id": publicApp}).refused(400, "invalid_request", 90014)
	}
	var codes []*reply
	for range 20 {
		codes = append(codes, w.deviceCode())
	}
	full := func() bool {
		return w.asksForDevice(deviceV2Path, publicApp).Code == http.StatusTooManyRequests
	}
	if !full() {
		t.Fatal("there is no limit")
	}
	for i, action := range []string{"continue", "cancel"} {
		b := w.browser()
		b.approve(codes[i].text("user_code"), testUser, action)
		b.approve(codes[i].text("user_code"), testUser, action) // which changes nothing any more
		if full() {
			t.Errorf("after %s: still full", action)
		}
		if !full() {
			t.Errorf("after %s: one answer made room for two", action)
		}
	}
}

// As fast as it may, a source holds at most twice the number at a time.
func TestDeviceCodesHeld(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	var ends []time.Time
	for range 40 * 60 {
		if w.asksForDevice(deviceV2Path, publicApp).Code == http.StatusOK {
			ends = append(ends, w.clock.Now().Add(records.DeviceLife))
		}
		w.clock.Advance(time.Second)
		for len(ends) > 0 && !w.clock.Now().Before(ends[0]) {
			ends = ends[1:]
		}
		if len(ends) > 40 {
			t.Fatalf("%d unanswered codes are held", len(ends))
		}
	}
	if len(ends) < 20 {
		t.Errorf("%d codes are held, want what is allowed", len(ends))
	}
}

func TestDeviceCodesAtOnce(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	var given atomic.Int32
	var all sync.WaitGroup
	for range 60 {
		all.Go(func() {
			if w.asksForDevice(deviceV2Path, publicApp).Code == http.StatusOK {
				given.Add(1)
			}
		})
	}
	all.Wait()
	if given.Load() != 20 {
		t.Errorf("%d codes were given, want 20", given.Load())
	}
}

// An operator may allow another number. Guesses at credentials have a budget of their own.
func TestDeviceCodesConfigured(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t, func(c *Config) { c.Throttle.DeviceCodes = 2 })
	for range 5 {
		w.asksForDevice(deviceV2Path, publicApp)
	}
	w.asksForDevice(deviceV2Path, publicApp).refused(http.StatusTooManyRequests, "temporarily_unavailable", 90055)
	w.post(pathV2, values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword, "scope": "openid"}).token()
	if _, err := coordination.InMemory(coordination.ThrottleConfig{DeviceCodes: -1}, time.Now); err == nil {
		t.Error("accepted a negative number")
	}
}

// Codes that were not kept are not counted.
func TestDeviceCodesThatWereNotKept(t *testing.T) {
	t.Parallel()
	store := &faultyStore{Store: memory.New()}
	w := newUserWorldOn(t, store)
	store.full.Store(true)
	for range 30 {
		w.asksForDevice(deviceV2Path, publicApp).refused(http.StatusServiceUnavailable, "temporarily_unavailable", 90033)
	}
	store.full.Store(false)
	if r := w.asksForDevice(deviceV2Path, publicApp); r.Code != http.StatusOK {
		t.Errorf("got %d %v", r.Code, r.json["error_description"])
	}
}
