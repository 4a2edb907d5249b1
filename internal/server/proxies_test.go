package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/fixture"
)

// Whom a request comes from decides whose failed attempts are counted, so nobody may choose
// it: only the hops that proxies of ours wrote count, and of those the last stranger.
func TestTheSourceOfARequest(t *testing.T) {
	t.Parallel()
	p, err := newProxies([]string{"10.0.0.0/8", "2001:db8:a::/48"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const proxy, stranger = "10.1.1.1:5000", "192.0.2.66:5000"
	for _, tt := range []struct {
		name, peer       string
		common, standard []string
		want             string
	}{
		{"nothing said", proxy, nil, nil, proxy},
		{"a stranger says", stranger, []string{"198.51.100.1"}, nil, stranger},
		{"a stranger says it otherwise", stranger, nil, []string{"for=198.51.100.1"}, stranger},
		{"a stranger claims to be a proxy", stranger, []string{"10.1.1.1"}, nil, stranger},
		{"the proxy says", proxy, []string{"198.51.100.1"}, nil, "198.51.100.1:0"},
		{"the client invented the hops before it", proxy, []string{"127.0.0.1, 203.0.113.9, 198.51.100.1"}, nil, "198.51.100.1:0"},
		{"on lines of their own", proxy, []string{"203.0.113.9", "198.51.100.1"}, nil, "198.51.100.1:0"},
		{"two proxies", proxy, []string{"203.0.113.9, 198.51.100.1, 10.2.2.2"}, nil, "198.51.100.1:0"},
		{"the client invented a proxy", proxy, []string{"203.0.113.9, 10.9.9.9, 198.51.100.1"}, nil, "198.51.100.1:0"},
		{"only proxies", proxy, []string{"10.3.3.3, 10.2.2.2"}, nil, "10.3.3.3:0"},
		{"with a port", proxy, []string{"198.51.100.1:4711"}, nil, "198.51.100.1:0"},
		{"an IPv6 client", proxy, []string{"2001:db8:b::1"}, nil, "[2001:db8:b::1]:0"},
		{"an IPv6 client with a port", proxy, []string{"[2001:db8:b::1]:4711"}, nil, "[2001:db8:b::1]:0"},
		{"IPv4 written as IPv6", proxy, []string{"::ffff:198.51.100.1"}, nil, "198.51.100.1:0"},
		{"a proxy that writes IPv6", "[2001:db8:a::7]:5000", []string{"198.51.100.1"}, nil, "198.51.100.1:0"},
		{"a proxy over a socket for both", "[::ffff:10.1.1.1]:5000", []string{"198.51.100.1"}, nil, "198.51.100.1:0"},
		{"no address", proxy, []string{"unknown"}, nil, "10.1.1.1:0"},
		{"no address behind the second proxy", proxy, []string{"198.51.100.1, x, 10.2.2.2"}, nil, "10.2.2.2:0"},
		{"an empty element", proxy, []string{"198.51.100.1, "}, nil, "10.1.1.1:0"},
		{"the standard", proxy, nil, []string{"for=203.0.113.9, for=198.51.100.1;proto=https;by=10.1.1.1"}, "198.51.100.1:0"},
		{"the standard, quoted", proxy, nil, []string{`proto=https; For="[2001:db8:b::1]:4711"`}, "[2001:db8:b::1]:0"},
		{"the standard, hidden", proxy, nil, []string{"for=198.51.100.1, for=_gazonk"}, "10.1.1.1:0"},
		{"a comma between quotes", proxy, nil, []string{`for="198.51.100.1, for=203.0.113.9"`}, "10.1.1.1:0"},
		{"a quote that is not closed", proxy, nil, []string{`for=198.51.100.1;host="x, for=203.0.113.9`}, "198.51.100.1:0"},
		{"both, the same", proxy, []string{"198.51.100.1"}, []string{"for=198.51.100.1"}, "198.51.100.1:0"},
		{"both, one of them passed on", proxy, []string{"198.51.100.1"}, []string{"for=203.0.113.9"}, proxy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
			r.RemoteAddr, r.Header["X-Forwarded-For"], r.Header["Forwarded"] = tt.peer, tt.common, tt.standard
			var got string
			p.identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })).ServeHTTP(nil, r)
			if got != tt.want {
				t.Errorf("from %s, want %s", got, tt.want)
			}
			if r.RemoteAddr != tt.peer {
				t.Error("the request of others was changed")
			}
		})
	}
}

