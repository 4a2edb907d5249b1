package directory

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

func TestMakeKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ part, want string }{
		{"orders", "name/orders"},
		{"a/b", "name/a%2Fb"},
		{"a%2Fb", "name/a%252Fb"},
		{"a\x00\nb", "name/a%00%0Ab"},
		{"é☃", "name/é☃"},
		{"é\xff", "name/%C3%A9%FF"},
		{"", "name/"},
	} {
		if got := makeKey("name", tt.part); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.part, got, tt.want)
		}
	}
}

// FuzzMakeKey: different parts never make the same key, and every key is what stores
// can keep.
func FuzzMakeKey(f *testing.F) {
	f.Add("a/b", "c", "a", "b/c")
	f.Add("%2F", "", "/", "")
	f.Add("\xff", "\x00", "%FF", "%00")
	f.Add("é", "\xc3", "\xc3\xa9", "\xa9")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		one, other := makeKey("x", a, b), makeKey("x", c, d)
		if (one == other) != (a == c && b == d) {
			t.Errorf("%q, %q and %q, %q make %q and %q", a, b, c, d, one, other)
		}
		if !utf8.ValidString(one) || strings.ContainsAny(one, "\x00\n\r") || strings.Count(one, "/") != 2 {
			t.Errorf("%q, %q make %q", a, b, one)
		}
	})
}

// FuzzCheckCertificate: whatever is uploaded is refused with a rule, or is an RSA
// certificate within bounds.
func FuzzCheckCertificate(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("-----BEGIN CERTIFICATE-----"))
	f.Add([]byte{0x30, 0x82, 0x01, 0x00, 0x30, 0x81})
	f.Fuzz(func(t *testing.T, der []byte) {
		parsed, err := checkCertificate(der)
		if (parsed == nil) == (err == nil) {
			t.Errorf("got %v, %v", parsed, err)
		}
	})
}

// FuzzCheckURI: an identifier URI that is taken is found again in any case and with a
// slash, and can stand in a scope.
func FuzzCheckURI(f *testing.F) {
	for _, uri := range []string{"api://orders", "https://orders.contoso.test/", "urn:orders:api", "api:///", "API://a//", "//", "a:b", "https://[::1]:8443/x"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if checkURI("uri", uri) != nil {
			return
		}
		if strings.ContainsAny(uri, " \t\r\n\x00\"<>") || len(uri) > maxURI {
			t.Errorf("%q was taken", uri)
		}
		if foldURI(strings.ToUpper(strings.TrimSuffix(uri, "/"))+"/") != foldURI(uri) {
			t.Errorf("%q is not found again", uri)
		}
		if _, is := guid.Parse(foldURI(uri)); is {
			t.Errorf("%q would be taken for an app id", uri)
		}
	})
}

// What is accepted is a place that a browser goes to and takes for no script, in the
// clear only on the same machine.
func FuzzCheckRedirect(f *testing.F) {
	for _, seed := range []string{"http://localhost", "https://contoso.test/in?a=b", "http://[::1]:1/", "msal1://auth", "javascript://localhost/%0a", "http://localhost@contoso.test", "https:contoso.test", "HTTP://LOCALHOST.contoso.test"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if checkRedirect("redirectUris[0]", uri) != nil {
			return
		}
		parsed, err := url.Parse(uri)
		if err != nil {
			t.Fatalf("%q is accepted and cannot be read: %v", uri, err)
		}
		switch parsed.Scheme {
		case "http":
			if host := parsed.Hostname(); !strings.EqualFold(host, "localhost") && !net.ParseIP(host).IsLoopback() {
				t.Errorf("%q goes elsewhere in the clear", uri)
			}
		case "javascript", "data", "vbscript", "file", "about", "blob":
			t.Errorf("%q has the scheme %s", uri, parsed.Scheme)
		}
		if parsed.Host == "" || parsed.User != nil || parsed.Fragment != "" || strings.ContainsAny(uri, "\r\n \\") {
			t.Errorf("%q is accepted", uri)
		}
	})
}

// Settings that are taken are one object, say the same as what was given, and are taken again as
// they are.
func FuzzCheckSettings(f *testing.F) {
	for _, seed := range []string{
		`{"a":1}`, `{"a":{"b":[1,{"b":null}]},"c":1.50}`, `{"a":1,"a":2}`, `{"a":{"b":1},"b":{"b":1}}`, `[{}]`, `{} {}`, `{"a":"<\u0000>"}`, `{"a":["a","a"]}`, `null`, ` { } `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, given []byte) {
		kept := json.RawMessage(bytes.Clone(given))
		if checkSettings(&kept) != nil || kept == nil {
			return
		}
		var was, is map[string]any
		if err := errors.Join(json.Unmarshal(given, &was), json.Unmarshal(kept, &is)); err != nil {
			t.Fatalf("%q is taken as %q: %v", given, kept, err)
		}
		if !reflect.DeepEqual(was, is) {
			t.Errorf("%q is kept as %q", given, kept)
		}
		again := bytes.Clone(kept)
		if err := checkSettings((*json.RawMessage)(&again)); err != nil || !bytes.Equal(again, kept) {
			t.Errorf("%q becomes %q, %v", kept, again, err)
		}
	})
}

func FuzzParseGUID(f *testing.F) {
	f.Add("7F1D3C52-0A4E-4B8E-9C61-2D5E8F0A1B11")
	f.Add("{7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b1}")
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := guid.Parse(s)
		if ok != (id != "") || (ok && (!strings.EqualFold(id, s) || id != strings.ToLower(id))) {
			t.Errorf("%q: got %q, %v", s, id, ok)
		}
	})
}

func TestNewGUID(t *testing.T) {
	t.Parallel()
	a, b := guid.New(), guid.New()
	id, ok := guid.Parse(a)
	if !ok || id != a || a == b || a[14] != '4' || !strings.ContainsRune("89ab", rune(a[19])) {
		t.Errorf("got %q and %q", a, b)
	}
}
