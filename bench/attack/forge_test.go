package attack

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// A forger makes tokens. All of its choices come from its seed, except the signatures.
type forger struct {
	*mathrand.Rand
	tb     testing.TB
	now    time.Time
	keys   keys
	issuer string
}

// A forged token, and how it was made.
type forged struct {
	raw string
	how string
}

// A draft is a token before it is signed: members in order, so that names can come twice.
type draft struct {
	header, claims []member
	alg            string
	garble         func(string) string // of the payload's text; nil means as it is
	garbleHeader   func(string) string
	sign           func(signed string) []byte // nil means with the key that counts
}

type member struct {
	name  string // as it stands between the quotes, escapes and all
	value string // JSON
}

func (f *forger) draft() *draft {
	alg := "ES256"
	if f.IntN(8) == 0 {
		alg = "RS256"
	}
	at := f.now.Unix()
	d := &draft{alg: alg}
	d.header = []member{{"typ", `"JWT"`}, {"alg", quote(alg)}, {"kid", quote(f.keys.kid(alg))}}
	claims := map[string]any{
		"iss": f.issuer, "aud": apiID, "ver": "2.0", "tid": tenant, "azp": clientID, "azpacr": "1", "oid": principalID, "sub": principalID,
		"roles": []string{"Orders.Read"}, "uti": fmt.Sprintf("u-%d", f.Int64()), "iat": at - 300, "nbf": at - 300, "exp": at + 6*3600, "idtyp": "app",
	}
	names := slices.Sorted(maps.Keys(claims))
	f.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		value, err := json.Marshal(claims[name])
		if err != nil {
			f.tb.Fatal(err)
		}
		d.claims = append(d.claims, member{name, string(value)})
	}
	return d
}

// next forges a token in one to three ways.
func (f *forger) next() forged {
	d := f.draft()
	how := ""
	for range 1 + f.IntN(3)/2 + f.IntN(6)/5 {
		change := changes[f.IntN(len(changes))]
		change.apply(f, d)
		how += "+" + change.name
	}
	raw := f.finish(d)
	if f.IntN(5) == 0 {
		bend := bends[f.IntN(len(bends))]
		raw = bend.apply(f, raw)
		how += "+" + bend.name
	}
	return forged{raw, strings.TrimPrefix(how, "+")}
}

func (f *forger) finish(d *draft) string {
	header, payload := object(d.header), object(d.claims)
	if d.garbleHeader != nil {
		header = d.garbleHeader(header)
	}
	if d.garble != nil {
		payload = d.garble(payload)
	}
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	sign := d.sign
	if sign == nil {
		sign = func(signed string) []byte { return f.keys.sign(f.tb, d.alg, signed) }
	}
	return signed + "." + b64(sign(signed))
}

func object(members []member) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + m.name + `":` + m.value)
	}
	b.WriteByte('}')
	return b.String()
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func (f *forger) pick(values ...string) string { return values[f.IntN(len(values))] }

// anything is a JSON value that hardly any member expects.
func (f *forger) anything() string {
	return f.pick(`null`, `true`, `false`, `0`, `-1`, `1`, `1.5`, `1e3`, `1E400`, `-0`, `9007199254740993`, `99999999999999999999`, `""`, `"x"`, `" "`, `[]`, `{}`, `[null]`,
		`["x"]`, `[["x"]]`, `{"a":1}`, `{"a":{"a":{"a":{}}}}`, `"\u0000"`, `"\u0131"`, `"é"`, `"\ud83d\ude00"`, `"a\/b"`, `[1,"x"]`, `{"":0}`, `{"__proto__":{"iss":"x"}}`,
		quote(f.issuer), quote(apiID), quote("RS256"), quote("none"), `["`+apiID+`"]`, `["`+apiID+`","x"]`, fmt.Sprint(f.now.Unix()+3600), quote(fmt.Sprint(f.now.Unix()+3600)))
}

// name is one of those that decide, or any other.
func (f *forger) name(members []member) string {
	if f.IntN(3) > 0 {
		return members[f.IntN(len(members))].name
	}
	return f.pick("iss", "aud", "exp", "nbf", "iat", "sub", "jti", "scp", "scope", "cnf", "nonce", "crit", "roles", "groups", "idtyp", "appid", "x", "a b", "__proto__", "constructor",
		"alg", "kid", "typ", "cty", "zip", "enc", "b64", "jku", "x5u", "jwk", "x5c", "x5t", "x5t#S256", "p2c", "epk", "exp ", "")
}

// folded is a name that a reader which ignores case takes for another.
func (f *forger) folded(name string) string {
	return f.pick(strings.ToUpper(name), strings.ToUpper(name[:min(1, len(name))])+name[min(1, len(name)):], strings.ReplaceAll(name, "s", "ſ"), strings.ReplaceAll(name, "k", "\u212a"), name+"\u0000", name+" ")
}

