package clientauth

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// What each client library sends, as far as it differs from the others.
func TestAssertionsOfClientLibraries(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cert := b.app.Certificates[0]
	raw := func(thumbprint string) []byte {
		sum, err := base64.RawURLEncoding.DecodeString(thumbprint)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	one, two := raw(cert.SHA1), raw(cert.SHA256)
	chain := base64.StdEncoding.EncodeToString(cert.DER)
	now := b.clock.Now().Unix()
	seconds := func(s int64) string { return fmt.Sprint(now + s) }
	for _, tt := range []struct {
		name           string
		header, claims object
		clientID       string
	}{
		{"MSAL Go", object{"x5t#S256": base64.StdEncoding.EncodeToString(two)}, nil, testids.Client},
		{"MSAL Go with chain", object{"x5c": []string{chain, chain, chain}}, nil, testids.Client},
		{"MSAL Node, SHA-256", object{"x5t#S256": cert.SHA256}, object{"iat": now}, testids.Client},
		{"MSAL Node, SHA-1", object{"alg": "RS256", "x5t#S256": nil, "x5t": cert.SHA1}, object{"iat": now}, testids.Client},
		{"MSAL Node, clock rounded up", nil, object{"nbf": now + 1, "iat": now + 1}, testids.Client},
		{"MSAL Python", object{"alg": "RS256", "x5t#S256": nil, "x5t": base64.URLEncoding.EncodeToString(one)},
			object{"nbf": nil, "exp": float64(now) + 600.7338, "iat": float64(now) + 0.7338}, testids.Client},
		{"MSAL .NET", object{"x5t#S256": cert.SHA256, "x5c": chain}, object{"nbf": seconds(0), "exp": seconds(600)}, testids.Client},
		{"MSAL .NET, SHA-1", object{"alg": "RS256", "x5t#S256": nil, "x5t": cert.SHA1}, object{"nbf": seconds(0), "exp": seconds(600)}, testids.Client},
		{"MSAL Java", object{"alg": "RS256", "x5t#S256": base64.StdEncoding.EncodeToString(two), "x5c": []string{chain}}, nil, testids.Client},
		{"MSAL Java, SHA-1", object{"alg": "RS256", "x5t#S256": nil, "x5t": base64.StdEncoding.EncodeToString(one)}, nil, testids.Client},
		{"ADAL Go", object{"alg": "RS256", "x5t#S256": nil, "x5t": base64.URLEncoding.EncodeToString(one), "x5c": []string{chain}},
			object{"exp": now + 86400, "aud": assertionAudience + "?api-version=1.0"}, testids.Client},
		{"ADAL Python", object{"alg": "RS256", "x5t#S256": nil, "x5t": base64.URLEncoding.EncodeToString(one)}, nil, testids.Client},
		{"HashiCorp's SDK", object{"alg": "RS256", "x5t#S256": nil, "kid": base64.URLEncoding.EncodeToString(one)}, nil, testids.Client},
		{"openid-client", object{"alg": "PS256", "x5t#S256": nil, "kid": cert.SHA1}, nil, testids.Client},
		{"a key id in hexadecimal besides", object{"alg": "RS256", "x5t#S256": nil, "x5t": cert.SHA1, "kid": hex.EncodeToString(one)}, nil, testids.Client},
		{"a key id of another certificate besides", object{"kid": b.other.Certificates[0].SHA1}, nil, testids.Client},
		{"a key id that is a number besides", object{"kid": 1}, nil, testids.Client},
		{"no client_id", nil, nil, ""},
		{"client_id in capitals", nil, nil, strings.ToUpper(testids.Client)},
		{"everything in capitals", nil, object{"iss": strings.ToUpper(testids.Client), "sub": strings.ToUpper(testids.Client)}, strings.ToUpper(testids.Client)},
		{"both thumbprints", object{"x5t": cert.SHA1}, nil, testids.Client},
		{"no typ", object{"typ": nil}, nil, testids.Client},
		{"key id besides", object{"kid": "anything"}, nil, testids.Client},
		{"issuer as audience", nil, object{"aud": testids.BaseURL + "/" + testids.Tenant + "/v2.0"}, testids.Client},
		{"audience in an array", nil, object{"aud": []string{assertionAudience}}, testids.Client},
		{"other claims", nil, object{"name": "x", "nested": object{"a": []int{1}}}, testids.Client},
		{"ends in the present minute", nil, object{"exp": now + 1}, testids.Client},
		{"expired within the skew", nil, object{"exp": now - 299, "nbf": now - 900}, testids.Client},
		{"begins within the skew", nil, object{"nbf": now + 300}, testids.Client},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := b.sign(b.header().with(tt.header), b.claims().with(tt.claims), b.keys[0])
			proven, p := b.verify(raw, tt.clientID)
			if p != nil {
				t.Fatalf("refused: %v (%v)", p, p.Cause)
			}
			if proven.Client.Application.AppID != testids.Client || proven.Credential != ByCertificate || proven.CredentialID != "current" || proven.replayed || proven.jti == "" {
				t.Errorf("proof is %+v", proven)
			}
		})
	}
}

