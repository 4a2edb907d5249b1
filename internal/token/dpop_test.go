package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// The examples of RFC 9449: the proof of a token request (figure 2), that of a request to a
// resource (figure 13), and their key's thumbprint (figure 9).
const (
	exampleHeader     = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
	exampleTokenProof = exampleHeader + ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ" +
		".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	exampleResourceProof = exampleHeader + ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9" +
		".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	exampleThumbprint  = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	exampleAccessToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
)

func TestProofsOfTheStandard(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte(exampleAccessToken))
	for _, tt := range []struct {
		raw  string
		want Proof
	}{
		{exampleTokenProof, Proof{ID: "-BwC3ESc6acc2lTc", Method: "POST", URL: "https://server.example.com/token", IssuedAt: 1562262616}},
		{exampleResourceProof, Proof{ID: "e1j3V_bKic8-LAEB", Method: "GET", URL: "https://resource.example.org/protectedresource", IssuedAt: 1562262618, Hash: base64.RawURLEncoding.EncodeToString(sum[:])}},
	} {
		p, err := ParseProof(tt.raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Verify(); err != nil {
			t.Error(err)
		}
		if p.Thumbprint != exampleThumbprint || p.ID != tt.want.ID || p.Method != tt.want.Method || p.URL != tt.want.URL || p.IssuedAt != tt.want.IssuedAt || p.Hash != tt.want.Hash || p.Nonce != "" {
			t.Errorf("got %+v", p)
		}
		changed := []byte(tt.raw)
		changed[len(changed)-5] ^= 1
		if p, err := ParseProof(string(changed)); err == nil && p.Verify() == nil {
			t.Error("a changed signature is taken")
		}
	}
}

