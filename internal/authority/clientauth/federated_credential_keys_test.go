package clientauth

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
)

func TestUnknownKeysAskSeldom(t *testing.T) {
	t.Parallel()
	b, w := federatedBench(t)
	good := b.federated()
	if _, p := b.verify(good, testids.Client); p != nil {
		t.Fatal(p)
	}
	for i := range 60 { // a minute of invented key ids
		for j := range 10 {
			header := b.federatedHeader().with(object{"kid": fmt.Sprint("invented", i, j)})
			b.wantRefused(t, b.sign(header, b.federatedClaims(), b.keys[0]), testids.Client, 700027)
		}
		if _, p := b.verify(good, testids.Client); p != nil {
			t.Fatal(p)
		}
		b.clock.Advance(time.Second)
	}
	if n := w.count(keysURL(clusterIssuer)); n > 1+unknownLooks+2 {
		t.Errorf("the issuer was asked %d times, want once at first, a few times at once, and twice in a minute", n)
	}
	for range 60 { // the same one, all the time
		b.wantRefused(t, b.sign(b.federatedHeader().with(object{"kid": "same"}), b.federatedClaims(), b.keys[0]), testids.Client, 700027)
	}
	if n := w.count(keysURL(clusterIssuer)); n > 1+unknownLooks+3 {
		t.Errorf("the issuer was asked %d times, one of them for each token with the same key id", n)
	}
	b.clock.Advance(unknownEvery)
	w.publish(t, clusterIssuer, b.key("k1", 0), b.key("k2", 1))
	if _, p := b.verify(b.sign(b.federatedHeader().with(object{"kid": "k2"}), b.federatedClaims(), b.keys[1]), testids.Client); p != nil {
		t.Errorf("the issuer's new key: %v", p)
	}
}

// A token that nobody signed does not delay the next key of an issuer, and many of them do not
// delay it for long.
func TestStrangersDoNotDelayTheNextKey(t *testing.T) {
	t.Parallel()
	b, w := federatedBench(t)
	if _, p := b.verify(b.federated(), testids.Client); p != nil {
		t.Fatal(p)
	}
	invented := func(i int) {
		header := b.federatedHeader().with(object{"kid": fmt.Sprint("invented", i)})
		b.wantRefused(t, b.sign(header, b.federatedClaims(), b.keys[0]), testids.Client, 700027)
	}
	next := func(kid string, key int) error {
		_, p := b.verify(b.sign(b.federatedHeader().with(object{"kid": kid}), b.federatedClaims(), b.keys[key]), testids.Client)
		if p != nil {
			return p
		}
		return nil
	}
	invented(0)
	w.publish(t, clusterIssuer, b.key("k1", 0), b.key("k2", 1))
	if err := next("k2", 1); err != nil {
		t.Errorf("the issuer's next key, after one token of a stranger: %v", err)
	}
	for i := range 100 {
		invented(1 + i)
	}
	w.publish(t, clusterIssuer, b.key("k1", 0), b.key("k3", 1))
	b.clock.Advance(unknownMore)
	if err := next("k3", 1); err != nil {
		t.Errorf("the one after that, half a minute after a hundred: %v", err)
	}
}

func TestRemovedKeyIsGoneAfterTheNextLook(t *testing.T) {
	t.Parallel()
	b, w := federatedBench(t)
	if _, p := b.verify(b.federated(), testids.Client); p != nil {
		t.Fatal(p)
	}
	w.publish(t, clusterIssuer, b.key("k2", 1))
	b.clock.Advance(keysFresh)
	b.wantRefused(t, b.federated(), testids.Client, 700027)
	if _, p := b.verify(b.sign(b.federatedHeader().with(object{"kid": "k2"}), b.federatedClaims(), b.keys[1]), testids.Client); p != nil {
		t.Errorf("the key that replaced it: %v", p)
	}
}

