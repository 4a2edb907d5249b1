package clientauth

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A mutant is an assertion that was right before its claims, its header or its text were changed.
// Each change alone makes it wrong, and none takes back another.
type mutant struct {
	*rand.Rand
	b              *bench
	federated      bool
	header, claims object
	key            int    // that signs; 0 is the right one
	mac            []byte // the secret that signs in its place
	twice          string // the claim that is there a second time
	alg            string // of the signature, whatever the header says; empty: the header's
	changes        []string
}

// insert puts one character into a text that no comparison overlooks.
func (m *mutant) insert(v any) string {
	s := fmt.Sprint(v)
	const foreign = "aZ0-_.:;#%@|~ \t\x00\u0430\u0131\u200b\ufeff'\"\\"
	runes, all := []rune(s), []rune(foreign)
	at := m.IntN(len(runes) + 1)
	return string(runes[:at]) + string(all[m.IntN(len(all))]) + string(runes[at:])
}

// changeClaims makes one change to the claims.
func (m *mutant) changeClaims() string {
	now := m.b.clock.Now()
	late := 301 + m.Int64N(1_000_000)
	switch m.IntN(9) {
	case 8:
		m.twice = []string{"iss", "sub", "aud", "exp"}[m.IntN(4)]
		return m.twice + " twice"
	case 0:
		name := []string{"iss", "sub"}[m.IntN(2)]
		m.claims = m.claims.with(object{name: m.insert(m.claims[name])})
		return name
	case 1:
		if m.federated {
			m.claims = m.claims.with(object{"aud": []string{m.insert(exchangeAudience)}})
		} else {
			m.claims = m.claims.with(object{"aud": m.insert(assertionAudience)})
		}
		return "aud"
	case 2:
		m.claims = m.claims.with(object{"exp": now.Unix() - late, "nbf": nil, "iat": nil})
		return "expired"
	case 3:
		m.claims = m.claims.with(object{"nbf": now.Unix() + late})
		return "not yet valid"
	case 4:
		name := []string{"iss", "sub", "aud", "exp"}[m.IntN(4)]
		m.claims = m.claims.with(object{name: nil})
		return "no " + name
	case 5:
		name := []string{"iss", "sub", "exp"}[m.IntN(3)]
		m.claims = m.claims.with(object{name: []any{jsonNull{}, true, object{}, []int{1}, []string{"x"}, "x y", -1}[m.IntN(7)]})
		return "another type of " + name
	case 6:
		m.claims = m.claims.with(object{"aud": []any{jsonNull{}, true, object{}, []int{1}, []string{}, 7, ""}[m.IntN(7)]})
		return "another type of aud"
	}
	m.claims = m.claims.with(object{"exp": now.Add(366*24*time.Hour).Unix() + late, "iat": now.Unix()})
	return "a life of years"
}

// changeHeader makes one change to the header, or to the key that signs.
func (m *mutant) changeHeader() string {
	switch m.IntN(6) {
	case 4:
		m.key = 1 + m.IntN(len(m.b.keys)-1)
		stranger := &m.b.keys[m.key].PublicKey
		name := []string{"jwk", "jku", "x5u", "x5c"}[m.IntN(4)]
		m.header = m.header.with(object{name: map[string]any{
			"jwk": token.Key{ID: "k1", Use: "sig", KeyType: "RSA", Public: stranger}.JWK(), "jku": keysURL(otherIssuer), "x5u": "https://evil.test/key.pem",
			"x5c": []string{base64.StdEncoding.EncodeToString(m.b.other.Certificates[0].DER)},
		}[name]})
		return "another key, which " + name + " names"
	case 5:
		m.alg = []string{"HS256", "HS384", "HS512"}[m.IntN(3)]
		m.header = m.header.with(object{"alg": m.alg})
		public := m.b.keys[0].Public()
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			m.b.t.Fatal(err)
		}
		m.mac = [][]byte{der, m.b.app.Certificates[0].DER, []byte(m.b.app.Certificates[0].SHA256), m.b.keys[0].N.Bytes(), {}, []byte("secret")}[m.IntN(6)]
		return "a public key as a secret"
	case 0:
		m.key = 1 + m.IntN(len(m.b.keys)-1)
		return "another key"
	case 1:
		m.alg = "RS256"
		m.header = m.header.with(object{"alg": []any{"none", "None", "HS256", "RS384", "RS512", "ES256", "PS384", "rs256", "RS256 ", "", jsonNull{}, 256, []string{"RS256"}}[m.IntN(13)]})
		return "alg"
	case 2:
		name := "kid"
		if !m.federated {
			name = "x5t#S256"
		}
		m.header = m.header.with(object{name: m.insert(m.header[name])})
		return name
	}
	name := []string{"crit", "b64", "zip"}[m.IntN(3)]
	m.header = m.header.with(object{name: []any{[]string{"exp"}, false, "DEF"}[m.IntN(3)], "crit": []string{"b64"}})
	return name
}

