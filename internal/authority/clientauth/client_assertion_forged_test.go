package clientauth

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha512" // digests that no assertion may be signed with
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/internal/testids"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A forgery is an assertion that testids.Nobody may be let in with.
type forgery struct {
	name     string
	clientID string
	// make changes the bench's registrations, if they are what is wrong, and gives the
	// assertion.
	make func(*bench) string
}

// forgeries combine what may be wrong with an assertion: the registration, the key, the
// signature, who is named, the times and the JSON.
func forgeries() []forgery {
	return slices.Concat(forgedRegistrations(), forgedKeys(), forgedSignatures(), forgedNames(), forgedTimes(), forgedJSON())
}

// namings are the ways in which a header names a certificate, with the algorithms that go
// with them.
func namings(c directory.Certificate) map[string]object {
	return map[string]object{
		"PS256 by SHA-256": {"alg": "PS256", "typ": "JWT", "x5t#S256": c.SHA256},
		"RS256 by SHA-1":   {"alg": "RS256", "typ": "JWT", "x5t": c.SHA1},
		"RS256 by both":    {"alg": "RS256", "typ": "JWT", "x5t": c.SHA1, "x5t#S256": c.SHA256},
	}
}

// forgedRegistrations are good but for what is registered. Each says which certificate the
// assertion names.
func forgedRegistrations() (all []forgery) {
	first := func(b *bench) *directory.Certificate { return &b.app.Certificates[0] }
	for state, spoil := range map[string]func(*bench) directory.Certificate{
		"certificate removed": func(b *bench) directory.Certificate {
			cert := *first(b)
			b.app.Certificates = b.app.Certificates[1:]
			return cert
		},
		"all certificates removed": func(b *bench) directory.Certificate {
			cert := *first(b)
			b.app.Certificates = nil
			return cert
		},
		"certificate ended a second ago": func(b *bench) directory.Certificate {
			*first(b) = b.certificate("ended", b.keys[0], -time.Second)
			return *first(b)
		},
		"certificate begins after the skew": func(b *bench) directory.Certificate {
			b.clock.Advance(-24*time.Hour - assertionSkew - time.Second)
			return *first(b)
		},
		"registration of it ended": func(b *bench) directory.Certificate {
			first(b).ValidUntil = b.clock.Now().Add(-time.Second)
			return *first(b)
		},
		"moved to another application": func(b *bench) directory.Certificate {
			cert := *first(b)
			b.app.Certificates, b.other.Certificates = b.other.Certificates, b.app.Certificates
			return cert
		},
		"renewed with another key": func(b *bench) directory.Certificate {
			*first(b) = b.certificate("renewed", b.keys[1], time.Hour)
			return *first(b)
		},
		"renewed, and the old one named": func(b *bench) directory.Certificate {
			cert := *first(b)
			*first(b) = b.certificate("renewed", b.keys[0], time.Hour)
			return cert
		},
		"its thumbprints, another's certificate": func(b *bench) directory.Certificate {
			first(b).DER = b.other.Certificates[0].DER
			return *first(b)
		},
		"an elliptic-curve key": func(b *bench) directory.Certificate {
			first(b).DER = selfSigned(b.t, newECKey(b.t), b.clock.Now())
			return *first(b)
		},
		"no certificate at all in it": func(b *bench) directory.Certificate {
			first(b).DER = nil
			return *first(b)
		},
		"application removed": func(b *bench) directory.Certificate {
			b.app.AppID = testids.API
			return *first(b)
		},
		"application has federated credentials alone": func(b *bench) directory.Certificate {
			cert := *first(b)
			b.app.Certificates = nil
			b.app.Federated = federatedCredentials(testids.Client, testids.Client, assertionAudience)
			return cert
		},
	} {
		for naming := range namings(directory.Certificate{}) {
			all = append(all, forgery{"registration: " + state + ", " + naming, testids.Client, func(b *bench) string {
				cert := spoil(b)
				return b.sign(namings(cert)[naming], b.claims(), b.keys[0])
			}})
		}
	}
	return all
}