func TestLastGoodKeysServeForADay(t *testing.T) {
	t.Parallel()
	b, w := federatedBench(t)
	if _, p := b.verify(b.federated(), testids.Client); p != nil {
		t.Fatal(p)
	}
	w.remove(metadataURL(clusterIssuer))
	for range 23 {
		b.clock.Advance(time.Hour)
		if _, p := b.verify(b.federated(), testids.Client); p != nil {
			t.Fatalf("at %v: %v", b.clock.Now(), p)
		}
	}
	b.clock.Advance(time.Hour)
	b.wantRefused(t, b.federated(), testids.Client, 50166)
	// It is not asked for each request while it is down, and it recovers by itself.
	before := w.count(metadataURL(clusterIssuer))
	for range 100 {
		b.wantRefused(t, b.federated(), testids.Client, 50166)
	}
	if n := w.count(metadataURL(clusterIssuer)) - before; n != 0 {
		t.Errorf("a failing issuer was asked %d more times at once", n)
	}
	w.publish(t, clusterIssuer, b.key("k1", 0))
	b.clock.Advance(failedEvery)
	if _, p := b.verify(b.federated(), testids.Client); p != nil {
		t.Errorf("after the issuer came back: %v", p)
	}
}

func TestEmptyOrBrokenAnswerKeepsTheLastGoodKeys(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"keys":[]}`, `<html>`, ``, `{"keys":[{"kty":"RSA","kid":"k1","n":"AQAB","e":"AQAB"}]}`} {
		b, w := federatedBench(t)
		if _, p := b.verify(b.federated(), testids.Client); p != nil {
			t.Fatal(p)
		}
		w.set(keysURL(clusterIssuer), body)
		b.clock.Advance(keysFresh)
		if _, p := b.verify(b.federated(), testids.Client); p != nil {
			t.Errorf("%.20q: %v", body, p)
		}
	}
}

// However many wait for an issuer, it is asked once; those of another issuer do not wait.
func TestSlowIssuerHurtsItselfAlone(t *testing.T) {
	t.Parallel()
	b, w := federatedBench(t)
	if _, p := b.verify(b.sign(b.federatedHeader(), b.federatedClaims().with(object{"iss": otherIssuer, "sub": "orders"}), b.keys[1]), testids.Client); p != nil {
		t.Fatal(p)
	}
	release := make(chan struct{})
	w.hang.Store(&release)
	var wg sync.WaitGroup
	raw := b.federated()
	for range 20 {
		wg.Go(func() {
			if _, p := b.verify(raw, testids.Client); p != nil {
				t.Errorf("after the issuer answered: %v", p)
			}
		})
	}
	for range 100 { // the other issuer's keys are in memory
		if _, p := b.verify(b.sign(b.federatedHeader(), b.federatedClaims().with(object{"iss": otherIssuer, "sub": "orders"}), b.keys[1]), testids.Client); p != nil {
			t.Fatal(p)
		}
	}
	close(release)
	wg.Wait()
	if n := w.count(keysURL(clusterIssuer)); n != 1 {
		t.Errorf("the issuer was asked %d times, want once", n)
	}
}

func TestWaitingForAnIssuerEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	b, _ := federatedBench(t)
	issuer := b.v.foreign.issuer(clusterIssuer)
	issuer.looking <- struct{}{} // somebody else asks, and waits
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.v.foreign.key(ctx, clusterIssuer, "k1"); err == nil {
		t.Error("got a key although testids.Nobody had one")
	}
}

func TestIssuersRememberedAreBounded(t *testing.T) {
	t.Parallel()
	f := newForeignIssuers(nil, time.Now)
	for i := range maxForeign + 100 {
		if _, err := f.key(t.Context(), fmt.Sprint("https://issuer.test/", i), "k"); err == nil {
			t.Fatal("a key from nowhere")
		}
	}
	if n := len(f.issuers); n != maxForeign {
		t.Errorf("%d issuers are remembered, want %d", n, maxForeign)
	}
}
