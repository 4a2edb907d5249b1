package authority

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/revocation"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

const revocationsPath = "/" + testTenant + "/revocations"

// A told is an answer about revocations.
type told struct {
	Cursor int64
	Events []struct {
		Kind, Principal, Client, Role, Key string
		Before, Until                      int64
	}
}

// selfToken is a token for reading revocations.
func (w *world) selfToken(app directory.AppID) string {
	w.t.Helper()
	form := w.good().set("client_id", string(app), "client_secret", w.addSecret(app), "scope", directory.SelfAudience+"/.default")
	return w.post(pathV2, form).token()
}

func bearer(raw string) func(*http.Request) { return withHeader("Authorization", "Bearer "+raw) }

// told reads what a reader is told.
func (r *reply) told() told {
	r.t.Helper()
	var all told
	if err := json.Unmarshal(r.Body.Bytes(), &all); err != nil || r.Code != http.StatusOK {
		r.t.Fatalf("got %d: %s", r.Code, r.Body)
	}
	return all
}

func TestRevocationsForAPIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	orders, legacy := w.selfToken(testAPI), w.selfToken(legacyAPI)
	first := w.get(revocationsPath, bearer(orders)).told()
	if len(first.Events) != 0 || first.Cursor == 0 {
		t.Fatalf("at first: %+v", first)
	}
	w.edit(func(e *directory.Editor) error {
		return e.Assignments().Remove(testTenant, principalID(testClient), principalID(testAPI), "40000001-5a5a-4c4c-8d8d-000000000001")
	})
	w.editPrincipal(publicApp, func(p *directory.ServicePrincipal) { p.Enabled = false })
	w.must(w.keys.Revoke(t.Context(), testTenant, audit.Actor{Kind: "operator", Name: "test"}, w.signer(), "stolen"))

	all := w.get(revocationsPath+"?since="+itoa(first.Cursor), bearer(orders)).told()
	if len(all.Events) != 3 || all.Cursor <= first.Cursor {
		t.Fatalf("got %+v", all)
	}
	role, principal, key := all.Events[0], all.Events[1], all.Events[2]
	if role.Kind != "assignment" || role.Principal != string(principalID(testClient)) || role.Role != "Orders.Read" {
		t.Errorf("got %+v", role)
	}
	if principal.Kind != "principal" || principal.Principal != string(principalID(publicApp)) || principal.Client != publicApp {
		t.Errorf("got %+v", principal)
	}
	if key.Kind != "key" || key.Key == "" {
		t.Errorf("got %+v", key)
	}
	if now := w.clock.Now().Unix(); role.Before < now+2 || role.Before > now+3 || role.Until < now+int64(issuance.MaxLifetime/time.Second) {
		t.Errorf("it is %d: got %+v", now, role)
	}
	if other := w.get(revocationsPath+"?since="+itoa(first.Cursor), bearer(legacy)).told(); len(other.Events) != 2 {
		t.Errorf("another API is told what concerns orders alone: %+v", other)
	}
}

func itoa(n int64) string { b, _ := json.Marshal(n); return string(b) }

// signer is the id of the key that signs.
func (w *world) signer() string {
	w.t.Helper()
	signer, err := w.keys.Signer(w.t.Context(), testTenant)
	w.must(err)
	return signer.KeyID()
}

// Only an application reads revocations, with a token of its own for that, in its own tenant,
// while it is enabled.
func TestRevocationsForNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.selfToken(testAPI)
	for name, option := range map[string]func(*http.Request){
		"no token":                  func(*http.Request) {},
		"a secret":                  withHeader("Authorization", basic(testClient+":"+w.secret)),
		"a token for the API":       bearer(w.post(pathV2, w.good()).token()),
		"a token that was changed":  bearer(good[:len(good)-8] + "AAAAAAAA"),
		"one of a managed identity": bearer(w.identityToken()),
	} {
		t.Run(name, func(t *testing.T) {
			r := w.get(revocationsPath, option)
			r.t = t
			r.refused(401, "invalid_token", 50013)
		})
	}
	w.get(revocationsPath, bearer(w.selfToken(testClient))).refused(403, "access_denied", 0)
	w.get("/"+otherOne+"/revocations", bearer(good)).refused(401, "invalid_token", 50013)
	for _, since := range []string{"x", "-1", "1.5", "99999999999999999999"} {
		w.get(revocationsPath+"?since="+since, bearer(good)).refused(400, "invalid_request", 0)
	}
	w.post(revocationsPath, values{}, bearer(good)).refused(405, "invalid_request", 900561)
	w.editPrincipal(testAPI, func(p *directory.ServicePrincipal) { p.Enabled = false })
	w.get(revocationsPath, bearer(good)).refused(401, "invalid_token", 50013)
}

