package guardfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestSettingsAreRead(t *testing.T) {
	t.Parallel()
	file, err := guardfile.Parse("guard.yaml", read(t, "guard.yaml"))
	if err != nil || len(file.APIs) != 1 {
		t.Fatalf("got %+v, %v", file, err)
	}
	if a := file.APIs[0]; !strings.HasSuffix(a.Authority, "/7f1d3c52-0a4e-4b8e-9c61-2d5e8f0a1b11") || len(a.Audience) != 2 || a.Caller != guard.CallerApplication || len(a.Rules) != 2 ||
		a.Rules[0].Methods[0] != "GET" || a.Rules[0].Roles[0] != "Orders.Read" || !a.Rules[1].Anonymous {
		t.Errorf("got %+v", a)
	}
	file, err = guardfile.Parse("guard.yaml", read(t, "apis.yaml"))
	if err != nil || len(file.APIs) != 2 {
		t.Fatalf("got %+v, %v", file, err)
	}
	several := file.APIs
	if several[0].Host != "orders.corp.test" || len(several[0].Rules[0].AllRoles) != 2 || several[1].Caller != guard.CallerAny || several[1].Rules[0].Scopes[0] != "Bills.Read" {
		t.Errorf("got %+v", several)
	}
}

func TestBindingIsRead(t *testing.T) {
	t.Parallel()
	file, err := guardfile.Parse("guard.yaml", []byte("authority: https://a.test/t\naudience: [x]\norigins: ['https://api.test', 'https://localhost:9443/']\nrules: [{path: /, bound: true}]\n"))
	if err != nil || !file.APIs[0].Rules[0].Bound {
		t.Fatalf("got %+v, %v", file, err)
	}
	cfg := file.Config(file.APIs[0])
	if cfg.DPoP == nil || !slices.Equal(cfg.DPoP.Origins, []string{"https://api.test", "https://localhost:9443"}) || !slices.Equal(cfg.SignedRequests.Hosts, []string{"api.test", "localhost:9443"}) {
		t.Errorf("got %+v, %+v", cfg.DPoP, cfg.SignedRequests)
	}
	if file, err = guardfile.Parse("guard.yaml", []byte("authority: https://a.test/t\naudience: [x]\nrules: [{path: /}]\n")); err != nil {
		t.Fatal(err)
	}
	if cfg := file.Config(file.APIs[0]); cfg.DPoP != nil || cfg.SignedRequests != nil || file.APIs[0].Rules[0].Bound {
		t.Errorf("got %+v", cfg)
	}
}

func TestStreamsAreRead(t *testing.T) {
	t.Parallel()
	for line, keeps := range map[string]bool{"": false, "endStreams: true\n": false, "endStreams: false\n": true} {
		file, err := guardfile.Parse("guard.yaml", []byte(line+"authority: https://a.test/t\naudience: [x]\nrules: [{path: /}]\n"))
		if err != nil || file.KeepStreams != keeps || (file.Settings().EndStreams != nil) != keeps {
			t.Errorf("%q: got %+v, %v", line, file, err)
		}
	}
}

func TestRevocationIsRead(t *testing.T) {
	t.Parallel()
	const api = "authority: https://a.test/t, audience: [x], rules: [{path: /}]"
	for content, want := range map[string]bool{
		"{" + api + "}":                                        false,
		"{" + api + ", revocation: off}":                       false,
		"{" + api + ", revocation: follow}":                    true,
		"{apis: [{host: h, " + api + "}]}":                     false,
		"{revocation: follow, apis: [{host: h, " + api + "}]}": true,
	} {
		file, err := guardfile.Parse("guard.yaml", []byte(content))
		if err != nil || len(file.APIs) != 1 || file.APIs[0].Follow != want {
			t.Errorf("%s: got %+v, %v", content, file, err)
		}
	}
}

