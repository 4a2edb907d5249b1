package compat

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	unknownTenant   = "5e0f7a31-93c4-4d57-8b2a-1c6d9e4f0a77"
	unknownResource = "api://nobody"
	wrongSecret     = "not-the-secret-of-this-client"
)

// TestClients takes every client down every way that the runner's table has.
func TestClients(t *testing.T) {
	env := load(t)
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			version := moduleVersion(t, c.module)
			way := func(name string, test func(*testing.T)) {
				result := "FAIL"
				if t.Run(name, test) {
					result = "ok"
				}
				env.record(t, c.name, version, name, result)
			}
			way("secret", func(t *testing.T) {
				raw, err := c.secret(t.Context(), env.known(), env.clientID, env.secret, env.v2.resource)
				env.accepted(t, env.v2, raw, err)
			})
			way("certificate", func(t *testing.T) {
				raw, err := c.certificate(t.Context(), env.known(), env.clientID, env.certificate, env.v2.resource)
				env.accepted(t, env.v2, raw, err)
			})
			if c.chain != nil {
				way("certificate chain", func(t *testing.T) {
					raw, err := c.chain(t.Context(), env.known(), env.clientID, env.chain, env.v2.resource)
					env.accepted(t, env.v2, raw, err)
				})
			} else {
				env.record(t, c.name, version, "certificate chain", "none")
			}
			if c.environment != nil {
				way("environment", func(t *testing.T) {
					raw, err := c.environment(t.Context(), env.v2.resource)
					env.accepted(t, env.v2, raw, err)
				})
			} else {
				env.record(t, c.name, version, "environment", "none")
			}
			way("v1.0 token", func(t *testing.T) {
				raw, err := c.secret(t.Context(), env.known(), env.clientID, env.secret, env.v1.resource)
				env.accepted(t, env.v1, raw, err)
			})
			way("no role", func(t *testing.T) {
				raw, err := c.secret(t.Context(), env.known(), env.noRoleID, env.noRoleSecret, env.v2.resource)
				env.forbidden(t, env.v2, raw, err)
			})
			way("wrong secret", func(t *testing.T) {
				_, err := c.secret(t.Context(), env.known(), env.clientID, wrongSecret, env.v2.resource)
				refused(t, c, err, "AADSTS7000215")
			})
			way("unknown tenant", func(t *testing.T) {
				_, err := c.secret(t.Context(), authority{env.authority, unknownTenant}, env.clientID, env.secret, env.v2.resource)
				refused(t, c, err, "AADSTS90002")
			})
			way("unknown resource", func(t *testing.T) {
				_, err := c.secret(t.Context(), env.known(), env.clientID, env.secret, unknownResource)
				refused(t, c, err, "AADSTS500011")
			})
		})
	}
}

// known is the tenant that the runner made.
func (e environment) known() authority { return authority{e.authority, e.tenant} }

// accepted checks that go-oidc and the Orders server both take the token.
func (e environment) accepted(t *testing.T, at api, raw string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	claims := verify(t, at, raw)
	if !slices.Equal(claims.Roles, []string{"Orders.Read"}) {
		t.Errorf("roles are %q, want Orders.Read alone", claims.Roles)
	}
	status, body := getOrders(t, at.url, raw)
	if status != http.StatusOK {
		t.Fatalf("Orders answered %d: %s", status, body)
	}
	var orders []map[string]any
	if err := json.Unmarshal(body, &orders); err != nil {
		t.Fatalf("Orders answered %s: %v", body, err)
	}
	if len(orders) != 5 {
		t.Errorf("got %d orders, want 5", len(orders))
	}
}

// forbidden checks that go-oidc takes the token and that the Orders server
// refuses it for want of a role.
func (e environment) forbidden(t *testing.T, at api, raw string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if claims := verify(t, at, raw); claims.Roles != nil {
		t.Errorf("roles are %q, want no such claim", claims.Roles)
	}
	status, body := getOrders(t, at.url, raw)
	if status != http.StatusForbidden || !strings.Contains(string(body), "role_missing") {
		t.Errorf("Orders answered %d: %s, want 403 and role_missing", status, body)
	}
}

// refused checks that the library reports the code in an error type of its own.
func refused(t *testing.T, c client, err error, code string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got a token, want %s", code)
	}
	text, ok := c.refusal(err)
	if !ok {
		t.Fatalf("got %T: %v, want the library's own error", err, err)
	}
	if !strings.Contains(text, code+":") {
		t.Errorf("got %s, want %s", text, code)
	}
}

type claims struct {
	Version  string   `json:"ver"`
	ObjectID string   `json:"oid"`
	Roles    []string `json:"roles"`
	Scopes   string   `json:"scp"`
}

// verify has a validator that is not ours check the token: issuer and keys from
// the discovery document, signature, audience, expiry.
func verify(t *testing.T, at api, raw string) claims {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	provider, err := oidc.NewProvider(ctx, at.issuer)
	if err != nil {
		t.Fatal(err)
	}
	token, err := provider.Verifier(&oidc.Config{ClientID: at.audience}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	var read claims
	if err := token.Claims(&read); err != nil {
		t.Fatal(err)
	}
	if read.Version != at.version {
		t.Errorf("ver is %q, want %q", read.Version, at.version)
	}
	return read
}

func getOrders(t *testing.T, url, raw string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+raw)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}