// badThumbprints name no certificate, or not the one that signed.
func badThumbprints(b *bench) map[string]object {
	cert, foreign := b.app.Certificates[0], b.other.Certificates[0]
	cases := map[string]object{
		"none":                 {"x5t#S256": nil},
		"foreign":              {"x5t#S256": foreign.SHA256},
		"foreign SHA-1":        {"x5t#S256": nil, "x5t": foreign.SHA1},
		"right and foreign":    {"x5t": foreign.SHA1},
		"foreign and right":    {"x5t#S256": foreign.SHA256, "x5t": cert.SHA1},
		"SHA-1 as SHA-256":     {"x5t#S256": cert.SHA1},
		"SHA-256 as SHA-1":     {"x5t#S256": nil, "x5t": cert.SHA256},
		"right and unreadable": {"x5t": "?"},
		"foreign key id":       {"x5t#S256": nil, "kid": foreign.SHA1},
		"empty key id":         {"x5t#S256": nil, "kid": ""},
		"key id is a number":   {"x5t#S256": nil, "kid": 1},
		"key id is an array":   {"x5t#S256": nil, "kid": []string{cert.SHA1}},
		"key id in hex":        {"x5t#S256": nil, "kid": hexadecimal(cert.SHA1)},
		"key id is a name":     {"x5t#S256": nil, "kid": "current"},
		"key id by SHA-256":    {"x5t#S256": nil, "kid": cert.SHA256},
		"key id cut":           {"x5t#S256": nil, "kid": cert.SHA1[:26]},
		"key id after empty":   {"x5t#S256": "", "kid": cert.SHA1},
		"key id after foreign": {"x5t#S256": foreign.SHA256, "kid": cert.SHA1},
	}
	for name, value := range map[string]any{
		"empty": "", "blank": " " + cert.SHA256, "trailing blank": cert.SHA256 + " ", "newline": cert.SHA256[:42] + "\n" + cert.SHA256[42:],
		"cut": cert.SHA256[:42], "longer": cert.SHA256 + "A", "padding in front": "=" + cert.SHA256, "too much padding": cert.SHA256 + "==",
		"hex": strings.Repeat("ab", 32), "number": 1, "array": []string{cert.SHA256}, "object": object{"a": 1}, "true": true,
		"other alphabet": "!" + cert.SHA256[1:], "lower case": strings.ToLower(cert.SHA256), "zeros": strings.Repeat("A", 43),
	} {
		cases["value "+name] = object{"x5t#S256": value}
	}
	return cases
}

