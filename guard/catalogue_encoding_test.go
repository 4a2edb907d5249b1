package guard_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

func TestEncodingTricks(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	good := a.token(t)
	parts := strings.Split(good, ".")
	payload := text(t, a.claims())
	header := func(json string) string { return signHeader(t, trustedKey(), json, payload) }
	member := func(m string) string { return header(`{"typ":"JWT","alg":"RS256","kid":"trusted",` + m + `}`) }
	std := base64.StdEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"trusted","x":"` + "\xc3\xbf\xc3\xbe>>>???" + `"}`))
	run(t, newGuard(t, a.config()), []bearerCase{
		{"B01 other trailing bits", sameBytes(t, good), badToken(guard.TokenMalformed)},
		{"B03 padding", parts[0] + "." + parts[1] + "." + parts[2] + "==", badToken(guard.TokenMalformed)},
		{"B03 the standard alphabet", std + "." + parts[1] + "." + parts[2], verdictOf(std)},
		{"B04 a tilde in the signature", good[:len(good)-4] + "~" + good[len(good)-4:], badToken(guard.TokenMalformed)},
		{"B05 one part", parts[0], badToken(guard.TokenMalformed)},
		{"B05 two parts", parts[0] + "." + parts[1], badToken(guard.TokenMalformed)},
		{"B05 four parts", good + ".AAAA", badToken(guard.TokenMalformed)},
		{"B05 a dot", ".", badToken(guard.TokenMalformed)},
		{"B05 two dots", "..", badToken(guard.TokenMalformed)},
		{"B05 four dots", "....", badToken(guard.TokenEncrypted)},
		{"B05 many dots", strings.Repeat(".", 16<<10), badToken(guard.TokenMalformed)},
		{"B05 more dots", strings.Repeat(".", 17<<10), badToken(guard.TokenTooLarge)},
		{"B07 two signatures, the second good", parts[0] + "." + parts[1] + "." + b64([]byte("bad")) + "." + parts[2], badToken(guard.TokenMalformed)},
		{"B07 a bad and a good signature in one", parts[0] + "." + parts[1] + "." + b64([]byte("bad")) + parts[2], badToken(guard.SignatureInvalid)},
		{"B08 detached payload", strings.Join([]string{parts[0], "", parts[2]}, "."), badToken(guard.TokenMalformed)},
		{"B08 unencoded payload", member(`"b64":false,"crit":["b64"]`), badToken(guard.CritUnsupported)},
		{"B09 b64 without crit", member(`"b64":false`), badToken(guard.HeaderForbidden)},
		{"B10 crit names a claim", member(`"crit":["exp"]`), badToken(guard.CritUnsupported)},
		{"B10 empty crit", member(`"crit":[]`), badToken(guard.CritUnsupported)},
		{"B10 crit as string", member(`"crit":"x"`), badToken(guard.CritUnsupported)},
		{"B10 crit null", member(`"crit":null`), badToken(guard.CritUnsupported)},
		{"B10 unknown extension", member(`"bork":1,"crit":["bork"]`), badToken(guard.CritUnsupported)},
		{"B11 compression", member(`"zip":"DEF"`), badToken(guard.HeaderForbidden)},
		{"B12 JWE to our key", jwe(`{"alg":"RSA-OAEP","enc":"A256GCM"}`), badToken(guard.TokenEncrypted)},
		{"B12 JWE with dir", jwe(`{"alg":"dir","enc":"A256GCM","cty":"JWT"}`), badToken(guard.TokenEncrypted)},
		{"B13 JWE with two thousand million rounds", jwe(`{"alg":"PBES2-HS256+A128KW","p2c":2147483648,"p2s":"AA"}`), badToken(guard.TokenEncrypted)},
		{"B14 nested", member(`"cty":"JWT"`), badToken(guard.HeaderForbidden)},
		{"B15 alg twice, none first", header(`{"alg":"none","alg":"RS256","kid":"trusted"}`), badToken(guard.HeaderInvalid)},
		{"B15 alg twice, none last", header(`{"alg":"RS256","alg":"none","kid":"trusted"}`), badToken(guard.HeaderInvalid)},
		{"B15 alg twice, one escaped", header(`{"alg":"RS256","\u0061lg":"none","kid":"trusted"}`), badToken(guard.HeaderInvalid)},
		{"B16 ALG", header(`{"ALG":"RS256","kid":"trusted"}`), badToken(guard.HeaderInvalid)},
		{"B16 alg and Alg", header(`{"alg":"RS256","Alg":"none","kid":"trusted"}`), badToken(guard.HeaderInvalid)},
		{"B16 kid with a Kelvin sign", header(`{"alg":"RS256","` + "\u212a" + `id":"trusted"}`), badToken(guard.HeaderInvalid)},
		{"B22 17 KiB", a.token(t, claims{"pad": strings.Repeat("x", 13<<10)}), badToken(guard.TokenTooLarge)},
		{"just below 16 KiB", a.token(t, claims{"pad": strings.Repeat("x", 11<<10)}), allowed},
		{"B23 typ dpop+jwt", member2(t, `"dpop+jwt"`, payload), badToken(guard.TypNotAllowed)},
		{"B23 typ id+jwt", member2(t, `"id+jwt"`, payload), badToken(guard.TypNotAllowed)},
		{"B23 typ logout+jwt", member2(t, `"logout+jwt"`, payload), badToken(guard.TypNotAllowed)},
		{"B23 typ secevent+jwt", member2(t, `"secevent+jwt"`, payload), badToken(guard.TypNotAllowed)},
		{"B23 typ is a number", member2(t, `7`, payload), badToken(guard.TypNotAllowed)},
		{"B23 typ null", member2(t, `null`, payload), badToken(guard.TypNotAllowed)},
		{"typ at+jwt", member2(t, `"at+jwt"`, payload), allowed},
		{"typ in another case", member2(t, `"Application/AT+JWT"`, payload), allowed},
		{"no typ", header(`{"alg":"RS256","kid":"trusted"}`), allowed},
		{"B16 X5t", member(`"X5t":"abc"`), badToken(guard.HeaderInvalid)},
		{"x5t is a number", member(`"x5t":1`), badToken(guard.HeaderInvalid)},
		{"x5t is null", member(`"x5t":null`), badToken(guard.HeaderInvalid)},
		{"x5t is an array", member(`"x5t":["abc"]`), badToken(guard.HeaderInvalid)},
		{"x5t is an object", member(`"x5t":{"a":"abc"}`), badToken(guard.HeaderInvalid)},
		{"x5t is true", member(`"x5t":true`), badToken(guard.HeaderInvalid)},
		{"x5t#S256 is a number", member(`"x5t#S256":1`), badToken(guard.HeaderInvalid)},
		{"x5t#S256 is no thumbprint", member(`"x5t#S256":"abc"`), badToken(guard.HeaderInvalid)},
		{"x5t#S256 is padded", member(`"x5t#S256":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="`), badToken(guard.HeaderInvalid)},
		{"x5t#S256 holds a line break", member(`"x5t#S256":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\n"`), badToken(guard.HeaderInvalid)},
		{"x5t#S256", member(`"x5t#S256":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"`), allowed},
		{"nonce is a number", member(`"nonce":1`), badToken(guard.HeaderInvalid)},
		{"nonce is null", member(`"nonce":null`), badToken(guard.HeaderInvalid)},
		{"an endless number", member(`"x":1E400`), badToken(guard.HeaderInvalid)},
		{"a number of 400 digits", member(`"x":` + strings.Repeat("9", 400)), badToken(guard.HeaderInvalid)},
		{"an endless number among the claims", a.token(t, claims{"x": []any{claims{"y": number("1E400")}}}), badToken(guard.ClaimsInvalid)},
		{"a number of 300 digits", member(`"x":` + strings.Repeat("9", 300)), allowed},
		{"a number next to nothing", member(`"x":1e-400`), allowed},
		{"unknown parameters", member(`"x5t":"abc","rh":"0.A","nonce":"n"`), allowed},
		{"header is an array", header(`["RS256"]`), badToken(guard.HeaderInvalid)},
		{"header with text after it", header(`{"alg":"RS256","kid":"trusted"}{}`), badToken(guard.HeaderInvalid)},
		{"header nested too deep", member(`"a":[[[[1]]]]`), badToken(guard.HeaderInvalid)},
		{"header of 5 KiB", member(`"a":"` + strings.Repeat("x", 5<<10) + `"`), badToken(guard.HeaderInvalid)},
		{"B24 a client's assertion", signWith(t, trustedKey(), "trusted", nil, claims{"iss": clientID, "sub": clientID,
			"aud": a.url + "/" + tenant + "/oauth2/v2.0/token", "exp": now.Unix() + 300, "jti": "1"}), badToken(guard.IssuerUnknown)},
	})
}

