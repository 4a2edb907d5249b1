package authority

import (
	"strings"
	"sync"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// webCode gets an authorization code for the confidential client; the browser's user has
// consented, or does now.
func (b *browser) webCode(asks values) string {
	b.t.Helper()
	r := b.open(authorizeV2Path, asks)
	if strings.Contains(r.Body.String(), `name="password"`) {
		r = b.signIn(testUser)
	}
	if r.Header().Get("Location") == "" {
		r = b.allow()
	}
	return r.landed(webRedirect + "?").Get("code")
}

// Each kind of challenge with each verifier: a code is worth a token with the one verifier
// that the challenge was made of, and nothing any more after one that was wrong (A14).
func TestChallengesAndVerifiers(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	other := w.browser()
	otherVerifier := strings.Repeat("o", 64)
	b.toolCode()
	verifiers := map[string]string{
		"right": testVerifier, "none": "", "the challenge": s256(testVerifier), "the challenge of the challenge": s256(s256(testVerifier)),
		"of another flow": otherVerifier, "the challenge of another flow": s256(otherVerifier),
		"longer": testVerifier + "A", "shorter": testVerifier[:42], "in capitals": strings.ToUpper(testVerifier), "padded": testVerifier + "=",
		"with a blank": testVerifier + " ", "too long": strings.Repeat("x", 129), "of other characters": testVerifier[:42] + "é",
	}
	challenges := map[string]struct {
		change      func(values) values
		right       []string // names of verifiers
		publicAlone bool     // how a public client's request ends: refused
	}{
		"S256":                {func(v values) values { return v }, []string{"right"}, false},
		"plain":               {func(v values) values { return v.set("code_challenge", testVerifier, "code_challenge_method", "plain") }, []string{"right"}, false},
		"no method":           {func(v values) values { return v.set("code_challenge", testVerifier).without("code_challenge_method") }, []string{"right"}, false},
		"S256 called plain":   {func(v values) values { return v.set("code_challenge_method", "plain") }, []string{"the challenge"}, false},
		"S256 called nothing": {func(v values) values { return v.without("code_challenge_method") }, []string{"the challenge"}, false},
		"none":                {func(v values) values { return v.without("code_challenge", "code_challenge_method") }, []string{"none"}, true},
	}
	type client struct {
		asks, redeems values
		code          func(asks values) string
	}
	clients := map[string]client{
		"public": {w.toolAsks(), w.toolRedeems(), func(asks values) string {
			if r := b.open(authorizeV2Path, asks); r.asked() {
				return b.confirm().landed("http://localhost:51234/?").Get("code")
			}
			return b.last.landed("http://localhost:51234/?").Get("code")
		}},
		"confidential": {w.webAsks(), w.webRedeems(), b.webCode},
	}
	cases := 0
	for challenge, c := range challenges {
		for kind, client := range clients {
			if kind == "public" && c.publicAlone {
				if code := client.code(c.change(client.asks)); code != "" {
					t.Errorf("%s, %s: there is a code", challenge, kind)
				}
				continue
			}
			for name, verifier := range verifiers {
				cases++
				t.Run(challenge+", "+kind+", verifier "+name, func(t *testing.T) {
					other.toolCode("code_challenge", s256(otherVerifier)) // at the same time
					form := client.redeems.set("code", client.code(c.change(client.asks)), "code_verifier", verifier)
					r := w.post(pathV2, form)
					r.t = t
					right := false
					for _, good := range c.right {
						right = right || name == good
					}
					if right {
						r.token()
						return
					}
					if r.Code != 400 || r.code() != 501481 {
						t.Errorf("got %d, %d: %v", r.Code, r.code(), r.json["error_description"])
					}
					again := w.post(pathV2, form.set("code_verifier", verifiers[c.right[0]]))
					again.t = t
					again.refused(400, "invalid_grant", 70008) // there is nothing left of it
				})
			}
		}
	}
	if want := 11 * len(verifiers); cases != want {
		t.Errorf("%d cases, want %d", cases, want)
	}
}

// A code is nobody's but its client's, and who else presents it does no harm (A14).
func TestCodeOfAnotherClient(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	b := w.browser()
	code := b.toolCode()
	for _, other := range append(w.moreTools(1), webApp, testAPI) {
		form := w.toolRedeems().set("code", code, "client_id", other)
		if other == webApp {
			form = form.set("client_secret", w.webSecret)
		}
		if r := w.post(pathV2, form); r.Code == 200 {
			t.Errorf("%s got a token", other)
		}
	}
	// Two flows of one browser, their codes and verifiers swapped.
	mine := strings.Repeat("m", 43)
	second := b.toolCode("code_challenge", s256(mine))
	third := b.toolCode("code_challenge", s256(mine))
	w.post(pathV2, w.toolRedeems().set("code", second)).refused(400, "invalid_grant", 501481)
	w.post(pathV2, w.toolRedeems().set("code", third, "code_verifier", mine)).token()
	w.post(pathV2, w.toolRedeems().set("code", code)).token()
}

// Of those who redeem a code at the same time one gets something at most, and the others
// take it back (A14).
func TestCodeRedeemedAtOnce(t *testing.T) {
	t.Parallel()
	store := &faultyStore{Store: memory.New()}
	w := newUserWorldOn(t, store)
	form := w.toolRedeems().set("code", w.browser().toolCode())
	w.atMostOne(store.atOnce(func() *reply { return w.post(pathV2, form) }))
}

// Refreshing at the same time is no theft: all get the same successor. Whoever comes with what
// was replaced later has a copy (A15).
func TestRefreshedAtOnce(t *testing.T) {
	t.Parallel()
	store := &faultyStore{Store: memory.New()}
	w := newUserWorldOn(t, store)
	form := values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": w.toolSigned().text("refresh_token")}
	replies := store.atOnce(func() *reply { return w.post(pathV2, form) })
	next := replies[0].text("refresh_token")
	for _, r := range replies {
		if r.Code != 200 || r.text("refresh_token") != next || next == "" {
			t.Errorf("one got %d and a successor of its own", r.Code)
		}
	}
	w.clock.Advance(records.RefreshAgain)
	w.post(pathV2, form).refused(400, "invalid_grant", 70000)
	w.post(pathV2, form.set("refresh_token", next)).refused(400, "invalid_grant", 700082)
}

// A device code is redeemed once, however many ask for it in the moment of its approval.
func TestDeviceCodeRedeemedAtOnce(t *testing.T) {
	t.Parallel()
	store := &faultyStore{Store: memory.New()}
	w := newUserWorldOn(t, store)
	started := w.deviceCode()
	w.browser().approve(started.text("user_code"), testUser, "continue")
	good := 0
	for _, r := range store.atOnce(func() *reply { return w.poll(started.text("device_code")) }) {
		if r.Code == 200 {
			good++
		}
	}
	if good != 1 {
		t.Errorf("%d got an answer, want one", good)
	}
}

// atOnce sends a request several times, each of which reads its ticket before any of them
// goes on.
func (s *faultyStore) atOnce(f func() *reply) []*reply {
	replies := make([]*reply, 5)
	s.met.Store(newMeeting(int32(len(replies))))
	defer s.met.Store(nil)
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() { replies[i] = f() })
	}
	all.Wait()
	return replies
}

