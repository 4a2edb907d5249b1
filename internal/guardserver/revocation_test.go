package guardserver_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/authoritytest"
	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
	"github.com/rolecall-auth/rolecall/internal/guardserver"
)

// Where the settings say so, a token is refused soon after its client was disabled.
func TestFollowsRevocations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := "Authorization: Bearer " + w.token("Orders.Read")
	w.start(w.settings("revocation: follow", ordersRules), func(cfg *guardserver.Config) {
		cfg.OwnToken = func(api guardfile.API, bundle string) (func(context.Context) (string, error), error) {
			if api.Authority != w.api.Config().Authority || bundle != w.login.CABundle() {
				t.Errorf("asked for a token at %q, by %q", api.Authority, bundle)
			}
			return w.api.Revocations().Token, nil
		}
	})
	if resp, _ := w.get("/api/GetOrders", token); resp.StatusCode != http.StatusOK {
		t.Fatalf("before: %s", resp.Status)
	}
	ops := func(path string) string {
		resp, err := http.Get("http://" + w.server.OpsAddr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if ready, metrics := ops("/readyz"), ops("/metrics"); !strings.Contains(ready, `"revocations":[{"known":true`) || !strings.Contains(metrics, `rolecall_guard_revocations_age_seconds{host=""} `) {
		t.Errorf("%s\n%s", ready, metrics)
	}
	w.login.Disable("client")
	until(t, "the token is refused", func() bool {
		_, body := w.get("/api/GetOrders", token)
		return strings.Contains(body, "token_revoked")
	})
}

// Of several APIs in one file each follows what concerns it, as itself.
func TestSeveralAPIsFollowRevocations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens, asked := map[string]string{}, map[string]*authoritytest.API{}
	content := "listen: 127.0.0.1:0\nrevocation: follow\ncaBundle: " + w.login.CABundle() + "\napis:\n"
	for _, name := range []string{"orders", "billing"} {
		api := w.login.API(name)
		tokens[name], asked[api.AppID] = "Authorization: Bearer "+w.login.Token("client", name, "Read"), api
		content += "  - {host: " + name + ".test, upstream: '" + w.upstream.URL + "', authority: '" + w.api.Config().Authority + "', audience: ['" + api.Identifier + "', " + api.AppID +
			"], credential: {secretFile: " + name + "}, rules: [{path: /*, roles: [Read]}]}\n"
	}
	w.start(content, func(cfg *guardserver.Config) {
		cfg.OwnToken = func(api guardfile.API, _ string) (func(context.Context) (string, error), error) {
			return asked[api.Credential.Client].Revocations().Token, nil
		}
	})
	call := func(name string) string {
		_, body := w.get("/x", "Host: "+name+".test", tokens[name])
		return body
	}
	for name := range tokens {
		if body := call(name); body != "orders" {
			t.Fatalf("%s, before: %s", name, body)
		}
	}
	w.login.Revoke("client", "billing", "Read")
	until(t, "the token for billing is refused", func() bool { return reasonOf(call("billing")) == guard.TokenRevoked })
	if body := call("orders"); body != "orders" {
		t.Errorf("the token for orders: %s", body)
	}
}

// A proxy tells clients that know only the API's URL how to call it.
func TestPublishesTheResource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.settings("resource: https://orders.corp.test/api\norigins: [https://orders.corp.test]", ordersRules))
	const path = "/.well-known/oauth-protected-resource/api"
	resp, body := w.get(path)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"resource":"https://orders.corp.test/api"`) || !strings.Contains(body, w.api.Config().Authority+"/v2.0") || !strings.Contains(body, "dpop_signing_alg") {
		t.Errorf("%s: %s", resp.Status, body)
	}
	if resp, _ := w.send(http.MethodPost, path, nil); resp.StatusCode != http.StatusForbidden {
		t.Errorf("POST: %s", resp.Status)
	}
	if resp, _ := w.get("/api/GetOrders"); !strings.Contains(strings.Join(resp.Header.Values("WWW-Authenticate"), " "), `resource_metadata="https://orders.corp.test`+path+`"`) {
		t.Errorf("challenge %q", resp.Header.Values("WWW-Authenticate"))
	}
	if len(w.requests()) != 0 {
		t.Error("the upstream was asked")
	}
}

// A guard that cannot follow, and is told to, does not start.
func TestFollowingTakesACredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(w.settings("revocation: follow", ordersRules))
	for want, own := range map[string]func(guardfile.API, string) (func(context.Context) (string, error), error){
		"needs a credential": nil,
		"no secret": func(guardfile.API, string) (func(context.Context) (string, error), error) {
			return nil, errors.New("no secret")
		},
	} {
		server, err := guardserver.New(t.Context(), guardserver.Config{File: w.file, OwnToken: own})
		if err == nil {
			server.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
