package guard_test

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
)

func TestNewRefusesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	garbage := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(garbage, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*guard.Config)
		want   string // part of the error
	}{
		{"no audience", func(c *guard.Config) { c.Audience = nil }, "no Audience"},
		{"an empty audience", func(c *guard.Config) { c.Audience = []string{apiURI, ""} }, `the Audience ""`},
		{"an audience with a quote", func(c *guard.Config) { c.Audience = []string{`a"b`} }, "Audience"},
		{"no authority", func(c *guard.Config) { c.Authority = "" }, "no Authority"},
		{"common without tenants", func(c *guard.Config) { c.Authority = "https://login.microsoftonline.com/common" }, "list in Tenants"},
		{"organizations without tenants", func(c *guard.Config) { c.Authority = "https://login.microsoftonline.com/organizations" }, "list in Tenants"},
		{"an authority without tenant", func(c *guard.Config) { c.Authority = "https://login.microsoftonline.com/" }, "does not end in the tenant"},
		{"an authority with more than the tenant", func(c *guard.Config) { c.Authority += "/v2.0" }, "does not end in the tenant"},
		{"an authority with a query", func(c *guard.Config) { c.Authority += "?x=1" }, "does not end in the tenant"},
		{"a tenant by name", func(c *guard.Config) { c.Authority = "https://login.microsoftonline.com/contoso.test" }, "GUID"},
		{"an authority over http", func(c *guard.Config) { c.Authority = "http://authority.test/" + tenant }, "not https"},
		{"an authority over http on this machine", func(c *guard.Config) { c.Authority = "http://localhost:8443/" + tenant }, "write https://localhost:8443/" + tenant + " and"},
		{"an authority over http at a loopback address", func(c *guard.Config) { c.Authority = "http://127.0.0.1:8443/" + tenant }, "set CABundle"},
		{"an authority over http at an IPv6 loopback address", func(c *guard.Config) { c.Authority = "http://[::1]:8443/" + tenant }, "belongs into Issuers"},
		{"an authority over ftp", func(c *guard.Config) { c.Authority = "ftp://authority.test/" + tenant }, "not https"},
		{"no URL", func(c *guard.Config) { c.Authority = tenant }, "not a URL"},
		{"a URL that cannot be read", func(c *guard.Config) { c.Authority = "https://[::1" }, "not a URL"},
		{"a user in the URL", func(c *guard.Config) { c.Authority = "https://u:p@authority.test/" + tenant }, "not a URL"},
		{"a template without tenants", func(c *guard.Config) {
			c.Issuers = []guard.Issuer{{Issuer: "https://i.test/{tenantid}/v2.0", Keys: "https://i.test/k"}}
		}, "list in Tenants"},
		{"a template without a source", func(c *guard.Config) {
			c.Tenants, c.Issuers = []string{tenant}, []guard.Issuer{{Issuer: "https://i.test/{tenantid}/v2.0"}}
		}, "Metadata or Keys"},
		{"a template with two places", func(c *guard.Config) {
			c.Tenants, c.Issuers = []string{tenant}, []guard.Issuer{{Issuer: "https://i.test/{tenantid}/{tenantid}", Keys: "https://i.test/k"}}
		}, "more than once"},
		{"an issuer without tenant", func(c *guard.Config) { c.Issuers = []guard.Issuer{{Issuer: "https://i.test/"}} }, "names no tenant"},
		{"an empty issuer", func(c *guard.Config) { c.Issuers = []guard.Issuer{{}} }, "not a URL"},
		{"keys over http", func(c *guard.Config) {
			c.Issuers = []guard.Issuer{{Issuer: "https://i.test/" + otherTenant + "/", Keys: "http://i.test/k"}}
		}, "not https"},
		{"an AppID that is none", func(c *guard.Config) {
			c.Issuers = []guard.Issuer{{Issuer: "https://i.test/" + otherTenant + "/", AppID: "orders"}}
		}, "AppID"},
		{"an issuer twice", func(c *guard.Config) {
			c.Issuers = []guard.Issuer{{Issuer: "https://authority.test/" + tenant + "/v2.0"}}
		}, "twice"},
		{"an unknown caller", func(c *guard.Config) { c.Caller = "robot" }, `"robot"`},
		{"unknown as caller", func(c *guard.Config) { c.Caller = guard.CallerUnknown }, `"unknown"`},
		{"a tenant that is no GUID", func(c *guard.Config) { c.Tenants = []string{"contoso"} }, "Tenants"},
		{"a client that is no GUID", func(c *guard.Config) { c.Clients = []string{clientID + "0"} }, "Clients"},
		{"a principal that is no GUID", func(c *guard.Config) { c.Principals = []string{""} }, "Principals"},
		{"a symmetric algorithm", func(c *guard.Config) { c.Algorithms = []string{"HS256"} }, "HS256"},
		{"no algorithm at all", func(c *guard.Config) { c.Algorithms = []string{"none"} }, "none"},
		{"a negative skew", func(c *guard.Config) { c.Skew = -1 }, "Skew"},
		{"a skew of a day", func(c *guard.Config) { c.Skew = 24 * time.Hour }, "Skew"},
		{"a negative lifetime", func(c *guard.Config) { c.MaxLifetime = -1 }, "MaxLifetime"},
		{"a token of a megabyte", func(c *guard.Config) { c.MaxToken = 1 << 20 }, "MaxToken"},
		{"a realm with a line break", func(c *guard.Config) { c.Realm = "a\r\nX: y" }, "Realm"},
		{"metadata with a quote", func(c *guard.Config) { c.ResourceMetadata = `https://a/"` }, "ResourceMetadata"},
		{"client and bundle", func(c *guard.Config) { c.CABundle = "ca.pem" }, "both"},
		{"a bundle that is missing", func(c *guard.Config) { c.HTTPClient, c.CABundle = nil, garbage+".missing" }, "CABundle"},
		{"a bundle without certificate", func(c *guard.Config) { c.HTTPClient, c.CABundle = nil, garbage }, "no certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := newAuthority("https://authority.test").config()
			tt.change(&cfg)
			g, err := guard.New(t.Context(), cfg)
			if err == nil || g != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
		})
	}
	if _, err := guard.New(t.Context(), guard.Config{}); err == nil {
		t.Error("the zero Config was taken")
	}
}

func TestHandlerRefusesRulesThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	g := newGuard(t, newAuthority("https://authority.test").config())
	next := http.NotFoundHandler()
	for name, rules := range map[string][]guard.Rule{
		"none":                           nil,
		"no path":                        {{Roles: []string{"R"}}},
		"a relative path":                {{Path: "orders"}},
		"a path with a query":            {{Path: "/orders?x"}},
		"a path that is encoded":         {{Path: "/%6frders"}},
		"dot segments":                   {{Path: "/a/../b"}},
		"two slashes":                    {{Path: "/a//b"}},
		"a wildcard within a segment":    {{Path: "/a*"}},
		"a wildcard in the middle":       {{Path: "/a/*/b"}},
		"an unnamed wildcard":            {{Path: "/a/{}"}},
		"a host":                         {{Path: "//host/a"}},
		"an unknown method":              {{Path: "/a", Methods: []string{"FETCH"}}},
		"a method in lower case":         {{Path: "/a", Methods: []string{"get"}}},
		"HEAD":                           {{Path: "/a", Methods: []string{"HEAD"}}},
		"an empty role":                  {{Path: "/a", Roles: []string{""}}},
		"two roles in one":               {{Path: "/a", Roles: []string{"A B"}}},
		"an unknown caller":              {{Path: "/a", Caller: "robot"}},
		"a client that is no GUID":       {{Path: "/a", Clients: []string{"me"}}},
		"a principal that is no GUID":    {{Path: "/a", Principals: []string{"me"}}},
		"a tenant that is no GUID":       {{Path: "/a", Tenants: []string{"me"}}},
		"anonymous with a role":          {{Path: "/a", Anonymous: true, Roles: []string{"R"}}},
		"scopes of applications":         {{Path: "/a", Scopes: []string{"S"}}},
		"a good rule and then a bad one": {{Path: "/a"}, {Path: ""}},
	} {
		if _, err := g.Handler(rules, next); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := g.Handler([]guard.Rule{{Path: "/a"}}, nil); err == nil {
		t.Error("no handler: no error")
	}
}

// TestOwnClientTrustsTheBundleAlone uses the client that New makes itself, which must
// trust the bundle and nothing else, and use no proxy.
func TestOwnClientTrustsTheBundleAlone(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	server := httptest.NewUnstartedServer(nil)
	a := newAuthority("https://" + server.Listener.Addr().String())
	server.Config.Handler = a
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a refused handshake is what the test wants
	server.StartTLS()
	t.Cleanup(server.Close)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := a.config()
	cfg.HTTPClient, cfg.CABundle = nil, bundle
	g := newGuard(t, cfg)
	if err := g.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := g.Check(t.Context(), a.token(t), ordersRule); !d.Allowed() {
		t.Errorf("%s", d.Reason)
	}
	cfg.CABundle = ""
	if d := newGuard(t, cfg).Check(t.Context(), a.token(t), ordersRule); d.Reason != guard.KeysUnavailable {
		t.Errorf("without the bundle: %q", d.Reason)
	}
}