// badHeaders change what the header of a good assertion says, short of the thumbprint.
func badHeaders(b *bench) map[string]object {
	cases := map[string]object{
		"no alg": {"alg": nil}, "typ is a number": {"typ": 1},
		"jwk":         {"jwk": object{"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
		"jku":         {"jku": "https://evil.test/keys"},
		"x5u":         {"x5u": "https://evil.test/cert"},
		"crit":        {"crit": []string{"exp"}, "exp": 1},
		"empty crit":  {"crit": []string{}},
		"b64":         {"b64": false},
		"zip":         {"zip": "DEF"},
		"enc":         {"enc": "A256GCM"},
		"twin of alg": {"ALG": "none"},
		"twin of x5t": {"X5T": b.app.Certificates[0].SHA1},
		"deep":        {"a": object{"b": object{"c": object{"d": object{"e": 1}}}}},
		"large":       {"x5c": strings.Repeat("A", 13<<10)},
	}
	for _, alg := range []any{"none", "None", "NONE", "nOnE", "", "rs256", "ps256", "RS384", "RS512", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512", "RS1", "RSA-OAEP", "dir", "PS256 ", "RS256\x00", 256, true, []string{"RS256"}, object{"alg": "RS256"}} {
		cases[fmt.Sprintf("alg %q", fmt.Sprint(alg))] = object{"alg": alg}
	}
	return cases
}

// badClaims are refused although everything else is right, with their codes.
func badClaims(now int64) map[string]struct {
	change object
	code   int
} {
	type row = struct {
		change object
		code   int
	}
	cases := map[string]row{
		"sub of another":          {object{"sub": testids.Nobody}, 50048},
		"sub with a blank":        {object{"sub": testids.Client + " "}, 50048},
		"iss of another":          {object{"iss": testids.Nobody, "sub": testids.Nobody}, 700021},
		"iss in braces":           {object{"iss": "{" + testids.Client + "}", "sub": "{" + testids.Client + "}"}, 700211},
		"iss as a URN":            {object{"iss": "urn:uuid:" + testids.Client}, 700211},
		"iss is the tenant":       {object{"iss": testids.Tenant, "sub": testids.Tenant}, 700021},
		"iss is a URL":            {object{"iss": testids.BaseURL}, 700211},
		"no jti":                  {object{"jti": nil}, 50027},
		"empty jti":               {object{"jti": ""}, 50027},
		"jti is a number":         {object{"jti": 7}, 50027},
		"expires before it began": {object{"nbf": now + 200, "exp": now + 100}, 50027},
	}
	for _, name := range []string{"iss", "sub", "aud", "exp"} {
		cases["no "+name] = row{object{name: nil}, 50027}
		for kind, value := range map[string]any{"null": jsonNull{}, "true": true, "object": object{}, "empty array": []int{}, "array of numbers": []int{1}} {
			cases[name+" is "+kind] = row{object{name: value}, 50027}
		}
	}
	cases["iss is empty"], cases["sub is empty"] = row{object{"iss": ""}, 50027}, row{object{"sub": ""}, 50027}
	cases["twin of iss"], cases["twin of exp"] = row{object{"ISS": "x"}, 50027}, row{object{"Exp": 1}, 50027}
	for _, date := range []any{"", " ", "soon", "0x7fffffff", "1e10", "-1", "+1", "1 ", "١٢٣", "1.", ".5", "1.5.5", "NaN", "Infinity", "99999999999999", "2026-11-23T14:05:06Z", -1, 1e300, -0.5, []int64{now + 600}, true} {
		for _, name := range []string{"exp", "nbf", "iat"} {
			cases[fmt.Sprintf("%s is %v (%T)", name, date, date)] = row{object{name: date}, 50027}
		}
	}
	for name, change := range map[string]object{
		"expired by the skew": {"exp": now - 300}, "long expired": {"exp": now - 86400, "nbf": now - 90000}, "expired in 1970": {"exp": 0},
		"expired, as text": {"exp": fmt.Sprint(now - 300)}, "expired, with a fraction": {"exp": float64(now) - 300.5},
		"begins after the skew": {"nbf": now + 301}, "issued after the skew": {"iat": now + 301}, "begins tomorrow": {"nbf": now + 86400, "exp": now + 87000},
		"lives too long": {"exp": now + 86400 + 301}, "lives too long, no start": {"exp": now + 86400 + 301, "nbf": nil}, "lives for years": {"exp": now + 1e9},
		"lived too long": {"nbf": now - 86400, "exp": now + 301}, "lived too long since its issue": {"nbf": nil, "iat": now - 86400, "exp": now + 301},
		"milliseconds": {"exp": now * 1000 % 1e12},
	} {
		cases[name] = row{change, 700024}
	}
	for _, aud := range []any{
		"", " ", testids.Tenant, testids.Client, testids.API, "api://orders", "api://AzureADTokenExchange", testids.BaseURL, testids.BaseURL + "/", assertionAudience + "/", assertionAudience + " ", " " + assertionAudience,
		assertionAudience + "?", assertionAudience + "?api-version=2.0", assertionAudience + "#", assertionAudience + "x", assertionAudience[:len(assertionAudience)-1], strings.ToUpper(assertionAudience),
		strings.Replace(assertionAudience, "https:", "http:", 1), strings.Replace(assertionAudience, ":8443", "", 1), strings.Replace(assertionAudience, ":8443", ":443", 1), strings.Replace(assertionAudience, "contoso", "contosо", 1),
		strings.Replace(assertionAudience, testids.Tenant, testids.OtherTenant, 1), strings.Replace(assertionAudience, testids.Tenant, "common", 1), "https://login.microsoftonline.com/" + testids.Tenant + "/oauth2/v2.0/token", "https://evil.test/" + assertionAudience,
		[]string{"api://orders", assertionAudience}, []string{assertionAudience, "https://other.test"}, []string{assertionAudience, assertionAudience}, []string{""},
	} {
		code := 700023
		cases[fmt.Sprintf("aud is %v", aud)] = row{object{"aud": aud}, code}
	}
	return cases
}

// jsonNull is null in JSON, as opposed to a member that is left out.
type jsonNull struct{}

func (jsonNull) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

func TestForgedAssertionsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cases := 0
	check := func(name, raw, clientID string, codes ...int) {
		cases++
		t.Run(name, func(t *testing.T) { b.wantRefused(t, raw, clientID, codes...) })
	}
	for name, change := range badThumbprints(b) {
		check("thumbprint "+name, b.sign(b.header().with(change), b.claims(), b.keys[0]), testids.Client, 50027, 700027)
	}
	for name, change := range badHeaders(b) {
		check("header "+name, b.sign(b.header().with(change), b.claims(), b.keys[0]), testids.Client, 50027)
	}
	for name, tt := range badClaims(b.clock.Now().Unix()) {
		check("claim "+name, b.sign(b.header(), b.claims().with(tt.change), b.keys[0]), testids.Client, tt.code)
	}

	pkcs1 := b.header().with(object{"alg": "RS256"})
	check("key of another application", b.sign(b.header(), b.claims(), b.keys[1]), testids.Client, 700027)
	check("key of another application, RS256", b.sign(pkcs1, b.claims(), b.keys[1]), testids.Client, 700027)
	check("elliptic curve", b.sign(b.header(), b.claims(), newECKey(t)), testids.Client, 700027)
	check("certificate as HMAC key", b.sign(pkcs1, b.claims(), b.app.Certificates[0].DER), testids.Client, 700027)
	check("certificate as HMAC key, HS256", b.sign(b.header().with(object{"alg": "HS256"}), b.claims(), b.app.Certificates[0].DER), testids.Client, 50027)
	check("expired certificate", b.sign(b.header().with(object{"x5t#S256": b.app.Certificates[1].SHA256}), b.claims(), b.keys[0]), testids.Client, 700027)
	check("certificate offered in x5c", b.sign(b.header().with(object{"x5t#S256": b.other.Certificates[0].SHA256, "x5c": []string{base64.StdEncoding.EncodeToString(b.other.Certificates[0].DER)}}), b.claims(), b.keys[1]), testids.Client, 700027)
	check("another application's, with our client id", b.sign(b.header().with(object{"x5t#S256": b.other.Certificates[0].SHA256}), b.claims().with(object{"iss": testids.Nobody, "sub": testids.Nobody}), b.keys[1]), testids.Client, 700021)
	check("unknown application", b.sign(b.header(), b.claims().with(object{"iss": testids.API, "sub": testids.API}), b.keys[0]), "", 700016)
	check("our key, another client id", b.good(), testids.Nobody, 700021)
	check("not a GUID and no client id", b.sign(b.header(), b.claims().with(object{"iss": "me", "sub": "me"}), b.keys[0]), "", 900144)

	header, claims, sig := parts(b.good())
	other, _, otherSig := parts(b.sign(pkcs1, b.claims(), b.keys[0]))
	for name, raw := range map[string]string{
		"empty": "", "dots": "..", "one part": header, "two parts": header + "." + claims, "no signature": header + "." + claims + ".",
		"four parts": header + "." + claims + "." + sig + ".x", "five parts": header + "." + claims + "." + sig + ".x.y", "no header": "." + claims + "." + sig, "no claims": header + ".." + sig,
		"padded header": header + "====." + claims + "." + sig, "padded signature": header + "." + claims + "." + sig + "=", "padding too long": header + "." + claims + "." + sig + "======", "padding inside": header + "." + claims + "." + sig[:4] + "==" + sig[6:], "only padding": header + "." + claims + ".====", "padded claims": header + "." + claims + "====." + sig, "blank in front": " " + header + "." + claims + "." + sig, "newline behind": header + "." + claims + "." + sig + "\n",
		"not base64": header + "." + claims + ".***", "JSON": `{"protected":"` + header + `"}`, "not JSON": "AAAA." + claims + "." + sig, "too large": header + "." + strings.Repeat("A", 20<<10) + "." + sig,
		"array as claims": header + "." + segment(t, "[]") + "." + sig, "duplicate claim": header + "." + segment(t, `{"iss":"a","iss":"b"}`) + "." + sig, "bearer": "Bearer " + header + "." + claims + "." + sig,
	} {
		check("form "+name, raw, testids.Client, 50027)
	}
	padded := base64.URLEncoding.EncodeToString([]byte(`{"alg":"PS256","typ":"JWT","x5t#S256":"` + b.app.Certificates[0].SHA256 + `"} `))
	check("padding that was not signed", strings.TrimRight(padded, "=")+"."+claims+"."+sig, testids.Client, 700027)
	flipped := []byte(sig)
	flipped[40] ^= 1
	for name, raw := range map[string]string{
		"changed signature": header + "." + claims + "." + string(flipped), "cut signature": header + "." + claims + "." + sig[:len(sig)-4], "signature of another": header + "." + claims + "." + otherSig,
		"header of another": other + "." + claims + "." + sig, "short signature": header + "." + claims + ".AAAA", "zeros": header + "." + claims + "." + strings.Repeat("A", 342),
		"changed claims": header + "." + segment(t, b.claims()) + "." + sig,
	} {
		check(name, raw, testids.Client, 50027, 700027)
	}
	if cases < 249 { // the combined ones are in TestForgeriesAreRefused
		t.Errorf("%d forged assertions, want at least 249", cases)
	}
}

func parts(raw string) (header, claims, signature string) {
	p := strings.SplitN(raw, ".", 3)
	return p[0], p[1], p[2]
}

func TestAssertionOfRemovedCertificate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	raw := b.good()
	b.app.Certificates = b.app.Certificates[1:]
	b.wantRefused(t, raw, testids.Client, 700027)
}

func TestAssertionOfUnfitKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ec := newECKey(t)
	certificate := b.app.Certificates[0]
	template := selfSigned(t, ec, b.clock.Now())
	certificate.DER = template
	b.app.Certificates[0] = certificate
	b.wantRefused(t, b.good(), testids.Client, 700027)
	b.app.Certificates[0].DER = []byte("not a certificate")
	b.wantRefused(t, b.good(), testids.Client, 700027)
}

func TestCertificateNotYetValid(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	raw := func() string { return b.sign(b.header(), b.claims(), b.keys[0]) }
	b.clock.Advance(-24*time.Hour - assertionSkew)
	if _, p := b.verify(raw(), testids.Client); p != nil {
		t.Errorf("within the skew: %v", p)
	}
	b.clock.Advance(-time.Second)
	b.wantRefused(t, raw(), testids.Client, 700027)
}

// The registration may end a certificate before the certificate itself ends.
func TestRegistrationEndsBeforeTheCertificate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.app.Certificates[0].ValidUntil = b.clock.Now().Add(-time.Second)
	b.wantRefused(t, b.good(), testids.Client, 700027)
}

// No refusal repeats the assertion or a part of it.
func TestRefusalsDoNotRepeatTheAssertion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, change := range []object{{"aud": "x"}, {"exp": 1}, {"sub": "x"}, {"jti": 1}, {"iss": testids.Nobody, "sub": testids.Nobody}} {
		raw := b.sign(b.header(), b.claims().with(change), b.keys[0])
		_, p := b.verify(raw, testids.Client)
		if p == nil {
			t.Fatalf("%v: accepted", change)
		}
		text := fmt.Sprintf("%v %+v %v", p, p, p.Cause)
		for _, part := range strings.Split(raw, ".") {
			if strings.Contains(text, part[:12]) {
				t.Errorf("%v: the refusal repeats the assertion: %s", change, text)
			}
		}
	}
}