// forgedKeys sign with a key that is not the certificate's: another's, or one that anybody
// can work out from what is public.
func forgedKeys() (all []forgery) {
	public := func(b *bench) []byte {
		der, err := x509.MarshalPKIXPublicKey(b.keys[0].Public())
		if err != nil {
			b.t.Fatal(err)
		}
		return der
	}
	asPEM := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for key, of := range map[string]func(*bench) crypto.PrivateKey{
		"another application's":  func(b *bench) crypto.PrivateKey { return b.keys[1] },
		"an elliptic curve's":    func(b *bench) crypto.PrivateKey { return newECKey(b.t) },
		"nothing":                func(*bench) crypto.PrivateKey { return []byte{} },
		"the certificate":        func(b *bench) crypto.PrivateKey { return b.app.Certificates[0].DER },
		"the certificate as PEM": func(b *bench) crypto.PrivateKey { return asPEM("CERTIFICATE", b.app.Certificates[0].DER) },
		"the public key":         func(b *bench) crypto.PrivateKey { return public(b) },
		"the public key as PEM":  func(b *bench) crypto.PrivateKey { return asPEM("PUBLIC KEY", public(b)) },
		"the public key as PEM, without end": func(b *bench) crypto.PrivateKey {
			return []byte(strings.TrimSpace(string(asPEM("PUBLIC KEY", public(b)))))
		},
		"the public key as PKCS #1": func(b *bench) crypto.PrivateKey { return x509.MarshalPKCS1PublicKey(&b.keys[0].PublicKey) },
		"the public key as PEM of PKCS #1": func(b *bench) crypto.PrivateKey {
			return asPEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&b.keys[0].PublicKey))
		},
		"the modulus":    func(b *bench) crypto.PrivateKey { return b.keys[0].N.Bytes() },
		"the thumbprint": func(b *bench) crypto.PrivateKey { return []byte(b.app.Certificates[0].SHA256) },
		"the client id":  func(*bench) crypto.PrivateKey { return []byte(testids.Client) },
		"the header":     func(b *bench) crypto.PrivateKey { return []byte(segment(b.t, b.header())) },
	} {
		for _, alg := range []string{"PS256", "RS256", "HS256", "HS512", "none", "ES256"} {
			all = append(all, forgery{"key: " + key + " as " + alg, testids.Client, func(b *bench) string {
				return b.sign(b.header().with(object{"alg": alg}), b.claims(), of(b))
			}})
		}
	}
	for _, alg := range []string{"PS256", "RS256"} {
		foreign := func(b *bench) object {
			return object{"alg": alg, "x5t#S256": b.other.Certificates[0].SHA256}
		}
		for name, claims := range map[string]object{
			"for ours": {}, "for itself": {"iss": testids.Nobody, "sub": testids.Nobody}, "for ours, as itself": {"iss": testids.Nobody}, "for itself, as ours": {"sub": testids.Nobody},
		} {
			all = append(all, forgery{"key: another application's, " + name + ", " + alg, testids.Client, func(b *bench) string {
				return b.sign(b.header().with(foreign(b)), b.claims().with(claims), b.keys[1])
			}})
		}
		for name, embedded := range map[string]func(*bench) object{
			"in x5c": func(b *bench) object {
				return object{"x5c": []string{base64.StdEncoding.EncodeToString(b.other.Certificates[0].DER)}}
			},
			"in x5c, ours behind it": func(b *bench) object {
				return object{"x5c": []string{base64.StdEncoding.EncodeToString(b.other.Certificates[0].DER), base64.StdEncoding.EncodeToString(b.app.Certificates[0].DER)}}
			},
			"in jwk": func(b *bench) object { return object{"jwk": b.key("k", 1).JWK()} },
			"at jku": func(*bench) object { return object{"jku": "https://evil.test/keys"} },
			"at x5u": func(*bench) object { return object{"x5u": "https://evil.test/cert"} },
			"by kid": func(b *bench) object { return object{"kid": b.other.Certificates[0].SHA256} },
		} {
			all = append(all, forgery{"key: another application's " + name + ", " + alg, testids.Client, func(b *bench) string {
				return b.sign(b.header().with(object{"alg": alg}).with(embedded(b)), b.claims(), b.keys[1])
			}})
		}
	}
	return all
}

