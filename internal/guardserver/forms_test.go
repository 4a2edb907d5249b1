package guardserver_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/guard"
)

// reasonOf returns the reason in the body of a refusal.
func reasonOf(body string) guard.Reason {
	var answer struct{ Reason guard.Reason }
	_ = json.Unmarshal([]byte(body), &answer)
	return answer.Reason
}

func TestForwardAuthAsEachProxyAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, admin := w.token("Orders.Read"), w.login.Token("other", "orders", "Orders.Admin")
	for dialect, asks := range map[string]func(method, uri string) []string{
		"nginx": func(method, uri string) []string {
			return []string{"X-Original-Method: " + method, "X-Original-URI: " + uri}
		},
		"traefik": func(method, uri string) []string {
			return []string{"X-Forwarded-Method: " + method, "X-Forwarded-Proto: https", "X-Forwarded-Host: orders.test", "X-Forwarded-Uri: " + uri, "X-Forwarded-For: 192.0.2.1"}
		},
		"caddy": func(method, uri string) []string {
			return []string{"X-Forwarded-Method: " + method, "X-Forwarded-Uri: " + uri}
		},
	} {
		t.Run(dialect, func(t *testing.T) {
			w := w.beside(t)
			w.start(w.settings("mode: forward-auth\ndialect: "+dialect, ordersRules))
			for _, tt := range []struct {
				name, method, uri, token string
				status                   int
				reason                   guard.Reason
			}{
				{"in", "GET", "/api/GetOrders?x=1", good, 200, ""},
				{"head", "HEAD", "/api/GetOrders", good, 200, ""},
				{"anonymous", "GET", "/healthz", "", 200, ""},
				{"no token", "GET", "/api/GetOrders", "", 401, guard.TokenMissing},
				{"another role", "GET", "/api/GetOrders", admin, 403, guard.RoleMissing},
				{"another method", "DELETE", "/api/GetOrders", good, 403, guard.NoPolicy},
				{"two readings", "GET", "/healthz/..%2fapi/GetOrders", good, 400, guard.PathNotCanonical},
				{"token in the query", "GET", "/api/GetOrders?access_token=x", good, 400, guard.TokenInQuery},
				{"a URL", "GET", "https://orders.test/api/GetOrders", good, 200, ""},
				{"a URL with a password", "GET", "https://a@orders.test/api/GetOrders", good, 403, guard.NoPolicy},
				{"no path", "GET", "api/GetOrders", good, 403, guard.NoPolicy},
				{"a fragment", "GET", "/healthz#/api/GetOrders", good, 400, guard.PathNotCanonical},
			} {
				headers := asks(tt.method, tt.uri)
				if tt.token != "" {
					headers = append(headers, "Authorization: Bearer "+tt.token)
				}
				resp, body := w.get("/guard/check", headers...)
				want := tt.status
				if want == 400 && dialect == "nginx" {
					want = 401 // nginx knows no other refusal than 401 and 403
				}
				if resp.StatusCode != want || reasonOf(body) != tt.reason {
					t.Errorf("%s: got %d %q, want %d %q", tt.name, resp.StatusCode, reasonOf(body), want, tt.reason)
				}
				if want == 401 && tt.reason == guard.TokenMissing && resp.Header.Get("Www-Authenticate") == "" {
					t.Errorf("%s: no challenge", tt.name)
				}
				if want != 200 {
					continue
				}
				if body != "" {
					t.Errorf("%s: body %q", tt.name, body)
				}
				for _, name := range []string{"X-Ms-Client-Principal", "X-Ms-Client-Principal-Id", "X-Ms-Client-Principal-Name", "X-Ms-Client-Principal-Idp", "X-Ms-Token-Aad-Access-Token"} {
					values, ok := resp.Header[name]
					if !ok || len(values) != 1 {
						t.Errorf("%s: %s is %q, want one line, empty or not", tt.name, name, values)
					}
				}
				if known := resp.Header.Get("X-Ms-Client-Principal-Idp") == "aad"; known != (tt.token != "" && tt.name != "anonymous") {
					t.Errorf("%s: identity %v", tt.name, resp.Header)
				}
			}
			// Nothing else than what the proxy says is looked at.
			for name, headers := range map[string][]string{
				"nothing said":    {},
				"no method":       asks("GET", "/healthz")[1:],
				"a second method": append(asks("DELETE", "/healthz"), asks("GET", "/healthz")[0]),
				"a second target": append(asks("GET", "/api/GetOrders"), asks("GET", "/healthz")[len(asks("", ""))-1], "X-Original-URI: /healthz", "X-Forwarded-Uri: /healthz"),
				"another dialect": {"X-Envoy-Original-Path: /healthz", "X-Rewrite-URL: /healthz", "Path: /healthz", "X-Http-Method-Override: GET"},
			} {
				if resp, body := w.get("/guard/check", headers...); resp.StatusCode == http.StatusOK {
					t.Errorf("%s: let in, %s", name, body)
				}
			}
			if resp, _ := w.get("/healthz", asks("GET", "/healthz")...); resp.StatusCode != http.StatusNotFound {
				t.Errorf("another address: %d", resp.StatusCode)
			}
		})
	}
}