// escaped is the same name in other words.
func escaped(name string) string {
	var b strings.Builder
	for _, c := range name {
		fmt.Fprintf(&b, `\u%04x`, c)
	}
	return b.String()
}

type change struct {
	name  string
	apply func(*forger, *draft)
}

// side is the header or the claims.
func (f *forger) side(d *draft) *[]member {
	if f.IntN(3) == 0 {
		return &d.header
	}
	return &d.claims
}

func set(members *[]member, name, value string) {
	for i := range *members {
		if (*members)[i].name == name {
			(*members)[i].value = value
			return
		}
	}
	*members = append(*members, member{name, value})
}

// changes are made before the token is signed. It is never written to.
var changes = []change{
	{"nothing", func(*forger, *draft) {}},
	{"value", func(f *forger, d *draft) { s := f.side(d); set(s, f.name(*s), f.anything()) }},
	{"value", func(f *forger, d *draft) { s := f.side(d); set(s, f.name(*s), f.anything()) }},
	{"value", func(f *forger, d *draft) { s := f.side(d); set(s, f.name(*s), f.anything()) }},
	{"without", func(f *forger, d *draft) {
		s := f.side(d)
		if len(*s) > 1 {
			*s = slices.Delete(*s, 0, 1)
		}
	}},
	{"twice", func(f *forger, d *draft) {
		s := f.side(d)
		*s = slices.Insert(*s, f.IntN(len(*s)+1), member{f.name(*s), f.anything()})
	}},
	{"twice alike", func(f *forger, d *draft) { s := f.side(d); *s = append(*s, (*s)[f.IntN(len(*s))]) }},
	{"folded", func(f *forger, d *draft) { s := f.side(d); *s = append(*s, member{f.folded(f.name(*s)), f.anything()}) }},
	{"renamed", func(f *forger, d *draft) { s := f.side(d); m := &(*s)[f.IntN(len(*s))]; m.name = f.folded(m.name) }},
	{"escaped name", func(f *forger, d *draft) { s := f.side(d); m := &(*s)[f.IntN(len(*s))]; m.name = escaped(m.name) }},
	{"escaped value", func(f *forger, d *draft) {
		s := f.side(d)
		m := &(*s)[f.IntN(len(*s))]
		var text string
		if json.Unmarshal([]byte(m.value), &text) == nil {
			m.value = `"` + escaped(text) + `"`
		}
	}},
	{"time", func(f *forger, d *draft) {
		at := f.now.Unix() + int64(f.pickInt(-10*365*86400, -86400, -3*3600, 3*3600, 6*3600, 86400, 2*86400, 10*365*86400))
		value := fmt.Sprint(at)
		switch f.IntN(6) {
		case 0:
			value = fmt.Sprintf("%d.0", at)
		case 1:
			value = fmt.Sprintf("%.9e", float64(at))
		case 2:
			value = quote(value)
		}
		set(&d.claims, f.pick("exp", "nbf", "iat"), value)
	}},
	{"audience", func(f *forger, d *draft) {
		set(&d.claims, "aud", f.pick(quote(apiURI), quote(apiURI+"/"), quote(strings.ToUpper(apiID)), quote(apiID+" "), quote("api://"+apiID), `["x","`+apiID+`"]`, `["`+apiID+`",1]`, `{"aud":"`+apiID+`"}`, `[]`, `["`+apiID+`",["`+apiID+`"]]`))
	}},
	{"issuer", func(f *forger, d *draft) {
		set(&d.claims, "iss", f.pick(quote(f.issuer+"/"), quote(strings.ToUpper(f.issuer)), quote(f.issuer[:len(f.issuer)-1]), `["`+f.issuer+`"]`, quote("https://evil.test/"), quote(strings.Replace(f.issuer, "t", "ṭ", 1)), quote(f.issuer+"#"), quote(" "+f.issuer)))
	}},
	{"algorithm", func(f *forger, d *draft) {
		set(&d.header, "alg", f.pick(`"none"`, `"None"`, `"NONE"`, `"HS256"`, `"RS256"`, `"ES256"`, `"ES384"`, `"PS256"`, `"RS512"`, `"EdDSA"`, `"ES256K"`, `"dir"`, `""`, `null`, `["ES256"]`, `"ES256 "`, `"es256"`))
	}},
	{"key id", func(f *forger, d *draft) {
		set(&d.header, "kid", f.pick(quote(f.keys.kid("RS256")), quote(f.keys.kid("ES256")), `"encryption"`, `"spare"`, `"nobody"`, `""`, `"../../dev/null"`, `"' OR 1=1--"`, `7`, `null`, quote(f.keys.kid(d.alg)+"\n")))
	}},
	{"parameter", func(f *forger, d *draft) {
		set(&d.header, f.pick("crit", "b64", "zip", "cty", "enc", "jku", "x5u", "jwk", "x5c", "x5t", "x5t#S256", "p2c", "nonce", "iss", "exp"),
			f.pick(`["exp"]`, `["b64"]`, `[]`, `false`, `true`, `"DEF"`, `"JWT"`, `"https://evil.test/keys"`, f.keys.strangerJWK, `["AAAA"]`, `null`, `1`, `"x"`, `"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"`))
	}},
	{"type", func(f *forger, d *draft) {
		set(&d.header, "typ", f.pick(`"at+jwt"`, `"AT+JWT"`, `"application/at+jwt"`, `"jwt"`, `"dpop+jwt"`, `"id+jwt"`, `"logout+jwt"`, `"JOSE"`, `null`, `1`, `["JWT"]`, `"JWT "`))
	}},
	{"not signed", func(f *forger, d *draft) { d.sign = func(string) []byte { return nil } }},
	{"signed by a stranger", func(f *forger, d *draft) {
		d.sign = func(signed string) []byte { return f.keys.stranger.sign(f.tb, d.alg, signed) }
	}},
	{"signed by another key of the set", func(f *forger, d *draft) {
		d.sign = func(signed string) []byte { return f.keys.sign(f.tb, f.pick("RS256", "ES256", "spare"), signed) }
	}},
	{"MAC by what is public", func(f *forger, d *draft) {
		if f.IntN(2) == 0 {
			set(&d.header, "alg", `"HS256"`)
		}
		secret := f.keys.public[f.IntN(len(f.keys.public))]
		d.sign = func(signed string) []byte {
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(signed))
			return mac.Sum(nil)
		}
	}},
	{"signature of zeros", func(f *forger, d *draft) {
		size := f.pickInt(0, 1, 32, 63, 64, 65, 256)
		d.sign = func(string) []byte { return make([]byte, size) }
	}},
	{"other signature that fits", func(f *forger, d *draft) {
		d.alg = "ES256"
		set(&d.header, "alg", `"ES256"`)
		set(&d.header, "kid", quote(f.keys.kid("ES256")))
		d.sign = func(signed string) []byte { return f.keys.malleated(f.tb, signed) }
	}},
	{"DER signature", func(f *forger, d *draft) {
		d.sign = func(signed string) []byte { return f.keys.der(f.tb, signed) }
	}},
	{"text around the JSON", func(f *forger, d *draft) {
		before, after := f.pick("", " ", "\n", "\ufeff", "/**/", ")]}',", "\x00"), f.pick("", " ", "\r\n", "{}", ",", "\x00", "//")
		garble := func(s string) string { return before + s + after }
		if f.IntN(3) == 0 {
			d.garbleHeader = garble
		} else {
			d.garble = garble
		}
	}},
	{"bytes of the JSON", func(f *forger, d *draft) {
		garble := func(s string) string { return f.bytes(s) }
		if f.IntN(3) == 0 {
			d.garbleHeader = garble
		} else {
			d.garble = garble
		}
	}},
	{"nesting", func(f *forger, d *draft) {
		depth := f.pickInt(2, 5, 7, 8, 9, 20, 200)
		open, shut := f.pick("[", `{"a":`), ""
		if open == "[" {
			shut = "]"
		} else {
			shut = "}"
		}
		set(&d.claims, "x", strings.Repeat(open, depth)+"0"+strings.Repeat(shut, depth))
	}},
	{"many members", func(f *forger, d *draft) {
		for i := range f.pickInt(10, 40, 200, 300) {
			d.claims = append(d.claims, member{fmt.Sprintf("m%d", i), "0"})
		}
	}},
	{"a long claim", func(f *forger, d *draft) {
		set(&d.claims, "x", quote(strings.Repeat("x", f.pickInt(100, 5000, 11000, 20000))))
	}},
	{"white space", func(f *forger, d *draft) {
		d.garble = func(s string) string {
			return strings.ReplaceAll(s, ":", f.pick(" : ", ":\n", "\t:", ":\r\n", ":\u00a0", ":\f"))
		}
	}},
}