// Whatever the right key signs is accepted only if a plain reading of it agrees.
func FuzzAssertion(f *testing.F) {
	b := newBench(f)
	b.app.Federated = federatedCredentials("https://issuer.test", "orders", exchangeAudience)
	seed := func(header, claims object, clientID string) {
		h, c := segment(f, header), segment(f, claims)
		text := func(s string) string {
			raw, err := base64.RawURLEncoding.DecodeString(s)
			if err != nil {
				f.Fatal(err)
			}
			return string(raw)
		}
		f.Add(text(h), text(c), clientID)
	}
	header, claims := object{"alg": "PS256", "typ": "JWT", "x5t#S256": "{x5t#S256}"}, b.claims().with(object{"jti": "1"})
	seed(header, claims, testids.Client)
	seed(header, claims, "")
	seed(object{"alg": "RS256", "x5t": "{x5t}"}, claims.with(object{"nbf": nil, "exp": fmt.Sprint(b.clock.Now().Unix() + 60)}), testids.Client)
	for _, change := range badHeaders(b) {
		seed(header.with(change), claims, testids.Client)
	}
	for _, tt := range badClaims(b.clock.Now().Unix()) {
		seed(header, claims.with(tt.change), testids.Client)
	}
	seed(object{"alg": "RS256", "kid": "k"}, claims.with(object{"iss": "https://issuer.test", "sub": "orders", "aud": exchangeAudience}), testids.Client)
	cert := b.app.Certificates[0]
	thumbprints := strings.NewReplacer("{x5t}", cert.SHA1, "{x5t#S256}", cert.SHA256)
	f.Fuzz(func(t *testing.T, header, claims, clientID string) {
		header = thumbprints.Replace(header)
		alg := "RS256"
		if strings.Contains(header, "PS256") {
			alg = "PS256"
		}
		signed := segment(t, header) + "." + segment(t, claims)
		raw := signed + "." + base64.RawURLEncoding.EncodeToString(signature(t, alg, signed, b.keys[0]))
		_, p := b.verify(raw, clientID)
		if p == nil {
			plainReading(t, b, header, claims, clientID)
		} else if p.Code == 0 || p.Status < 400 || p.What == "" || p.Fix() == "" {
			t.Fatalf("incomplete problem %+v", p)
		}
	})
}

