package authority

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/authority/origin"
)

// An origin belongs to a request, not to the authority: one that answers under two names is
// two issuers, neither of which takes the other's tokens for its own.
func TestTwoOrigins(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	const otherBase = "https://login.fabrikam.test"
	other, err := origin.New(otherBase, "")
	w.must(err)
	w.server.Origin = func(r *http.Request) origin.Origin {
		if r.Host == other.Host {
			return other
		}
		return w.origin
	}
	atOther := func(r *http.Request) { r.Host = other.Host }
	for _, tt := range []struct {
		name, base string
		options    []func(*http.Request)
	}{
		{"the first", testBase, nil},
		{"the second", otherBase, []func(*http.Request){atOther}},
		{"the first again", testBase, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			document := w.get("/contoso.test/v2.0/.well-known/openid-configuration", tt.options...)
			if got := document.text("issuer"); got != tt.base+"/"+testTenant+"/v2.0" {
				t.Errorf("the metadata's issuer is %s", got)
			}
			if got := document.text("token_endpoint"); !strings.HasPrefix(got, tt.base+"/") {
				t.Errorf("the token endpoint is %s", got)
			}
			_, claims := w.judge(w.post(pathV2, w.good(), tt.options...).token(), keysV2Path)
			if claims["iss"] != tt.base+"/"+testTenant+"/v2.0" {
				t.Errorf("the token's issuer is %v", claims["iss"])
			}
			keys := w.get("/common/discovery/v2.0/keys", tt.options...).Body.String()
			if !strings.Contains(keys, tt.base+"/"+testTenant+"/v2.0") {
				t.Errorf("the keys of all tenants are of another issuer: %s", keys)
			}
			device := w.post(deviceV2Path, values{"client_id": publicApp, "scope": "openid"}, tt.options...)
			if got := device.text("verification_uri"); got != tt.base+"/devicelogin" {
				t.Errorf("the page for device codes is %s", got)
			}
			refusal := w.post(pathV2, w.good().set("client_secret", "wrong"), tt.options...)
			if got := refusal.text("error_uri"); !strings.HasPrefix(got, tt.base+"/error?") {
				t.Errorf("a refusal is explained at %s", got)
			}
		})
	}
	token := w.post(pathV2, values{
		"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword, "scope": "openid profile",
	}).token()
	bearer := withHeader("Authorization", "Bearer "+token)
	if r := w.get("/"+testTenant+"/openid/userinfo", bearer); r.Code != http.StatusOK {
		t.Errorf("a token at the origin that issued it: got %d", r.Code)
	}
	if r := w.get("/"+testTenant+"/openid/userinfo", bearer, atOther); r.Code != http.StatusUnauthorized {
		t.Errorf("a token at the other origin: got %d", r.Code)
	}
}