func (f *forger) pickInt(values ...int) int { return values[f.IntN(len(values))] }

// bytes changes a few bytes of a text.
func (f *forger) bytes(s string) string {
	b := []byte(s)
	for range 1 + f.IntN(3) {
		if len(b) == 0 {
			break
		}
		i := f.IntN(len(b))
		switch f.IntN(4) {
		case 0:
			b[i] ^= 1 << f.IntN(8)
		case 1:
			b = slices.Delete(b, i, i+1)
		case 2:
			b = slices.Insert(b, i, []byte(f.pick("\"", "\\", "{", "}", ",", ":", "\x00", "\xff", "0", "e", "\u212a", "ſ"))...)
		default:
			b[i] = byte(f.IntN(256))
		}
	}
	return string(b)
}

type bend struct {
	name  string
	apply func(*forger, string) string
}

// bends are made when the token is signed. It is never written to.
var bends = []bend{
	{"a bit", func(f *forger, raw string) string {
		b := []byte(raw)
		i := f.IntN(len(b))
		b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[f.IntN(64)]
		return string(b)
	}},
	{"a byte", func(f *forger, raw string) string {
		i := f.IntN(len(raw))
		return raw[:i] + f.pick("", "=", "+", "/", " ", "\t", "%", "!", "\x00", "é", ".", "..", "A") + raw[i+f.IntN(2):]
	}},
	{"trailing bits", func(f *forger, raw string) string {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		i := strings.IndexByte(alphabet, raw[len(raw)-1])
		if i < 0 {
			return raw
		}
		return raw[:len(raw)-1] + string(alphabet[i^1])
	}},
	{"padding", func(f *forger, raw string) string { return raw + f.pick("=", "==", "===") }},
	{"parts", func(f *forger, raw string) string {
		p := strings.Split(raw, ".")
		return f.pick(strings.Join(p[:len(p)-1], "."), raw+".", "."+raw, raw+".x.y", p[0]+".."+p[len(p)-1], p[len(p)-1]+"."+strings.Join(p[:len(p)-1], "."), raw+"."+p[0])
	}},
	{"standard alphabet", func(_ *forger, raw string) string { return strings.NewReplacer("-", "+", "_", "/").Replace(raw) }},
	{"JSON form", func(_ *forger, raw string) string {
		p := strings.SplitN(raw, ".", 3)
		if len(p) < 3 {
			return raw
		}
		return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, p[0], p[1], p[2])
	}},
	{"around", func(f *forger, raw string) string { return f.pick(" ", "\t", `"`, "Bearer ") + raw }},
	{"again at the end", func(_ *forger, raw string) string { return raw + raw }},
}