// verdictOf returns what a part in the standard alphabet leads to: it differs
// only if there is a character to differ in.
func verdictOf(std string) verdict {
	if !strings.ContainsAny(std, "+/=") {
		panic("the text has no character of the standard alphabet alone")
	}
	return badToken(guard.TokenMalformed)
}

// sameBytes returns a token whose signature a lax decoder takes for the same.
func sameBytes(t *testing.T, raw string) string {
	t.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, raw[len(raw)-1])
	other := raw[:len(raw)-1] + alphabet[last^1:last^1+1]
	before, err := base64.RawURLEncoding.DecodeString(raw[strings.LastIndexByte(raw, '.')+1:])
	if err != nil {
		t.Fatal(err)
	}
	after, err := base64.RawURLEncoding.DecodeString(other[strings.LastIndexByte(other, '.')+1:])
	if err != nil || string(before) != string(after) {
		t.Fatal("the two spellings are not the same bytes")
	}
	return other
}

func jwe(header string) string { return b64([]byte(header)) + ".AAAA.AAAA.AAAA.AAAA" }

func member2(t *testing.T, typ, payload string) string {
	t.Helper()
	return signHeader(t, trustedKey(), `{"alg":"RS256","kid":"trusted","typ":`+typ+`}`, payload)
}

func TestPayloadTricks(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	base := text(t, a.claims())
	sign := func(payload string) string { return signText(t, trustedKey(), "trusted", nil, payload) }
	with := func(member string) string { return sign(base[:len(base)-1] + "," + member + "}") }
	cases := []bearerCase{
		{"one more claim", with(`"extra":{"a":[1,2,{"b":null}]}`), allowed},
		{"white space around", sign(" \t\r\n" + base + "\n"), allowed},
		{"an escaped name", sign(strings.Replace(base, `"iss"`, `"\u0069ss"`, 1)), allowed},
		{"B18 good iss and look-alike iss", with(`"i` + "\u017f\u017f" + `":"https://evil.test"`), badToken(guard.ClaimsInvalid)},
		{"B19 invalid UTF-8", with("\"x\":\"\xff\xfe\""), badToken(guard.ClaimsInvalid)},
		{"B19 lone surrogate", with(`"x":"\ud800"`), badToken(guard.ClaimsInvalid)},
		{"B19 reversed surrogates", with(`"x":"\udc00\ud800"`), badToken(guard.ClaimsInvalid)},
		{"B19 byte order mark", sign("\ufeff" + base), badToken(guard.ClaimsInvalid)},
		{"B19 object after the payload", sign(base + "{}"), badToken(guard.ClaimsInvalid)},
		{"B19 comment", sign(base[:len(base)-1] + "/* */}"), badToken(guard.ClaimsInvalid)},
		{"B19 NaN", with(`"x":NaN`), badToken(guard.ClaimsInvalid)},
		{"B19 trailing comma", sign(base[:len(base)-1] + ",}"), badToken(guard.ClaimsInvalid)},
		{"B19 single quotes", with(`'x':1`), badToken(guard.ClaimsInvalid)},
		{"B19 control character", with("\"x\":\"\x01\""), badToken(guard.ClaimsInvalid)},
		{"B20 deep nesting", with(`"x":` + strings.Repeat("[", 4000) + strings.Repeat("]", 4000)), badToken(guard.ClaimsInvalid)},
		{"B20 depth 9", with(`"x":` + strings.Repeat("[", 8) + strings.Repeat("]", 8)), badToken(guard.ClaimsInvalid)},
		{"B20 depth 8", with(`"x":` + strings.Repeat("[", 7) + strings.Repeat("]", 7)), allowed},
		{"B20 a thousand members", with(members(1000)), badToken(guard.ClaimsInvalid)},
		{"B21 an array", sign("[" + base + "]"), badToken(guard.ClaimsInvalid)},
		{"B21 a string", sign(`"payload"`), badToken(guard.ClaimsInvalid)},
		{"B21 not JSON", sign(`payload`), badToken(guard.ClaimsInvalid)},
		{"B21 an empty object", sign(`{}`), badToken(guard.IssuerUnknown)},
	}
	for _, claim := range []string{"iss", "aud", "exp", "roles", "tid", "idtyp", "ver", "oid", "sub", "azp", "nbf", "iat"} {
		value, _, _ := strings.Cut(between(base, `"`+claim+`":`, "}"), `,"`)
		cases = append(cases,
			bearerCase{"B17 twice the same " + claim, with(`"` + claim + `":` + value), badToken(guard.ClaimsInvalid)},
			bearerCase{"B17 another " + claim, with(`"` + claim + `":"evil"`), badToken(guard.ClaimsInvalid)},
			bearerCase{"B18 upper case " + claim, with(`"` + strings.ToUpper(claim) + `":` + value), badToken(guard.ClaimsInvalid)},
			bearerCase{"B18 title case " + claim, with(`"` + strings.ToUpper(claim[:1]) + claim[1:] + `":` + value), badToken(guard.ClaimsInvalid)})
		if i := strings.IndexByte(claim, 's'); i >= 0 {
			cases = append(cases, bearerCase{"B18 long s in " + claim,
				with(`"` + claim[:i] + "\u017f" + claim[i+1:] + `":` + value), badToken(guard.ClaimsInvalid)})
		}
	}
	run(t, newGuard(t, a.config()), cases)
}

