package guardserver

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// envoyMessage returns a message that Envoy's own Go types have encoded
// (go-control-plane/envoy v1.40).
func envoyMessage(t testing.TB, name string) []byte {
	t.Helper()
	message, err := os.ReadFile(filepath.Join("testdata", "envoy", name))
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func TestCheckRequestsOfEnvoysOwnTypesAreRead(t *testing.T) {
	t.Parallel()
	joined, err := parseCheckRequest(string(envoyMessage(t, "joined.bin")))
	if err != nil {
		t.Fatal(err)
	}
	r := joined.request()
	if r.Method != "GET" || r.Path != "/api/GetOrders" || r.Query != "x=1" || joined.host != "orders.test:8443" || joined.peer != "192.0.2.1" {
		t.Errorf("got %+v %+v", joined, r)
	}
	if len(r.Header) != 3 || r.Header["Authorization"][0] != "Bearer a.b.c" || r.Header["X-Ms-Client-Principal"][0] != "evil" {
		t.Errorf("headers %v", r.Header)
	}
	raw, err := parseCheckRequest(string(envoyMessage(t, "raw.bin")))
	if err != nil {
		t.Fatal(err)
	}
	r = raw.request()
	if len(r.Header["Authorization"]) != 2 || r.Header["X-Odd"][0] != "\xff" {
		t.Errorf("raw headers %v", r.Header)
	}
}

func TestCheckResponsesAreEncodedAsEnvoysOwnTypesDo(t *testing.T) {
	t.Parallel()
	allowed := encodeAllowed([]checkHeader{{"cookie", "a=1"}, {"x-ms-client-principal-id", "5e11"}}, []string{"authorization", "x_ms_client_principal"})
	if allowed = allowed[messagePrefix:]; len(allowed) != cap(allowed) {
		t.Errorf("there was room for %d bytes, and there are %d", cap(allowed), len(allowed))
	}
	if want := envoyMessage(t, "allowed.bin"); !bytes.Equal(allowed, want) {
		t.Errorf("allowed:\n%x, want\n%x", allowed, want)
	}
	denied := encodeDenied(16, 401, map[string][]string{"Content-Type": {"application/json"}, "Www-Authenticate": {`Bearer realm="api"`, `PoP realm="api"`}}, []byte("{}\n"))[messagePrefix:]
	if want := envoyMessage(t, "denied.bin"); !bytes.Equal(denied, want) {
		t.Errorf("denied:\n%x, want\n%x", denied, want)
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	t.Parallel()
	good := envoyMessage(t, "joined.bin")
	for _, message := range [][]byte{
		nil, {0}, {0x0a}, {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}, {0x0b}, {0x08, 0x80}, {0x0d, 1}, {0x09, 1}, good[:len(good)-1], append([]byte{7}, good...), {0x08, 1}, {0x0a, 0},
	} {
		if c, err := parseCheckRequest(string(message)); err == nil {
			t.Errorf("%x is read as %+v", message, c)
		}
	}
}

// Whatever the bytes: no panic, and a request that has a method and a path, or an error.
func FuzzCheckRequest(f *testing.F) {
	for _, name := range []string{"joined.bin", "raw.bin", "allowed.bin", "denied.bin"} {
		f.Add(envoyMessage(f, name))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		c, err := parseCheckRequest(string(message))
		if err != nil {
			return
		}
		if c.method == "" || c.path == "" {
			t.Fatalf("got %+v", c)
		}
		for name := range c.request().Header {
			if name == "" || name[0] == ':' {
				t.Fatalf("a header %q", name)
			}
		}
	})
}