// Headers of proxies mean nothing unless proxies are named.
func TestNoProxyIsTrustedByDefault(t *testing.T) {
	t.Parallel()
	p, err := newProxies(nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	r.RemoteAddr = "127.0.0.1:5000"
	r.Header.Set("X-Forwarded-For", "198.51.100.1")
	p.identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.RemoteAddr != "127.0.0.1:5000" {
			t.Errorf("from %s", r.RemoteAddr)
		}
	})).ServeHTTP(nil, r)
}

// Where two headers disagree, that is said once.
func TestHeadersThatDisagreeAreSaid(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p, err := newProxies([]string{"10.1.1.1"}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		r.RemoteAddr = "10.1.1.1:1"
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		r.Header.Set("Forwarded", "for=203.0.113.9")
		p.client(r)
	}
	if strings.Count(log.String(), "disagree") != 1 {
		t.Errorf("the log:\n%s", &log)
	}
}

// Behind a proxy at which TLS ends, everything is told under the public address, the
// authority takes plain requests, and sign-ins have the client's address.
func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	s := startWith(t, Config{Dir: t.TempDir(), PublicURL: "https://Auth.corp.test:443/", TrustedProxies: []string{"127.0.0.1"}})
	const base = "https://auth.corp.test"
	if s.Endpoints().Authority != base {
		t.Fatalf("the authority is %s", s.Endpoints().Authority)
	}
	var document map[string]any
	fetchJSON(t, s, base+"/"+s.Endpoints().Tenants[0].ID+"/v2.0/.well-known/openid-configuration", &document)
	for name, value := range document {
		if text, ok := value.(string); ok && strings.HasPrefix(text, "https://") && !strings.HasPrefix(text, base+"/") && !strings.Contains(name, "graph") {
			t.Errorf("%s is %s", name, text)
		}
	}
	response, err := http.Get("http://" + s.address(authoritySurface).String() + "/" + s.Endpoints().Tenants[0].ID + "/v2.0/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("a plain request: %s", response.Status)
	}
}

// A listener without TLS is for the proxy alone.
func TestPlainRequestsOfStrangers(t *testing.T) {
	t.Parallel()
	s := &Server{cfg: Config{PublicURL: "https://auth.corp.test", TrustedProxies: []string{"10.0.0.0/8"}}, log: slog.New(slog.DiscardHandler)}
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	h := s.front(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for peer, want := range map[string]int{
		"10.1.1.1:1": http.StatusNoContent, "127.0.0.1:1": http.StatusNoContent, "[::1]:1": http.StatusNoContent,
		"192.0.2.66:1": http.StatusForbidden, "[2001:db8::1]:1": http.StatusForbidden, "@": http.StatusForbidden,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", "127.0.0.1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", peer, w.Code, want)
		}
	}
}

// What cannot work together is refused before the folder is touched.
func TestSettingsThatContradict(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"a certificate without its key":         {TLSCert: "tls.crt"},
		"a key without its certificate":         {TLSKey: "tls.key"},
		"a public URL without TLS":              {PublicURL: "http://auth.corp.test"},
		"a public URL with a path":              {PublicURL: "https://corp.test/auth"},
		"a public URL that is a host":           {PublicURL: "auth.corp.test"},
		"a public URL with a user":              {PublicURL: "https://me@auth.corp.test"},
		"no TLS towards an unknown network":     {PublicURL: "https://auth.corp.test", Listen: "0.0.0.0"},
		"a proxy that is neither one nor a net": {TrustedProxies: []string{"nginx"}},
	} {
		cfg.Dir = t.TempDir() + "/data"
		cfg.NewKey = fixture.NewKeys()
		if s, err := Start(t.Context(), cfg); err == nil {
			t.Errorf("%s: the server started", name)
			_ = s.Close()
		}
	}
}
