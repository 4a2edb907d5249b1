package guard_test

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// lasting is a token that outlives every test of the age of keys.
func lasting() claims { return claims{"exp": now.Unix() + 400*24*3600} }

// aging is a configuration in which tokens live for a year, and time passes.
func (a *authority) aging() guard.Config {
	cfg := a.single()
	start := time.Now()
	cfg.Now = func() time.Time { return now.Add(time.Since(start)) }
	cfg.MaxLifetime = 500 * 24 * time.Hour
	return cfg
}

// A guard that is kept from its authority does not trust a key for ever: it could have been
// revoked. This holds for tokens that were seen before as well.
func TestKeysOfADayAgoCountNoMore(t *testing.T) {
	for _, maxAge := range []time.Duration{0, time.Hour, 72 * time.Hour} {
		for name, failure := range map[string]func(http.ResponseWriter, *http.Request) bool{"down": outage, "silent": slow(time.Hour)} {
			t.Run(fmt.Sprint(name, " ", maxAge), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := newAuthority("https://authority.test")
					cfg := a.aging()
					cfg.MaxKeyAge = maxAge
					if maxAge == 0 {
						maxAge = 24 * time.Hour
					}
					g := newGuard(t, cfg)
					raw := a.token(t, lasting())
					if r := reason(g, raw); r != "" {
						t.Fatal(r)
					}
					a.fail(failure)
					time.Sleep(maxAge - time.Second)
					if r := reason(g, raw); r != "" {
						t.Fatalf("before the end: %s", r)
					}
					if s := g.Keys()[0]; !s.Usable || s.Err == nil || s.Keys != 1 {
						t.Errorf("before the end: %+v", s)
					}
					time.Sleep(11 * time.Second)
					for range 2 {
						d := g.Check(t.Context(), raw, ordersRule)
						if d.Outcome != guard.Unavailable || d.Reason != guard.KeysUnavailable || d.RetryAfter < time.Second || d.RetryAfter > 5*time.Minute {
							t.Fatalf("after the end: %s %s, again in %v", d.Outcome, d.Reason, d.RetryAfter)
						}
						if !strings.Contains(d.Detail(), "keys were last fetched at") {
							t.Errorf("detail: %s", d.Detail())
						}
					}
					if err := g.Ready(t.Context()); err == nil {
						t.Error("ready without keys that count")
					}
					if s := g.Keys()[0]; s.Usable || s.Err == nil || time.Since(s.Fetched) < maxAge {
						t.Errorf("after the end: %+v", s)
					}
					a.fail(nil)
					time.Sleep(6 * time.Minute)
					if r := reason(g, raw); r != "" {
						t.Errorf("after the outage: %s", r)
					}
				})
			})
		}
	}
}

// The state of the keys is there to be shown before anything was fetched.
func TestKeyStates(t *testing.T) {
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	for _, s := range g.Keys() {
		if s.Usable || s.Err != nil || !s.Fetched.IsZero() || s.Keys != 0 {
			t.Errorf("before: %+v", s)
		}
	}
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	states := g.Keys()
	if len(states) != 2 || states[0].Issuer != a.v1 || states[1].Issuer != a.v2 || !states[0].Usable || states[1].Keys != 1 || time.Since(states[1].Fetched) > time.Minute {
		t.Errorf("after: %+v", states)
	}
	cfg := a.config()
	for _, bad := range []time.Duration{-1, time.Second, 9 * time.Minute} {
		cfg.MaxKeyAge = bad
		if _, err := guard.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "MaxKeyAge") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// A key that is not known while the authority cannot be asked may be a new one. To say that
// it is not published would be a lie.
func TestAnUnknownKeyWhileTheAuthorityIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		var log bytes.Buffer
		cfg := a.single()
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		g := newGuard(t, cfg)
		if r := reason(g, a.token(t)); r != "" {
			t.Fatal(r)
		}
		time.Sleep(time.Minute)
		a.publish(token.Key{ID: "new", Public: spareKey().Public()})
		a.fail(outage)
		raw := signWith(t, spareKey(), "new", nil, a.claims())
		for range 3 {
			d := g.Check(t.Context(), raw, ordersRule)
			if d.Outcome != guard.Unavailable || d.Reason != guard.KeysUnavailable || d.RetryAfter < time.Second || !strings.Contains(d.Detail(), "keys were last fetched at") {
				t.Errorf("%s %s, again in %v: %s", d.Outcome, d.Reason, d.RetryAfter, d.Detail())
			}
			if r := reason(g, a.token(t)); r != "" {
				t.Errorf("a key that is known: %s", r)
			}
			time.Sleep(time.Second)
		}
		if !strings.Contains(log.String(), "last_success=") {
			t.Errorf("the log does not say when it worked last: %s", log.String())
		}
		a.fail(nil)
		time.Sleep(time.Minute)
		if r := reason(g, raw); r != "" {
			t.Errorf("once the authority is up: %s", r)
		}
		if r := reason(g, signWith(t, spareKey(), "never", nil, a.claims())); r != guard.KeyUnknown {
			t.Errorf("a key that is not published: %s", r)
		}
	})
}