// atMostOne wants one good answer at most, whose refresh token is worth nothing by now.
func (w *userWorld) atMostOne(replies []*reply) {
	w.t.Helper()
	good := 0
	for _, r := range replies {
		if r.Code != 200 {
			continue
		}
		good++
		again := w.post(pathV2, values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": r.text("refresh_token")})
		if again.Code == 200 {
			w.t.Error("what came of it still lives")
		}
	}
	if good > 1 {
		w.t.Errorf("%d got an answer, want one at most", good)
	}
	for _, r := range replies {
		if r.Code != 200 && r.Code != 400 {
			w.t.Errorf("one got %d", r.Code)
		}
	}
}

// Whatever ends a sign-in ends its refresh tokens, the newest of a chain as well as those
// before (A15).
func TestRefreshAfterRevocation(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	refresh := func(raw string) *reply {
		return w.post(pathV2, values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": raw})
	}
	// Two sign-ins: one is stolen, and the other one goes on.
	b := w.browser()
	chain := []string{w.post(pathV2, w.toolRedeems().set("code", b.toolCode())).text("refresh_token")}
	untouched := w.post(pathV2, w.toolRedeems().set("code", b.toolCode())).text("refresh_token")
	for range 4 {
		chain = append(chain, refresh(chain[len(chain)-1]).text("refresh_token"))
	}
	w.clock.Advance(records.RefreshAgain)
	refresh(chain[1]).refused(400, "invalid_grant", 70000) // by the thief, or by who was robbed
	for i, raw := range chain {
		if r := refresh(raw); r.Code != 400 || r.code() != 700082 {
			t.Errorf("number %d of the chain: got %d, %d", i, r.Code, r.code())
		}
	}
	// As an access token's other uses: nothing is left to exchange.
	untouched = refresh(untouched).text("refresh_token")
	if untouched == "" {
		t.Error("another sign-in ended with it")
	}
	w.must(w.dir.DropFamily(t.Context(), testTenant, familyOfText(t, untouched)))
	refresh(untouched).refused(400, "invalid_grant", 700082)
}

func familyOfText(t *testing.T, raw string) string {
	t.Helper()
	v, ok := records.ParseOpaqueToken(records.KindRefresh, raw)
	if !ok {
		t.Fatal("no refresh token")
	}
	return v.FamilyID()
}