// changeText changes the text of the signed assertion.
func (m *mutant) changeText(raw string) (string, string) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at := m.IntN(len(raw))
	switch m.IntN(4) {
	case 0:
		for raw[at] == '.' {
			at = m.IntN(len(raw))
		}
		letter := raw[at]
		for letter == raw[at] {
			letter = alphabet[m.IntN(len(alphabet))]
		}
		return raw[:at] + string(letter) + raw[at+1:], "another letter"
	case 1:
		return raw[:at], "cut off"
	case 2:
		return raw + []string{".", ".x", ".." + raw, " .", "\x00"}[m.IntN(5)], "more parts"
	}
	parts := strings.Split(raw, ".")
	i := m.IntN(3)
	parts[i] = []string{"", base64.StdEncoding.EncodeToString([]byte("{}")), "!", parts[(i+1)%3]}[m.IntN(4)]
	return strings.Join(parts, "."), "another part"
}

// make changes a right assertion in one to three ways.
func (m *mutant) make() string {
	for range 1 + m.IntN(2)*m.IntN(3) { // most often once, so that the last check has its turn too
		if m.IntN(3) == 0 {
			m.changes = append(m.changes, m.changeHeader())
		} else {
			m.changes = append(m.changes, m.changeClaims())
		}
	}
	claims, err := json.Marshal(m.claims)
	if err != nil {
		m.b.t.Fatal(err)
	}
	if m.twice != "" { // as it was, first or last
		right := m.b.claims()
		if m.federated {
			right = m.b.federatedClaims()
		}
		again, err := json.Marshal(right[m.twice])
		if err != nil {
			m.b.t.Fatal(err)
		}
		name, _ := json.Marshal(m.twice) // a text
		if _, there := m.claims[m.twice]; !there {
			claims = append(claims[:len(claims)-1:len(claims)-1], fmt.Sprintf(",%s:null}", name)...)
		}
		member := fmt.Sprintf("%s:%s", name, again)
		if m.IntN(2) == 0 {
			claims = fmt.Appendf(nil, "{%s,%s", member, claims[1:])
		} else {
			claims = fmt.Appendf(nil, "%s,%s}", claims[:len(claims)-1], member)
		}
	}
	signed := segment(m.b.t, m.header) + "." + segment(m.b.t, string(claims))
	alg := m.alg
	if alg == "" {
		alg, _ = m.header["alg"].(string)
	}
	var key crypto.PrivateKey = m.b.keys[m.key]
	if m.mac != nil {
		key = m.mac
	}
	raw := signed + "." + base64.RawURLEncoding.EncodeToString(signature(m.b.t, alg, signed, key))
	if m.IntN(4) == 0 {
		var how string
		raw, how = m.changeText(raw)
		m.changes = append(m.changes, how)
	}
	return raw
}

// Assertions that are wrong in one way or in several are refused, whatever they prove otherwise:
// half of them are of a client's own certificate, half of a federated issuer. ROLECALL_ATTACKS
// says how many, when it shall be more than a few.
func TestMutantsAreRefused(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	b, _ := federatedBench(t)
	forged := fixture.Rounds(t, fixture.Attacks, 300)
	codes := map[int]int{}
	for i := range forged {
		m := &mutant{Rand: random, b: b, header: b.header(), claims: b.claims()}
		if m.federated = i%2 == 1; m.federated {
			m.header, m.claims = b.federatedHeader(), b.federatedClaims()
		}
		raw := m.make()
		_, p := b.verify(raw, testids.Client)
		if p == nil || p.Status < 400 || p.Status >= 500 {
			t.Fatalf("seed %d, mutant %d (federated: %t), %s: %s", seed, i, m.federated, strings.Join(m.changes, ", "), outcome(p))
		}
		codes[p.Code]++
		if i%100 == 0 { // what they were made of is right
			for _, good := range []string{b.good(), b.federated()} {
				if _, p := b.verify(good, testids.Client); p != nil {
					t.Fatalf("the right one: %v", p)
				}
			}
		}
	}
	t.Logf("-seed %d: of %d assertions none was accepted; refused by %v", seed, forged, codes)
}

func outcome(p error) string {
	if p == nil {
		return "accepted"
	}
	return fmt.Sprint(p)
}
