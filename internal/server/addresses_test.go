package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// Issuers are compared letter by letter, and clients leave the default port out.
func TestTheDefaultPortIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ scheme, host, port, want string }{
		{"https", "login.example.test", "443", "https://login.example.test"},
		{"https", "login.example.test", "8443", "https://login.example.test:8443"},
		{"https", "login.example.test", "80", "https://login.example.test:80"},
		{"http", "127.0.0.1", "80", "http://127.0.0.1"},
		{"http", "127.0.0.1", "443", "http://127.0.0.1:443"},
		{"https", "::1", "443", "https://[::1]"},
		{"https", "[::1]", "443", "https://[::1]"},
		{"https", "::1", "8443", "https://[::1]:8443"},
	} {
		if got := originURL(tt.scheme, tt.host, tt.port); got != tt.want {
			t.Errorf("%s, %s, %s: %s, want %s", tt.scheme, tt.host, tt.port, got, tt.want)
		}
	}
}

// What reads the port from a URL must find one there.
func TestDialHasAPort(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://login.example.test": "login.example.test:443", "https://localhost:8443": "localhost:8443",
		"http://127.0.0.1": "127.0.0.1:80", "https://[::1]": "[::1]:443",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := Dial(u); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

// On port 443 everything that the server says about itself is without the port. It listens
// at an address of its own, so that two tests do not meet.
func TestAServerOnPort443(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Config{Dir: t.TempDir(), NewKey: fixture.NewKeys(), Port: 443, Listen: "127.0.53.1", Hosts: []string{"login.example.test"}})
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Skipf("port 443 is not to be had here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const base = "https://login.example.test"
	if at := s.Endpoints(); at.Authority != base || at.ResourceManager != base+":445" {
		t.Errorf("endpoints: %+v", at)
	}
	var document map[string]any
	fetchJSON(t, s, base+"/"+s.Endpoints().Tenants[0].ID+"/v2.0/.well-known/openid-configuration", &document)
	for name, value := range document {
		if text, ok := value.(string); ok && strings.Contains(text, ":443") {
			t.Errorf("%s is %s", name, text)
		}
	}
	kept, err := os.ReadFile(s.cfg.Dir + "/" + stateFile)
	if err != nil || strings.Contains(string(kept), ":443\"") {
		t.Errorf("%s: %v\n%s", stateFile, err, kept)
	}
}

// fetchJSON reads a document as a client to which the server's names lead there.
func fetchJSON(t *testing.T, s *Server, url string, into any) {
	t.Helper()
	response, err := s.ownClient().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// Several names lead to one authority; the first one issues.
func TestSeveralNames(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir(), Hosts: []string{"auth.corp.test", "login.old.test"}})
	issuer := s.Endpoints().Authority
	if !strings.HasPrefix(issuer, "https://auth.corp.test:") {
		t.Fatalf("the authority is %s", issuer)
	}
	alias := strings.Replace(issuer, "auth.corp.test", "login.old.test", 1)
	tenant := s.Endpoints().Tenants[0].ID
	for _, base := range []string{issuer, alias} {
		var document struct{ Issuer string }
		fetchJSON(t, s, base+"/"+tenant+"/v2.0/.well-known/openid-configuration", &document)
		if want := issuer + "/" + tenant + "/v2.0"; document.Issuer != want {
			t.Errorf("at %s the issuer is %s, want %s", base, document.Issuer, want)
		}
		var instance struct {
			Discovery string `json:"tenant_discovery_endpoint"`
			Metadata  []struct {
				Network string   `json:"preferred_network"`
				Aliases []string `json:"aliases"`
			} `json:"metadata"`
		}
		fetchJSON(t, s, base+"/common/discovery/instance?api-version=1.1&authorization_endpoint="+url.QueryEscape(base+"/"+tenant+"/oauth2/v2.0/authorize"), &instance)
		want := []string{strings.TrimPrefix(issuer, "https://"), strings.TrimPrefix(alias, "https://")}
		if len(instance.Metadata) != 1 || !slices.Equal(instance.Metadata[0].Aliases, want) || instance.Metadata[0].Network != want[0] {
			t.Errorf("asked about %s: %+v", base, instance)
		}
	}
}

// A host that the certificate authority may not sign for changes ca.pem, which clients have
// a copy of. That is said, once.
func TestACertificateAuthorityIssuedAgainIsSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, tt := range []struct {
		hosts []string
		want  string
	}{
		{nil, ""}, // a first start has nobody to tell
		{[]string{"auth.corp.test", "192.0.2.7"}, "it was not allowed to sign for auth.corp.test, 192.0.2.7"},
		{[]string{"auth.corp.test"}, ""},
		{nil, ""},
	} {
		s, err := Start(t.Context(), Config{Dir: dir, NewKey: fixture.NewKeys(), Hosts: tt.hosts})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.CA().Changed(); got != tt.want {
			t.Errorf("start %d: %q, want %q", i+1, got, tt.want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A port that takes a right is refused before the directory is touched, with the ways to
// get the right.
func TestAPortThatNeedsARight(t *testing.T) {
	t.Parallel()
	err := cannotListen(surfacePlans()[0], 443, syscall.EACCES)
	for _, want := range []string{"setcap cap_net_bind_service", "ip_unprivileged_port_start=443", "--port"} {
		if !strings.Contains(fix.Of(err), want) {
			t.Errorf("the fix is %q, want %s in it", fix.Of(err), want)
		}
	}
	if text := fix.Of(cannotListen(surfacePlans()[0], 8443, syscall.EADDRINUSE)); strings.Contains(text, "setcap") {
		t.Errorf("a port in use: %s", text)
	}
}
