package authority

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// confirmation binds a token to a key by its thumbprint.
func confirmation(key string) (thumbprint, reqCnf string) {
	sum := sha256.Sum256([]byte(key))
	thumbprint = base64.RawURLEncoding.EncodeToString(sum[:])
	return thumbprint, base64.RawURLEncoding.EncodeToString([]byte(`{"kid":"` + thumbprint + `"}`))
}

// bound checks that an answer says what its token is: bound to the key.
func (w *world) bound(r *reply, thumbprint string) map[string]any {
	w.t.Helper()
	_, claims := w.judge(r.token(), keysV2Path)
	cnf, _ := claims["cnf"].(map[string]any)
	if r.json["token_type"] != "pop" || len(cnf) != 1 || cnf["kid"] != thumbprint {
		w.t.Errorf("token_type is %v, cnf %v; want the key %s", r.json["token_type"], claims["cnf"], thumbprint)
	}
	return claims
}

func TestTokensBoundToAKey(t *testing.T) {
	t.Parallel()
	w, onBehalf := onBehalfWorld(t)
	thumbprint, reqCnf := confirmation("one")
	asks := func(v values) values { return v.set("token_type", "pop", "req_cnf", reqCnf) }
	w.bound(w.post(pathV2, asks(w.good())), thumbprint)
	w.bound(w.post(pathV1, asks(w.goodV1())), thumbprint)
	w.bound(w.post(pathV1, asks(w.goodV1().set("resource", "api://legacy"))), thumbprint)

	signed := w.post(pathV2, asks(w.toolRedeems()).set("code", w.browser().toolCode()))
	claims := w.bound(signed, thumbprint)
	if claims["scp"] == nil {
		t.Errorf("the user's token says %v", claims)
	}
	if _, id := w.judge(signed.text("id_token"), keysV2Path); id["cnf"] != nil {
		t.Errorf("the id token is bound: %v", id["cnf"])
	}
	// A refresh token is good for a token of either kind, and for another key.
	refresh := values{"grant_type": "refresh_token", "client_id": publicApp, "refresh_token": signed.text("refresh_token")}
	other, otherCnf := confirmation("other")
	again := w.post(pathV2, refresh.set("token_type", "pop", "req_cnf", otherCnf))
	w.bound(again, other)
	bearer := w.post(pathV2, refresh.set("refresh_token", again.text("refresh_token")))
	if _, claims := w.judge(bearer.token(), keysV2Path); bearer.json["token_type"] != "Bearer" || claims["cnf"] != nil {
		t.Errorf("token_type is %v, cnf %v", bearer.json["token_type"], claims["cnf"])
	}
	password := values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword}
	w.bound(w.post(pathV2, asks(password.set("scope", "api://orders/.default"))), thumbprint)
	w.bound(w.post(pathV1, asks(password.set("resource", "api://orders"))), thumbprint)
	w.bound(w.post(pathV2, asks(onBehalf.set("assertion", bearer.token()))), thumbprint)

	// Whoever presents a bound token without a signed request may have stolen it.
	w.post(pathV2, onBehalf.set("assertion", signed.token())).refused(400, "invalid_grant", 50013)
	info := w.post(pathV2, asks(password.set("scope", "openid profile"))).token()
	if r := w.get("/"+testTenant+"/openid/userinfo", withHeader("Authorization", "Bearer "+info)); r.Code != http.StatusUnauthorized {
		t.Errorf("userinfo with a bound token as bearer: got %d", r.Code)
	}
}

// Whatever asks for another token than a bearer token gets it, or a refusal.
func TestBindingsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newUserWorld(t)
	_, reqCnf := confirmation("one")
	password := values{"grant_type": "password", "client_id": publicApp, "username": testUser, "password": testPassword, "scope": "api://orders/.default"}
	for name, tt := range map[string]struct {
		change []string
		code   int
	}{
		"no key":                  {[]string{"token_type", "pop"}, 900144},
		"a key that is none":      {[]string{"token_type", "pop", "req_cnf", "e30"}, 9002313},
		"a key and no type":       {[]string{"req_cnf", reqCnf}, 9002313},
		"a certificate's token":   {[]string{"token_type", "mtls_pop"}, 9002313},
		"a certificate for SSH":   {[]string{"token_type", "ssh-cert", "req_cnf", reqCnf, "key_id", "k"}, 9002313},
		"a type that nobody made": {[]string{"token_type", "magic"}, 9002313},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []*reply{
				w.post(pathV2, w.good().set(tt.change...)), w.post(pathV1, w.goodV1().set(tt.change...)), w.post(pathV2, password.set(tt.change...)),
			} {
				r.t = t
				r.refused(400, "invalid_request", tt.code)
			}
		})
	}
}

// An API may ask for a token for itself by any of its names: what calls it may be itself.
func TestTokenForItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	form := w.good().set("client_id", testAPI, "client_secret", w.addSecret(testAPI))
	for _, scope := range []string{"api://orders/.default", "https://orders.contoso.test//.default", testAPI + "/.default"} {
		_, claims := w.judge(w.post(pathV2, form.set("scope", scope)).token(), keysV2Path)
		if claims["aud"] != testAPI || claims["azp"] != testAPI || claims["roles"] != nil {
			t.Errorf("%s: got %v", scope, claims)
		}
	}
	w.judge(w.post(pathV1, form.without("scope").set("resource", "api://orders")).token(), keysV2Path)
}

// idtyp is in a token if its API asks for it, or if the API is Microsoft's.
func TestKindOfCallerWhereTheAPIAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, claims := w.judge(w.post(pathV2, w.good()).token(), keysV2Path); claims["idtyp"] != nil || claims["oid"] != claims["sub"] {
		t.Errorf("got %v", claims)
	}
	w.editApplication(testAPI, func(a *directory.Application) {
		a.OptionalClaims = append(slices.Clone(a.OptionalClaims), directory.OptionalClaim{Name: "idtyp"})
	})
	if _, claims := w.judge(w.post(pathV2, w.good()).token(), keysV2Path); claims["idtyp"] != "app" {
		t.Errorf("idtyp is %v", claims["idtyp"])
	}
}

// addSecret adds a secret to an application.
func (w *world) addSecret(app directory.AppID) (secret string) {
	w.t.Helper()
	w.edit(func(e *directory.Editor) error {
		a, err := e.Applications().Find(testTenant, string(app))
		if err == nil {
			_, secret, err = e.Credentials().AddSecret(testTenant, a.ID, "test", w.clock.Now().AddDate(1, 0, 0))
		}
		return err
	})
	return secret
}
