package remote_test

import (
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/remote"
)

const goodState = `{"version": 1, "servers": [
	{"name": "team", "url": "https://auth.corp.test:8443", "tenant": "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11", "graph": "https://auth.corp.test:8444", "by": "device-code", "who": "dev@contoso.test", "account": "a.b", "signedIn": "2026-11-28T12:00:00Z", "renewed": "2026-11-28T12:00:00Z"},
	{"name": "ci", "url": "https://auth.corp.test:8443", "tenant": "7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11", "graph": "https://auth.corp.test:8444", "resourceManager": "https://auth.corp.test:8445", "by": "certificate", "who": "c11e0001-5a5a-4c4c-8d8d-000000000001", "file": "/etc/client.pem", "bundle": true, "signedIn": "2026-11-28T12:00:00Z", "renewed": "2026-11-28T12:00:00Z"}
]}`

// The file says where tokens go, so that nothing in it is guessed.
func TestTheStateIsReadStrictly(t *testing.T) {
	t.Parallel()
	if all, err := remote.ParseState([]byte(goodState)); err != nil || len(all) != 2 || all[1].File != "/etc/client.pem" {
		t.Fatalf("got %+v, %v", all, err)
	}
	for name, change := range map[string][2]string{
		"a newer version":     {`"version": 1`, `"version": 2`},
		"no version":          {`"version": 1, `, ``},
		"an unknown member":   {`"by"`, `"since"`},
		"a name with a slash": {`"team"`, `"../team"`},
		"two of one name":     {`"name": "ci"`, `"name": "team"`},
		"no TLS":              {`"graph": "https:`, `"graph": "http:`},
		"a path":              {`:8444"`, `:8444/v1.0"`},
		"a user in the URL":   {`https://auth.corp.test:8443`, `https://x@auth.corp.test:8443`},
		"no Graph":            {`"graph": "https://auth.corp.test:8444"`, `"graph": ""`},
		"no tenant id":        {`7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11`, `contoso`},
		"no account":          {`"account": "a.b", `, ``},
		"no file":             {`"file": "/etc/client.pem", `, ``},
		"no app id":           {`"who": "c11e0001`, `"who": "c11e000`},
		"another way":         {`"certificate"`, `"magic"`},
		"half of it": {`"signedIn": "2026-11-28T12:00:00Z", "renewed": "2026-11-28T12:00:00Z"}
]}`, ``},
		"something behind it": {"]}", "]} {}"},
		"no JSON":             {goodState, "servers:"},
	} {
		changed := strings.Replace(goodState, change[0], change[1], 1)
		if changed == goodState {
			t.Errorf("%s: nothing to change", name)
		}
		if _, err := remote.ParseState([]byte(changed)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// What is taken can be written into a command and into URLs.
func FuzzState(f *testing.F) {
	f.Add([]byte(goodState))
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":1,"servers":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := remote.ParseState(b)
		for _, r := range all {
			if err != nil || remote.CheckName(r.Name) != nil || !strings.HasPrefix(r.URL, "https://") || !strings.HasPrefix(r.Graph, "https://") || strings.Contains(r.URL, "@") {
				t.Errorf("took %+v, %v", r, err)
			}
		}
	})
}

// Whatever the files hold, reading them ends in secrets or an error, and dropping a token leaves
// JSON what was JSON.
func FuzzSecrets(f *testing.F) {
	key := make([]byte, 32)
	f.Add([]byte(`{"plain":{"secret":"x"}}`), "x")
	f.Add([]byte(`{"sealed":"AAAA"}`), "")
	f.Add([]byte(`{"AccessToken":{"a":{"secret":"x"},"b":{"secret":"y"}},"RefreshToken":{}}`), "x")
	f.Add([]byte(`{"AccessToken":null}`), "x")
	f.Fuzz(func(t *testing.T, b []byte, token string) {
		if remote.OpenSecrets(key, b) {
			t.Errorf("%q was sealed with a key that nobody has", b)
		}
		remote.OpenSecrets(nil, b)
		before, after := string(b), remote.Drop(b, token)
		if token == "" && string(after) != before {
			t.Error("dropping nothing changed something")
		}
	})
}

func TestOneTokenIsDropped(t *testing.T) {
	t.Parallel()
	got := string(remote.Drop([]byte(`{"AccessToken":{"a":{"secret":"x"},"b":{"secret":"y"}},"RefreshToken":{"c":{"secret":"x"}}}`), "x"))
	if want := `{"AccessToken":{"b":{"secret":"y"}},"RefreshToken":{"c":{"secret":"x"}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