// nginx copies what a client sends. Of the two headers that name a target it sets one; a client
// that sends the other gains nothing but a refusal.
func TestAClientNeverChoosesWhatNginxIsAskedAbout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("mode: forward-auth\ndialect: nginx", ordersRules))
	for _, headers := range [][]string{
		{"X-Original-URI: /api/GetOrders", "X-Original-URL: https://orders.test/healthz"},
		{"X-Original-URL: https://orders.test/api/GetOrders", "X-Original-URI: /healthz"},
		{"X-Original-URL: https://orders.test/api/GetOrders", "X-Original-URL: https://orders.test/healthz"},
		{"X-Original-URI: /api/GetOrders", "X-Original-Uri: /healthz"},
		{"X-Original-URI: /api/GetOrders", "X_Original_URI: /healthz", "X-Forwarded-Uri: /healthz", "X-Forwarded-Method: GET", "X-Forwarded-Host: x"},
	} {
		resp, body := w.get("/guard/check", append(headers, "X-Original-Method: GET")...)
		if resp.StatusCode == http.StatusOK {
			t.Errorf("%q: let in", headers)
		}
		if r := reasonOf(body); r != guard.NoPolicy && r != guard.TokenMissing {
			t.Errorf("%q: %q", headers, r)
		}
	}
}

func TestPeersThatAreNotTrustedSayNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, mode := range []string{"forward-auth\ndialect: traefik", "ext-authz\ndialect: http"} {
		w := w.beside(t)
		w.start(w.settings("trustedPeers: [192.0.2.0/24]\nmode: "+mode, "\n  - {path: /*, anonymous: true}\n"))
		for _, path := range []string{"/guard/check", "/healthz"} {
			if resp, _ := w.get(path, "X-Forwarded-Method: GET", "X-Forwarded-Uri: /healthz", "X-Forwarded-For: 192.0.2.1"); resp.StatusCode == http.StatusOK {
				t.Errorf("%s %s: let in", mode, path)
			}
		}
		if !strings.Contains(w.log.String(), "the peer is none of trustedPeers") {
			t.Errorf("the log does not say why:\n%s", w.log)
		}
	}
	w = w.beside(t)
	w.start(w.settings("trustedPeers: [192.0.2.0/24]\nmode: ext-authz", "\n  - {path: /*, anonymous: true}\n"))
	if status, answer := w.call("/envoy.service.auth.v3.Authorization/Check", checkRequest("GET", "orders.test", "/healthz")); status != "7" || len(answer) > 0 {
		t.Errorf("over gRPC: %s %q", status, answer)
	}
}

func TestExtAuthzOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("mode: ext-authz\ndialect: http", ordersRules))
	good := "Authorization: Bearer " + w.token("Orders.Read")
	resp, body := w.get("/api/GetOrders", good, "X-MS-CLIENT-PRINCIPAL-NAME: evil", "X_MS_Client_Principal: evil", "Cookie: a=1; AppServiceAuthSession=x")
	if resp.StatusCode != http.StatusOK || body != "" || resp.Header.Get("X-Ms-Client-Principal-Idp") != "aad" || resp.Header.Get("Cookie") != "a=1" {
		t.Errorf("got %d %q %v", resp.StatusCode, body, resp.Header)
	}
	removed := strings.Split(resp.Header.Get("X-Envoy-Auth-Headers-To-Remove"), ",")
	for name, want := range map[string]bool{
		"authorization": true, "x_ms_client_principal": true, "x-ms-client-principal-name": true, "x-ms-token-aad-access-token": true,
		"x-ms-client-principal": false, "x-ms-client-principal-id": false, "cookie": false,
	} {
		got := false
		for _, r := range removed {
			got = got || r == name
		}
		if got != want {
			t.Errorf("%s removed: %v, want %v (%q)", name, got, want, removed)
		}
	}
	for path, want := range map[string]guard.Reason{"/api/GetOrders": guard.TokenMissing, "/api/Other": guard.NoPolicy, "/guard/check": guard.NoPolicy, "/healthz/%2e%2e/api": guard.PathNotCanonical, "/envoy.service.auth.v3.Authorization/Check": guard.NoPolicy} {
		if resp, body := w.get(path, "Content-Type: application/grpc"); resp.StatusCode == http.StatusOK || reasonOf(body) != want {
			t.Errorf("%s: %d %q, want %q", path, resp.StatusCode, reasonOf(body), want)
		}
	}
	if resp, _ := w.get("/healthz"); resp.StatusCode != http.StatusOK || resp.Header.Get("X-Ms-Client-Principal-Idp") != "" {
		t.Errorf("anonymous: %d %v", resp.StatusCode, resp.Header)
	}
}

// Several APIs in one file are told apart by host.
func TestSeveralAPIsByHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	billing := w.login.API("billing")
	content := "listen: 127.0.0.1:0\ncaBundle: " + w.login.CABundle() + "\napis:\n"
	for host, id := range map[string]string{"orders.test": w.api.Identifier, "Billing.test": billing.Identifier} {
		content += "  - {host: " + host + ", upstream: '" + w.upstream.URL + "', authority: '" + w.api.Config().Authority + "', audience: ['" + id + "', " + w.login.API(strings.TrimPrefix(id, "api://")).AppID + "], rules: [{path: /*, roles: [Read]}]}\n"
	}
	w.start(content)
	tokens := map[string]string{"orders": w.login.Token("client", "orders", "Read"), "billing": w.login.Token("client", "billing", "Read")}
	for _, tt := range []struct {
		host, token string
		status      int
		reason      guard.Reason
	}{
		{"orders.test", "orders", 200, ""}, {"ORDERS.test:8443", "orders", 200, ""}, {"orders.test.", "orders", 200, ""}, {"billing.test", "billing", 200, ""},
		{"billing.test", "orders", 401, guard.AudienceMismatch}, {"orders.test", "billing", 401, guard.AudienceMismatch},
		{"other.test", "orders", 403, guard.NoPolicy}, {"orders.test.evil.test", "orders", 403, guard.NoPolicy},
	} {
		resp, body := w.get("/x", "Host: "+tt.host, "Authorization: Bearer "+tokens[tt.token])
		if resp.StatusCode != tt.status || reasonOf(body) != tt.reason {
			t.Errorf("%s with a token for %s: %d %q, want %d %q", tt.host, tt.token, resp.StatusCode, reasonOf(body), tt.status, tt.reason)
		}
	}
}