// Two keys that appear one after the other are both found at once; what comes then has to
// wait, whoever asks for it.
func TestABudgetOfTwoFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		g := newGuard(t, a.single())
		if r := reason(g, a.token(t)); r != "" {
			t.Fatal(r)
		}
		keys := []token.Key{{ID: "trusted", Public: trustedKey().Public()}}
		appear := func(kid string) guard.Reason {
			keys = append(keys, token.Key{ID: kid, Public: spareKey().Public()})
			a.publish(keys...)
			return reason(g, signWith(t, spareKey(), kid, nil, a.claims()))
		}
		if r := appear("first"); r != "" {
			t.Errorf("at once after the start: %s", r)
		}
		if r := appear("second"); r != guard.KeyUnknown {
			t.Errorf("beyond the budget: %q", r)
		}
		time.Sleep(5 * time.Minute)
		for _, kid := range []string{"third", "fourth"} {
			if r := appear(kid); r != "" {
				t.Errorf("%s: %s", kid, r)
			}
		}
		if r := appear("fifth"); r != guard.KeyUnknown {
			t.Errorf("beyond the budget once more: %q", r)
		}
		time.Sleep(31 * time.Second)
		if r := appear("sixth"); r != "" {
			t.Errorf("half a minute later: %s", r)
		}
	})
}

// tagged answers for keys documents with a tag, as a server does that can say that nothing
// has changed.
func tagged(a *authority, tag *atomic.Value, full, unchanged *atomic.Int64) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/keys") {
			if r.Header.Get("If-None-Match") != "" {
				panic("metadata by a tag of keys")
			}
			return false
		}
		w.Header().Set("Cache-Control", "max-age=86400")
		w.Header().Set("Etag", tag.Load().(string))
		if r.Header.Get("If-None-Match") == tag.Load() {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return true
		}
		full.Add(1)
		return false
	}
}

// From a server with tags keys are asked for often, and a key that was revoked counts for a
// quarter of an hour, not for a day.
func TestARevokedKeyIsNoticedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("https://authority.test")
		var tag atomic.Value
		var full, unchanged atomic.Int64
		tag.Store(`"one"`)
		a.fail(tagged(a, &tag, &full, &unchanged))
		g := newGuard(t, a.aging())
		raw := a.token(t, lasting())
		if r := reason(g, raw); r != "" {
			t.Fatal(r)
		}
		time.Sleep(72 * time.Hour) // far beyond MaxKeyAge: an answer that nothing has changed counts
		if r := reason(g, raw); r != "" {
			t.Fatalf("unchanged: %s", r)
		}
		if full.Load() != 1 || unchanged.Load() < 4*72-1 {
			t.Errorf("%d documents, %d times unchanged", full.Load(), unchanged.Load())
		}
		a.publish(token.Key{ID: "trusted", Public: spareKey().Public()})
		tag.Store(`"two"`)
		time.Sleep(15 * time.Minute)
		if r := reason(g, raw); r != guard.SignatureInvalid {
			t.Errorf("a quarter of an hour after the revocation: %q", r)
		}
		if full.Load() != 2 {
			t.Errorf("%d documents", full.Load())
		}
	})
}