func TestMistakesAreNamedWithTheirPlace(t *testing.T) {
	t.Parallel()
	const good = "authority: https://a.test/t\naudience: [api://x]\n"
	for _, tt := range []struct{ name, content, want string }{
		{"nothing", "", "guard.yaml: it is empty"},
		{"no YAML", "a: [", "guard.yaml: it is no YAML"},
		{"a list", "[1]", "guard.yaml:1:1: members are expected here"},
		{"unknown", good + "rulez: []\nrules: [{path: /}]\n", `guard.yaml:3:1: there is no member "rulez" here`},
		{"unknown in a rule", good + "rules: [{path: /, role: [x]}]\n", `there is no member "role" here`},
		{"twice", good + "audience: [api://y]\nrules: [{path: /}]\n", "audience is given twice"},
		{"no rules", good, "rules are missing"},
		{"no authority", "audience: [x]\nrules: [{path: /}]\n", "authority is missing"},
		{"text for a list", "authority: https://a.test/t\naudience: api://x\nrules: [{path: /}]\n", "guard.yaml:2:11: a list is expected here"},
		{"caller", good + "caller: app\nrules: [{path: /}]\n", "guard.yaml:3:9: caller is one of application, user and any"},
		{"truth", good + "rules: [{path: /, anonymous: yes please}]\n", "true or false is expected here"},
		{"no path", good + "rules: [{roles: [x]}]\n", "path is missing"},
		{"both", good + "rules: [{path: /}]\napis: []\n", "stands beside apis"},
		{"an origin with a path", good + "origins: [https://a.test/x]\nrules: [{path: /}]\n", "guard.yaml:3:11: an origin is scheme and host"},
		{"an origin without a scheme", good + "origins: [a.test]\nrules: [{path: /}]\n", "an origin is scheme and host"},
		{"a header that is none", good + "mode: ext-authz\nclientCertificate: X Cert\nrules: [{path: /}]\n", "guard.yaml:4:20: the name of a header"},
		{"a header that nobody sets", good + "clientCertificate: X-Cert\nrules: [{path: /}]\n", "believed from trustedPeers alone"},
		{"streams of others", good + "mode: ext-authz\nendStreams: true\nrules: [{path: /}]\n", "guard.yaml:4:13: endStreams is for the mode proxy"},
		{"streams", good + "endStreams: sometimes\nrules: [{path: /}]\n", "true or false is expected here"},
		{"bound", good + "rules: [{path: /, bound: perhaps}]\n", "true or false is expected here"},
		{"revocation", good + "rules: [{path: /}]\nrevocation: on\n", "guard.yaml:4:13: revocation"},
		{"no API", "apis: []\n", "apis is empty"},
		{"no host", "apis: [{authority: https://a.test/t, audience: [x], rules: [{path: /}]}]\n", "host is missing"},
		{"a listener", good + "listen: nowhere\nrules: [{path: /}]\n", "guard.yaml:3:9: an address with a port is expected here"},
		{"a mode", good + "mode: sidecar\nrules: [{path: /}]\n", "mode is one of proxy, forward-auth and ext-authz"},
		{"no dialect", good + "mode: forward-auth\nrules: [{path: /}]\n", "needs a dialect"},
		{"a dialect for nobody", good + "dialect: nginx\nrules: [{path: /}]\n", "dialect is for the modes"},
		{"a dialect of another mode", good + "mode: ext-authz\ndialect: nginx\nrules: [{path: /}]\n", "guard.yaml:4:10: the mode ext-authz has the dialects"},
		{"half of TLS", good + "tls: {cert: a.pem}\nrules: [{path: /}]\n", "tls needs both"},
		{"peers", good + "trustedPeers: [localhost]\nrules: [{path: /}]\n", "an address or a network is expected here"},
		{"an age", good + "maxKeyAge: 1m\nrules: [{path: /}]\n", "maxKeyAge is a duration of ten minutes and more"},
		{"upstream with a path", good + "upstream: http://a.test/api\nrules: [{path: /}]\n", "the upstream is not http://HOST:PORT"},
		{"upstream of another kind", good + "upstream: ftp://a.test\nrules: [{path: /}]\n", "the upstream is not http://HOST:PORT"},
		{"an identity", good + "identity: headers\nrules: [{path: /}]\n", "identity is one of easy-auth, signed and none"},
		{"a host with a port", "apis: [{host: 'a.test:80', authority: https://a.test/t, audience: [x], rules: [{path: /}]}]\n", "without a port"},
		{"a host twice", "apis: [{host: a.test, authority: https://a.test/t, audience: [x], rules: [{path: /}]}, {host: A.test, authority: https://a.test/t, audience: [x], rules: [{path: /}]}]\n", "this host is given twice"},
		{"alias", "x: &a [y]\n", "there is no member"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := guardfile.Parse("guard.yaml", []byte(tt.content)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := guardfile.Parse("guard.yaml", make([]byte, guardfile.MaxSize+1)); err == nil {
		t.Error("a file that is too long is read")
	}
}

// Whatever the bytes: no panic, and settings that are complete, or problems.
func FuzzParse(f *testing.F) {
	f.Add(read(f, "guard.yaml"))
	f.Add(read(f, "apis.yaml"))
	f.Add(read(f, "all.yaml"))
	f.Add(read(f, "authsettings.json"))
	f.Add(read(f, "policy.xml"))
	f.Add([]byte("<a><validate-azure-ad-token tenant-id='common'/><validate-azure-ad-token/></a>"))
	f.Add([]byte("authority: &a x\naudience: [*a, *a]\nrules: [*a]\n"))
	f.Add([]byte("rules: !!binary aGk=\n"))
	f.Add([]byte("? [a]\n: b\n"))
	f.Add([]byte("\xff\xfet\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := guardfile.Parse("guard.yaml", content)
		if err != nil {
			if problem := (*guardfile.Problem)(nil); !errors.As(err, &problem) {
				t.Fatalf("got a %T, want problems", err)
			}
			return
		}
		if len(file.APIs) == 0 {
			t.Fatal("a file without an API")
		}
		for _, api := range file.APIs {
			if api.Authority == "" || len(api.Audience) == 0 || len(api.Rules) == 0 {
				t.Fatalf("an API without settings: %+v", api)
			}
		}
	})
}