// keys are those of the issuer and of a stranger.
type keys struct {
	rsa, spare  *rsa.PrivateKey
	ec          *ecdsa.PrivateKey
	stranger    *strangerKeys
	public      [][]byte // what an attacker may take for a secret
	strangerJWK string
}

type strangerKeys struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func (k *keys) kid(alg string) string {
	if alg == "RS256" {
		return "rsa"
	}
	return "ec"
}

func (k *keys) sign(tb testing.TB, alg, signed string) []byte {
	switch alg {
	case "RS256":
		return signRSA(tb, k.rsa, signed)
	case "spare":
		return signRSA(tb, k.spare, signed)
	}
	return signEC(tb, k.ec, signed)
}

func (s *strangerKeys) sign(tb testing.TB, alg, signed string) []byte {
	if alg == "RS256" {
		return signRSA(tb, s.rsa, signed)
	}
	return signEC(tb, s.ec, signed)
}

func signRSA(tb testing.TB, key *rsa.PrivateKey, signed string) []byte {
	digest := sha256.Sum256([]byte(signed))
	b, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func signEC(tb testing.TB, key *ecdsa.PrivateKey, signed string) []byte {
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		tb.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

// malleated is the signature with n-s in the place of s.
func (k *keys) malleated(tb testing.TB, signed string) []byte {
	b := signEC(tb, k.ec, signed)
	s := new(big.Int).SetBytes(b[32:])
	s.Sub(k.ec.Params().N, s)
	return append(b[:32:32], s.FillBytes(make([]byte, 32))...)
}

func (k *keys) der(tb testing.TB, signed string) []byte {
	digest := sha256.Sum256([]byte(signed))
	b, err := ecdsa.SignASN1(rand.Reader, k.ec, digest[:])
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// publicForms are what a server may have taken for the key of a MAC.
func publicForms(tb testing.TB, document []byte, keys ...crypto.PublicKey) [][]byte {
	forms := [][]byte{{}, []byte("secret"), []byte("rsa"), []byte("ec"), document, bytes.TrimSpace(document)}
	for _, key := range keys {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			tb.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		forms = append(forms, der, text, bytes.TrimSpace(text))
		if key, ok := key.(*rsa.PublicKey); ok {
			forms = append(forms, key.N.Bytes(), x509.MarshalPKCS1PublicKey(key), []byte(b64(key.N.Bytes())))
		}
	}
	return forms
}
