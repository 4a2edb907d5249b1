package keyring

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/token"
)

const (
	contoso  = "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11"
	fabrikam = "11111111-2222-4333-8444-555555555555"
)

var errConflict = errors.New("changed by someone else meanwhile")

// A record is an audit entry in the fake store.
// operator is the operator of the machine, through a command of that name.
func operator(name string) audit.Actor { return audit.Actor{Kind: "operator", Name: name} }

// memory is a Store. A gate, when set, is called before each write, outside the lock.
type memory struct {
	mu      sync.Mutex
	bodies  map[string][]byte
	version map[string]int64
	audit   []audit.Event
	reads   atomic.Int64
	gate    func()
	fail    atomic.Pointer[error] // the answer of every call, when set
}

func newMemory() *memory {
	return &memory{bodies: map[string][]byte{}, version: map[string]int64{}}
}

func (m *memory) Keyring(_ context.Context, tenant string) ([]byte, int64, error) {
	m.reads.Add(1)
	if err := m.fail.Load(); err != nil {
		return nil, 0, *err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bodies[tenant], m.version[tenant], nil
}

func (m *memory) SetKeyring(_ context.Context, tenant string, version int64, body []byte, change audit.Event, _ string) error {
	if m.gate != nil {
		m.gate()
	}
	if err := m.fail.Load(); err != nil {
		return *err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.version[tenant] != version {
		return errConflict
	}
	m.version[tenant]++
	m.bodies[tenant] = body
	m.audit = append(m.audit, change)
	return nil
}

func testKEK(tb testing.TB, fill byte) *KEK {
	tb.Helper()
	k, err := KEKFromBytes(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// testConfig is a configuration on a fake store and clock.
func testConfig(tb testing.TB) (Config, *memory, *fixture.Clock) {
	tb.Helper()
	store, clock := newMemory(), fixture.NewClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	return Config{Store: store, KEK: testKEK(tb, 7), Now: clock.Now, NewKey: fixture.NewKeys()}, store, clock
}

func newRing(tb testing.TB, cfg Config) *Ring {
	tb.Helper()
	r, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// states returns the ring's keys as "current next retired …" and the ids in that order.
func states(tb testing.TB, r *Ring, tenant string) (text string, ids []string) {
	tb.Helper()
	infos, err := r.List(tb.Context(), tenant)
	if err != nil {
		tb.Fatal(err)
	}
	for i, k := range infos {
		if i > 0 {
			text += " "
		}
		text += string(k.State)
		ids = append(ids, k.ID)
	}
	return text, ids
}

func wantStates(tb testing.TB, r *Ring, tenant, want string) []string {
	tb.Helper()
	got, ids := states(tb, r, tenant)
	if got != want {
		tb.Fatalf("keys are %q, want %q", got, want)
	}
	return ids
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good, _, _ := testConfig(t)
	for name, spoil := range map[string]func(*Config){
		"no store":              func(c *Config) { c.Store = nil },
		"no kek":                func(c *Config) { c.KEK = nil },
		"negative ahead":        func(c *Config) { c.PublishAhead = -1 },
		"negative retain":       func(c *Config) { c.Retain = -1 },
		"negative poll":         func(c *Config) { c.Poll = -1 },
		"rotation before ahead": func(c *Config) { c.RotateEvery = time.Hour },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestEnsureMakesTwoKeys(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	r := newRing(t, cfg)
	if err := r.Ensure(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	wantStates(t, r, contoso, "current next")
	if err := r.Ensure(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	wantStates(t, r, contoso, "current next")
	if len(store.audit) != 1 || store.audit[0].Action != "keyring.create" {
		t.Errorf("audit is %v, want one keyring.create", store.audit)
	}
	published, err := r.Published(t.Context(), contoso)
	if err != nil {
		t.Fatal(err)
	}
	if len(published) != 2 {
		t.Fatalf("%d keys published, want 2", len(published))
	}
	for _, k := range published {
		if len(k.ID) != 27 || k.ID != token.Thumbprint(k.Certificates[0]) {
			t.Errorf("key id %q is not its certificate's thumbprint", k.ID)
		}
	}
}

func TestListMakesNoKeys(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	wantStates(t, newRing(t, cfg), contoso, "")
	if len(store.audit) != 0 {
		t.Errorf("audit is %v, want nothing", store.audit)
	}
}

func TestSignerIsServedFromMemory(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	r := newRing(t, cfg)
	if _, err := r.Signer(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	before := store.reads.Load()
	outage := errors.New("store is down")
	store.fail.Store(&outage)
	for range 100 {
		if _, err := r.Signer(t.Context(), contoso); err != nil {
			t.Fatal(err)
		}
	}
	if n := store.reads.Load() - before; n != 0 {
		t.Errorf("%d reads, want none", n)
	}
	// After a change elsewhere while the store is down, the keys in memory stay in use.
	r.Forget(contoso)
	if _, err := r.Signer(t.Context(), contoso); err != nil {
		t.Errorf("signer is gone with the store: %v", err)
	}
}

func TestStoreDownAtFirstUse(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	outage := errors.New("store is down")
	store.fail.Store(&outage)
	if _, err := newRing(t, cfg).Signer(t.Context(), contoso); !errors.Is(err, outage) {
		t.Errorf("got %v, want the store's error", err)
	}
}

func TestChangeOfAnotherNodeArrives(t *testing.T) {
	t.Parallel()
	cfg, _, clock := testConfig(t)
	a, b := newRing(t, cfg), newRing(t, cfg)
	for _, r := range []*Ring{a, b} {
		if err := r.Ensure(t.Context(), contoso); err != nil {
			t.Fatal(err)
		}
	}
	clock.Advance(DefaultPublishAhead)
	rotated, err := a.Rotate(t.Context(), contoso, operator("test"), RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.Forget(contoso)
	published, err := b.Published(t.Context(), contoso)
	if err != nil {
		t.Fatal(err)
	}
	if published[0].ID != rotated.ID || len(published) != 3 {
		t.Errorf("the other node publishes %s first of %d, want %s of 3", published[0].ID, len(published), rotated.ID)
	}
}

// A change of another node is one of whichever of the tenant's rings, and of no other tenant's.
func TestAnotherNodesChangeOfAnyRing(t *testing.T) {
	t.Parallel()
	for ring, heard := range map[string]bool{contoso + "/workload": true, contoso + "/azurecloud": true, contoso + "x/workload": false} {
		cfg, _, clock := testConfig(t)
		a, b := newRing(t, cfg), newRing(t, cfg)
		for _, r := range []*Ring{a, b} {
			if err := r.Ensure(t.Context(), ring); err != nil {
				t.Fatal(err)
			}
		}
		clock.Advance(DefaultPublishAhead)
		rotated, err := a.Rotate(t.Context(), ring, operator("test"), RotateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		b.Forget(contoso)
		published, err := b.Published(t.Context(), ring)
		if err != nil {
			t.Fatal(err)
		}
		if got := published[0].ID == rotated.ID; got != heard {
			t.Errorf("%s: the other node knows of the rotation: %t, want %t", ring, got, heard)
		}
	}
}

// A revocation is not missed if the store does not answer at that moment.
func TestChangeOfAnotherNodeArrivesLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg, store, _ := testConfig(t)
		a, b := newRing(t, cfg), newRing(t, cfg)
		for _, r := range []*Ring{a, b} {
			if err := r.Ensure(t.Context(), contoso); err != nil {
				t.Fatal(err)
			}
		}
		revoked := wantStates(t, a, contoso, "current next")[0]
		if err := a.Revoke(t.Context(), contoso, operator("test"), revoked, "stolen"); err != nil {
			t.Fatal(err)
		}
		down := errors.New("down")
		store.fail.Store(&down)
		b.Forget(contoso)
		if _, err := b.Signer(t.Context(), contoso); err != nil {
			t.Fatalf("no token while the store is down: %v", err)
		}
		store.fail.Store(nil)
		time.Sleep(staleRetry)
		synctest.Wait()
		signer, err := b.Signer(t.Context(), contoso)
		if err != nil || signer.KeyID() == revoked {
			t.Errorf("the revoked key signs: %v", err)
		}
	})
}

func TestOldRingPutBackIsRefused(t *testing.T) {
	t.Parallel()
	cfg, store, clock := testConfig(t)
	r := newRing(t, cfg)
	if err := r.Ensure(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	old := store.bodies[contoso]
	clock.Advance(DefaultPublishAhead)
	if _, err := r.Rotate(t.Context(), contoso, operator("test"), RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	store.bodies[contoso] = old
	store.version[contoso]++
	if err := r.Refresh(t.Context(), contoso); err == nil {
		t.Error("an older ring replaced a newer one")
	}
	if _, err := r.Signer(t.Context(), contoso); err != nil {
		t.Errorf("the newer ring is gone: %v", err)
	}
}

func TestDeletedRingIsForgotten(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	r := newRing(t, cfg)
	if err := r.Ensure(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	delete(store.bodies, contoso)
	delete(store.version, contoso)
	if err := r.Maintain(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	wantStates(t, r, contoso, "")
}

func TestNothingPrivateIsPrinted(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	var log bytes.Buffer
	cfg.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	key, err := cfg.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cfg.NewKey = func() (*rsa.PrivateKey, error) { return key, nil }
	r := newRing(t, cfg)
	if err := r.Ensure(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	infos, err := r.List(t.Context(), contoso)
	if err != nil {
		t.Fatal(err)
	}
	published, err := r.Published(t.Context(), contoso)
	if err != nil {
		t.Fatal(err)
	}
	document, err := token.KeysDocument(published)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := r.Signer(t.Context(), contoso)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, v := range []any{r, *cfg.KEK, cfg.KEK, infos, published, signer, fmt.Errorf("wrapped: %v", r)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		cfg.Log.Info("value", "v", v)
	}
	out.Write(document)
	out.Write(log.Bytes())
	fmt.Fprint(&out, store.audit)
	out.Write(store.bodies[contoso])
	for what, secret := range map[string][]byte{
		"prime":       key.Primes[0].Bytes(),
		"other prime": key.Primes[1].Bytes(),
		"exponent":    key.D.Bytes(),
		"kek":         cfg.KEK.key[:],
	} {
		for encoding, text := range encodings(secret) {
			if bytes.Contains(out.Bytes(), []byte(text)) {
				t.Errorf("%s is printed as %s", what, encoding)
			}
		}
	}
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if bytes.Contains(document, fmt.Appendf(nil, "%q:", member)) {
			t.Errorf("published document has the private member %q", member)
		}
	}
}

func BenchmarkSigner(b *testing.B) {
	cfg, _, _ := testConfig(b)
	r := newRing(b, cfg)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Signer(b.Context(), contoso); err != nil {
			b.Fatal(err)
		}
	}
}