// identityToken is a managed identity's token for Rolecall itself.
func (w *world) identityToken() string {
	w.t.Helper()
	identity := w.addIdentity(directory.IdentitySystem)
	minted, err := w.Mint(w.t.Context(), issuance.MintRequest{Tenant: testTenant, Identity: identity.AppID, Resource: directory.SelfAudience})
	w.must(err)
	return minted.Token
}

// A request is held until there is something to tell, for so long and no longer.
func TestRevocationsHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOn(t, memory.New())
		defer w.revoked.Close()
		orders := w.selfToken(testAPI)
		cursor := w.get(revocationsPath, bearer(orders)).told().Cursor
		ask := func(ctx context.Context) (all told, took time.Duration) {
			began := time.Now()
			all = w.get(revocationsPath+"?since="+itoa(cursor), bearer(orders), func(r *http.Request) { *r = *r.WithContext(ctx) }).told()
			return all, time.Since(began)
		}
		if all, took := ask(t.Context()); took != revocation.Hold || len(all.Events) != 0 {
			t.Errorf("nothing happened: after %v %+v", took, all)
		}
		time.AfterFunc(3*time.Second, func() { // what concerns another API wakes nobody
			w.edit(func(e *directory.Editor) error {
				return e.Assignments().Remove(testTenant, principalID(testClient), principalID(legacyAPI), "40000003-5a5a-4c4c-8d8d-000000000003")
			})
		})
		time.AfterFunc(7*time.Second, func() { w.editPrincipal(testClient, func(p *directory.ServicePrincipal) { p.Enabled = false }) })
		if all, took := ask(t.Context()); took != 7*time.Second || len(all.Events) != 1 || all.Cursor <= cursor {
			t.Errorf("after %v %+v", took, all)
		} else {
			cursor = all.Cursor
		}
		gone, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		if _, took := ask(gone); took != time.Second {
			t.Errorf("whoever left is held for %v", took)
		}
		time.AfterFunc(2*time.Second, w.Release)
		if all, took := ask(t.Context()); took != 2*time.Second || len(all.Events) != 0 {
			t.Errorf("when the server stops: after %v %+v", took, all)
		}
		if _, took := ask(t.Context()); took != 0 {
			t.Errorf("a server that stops holds for %v", took)
		}
	})
}

// No reader takes all connections: what it asks beyond its share is answered at once.
func TestRevocationsHoldSoManyAndNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOn(t, memory.New())
		defer w.revoked.Close()
		orders, legacy := w.selfToken(testAPI), w.selfToken(legacyAPI)
		cursor := itoa(w.get(revocationsPath, bearer(orders)).told().Cursor)
		ask := func(raw string) time.Duration {
			began := time.Now()
			w.get(revocationsPath+"?since="+cursor, bearer(raw)).told()
			return time.Since(began)
		}
		var held sync.WaitGroup
		for range revocation.MaxHeldByReader {
			held.Go(func() { ask(orders) })
		}
		synctest.Wait()
		if took := ask(orders); took != 0 {
			t.Errorf("one more is held for %v", took)
		}
		if took := ask(legacy); took != revocation.Hold {
			t.Errorf("another reader is held for %v", took)
		}
		held.Wait()
		if took := ask(orders); took != revocation.Hold {
			t.Errorf("afterwards, one is held for %v", took)
		}
	})
}

// Whoever is enabled again gets tokens that are newer than the cut-off, although tokens say
// that they are older than they are; and no token of before is as new, whatever was asked for.
func TestTokensAfterARevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	iat := func(v values) float64 {
		_, claims := w.judge(w.post(pathV2, v).token(), keysV2Path)
		if claims["nbf"] != claims["iat"] {
			t.Errorf("nbf is %v, iat %v", claims["nbf"], claims["iat"])
		}
		return claims["iat"].(float64)
	}
	now := float64(w.clock.Now().Unix())
	usual := iat(w.good())
	newest := iat(w.good().set("claims", `{"access_token":{"nbf":{"essential":true,"value":"`+itoa(w.clock.Now().Unix()+1000)+`"}}}`))
	if usual != now-300 || newest != now {
		t.Fatalf("it is %v: iat is %v, and %v where it was asked for", now, usual, newest)
	}
	w.editPrincipal(testClient, func(p *directory.ServicePrincipal) { p.Enabled = false })
	w.editPrincipal(testClient, func(p *directory.ServicePrincipal) { p.Enabled = true })
	all, _, err := w.dir.Revocations().Since(t.Context(), testTenant, 0)
	w.must(err)
	before := float64(all[0].Before.Unix())
	if newest >= before {
		t.Errorf("a token of before counts: iat %v, cut-off %v", newest, before)
	}
	w.clock.Advance(3 * time.Second) // a token of the moments before begins a little later
	if at := iat(w.good()); at < before {
		t.Errorf("a token of after counts no more: iat %v, cut-off %v", at, before)
	}
	w.clock.Advance(time.Hour)
	if at := iat(w.good()); at != now+3603-300 {
		t.Errorf("an hour later: iat %v", at)
	}
}