// forgedSignatures are made with the right key, and not over the assertion, or not in the
// way that its header says.
func forgedSignatures() (all []forgery) {
	digest := func(hash crypto.Hash, text string) []byte {
		h := hash.New()
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	pss := func(b *bench, hash crypto.Hash, salt int, text string) []byte {
		out, err := rsa.SignPSS(rand.Reader, b.keys[0], hash, digest(hash, text), &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			b.t.Fatal(err)
		}
		return out
	}
	pkcs := func(b *bench, hash, info crypto.Hash, text string) []byte {
		out, err := rsa.SignPKCS1v15(nil, b.keys[0], info, digest(hash, text))
		if err != nil {
			b.t.Fatal(err)
		}
		return out
	}
	good := func(b *bench, alg, text string) []byte { return signature(b.t, alg, text, b.keys[0]) }
	number := func(b *bench, n *big.Int) []byte { return n.FillBytes(make([]byte, b.keys[0].Size())) }
	for name, make := range map[string]func(b *bench, alg, header, claims string) []byte{
		"of the other padding": func(b *bench, alg, header, claims string) []byte {
			return good(b, map[string]string{"PS256": "RS256", "RS256": "PS256"}[alg], header+"."+claims)
		},
		"over the claims alone":           func(b *bench, alg, _, claims string) []byte { return good(b, alg, claims) },
		"over the header alone":           func(b *bench, alg, header, _ string) []byte { return good(b, alg, header) },
		"over header and claims undotted": func(b *bench, alg, header, claims string) []byte { return good(b, alg, header+claims) },
		"over claims and header":          func(b *bench, alg, header, claims string) []byte { return good(b, alg, claims+"."+header) },
		"over a text with a dot behind":   func(b *bench, alg, header, claims string) []byte { return good(b, alg, header+"."+claims+".") },
		"over the decoded texts": func(b *bench, alg, header, claims string) []byte {
			h, _ := base64.RawURLEncoding.DecodeString(header)
			c, _ := base64.RawURLEncoding.DecodeString(claims)
			return good(b, alg, string(h)+"."+string(c))
		},
		"over the claims of before": func(b *bench, alg, header, _ string) []byte { return good(b, alg, header+"."+segment(b.t, b.claims())) },
		"over nothing":              func(b *bench, alg, _, _ string) []byte { return good(b, alg, "") },
		"reversed": func(b *bench, alg, header, claims string) []byte {
			out := good(b, alg, header+"."+claims)
			slices.Reverse(out)
			return out
		},
		"twice in a row": func(b *bench, alg, header, claims string) []byte {
			out := good(b, alg, header+"."+claims)
			return append(out, out...)
		},
		"with a zero before": func(b *bench, alg, header, claims string) []byte {
			return append([]byte{0}, good(b, alg, header+"."+claims)...)
		},
		"with a zero behind": func(b *bench, alg, header, claims string) []byte { return append(good(b, alg, header+"."+claims), 0) },
		"without the first":  func(b *bench, alg, header, claims string) []byte { return good(b, alg, header+"."+claims)[1:] },
		"without the last": func(b *bench, alg, header, claims string) []byte {
			out := good(b, alg, header+"."+claims)
			return out[:len(out)-1]
		},
		"in hex": func(b *bench, alg, header, claims string) []byte {
			return []byte(hex.EncodeToString(good(b, alg, header+"."+claims)))
		},
		"encoded twice": func(b *bench, alg, header, claims string) []byte {
			return []byte(base64.RawURLEncoding.EncodeToString(good(b, alg, header+"."+claims)))
		},
		"plus the modulus": func(b *bench, alg, header, claims string) []byte {
			return new(big.Int).Add(new(big.Int).SetBytes(good(b, alg, header+"."+claims)), b.keys[0].N).Bytes()
		},
		"negated": func(b *bench, alg, header, claims string) []byte {
			return number(b, new(big.Int).Sub(b.keys[0].N, new(big.Int).SetBytes(good(b, alg, header+"."+claims))))
		},
		"zero":                  func(b *bench, _, _, _ string) []byte { return number(b, new(big.Int)) },
		"one":                   func(b *bench, _, _, _ string) []byte { return number(b, big.NewInt(1)) },
		"the modulus":           func(b *bench, _, _, _ string) []byte { return number(b, b.keys[0].N) },
		"the modulus less one":  func(b *bench, _, _, _ string) []byte { return number(b, new(big.Int).Sub(b.keys[0].N, big.NewInt(1))) },
		"the digest itself":     func(b *bench, _, header, claims string) []byte { return digest(crypto.SHA256, header+"."+claims) },
		"the certificate's own": func(b *bench, _, _, _ string) []byte { return certificateSignature(b) },
		"by SHA-1": func(b *bench, alg, header, claims string) []byte {
			if alg == "PS256" {
				return pss(b, crypto.SHA1, 20, header+"."+claims)
			}
			return pkcs(b, crypto.SHA1, crypto.SHA1, header+"."+claims)
		},
		"by SHA-384": func(b *bench, alg, header, claims string) []byte {
			if alg == "PS256" {
				return pss(b, crypto.SHA384, 48, header+"."+claims)
			}
			return pkcs(b, crypto.SHA384, crypto.SHA384, header+"."+claims)
		},
		"by SHA-512": func(b *bench, alg, header, claims string) []byte {
			if alg == "PS256" {
				return pss(b, crypto.SHA512, 64, header+"."+claims)
			}
			return pkcs(b, crypto.SHA512, crypto.SHA512, header+"."+claims)
		},
		"short of salt, or of the digest's name": func(b *bench, alg, header, claims string) []byte {
			if alg == "PS256" {
				return pss(b, crypto.SHA256, 8, header+"."+claims)
			}
			return pkcs(b, crypto.SHA256, 0, header+"."+claims)
		},
		"with more salt, or another digest's name": func(b *bench, alg, header, claims string) []byte {
			if alg == "PS256" {
				return pss(b, crypto.SHA256, 64, header+"."+claims)
			}
			return pkcs(b, crypto.SHA256, crypto.SHA512_256, header+"."+claims)
		},
	} {
		for _, alg := range []string{"PS256", "RS256"} {
			all = append(all, forgery{"signature: " + name + ", " + alg, testids.Client, func(b *bench) string {
				header, claims := segment(b.t, b.header().with(object{"alg": alg})), segment(b.t, b.claims())
				return header + "." + claims + "." + base64.RawURLEncoding.EncodeToString(make(b, alg, header, claims))
			}})
		}
	}
	return all
}

// certificateSignature is the one that the client's certificate carries: it is public, and
// made with the right key.
func certificateSignature(b *bench) []byte {
	cert, err := x509.ParseCertificate(b.app.Certificates[0].DER)
	if err != nil {
		b.t.Fatal(err)
	}
	return cert.Signature
}

// forgedNames are all ways to name the client three times that do not name one client, and
// the one whose key it is.
func forgedNames() (all []forgery) {
	for _, names := range nameTriples() {
		if names.one {
			continue
		}
		all = append(all, forgery{"names: " + names.String(), names.clientID, func(b *bench) string { return b.sign(b.header(), b.claims().with(names.claims()), b.keys[0]) }})
	}
	return all
}

// A nameTriple is whom an assertion is of, by issuer, subject and the form beside it.
type nameTriple struct {
	iss, sub, clientID string
	one                bool // all name the client of the bench
}

func (n nameTriple) claims() object { return object{"iss": n.iss, "sub": n.sub} }

func (n nameTriple) String() string {
	return fmt.Sprintf("iss %s, sub %s, client_id %s", n.iss, n.sub, n.clientID)
}

func nameTriples() (all []nameTriple) {
	upper := strings.ToUpper(testids.Client)
	is := func(name string) bool { return name == testids.Client || name == upper }
	for _, iss := range []string{testids.Client, upper, testids.Nobody, testids.API} {
		for _, sub := range []string{testids.Client, upper, testids.Nobody, testids.API} {
			for _, id := range []string{testids.Client, upper, testids.Nobody, testids.API, ""} {
				all = append(all, nameTriple{iss, sub, id, is(iss) && is(sub) && (is(id) || id == "")})
			}
		}
	}
	return all
}

// forgedTimes are over, or not yet good, or good for too long, in each way that client
// libraries write a date.
func forgedTimes() (all []forgery) {
	writings := map[string]func(seconds int64) any{
		"number":             func(s int64) any { return s },
		"fraction":           func(s int64) any { return float64(s) + 0.25 },
		"text":               func(s int64) any { return fmt.Sprint(s) },
		"text with fraction": func(s int64) any { return fmt.Sprintf("%d.250", s) },
	}
	for name, change := range map[string]map[string]int64{
		"over by the skew":             {"exp": -301},
		"over for long":                {"nbf": -8000, "exp": -7400},
		"over for a day":               {"exp": -86400, "nbf": -87000, "iat": -87000},
		"begins after the skew":        {"nbf": 302},
		"begins tomorrow":              {"nbf": 86400, "exp": 87000},
		"issued after the skew":        {"iat": 302},
		"issued after it ends":         {"iat": 4000, "exp": 600},
		"lives for more than a day":    {"exp": 86400 + 302},
		"lives for a year":             {"exp": 365 * 86400},
		"lived for more than a day":    {"nbf": -86400 + 200, "exp": 502},
		"lived so since it was issued": {"iat": -86400 + 200, "exp": 502},
		"ends before it begins":        {"nbf": 250, "exp": 100},
	} {
		for writing, write := range writings {
			all = append(all, forgery{"times: " + name + ", as " + writing, testids.Client, func(b *bench) string {
				claims := b.claims()
				if _, ok := change["nbf"]; !ok {
					delete(claims, "nbf")
				}
				for claim, seconds := range change {
					claims[claim] = write(b.clock.Now().Unix() + seconds)
				}
				return b.sign(b.header(), claims, b.keys[0])
			}})
		}
	}
	return all
}

// forgedJSON signs texts that say two things, or nothing: what one reader takes for the
// client's claims is something else to the next.
func forgedJSON() (all []forgery) {
	text := func(t testing.TB, o object) string {
		raw, err := base64.RawURLEncoding.DecodeString(segment(t, o))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	add := func(name string, header, claims func(good string) string) {
		all = append(all, forgery{"JSON: " + name, testids.Client, func(b *bench) string {
			h, c := text(b.t, b.header()), text(b.t, b.claims())
			signed := segment(b.t, header(h)) + "." + segment(b.t, claims(c))
			return signed + "." + base64.RawURLEncoding.EncodeToString(signature(b.t, "PS256", signed, b.keys[0]))
		}})
	}
	same := func(good string) string { return good }
	before := func(member string) func(string) string {
		return func(good string) string { return "{" + member + "," + good[1:] }
	}
	behind := func(member string) func(string) string {
		return func(good string) string { return good[:len(good)-1] + "," + member + "}" }
	}
	for claim, bad := range map[string]string{
		"iss": `"` + testids.Nobody + `"`, "sub": `"` + testids.Nobody + `"`, "aud": `"https://evil.test"`, "exp": "1", "nbf": "99999999999", "jti": `"x"`,
	} {
		for name, member := range map[string]string{
			"":               `"` + claim + `":` + bad,
			" in capitals":   `"` + strings.ToUpper(claim) + `":` + bad,
			" escaped":       fmt.Sprintf(`"\u%04x%s":%s`, claim[0], claim[1:], bad),
			" as it is null": `"` + claim + `":null`,
		} {
			add("another "+claim+name+" before", same, before(member))
			add("another "+claim+name+" behind", same, behind(member))
		}
	}
	for name, member := range map[string]string{
		"alg": `"alg":"none"`, "alg of the kind": `"alg":"RS256"`, "alg again": `"alg":"PS256"`, "alg in capitals": `"ALG":"none"`, "alg escaped": `"\u0061lg":"none"`,
		"thumbprint": `"x5t#S256":"AAAA"`, "SHA-1 thumbprint": `"x5t":"AAAA"`, "SHA-1 thumbprint in capitals": `"X5T":"AAAA"`, "thumbprint escaped": `"\u00785t#S256":"AAAA"`, "typ": `"typ":"x"`,
	} {
		add("another "+name+" in the header before", before(member), same)
		add("another "+name+" in the header behind", behind(member), same)
	}
	for name, spoil := range map[string]func(string) string{
		"nothing":                func(string) string { return "" },
		"an empty object":        func(string) string { return "{}" },
		"null":                   func(string) string { return "null" },
		"an array of it":         func(good string) string { return "[" + good + "]" },
		"a text of it":           func(good string) string { return fmt.Sprintf("%q", good) },
		"two of it":              func(good string) string { return good + good },
		"its beginning":          func(good string) string { return good[:len(good)-1] },
		"one brace too many":     func(good string) string { return good + "}" },
		"a comma at the end":     func(good string) string { return good[:len(good)-1] + ",}" },
		"a comment":              func(good string) string { return good[:len(good)-1] + "/* */}" },
		"single quotes":          func(good string) string { return strings.ReplaceAll(good, `"`, "'") },
		"a byte order mark":      func(good string) string { return "\ufeff" + good },
		"a NUL at the end":       func(good string) string { return good + "\x00" },
		"bytes that are no text": behind("\"a\":\"\xff\xfe\""),
		"an overlong slash":      behind("\"a\":\"\xc0\xaf\""),
		"half a surrogate":       behind(`"a":"\ud800"`),
		"a line break in text":   behind("\"a\":\"\n\""),
		"a number that is none":  behind(`"a":NaN`),
		"an octal number":        behind(`"a":0777`),
		"UTF-16": func(good string) string {
			var wide strings.Builder
			for _, c := range []byte(good) {
				wide.Write([]byte{0, c})
			}
			return wide.String()
		},
		"a pit":            behind(`"a":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000)),
		"a member unnamed": func(good string) string { return "{1:2," + good[1:] },
	} {
		add("claims are or have "+name, same, spoil)
		add("the header is or has "+name, spoil, same)
	}
	return all
}

// However it is put together, what is not signed by the client's own certificate, for this
// endpoint and now, lets testids.Nobody in (A7). The count is part of the promise.
func TestForgeriesAreRefused(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range forgeries() {
		if seen[f.name] {
			t.Fatalf("%q is there twice", f.name)
		}
		seen[f.name] = true
		t.Run(f.name, func(t *testing.T) {
			b := newBench(t)
			proven, p := b.verify(f.make(b), f.clientID)
			switch {
			case p == nil:
				t.Errorf("accepted, as %s %s", proven.Credential, proven.CredentialID)
			case p.Status < 400 || p.Status >= 500 || p.Code == 0:
				t.Errorf("refused with %d, %v, and not for what is wrong with it (%v)", p.Status, p, p.Cause)
			}
		})
	}
	if len(seen) < 400 {
		t.Errorf("%d forgeries, want at least 400", len(seen))
	}
}

// What the forgeries vary is accepted as long as it says one thing: they are refused for
// their difference, and not because nothing is let in.
func TestWhatForgeriesVaryIsAccepted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	accept := func(name, raw, clientID string) {
		t.Run(name, func(t *testing.T) {
			if proven, p := b.verify(raw, clientID); p != nil || proven.Client.Application.AppID != testids.Client {
				t.Errorf("refused: %v", p)
			}
		})
	}
	for name, header := range namings(b.app.Certificates[0]) {
		accept(name, b.sign(header, b.claims(), b.keys[0]), testids.Client)
	}
	triples := 0
	for _, names := range nameTriples() {
		if names.one {
			triples++
			accept(names.String(), b.sign(b.header(), b.claims().with(names.claims()), b.keys[0]), names.clientID)
		}
	}
	if triples != 12 {
		t.Errorf("%d ways to name the client, want 12", triples)
	}
	for _, write := range []func(int64) any{
		func(s int64) any { return s }, func(s int64) any { return fmt.Sprint(s) },
		func(s int64) any { return float64(s) + 0.25 }, func(s int64) any { return fmt.Sprintf("%d.250", s) },
	} {
		now := b.clock.Now().Unix()
		times := object{"nbf": write(now - 299), "iat": write(now + 299), "exp": write(now + 300)}
		accept(fmt.Sprintf("times as %T %v", write(0), write(0)), b.sign(b.header(), b.claims().with(times), b.keys[0]), testids.Client)
	}
	other := b.sign(b.header().with(object{"x5t#S256": b.other.Certificates[0].SHA256}), b.claims().with(object{"iss": testids.Nobody, "sub": testids.Nobody}), b.keys[1])
	if _, p := b.verify(other, testids.Nobody); p != nil {
		t.Errorf("the other application, with its own key: %v", p)
	}
}