func members(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(`"m%d":0`, i)
	}
	return strings.Join(out, ",")
}

// TestLibraryCallsSeeWhatHTTPHides has bytes that no HTTP server would let
// through to the guard.
func TestLibraryCallsSeeWhatHTTPHides(t *testing.T) {
	t.Parallel()
	a := newAuthority("https://authority.test")
	g := newGuard(t, a.config())
	good := a.token(t)
	middle := len(good) / 2
	for name, raw := range map[string]string{
		"nothing": "", "B02 a line feed within": good[:middle] + "\n" + good[middle:], "B02 a carriage return": good[:middle] + "\r" + good[middle:],
		"B02 a line feed at the end": good + "\n", "B02 a space before": " " + good, "B04 an exclamation mark": good[:middle] + "!" + good[middle:],
		"B04 percent code": good[:middle] + "%41" + good[middle+1:], "B04 NUL": good + "\x00", "the scheme": "Bearer " + good,
		"B06 flattened JSON": `{"payload":"` + strings.Split(good, ".")[1] + `"}`,
		"B20 a megabyte":     strings.Repeat("A", 1<<20), "dots of a megabyte": strings.Repeat(".", 1<<20),
	} {
		d := g.Check(t.Context(), raw, ordersRule)
		if d.Outcome != guard.Unauthenticated || d.Reason != guard.TokenMalformed && d.Reason != guard.TokenTooLarge {
			t.Errorf("%s: %s %s", name, d.Outcome, d.Reason)
		}
	}
}

func TestJSONSerializationIsNoBearerToken(t *testing.T) { // B06
	t.Parallel()
	a := newAuthority("https://authority.test")
	server := protect(t, newGuard(t, a.config()))
	parts := strings.Split(a.token(t), ".")
	for _, raw := range []string{
		`{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
		`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		`{"` + strings.Join(parts, ".") + `":1}`,
	} {
		resp, body := server.get(t, "/orders", "Bearer "+raw)
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("status %d", resp.StatusCode)
		}
		want := badRequest(guard.CredentialsMalformed)
		if strings.Contains(raw, ",") {
			want = badRequest(guard.MultipleCredentials)
		}
		expect(t, resp, body, want, fragments(strings.Join(parts, "."))...)
	}
}