// proofOf signs a header and claims with a key of P-256.
func proofOf(t *testing.T, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func TestProofsThatAreRefused(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(Key{Public: key.Public()}.JWK())
	if err != nil {
		t.Fatal(err)
	}
	public := string(jwk)
	private := strings.Replace(public, "{", `{"d":"AAAA",`, 1)
	header := func(more string) string { return `{"typ":"dpop+jwt","alg":"ES256","jwk":` + public + more + `}` }
	const claims = `{"jti":"1","htm":"GET","htu":"https://api.test/orders","iat":1562262616}`
	good := proofOf(t, key, header(""), claims)
	if p, err := ParseProof(good); err != nil || p.Verify() != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"no typ":            proofOf(t, key, `{"alg":"ES256","jwk":`+public+`}`, claims),
		"typ JWT":           proofOf(t, key, `{"typ":"JWT","alg":"ES256","jwk":`+public+`}`, claims),
		"typ a number":      proofOf(t, key, `{"typ":1,"alg":"ES256","jwk":`+public+`}`, claims),
		"alg none":          proofOf(t, key, `{"typ":"dpop+jwt","alg":"none","jwk":`+public+`}`, claims),
		"alg HS256":         proofOf(t, key, `{"typ":"dpop+jwt","alg":"HS256","jwk":`+public+`}`, claims),
		"alg of others":     proofOf(t, key, `{"typ":"dpop+jwt","alg":"RS256","jwk":`+public+`}`, claims),
		"no jwk":            proofOf(t, key, `{"typ":"dpop+jwt","alg":"ES256"}`, claims),
		"a private jwk":     proofOf(t, key, `{"typ":"dpop+jwt","alg":"ES256","jwk":`+private+`}`, claims),
		"a symmetric jwk":   proofOf(t, key, `{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"oct","k":"AAAA"}}`, claims),
		"a jwk twice":       proofOf(t, key, header(`,"jwk":{}`), claims),
		"jwk in capitals":   proofOf(t, key, header(`,"JWK":{}`), claims),
		"for encryption":    proofOf(t, key, `{"typ":"dpop+jwt","alg":"ES256","jwk":`+strings.Replace(public, "{", `{"use":"enc",`, 1)+`}`, claims),
		"crit":              proofOf(t, key, header(`,"crit":["exp"]`), claims),
		"jku":               proofOf(t, key, header(`,"jku":"https://evil.test"`), claims),
		"x5c":               proofOf(t, key, header(`,"x5c":[]`), claims),
		"b64":               proofOf(t, key, header(`,"b64":false`), claims),
		"no jti":            proofOf(t, key, header(""), `{"htm":"GET","htu":"https://api.test/orders","iat":1562262616}`),
		"an empty jti":      proofOf(t, key, header(""), `{"jti":"","htm":"GET","htu":"https://api.test/orders","iat":1562262616}`),
		"a long jti":        proofOf(t, key, header(""), `{"jti":"`+strings.Repeat("j", 2049)+`","htm":"GET","htu":"https://api.test/orders","iat":1562262616}`),
		"htm a list":        proofOf(t, key, header(""), `{"jti":"1","htm":["GET"],"htu":"https://api.test/orders","iat":1562262616}`),
		"no htu":            proofOf(t, key, header(""), `{"jti":"1","htm":"GET","iat":1562262616}`),
		"no iat":            proofOf(t, key, header(""), `{"jti":"1","htm":"GET","htu":"https://api.test/orders"}`),
		"iat a text":        proofOf(t, key, header(""), `{"jti":"1","htm":"GET","htu":"https://api.test/orders","iat":"1562262616"}`),
		"iat a fraction":    proofOf(t, key, header(""), `{"jti":"1","htm":"GET","htu":"https://api.test/orders","iat":1562262616.5}`),
		"ath a number":      proofOf(t, key, header(""), `{"jti":"1","htm":"GET","htu":"https://api.test/orders","iat":1562262616,"ath":1}`),
		"nonce null":        proofOf(t, key, header(""), `{"jti":"1","htm":"GET","htu":"https://api.test/orders","iat":1562262616,"nonce":null}`),
		"iat twice":         proofOf(t, key, header(""), `{"jti":"1","htm":"GET","htu":"https://api.test/orders","iat":1,"iat":1562262616}`),
		"two parts":         good[:strings.LastIndexByte(good, '.')],
		"five parts":        good + ".a.b",
		"padded":            good + "=",
		"nothing":           "",
		"longer than 8 KiB": good + strings.Repeat("A", MaxProofSize),
	} {
		if p, err := ParseProof(raw); err == nil {
			t.Errorf("%s: taken: %+v", name, p)
		}
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := ParseProof(proofOf(t, stranger, header(""), claims)); err != nil || p.Verify() == nil {
		t.Errorf("another's signature is taken (%v)", err)
	}
}

func TestProofsByEdDSA(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(Key{Public: public}.JWK())
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"typ":"dpop+jwt","alg":"EdDSA","jwk":`+string(jwk)+`}`)) + "." + encode([]byte(`{"jti":"1","htm":"GET","htu":"https://api.test/orders","iat":1562262616}`))
	raw := signed + "." + encode(ed25519.Sign(private, []byte(signed)))
	if p, err := ParseProof(raw); err != nil || p.Verify() != nil {
		t.Error(err)
	}
}

func TestProofIsForARequest(t *testing.T) {
	t.Parallel()
	origins := []string{"https://api.test", "http://localhost:8080"}
	for _, tt := range []struct {
		method, htu, path string
		want              bool
	}{
		{"GET", "https://api.test/orders", "/orders", true},
		{"GET", "HTTPS://API.test:443/orders", "/orders", true},
		{"GET", "https://api.test/orders?a=b#c", "/orders", true},
		{"GET", "https://api.test", "/", true},
		{"GET", "https://api.test/", "", true},
		{"GET", "http://localhost:8080/orders", "/orders", true},
		{"GET", "https://api.test/%6frders", "/orders", true},
		{"GET", "https://api.test/a%2fb", "/a%2Fb", true},
		{"POST", "https://api.test/orders", "/orders", false},
		{"get", "https://api.test/orders", "/orders", false},
		{"GET", "http://api.test/orders", "/orders", false},
		{"GET", "https://api.test:8443/orders", "/orders", false},
		{"GET", "https://api.test.evil/orders", "/orders", false},
		{"GET", "https://user@api.test/orders", "/orders", false},
		{"GET", "https://api.test/orders/", "/orders", false},
		{"GET", "https://api.test/Orders", "/orders", false},
		{"GET", "https://api.test/a%2fb", "/a/b", false},
		{"GET", "https://api.test/a/../orders", "/orders", false},
		{"GET", "//api.test/orders", "/orders", false},
		{"GET", "/orders", "/orders", false},
		{"GET", "https:api.test/orders", "/orders", false},
		{"GET", "https://api.test/%zz", "/%zz", false},
	} {
		p := &Proof{Method: tt.method, URL: tt.htu}
		if got := p.IsFor("GET", origins, tt.path); got != tt.want {
			t.Errorf("%s %s for GET %s: %t", tt.method, tt.htu, tt.path, got)
		}
	}
}

// FuzzParseProof reads any text as a proof. What can be read has all that is required, and only
// a signature makes it count.
func FuzzParseProof(f *testing.F) {
	for _, seed := range []string{exampleTokenProof, exampleResourceProof, exampleHeader + ".e30.AA", "..", ""} {
		f.Add(seed, "/token")
	}
	f.Fuzz(func(t *testing.T, raw, path string) {
		p, err := ParseProof(raw)
		if err != nil {
			return
		}
		if p.ID == "" || p.Method == "" || p.URL == "" || p.IssuedAt <= 0 || len(p.Thumbprint) != 43 {
			t.Errorf("got %+v", p)
		}
		if p.Verify() == nil && raw != exampleTokenProof && raw != exampleResourceProof && strings.HasPrefix(raw, exampleHeader+".") {
			// Of ECDSA there is a second signature of the same text, and no other.
			if signed := raw[:strings.LastIndexByte(raw, '.')]; !strings.HasPrefix(exampleTokenProof, signed) && !strings.HasPrefix(exampleResourceProof, signed) {
				t.Error("somebody has forged a proof")
			}
		}
		p.IsFor("GET", []string{"https://api.test"}, path)
		if normalPath(normalPath(path)) != normalPath(path) {
			t.Errorf("the normal form of %q has another", path)
		}
	})
}