// An answer that nothing has changed is for those who asked whether it has.
func TestNotModifiedCountsOnlyWhenAsked(t *testing.T) {
	a := newAuthority("https://authority.test")
	a.fail(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/keys") {
			return false
		}
		w.WriteHeader(http.StatusNotModified)
		return true
	})
	if r := reason(newGuard(t, a.single()), a.token(t)); r != guard.KeysUnavailable {
		t.Errorf("got %q", r)
	}
}

// A tag that could not be sent back as it is, is none.
func TestTagsAreBounded(t *testing.T) {
	for _, tag := range []string{"", "a b", strings.Repeat("x", 300)} {
		synctest.Test(t, func(t *testing.T) {
			a := newAuthority("https://authority.test")
			a.fail(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("If-None-Match") != "" {
					t.Errorf("%q was sent back", tag)
				}
				w.Header().Set("Etag", tag)
				return false
			})
			g := newGuard(t, a.single())
			if err := g.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Hour)
		})
	}
}

// What a key may do is part of what a kept verdict rests on.
func TestAVerdictEndsWithTheUseOfItsKey(t *testing.T) {
	jwk := func(members string) string {
		entry := strings.TrimSuffix(rsaEntry(t, "trusted", trustedKey()), "}")
		return `{"keys":[` + entry + members + `},{"kty":"EC","kid":"other","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	}
	for name, tt := range map[string]struct {
		after string
		want  guard.Reason
	}{
		"nothing changes":               {jwk(""), ""},
		"key_ops without verify":        {jwk(`,"key_ops":["encrypt"]`), guard.KeyMismatch},
		"key_ops empty":                 {jwk(`,"key_ops":[]`), guard.KeyMismatch},
		"use for encryption":            {jwk(`,"use":"enc"`), guard.KeyMismatch},
		"another algorithm":             {jwk(`,"alg":"RS512"`), guard.KeyMismatch},
		"of another issuer":             {jwk(`,"issuer":"https://evil.test/"`), guard.KeyMismatch},
		"with another's certificate":    {jwk(`,"x5c":["` + base64Of(certificateOf(spareKey())) + `"]`), guard.KeyMismatch},
		"twice, with another key":       {strings.Replace(jwk(""), `"keys":[`, `"keys":[`+rsaEntry(t, "trusted", spareKey())+`,`, 1), guard.KeyMismatch},
		"with a certificate of its own": {jwk(`,"x5c":["` + base64Of(trustedCertificate()) + `"]`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority("https://authority.test")
				a.publishText(jwk(""))
				g := newGuard(t, a.aging())
				raw := a.token(t, lasting())
				if r := reason(g, raw); r != "" {
					t.Fatal(r)
				}
				a.publishText(tt.after)
				time.Sleep(13 * time.Hour)
				if r := reason(g, raw); r != tt.want {
					t.Errorf("got %q, want %q", r, tt.want)
				}
			})
		})
	}
}

// A key set with entries of several clouds has keys of this one only (IdentityModel's
// IDX40012).
func TestKeysOfAnotherCloud(t *testing.T) {
	for cloud, want := range map[string]guard.Reason{
		"": "", "microsoftonline.com": "", "microsoftonline.us": guard.KeyMismatch,
	} {
		a := newAuthority("https://authority.test")
		a.publish(token.Key{ID: "trusted", Public: trustedKey().Public(), CloudInstance: cloud}, token.Key{ID: "other", Public: spareKey().Public()})
		a.fail(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/keys") {
				return false
			}
			_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":"https://authority.test/%s/discovery/keys","cloud_instance_name":"microsoftonline.com"}`, a.v2, tenant)
			return true
		})
		if r := reason(newGuard(t, a.single()), a.token(t)); r != want {
			t.Errorf("%q: got %q, want %q", cloud, r, want)
		}
	}
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// rsaEntry is an entry of that kid and key.
func rsaEntry(t *testing.T, kid string, key *rsa.PrivateKey) string {
	text := document(t, token.Key{ID: kid, Public: key.Public()})
	return strings.TrimSuffix(strings.TrimPrefix(text, `{"keys":[`), "]}")
}