// plainReading checks an accepted assertion in the most obvious way there is.
func plainReading(t *testing.T, b *bench, header, claims, clientID string) {
	t.Helper()
	var h, c map[string]any
	if err := errors.Join(json.Unmarshal([]byte(header), &h), json.Unmarshal([]byte(claims), &c)); err != nil {
		t.Fatalf("accepted what is not JSON: %v", err)
	}
	if alg := h["alg"]; alg != "PS256" && alg != "RS256" {
		t.Fatalf("accepted alg %v", alg)
	}
	for _, name := range []string{"jwk", "jku", "x5u", "crit"} {
		if _, present := h[name]; present {
			t.Fatalf("accepted a header with %s", name)
		}
	}
	if !strings.EqualFold(fmt.Sprint(c["iss"]), testids.Client) || !strings.EqualFold(fmt.Sprint(c["sub"]), testids.Client) || clientID != "" && !strings.EqualFold(clientID, testids.Client) {
		t.Fatalf("accepted iss %v, sub %v for %q", c["iss"], c["sub"], clientID)
	}
	if list, ok := c["aud"].([]any); ok && len(list) == 1 {
		c["aud"] = list[0]
	}
	if aud, ok := c["aud"].(string); !ok || !slices.Contains(b.urls, aud) {
		t.Fatalf("accepted aud %v", c["aud"])
	}
	now := b.clock.Now()
	seconds, ok := c["exp"].(float64)
	var err error
	if !ok {
		seconds, err = strconv.ParseFloat(fmt.Sprint(c["exp"]), 64)
	}
	if end := time.Unix(int64(seconds), 0); err != nil || end.Before(now.Add(-assertionSkew)) || end.After(now.Add(25*time.Hour)) {
		t.Fatalf("accepted exp %v", c["exp"])
	}
	if jti, ok := c["jti"].(string); !ok || jti == "" {
		t.Fatalf("accepted jti %v", c["jti"])
	}
}

