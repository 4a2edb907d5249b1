package keyring

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/token"
)

func TestRotate(t *testing.T) {
	t.Parallel()
	cfg, store, clock := testConfig(t)
	r := newRing(t, cfg)
	if err := r.Ensure(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	before := wantStates(t, r, contoso, "current next")

	clock.Advance(DefaultPublishAhead - time.Second)
	if _, err := r.Rotate(t.Context(), contoso, operator("cli:keys"), RotateOptions{}); !errors.Is(err, ErrTooSoon) {
		t.Fatalf("a second too soon: got %v, want ErrTooSoon", err)
	}
	clock.Advance(time.Second)
	info, err := r.Rotate(t.Context(), contoso, operator("cli:keys"), RotateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	after := wantStates(t, r, contoso, "current next retired")
	if info.ID != before[1] || after[0] != before[1] || after[2] != before[0] {
		t.Errorf("keys %v became %v: the next one must sign, the current one retire", before, after)
	}
	last := store.audit[len(store.audit)-1]
	if last.Actor != "cli:keys" || last.ActorKind != "operator" || last.Action != "keyring.rotate" || strings.Contains(last.Detail, "forced") {
		t.Errorf("audit says %v", last)
	}
}

func TestForcedRotationSaysSo(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	r := newRing(t, cfg)
	if _, err := r.Rotate(t.Context(), contoso, operator("cli:keys"), RotateOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	wantStates(t, r, contoso, "current next retired")
	if last := store.audit[len(store.audit)-1]; !strings.Contains(last.Detail, "forced 48h0m0s before") {
		t.Errorf("audit says %v", last)
	}
}

func TestRetiredKeyGoesAfterItsTokens(t *testing.T) {
	t.Parallel()
	cfg, store, clock := testConfig(t)
	r := newRing(t, cfg)
	if err := r.Ensure(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	clock.Advance(DefaultPublishAhead)
	if _, err := r.Rotate(t.Context(), contoso, operator("test"), RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	clock.Advance(DefaultRetain)
	if err := r.Maintain(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	ids := wantStates(t, r, contoso, "current next retired")
	clock.Advance(time.Second)
	if err := r.Maintain(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	wantStates(t, r, contoso, "current next")
	last := store.audit[len(store.audit)-1]
	if last.Action != "keyring.remove" || !strings.Contains(last.Detail, ids[2]) {
		t.Errorf("audit says %v", last)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	for i, want := range []string{"current next retired", "current next retired", "current next"} {
		t.Run(fmt.Sprint("key ", i), func(t *testing.T) {
			cfg, store, clock := testConfig(t)
			r := newRing(t, cfg)
			if err := r.Ensure(t.Context(), contoso); err != nil {
				t.Fatal(err)
			}
			clock.Advance(DefaultPublishAhead)
			if _, err := r.Rotate(t.Context(), contoso, operator("test"), RotateOptions{}); err != nil {
				t.Fatal(err)
			}
			before := wantStates(t, r, contoso, "current next retired")
			if err := r.Revoke(t.Context(), contoso, operator("cli:keys"), before[i], "laptop stolen"); err != nil {
				t.Fatal(err)
			}
			after := wantStates(t, r, contoso, want)
			if strings.Contains(strings.Join(after, " "), before[i]) {
				t.Error("the revoked key is still there")
			}
			if i == 0 && after[0] != before[1] {
				t.Error("the key published ahead does not follow the revoked one")
			}
			if last := store.audit[len(store.audit)-1]; !strings.Contains(last.Detail, "laptop stolen") {
				t.Errorf("audit says %v", last)
			}
		})
	}
	cfg, _, _ := testConfig(t)
	if err := newRing(t, cfg).Revoke(t.Context(), contoso, operator("test"), "nobody", ""); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("unknown key: %v, want ErrUnknownKey", err)
	}
}

// A next key that replaced a revoked one is published for its time before it signs, however overdue
// the rotation is.
func TestMaintainWaitsForTheNextKeyToBeKnown(t *testing.T) {
	t.Parallel()
	cfg, _, clock := testConfig(t)
	r := newRing(t, cfg)
	if err := r.Ensure(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	clock.Advance(DefaultRotateEvery - time.Hour)
	before := wantStates(t, r, contoso, "current next")
	if err := r.Revoke(t.Context(), contoso, operator("test"), before[1], "lost"); err != nil {
		t.Fatal(err)
	}
	for _, wait := range []time.Duration{time.Hour, DefaultPublishAhead - time.Hour - time.Second} {
		clock.Advance(wait)
		if err := r.Maintain(t.Context(), contoso); err != nil {
			t.Fatal(err)
		}
		if now := wantStates(t, r, contoso, "current next"); now[0] != before[0] {
			t.Fatal("a key signs before validators know it")
		}
	}
	clock.Advance(time.Second)
	if err := r.Maintain(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	wantStates(t, r, contoso, "current next retired")
}

// Several nodes that all read the ring before any of them writes: one key is made for
// each rotation, and all report the same result.
func TestNodesRotateAtOnce(t *testing.T) {
	t.Parallel()
	const nodes, rounds = 4, 8
	cfg, store, clock := testConfig(t)
	if err := newRing(t, cfg).Ensure(t.Context(), contoso); err != nil {
		t.Fatal(err)
	}
	for round := range rounds {
		clock.Advance(DefaultPublishAhead)
		arrived := make(chan struct{}, nodes)
		open := make(chan struct{})
		store.gate = func() {
			arrived <- struct{}{}
			<-open
		}
		var wg sync.WaitGroup
		infos, errs := make([]KeyInfo, nodes), make([]error, nodes)
		for i := range nodes {
			r := newRing(t, cfg)
			wg.Go(func() {
				infos[i], errs[i] = r.Rotate(t.Context(), contoso, operator("test"), RotateOptions{Force: i%2 == 0})
			})
		}
		for range nodes {
			<-arrived
		}
		close(open)
		wg.Wait()
		for i := range nodes {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			if infos[i].ID != infos[0].ID {
				t.Errorf("nodes report different keys: %v", infos)
			}
		}
		if n := len(store.audit); n != round+2 {
			t.Fatalf("%d changes after rotation %d, want %d", n, round+1, round+2)
		}
	}
	wantStates(t, newRing(t, cfg), contoso, "current next"+strings.Repeat(" retired", rounds))
}

func TestNodesEnsureAtOnce(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	var wg sync.WaitGroup
	for range 4 {
		r := newRing(t, cfg)
		wg.Go(func() {
			if _, err := r.Signer(t.Context(), contoso); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantStates(t, newRing(t, cfg), contoso, "current next")
	if len(store.audit) != 1 {
		t.Errorf("%d writes, want 1", len(store.audit))
	}
}

func TestFailedWriteIsReported(t *testing.T) {
	t.Parallel()
	cfg, store, _ := testConfig(t)
	full := errors.New("disk full")
	store.gate = func() { store.fail.Store(&full) }
	if err := newRing(t, cfg).Ensure(t.Context(), contoso); !errors.Is(err, full) {
		t.Errorf("got %v, want the store's error", err)
	}
}

// Run on two nodes, twenty rotations long, while validators whose key sets are up to a
// day old check tokens of both: none is refused, and none is signed by an unpublished key.
func TestRunRotatesWithoutRefusals(t *testing.T) {
	t.Parallel()
	const (
		rotateEvery = 72 * time.Hour
		step        = 6 * time.Hour
		tokenLife   = 24 * time.Hour
	)
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		cfg := Config{Store: store, KEK: testKEK(t, 7), NewKey: fixture.NewKeys(), RotateEvery: rotateEvery, Poll: time.Hour}
		nodes := []*Ring{newRing(t, cfg), newRing(t, cfg)}
		ctx := t.Context()
		for _, r := range nodes {
			if err := r.Ensure(ctx, contoso); err != nil {
				t.Fatal(err)
			}
			go func() { _ = r.Run(ctx) }()
		}
		validators := make([]validator, 5)
		var issued []issuedToken
		rejected, checks, keys := 0, 0, map[string]bool{}
		for range 20*int(rotateEvery/step) + 1 {
			now := time.Now()
			for i := range validators {
				validators[i].refresh(t, nodes[i%2], now, time.Duration(i*5)*time.Hour)
			}
			issued = append(issued, issue(t, nodes[0], now.Add(tokenLife)), issue(t, nodes[1], now.Add(tokenLife)))
			for _, tok := range issued {
				if tok.expires.Before(now) {
					continue
				}
				keys[tok.kid] = true
				for _, v := range validators {
					checks++
					if !v.accepts(tok) {
						rejected++
					}
				}
			}
			time.Sleep(step)
			synctest.Wait()
		}
		t.Logf("%d tokens by %d keys, %d checks", len(issued), len(keys), checks)
		if rejected != 0 {
			t.Errorf("%d of %d checks refused a valid token", rejected, checks)
		}
		if len(keys) < 20 {
			t.Errorf("%d keys signed, want 20 rotations", len(keys))
		}
		if n := len(wantPrefix(t, nodes[0], "current next")); n > 3 {
			t.Errorf("%d keys are published, want at most one retired", n)
		}
	})
}

func wantPrefix(tb testing.TB, r *Ring, want string) []string {
	tb.Helper()
	got, ids := states(tb, r, contoso)
	if !strings.HasPrefix(got, want) {
		tb.Fatalf("keys are %q, want %q first", got, want)
	}
	return ids
}

// An issuedToken is what a validator needs to know about a token: who signed it.
type issuedToken struct {
	kid     string
	public  crypto.PublicKey
	expires time.Time
}

// issue signs a token and verifies it with the key that is published under its id.
func issue(tb testing.TB, r *Ring, expires time.Time) issuedToken {
	tb.Helper()
	signer, err := r.Signer(tb.Context(), contoso)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := signer.Sign([]byte(`{"sub":"x"}`), false)
	if err != nil {
		tb.Fatal(err)
	}
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	value, _ := parsed.Header.Get("kid")
	kid, _ := value.String()
	published, err := r.Published(tb.Context(), contoso)
	if err != nil {
		tb.Fatal(err)
	}
	for _, k := range published {
		if k.ID == kid && parsed.Verify("RS256", k.Public) == nil {
			return issuedToken{kid, k.Public, expires}
		}
	}
	tb.Fatalf("signed by the unpublished key %q", kid)
	return issuedToken{}
}

// A validator caches the published keys for a day.
type validator struct {
	fetched time.Time
	keys    map[string]token.Key
}

func (v *validator) refresh(tb testing.TB, r *Ring, now time.Time, phase time.Duration) {
	tb.Helper()
	if v.keys != nil && now.Sub(v.fetched) < 24*time.Hour {
		return
	}
	published, err := r.Published(tb.Context(), contoso)
	if err != nil {
		tb.Fatal(err)
	}
	if v.keys == nil {
		now = now.Add(-phase) // so that the validators' sets differ in age
	}
	v.fetched, v.keys = now, map[string]token.Key{}
	for _, k := range published {
		v.keys[k.ID] = k
	}
}

func (v *validator) accepts(tok issuedToken) bool {
	key, ok := v.keys[tok.kid]
	return ok && key.Public.(*rsa.PublicKey).Equal(tok.public)
}