func BenchmarkAssertion(b *testing.B) {
	x := newBench(b)
	raw := x.good()
	b.ReportAllocs()
	for b.Loop() {
		if _, p := x.verify(raw, testids.Client); p != nil {
			b.Fatal(p)
		}
	}
}

// azure-identity for Python pads all three parts when it is used asynchronously. What was
// signed is the text that was sent.
func TestPaddedAssertions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	pad := func(s string) string { return s + strings.Repeat("=", -len(s)&3) }
	for blanks := range 3 { // each length that base64 can end in
		header := pad(segment(t, `{"alg":"RS256","typ":"JWT","x5t":"`+b.app.Certificates[0].SHA1+`"}`+strings.Repeat(" ", blanks)))
		encoded, err := json.Marshal(b.claims())
		if err != nil {
			t.Fatal(err)
		}
		signed := header + "." + pad(segment(t, string(encoded)+strings.Repeat(" ", blanks)))
		sig := base64.URLEncoding.EncodeToString(signature(t, "RS256", signed, b.keys[0]))
		if _, p := b.verify(signed+"."+sig, testids.Client); p != nil {
			t.Errorf("%s: %v", signed, p)
		}
		if bare := strings.ReplaceAll(signed, "=", ""); bare != signed {
			b.wantRefused(t, bare+"."+sig, testids.Client, 700027) // nobody signed that
		}
	}
}

// People compare thumbprints with what their certificate stores and openssl show.
func TestThumbprintsAreShownInHexadecimal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := func(c directory.Certificate) string { return hexadecimal(c.SHA1) }
	cert, foreign := b.app.Certificates[0], b.other.Certificates[0]
	if sum := sha1.Sum(cert.DER); one(cert) != strings.ToUpper(hex.EncodeToString(sum[:])) {
		t.Fatalf("it is %s", one(cert))
	}
	for _, tt := range []struct {
		name   string
		header object
		want   string
	}{
		{"unknown, by SHA-1", object{"x5t#S256": nil, "x5t": foreign.SHA1}, "'" + one(foreign) + "'"},
		{"unknown, by SHA-256", object{"x5t#S256": foreign.SHA256}, "'SHA-256 " + hexadecimal(foreign.SHA256) + "'"},
		{"unknown, by both", object{"x5t": foreign.SHA1, "x5t#S256": foreign.SHA256}, "'" + one(foreign) + ", SHA-256 " + hexadecimal(foreign.SHA256) + "'"},
		{"unknown, by key id", object{"x5t#S256": nil, "kid": foreign.SHA1}, "'" + one(foreign) + "'"},
		{"no thumbprint in the key id", object{"x5t#S256": nil, "kid": "name"}, "'name'"},
		{"another key signed", object{"x5t#S256": cert.SHA256}, "'" + one(cert) + ", SHA-256 " + hexadecimal(cert.SHA256) + "'"},
		{"expired", object{"x5t#S256": nil, "x5t": b.app.Certificates[1].SHA1}, "'" + one(b.app.Certificates[1]) + "'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := b.keys[1]
			if tt.name == "expired" {
				key = b.keys[0]
			}
			_, p := b.verify(b.sign(b.header().with(tt.header), b.claims(), key), testids.Client)
			if codeOf(p) != 700027 || !strings.Contains(p.What, tt.want) {
				t.Errorf("got %v, want %s in it", p, tt.want)
			}
		})
	}
}
