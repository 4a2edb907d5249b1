package graph_test

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// keys are the key credentials of an application as it is read.
func (w *world) keys(raw, at string) (ids []string, all []map[string]any) {
	w.Helper()
	for _, one := range w.want(http.StatusOK, raw, http.MethodGet, at, nil)["keyCredentials"].([]any) {
		key := one.(map[string]any)
		ids, all = append(ids, key["keyId"].(string)), append(all, key)
	}
	return ids, all
}

func TestKeysArePatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.app("admin", "Application.ReadWrite.All")
	at := "/v1.0/applications/" + w.want(http.StatusCreated, admin, http.MethodPost, "/v1.0/applications", `{"displayName":"Orders"}`)["id"].(string)
	first, second := w.login.Certificate("holder").Chain[0], w.login.Certificate("holder").Chain[0]
	der := base64.StdEncoding.EncodeToString(first.Raw)
	const keyID = "5b8a2d1e-0c3f-4e7a-9b1d-000000000011"
	key := func(members string) string {
		return `{"type":"AsymmetricX509Cert","usage":"Verify",` + members + `}`
	}
	patch := func(keys ...string) reply {
		return w.do(admin, http.MethodPatch, at, `{"keyCredentials":[`+strings.Join(keys, ",")+`]}`)
	}
	if got := patch(key(`"keyId":"` + keyID + `","key":"` + der + `"`)); got.Code != http.StatusNoContent {
		t.Fatalf("the first: %d %s", got.Code, got.Body)
	}
	_, all := w.keys(admin, at)
	one := all[0]
	if one["keyId"] != keyID || one["key"] != nil || one["displayName"] != "CN=holder" || one["type"] != "AsymmetricX509Cert" || one["usage"] != "Verify" {
		t.Errorf("read back: %v", one)
	}
	if thumbprint, _ := one["customKeyIdentifier"].(string); len(thumbprint) != 40 || thumbprint != strings.ToUpper(thumbprint) {
		t.Errorf("thumbprint: %v", one["customKeyIdentifier"])
	}
	// As az does with --append: the old one sent back as it was read, the new one as PEM.
	block := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: second.Raw}))
	encoded, err := json.Marshal(block)
	if err != nil {
		t.Fatal(err)
	}
	old, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	if got := patch(string(old), key(`"key":`+string(encoded)+`,"displayName":"second"`)); got.Code != http.StatusNoContent {
		t.Fatalf("the second: %d %s", got.Code, got.Body)
	}
	ids, all := w.keys(admin, at)
	if len(ids) != 2 || ids[0] != keyID || all[1]["displayName"] != "second" {
		t.Errorf("two: %v", all)
	}
	// The same bytes again are the same key, also wrapped at 64 columns.
	var wrapped strings.Builder
	for i := 0; i < len(der); i += 64 {
		wrapped.WriteString(der[i:min(i+64, len(der))] + `\n`)
	}
	if got := patch(key(`"key":"` + wrapped.String() + `"`)); got.Code != http.StatusNoContent {
		t.Fatalf("the first alone: %d %s", got.Code, got.Body)
	}
	if ids, _ := w.keys(admin, at); len(ids) != 1 || ids[0] != keyID {
		t.Errorf("what is left out goes, and the other stays: %v", ids)
	}
	for name, keys := range map[string]string{
		"a key that is not there": key(`"keyId":"` + guid.New() + `","key":null`), "no certificate": key(`"key":"Zm9v"`), "not base64": key(`"key":"?"`),
		"a symmetric key":             `{"type":"Symmetric","usage":"Verify","key":"` + base64.StdEncoding.EncodeToString(second.Raw) + `"}`,
		"another usage":               `{"type":"AsymmetricX509Cert","usage":"Encrypt","key":"` + base64.StdEncoding.EncodeToString(second.Raw) + `"}`,
		"longer than the certificate": key(`"key":"` + base64.StdEncoding.EncodeToString(second.Raw) + `","endDateTime":"2099-01-01T00:00:00Z"`),
	} {
		if got := patch(keys); got.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
		if ids, _ := w.keys(admin, at); len(ids) != 1 || ids[0] != keyID {
			t.Errorf("%s: it changed the keys: %v", name, ids)
		}
	}
	if got := patch(); got.Code != http.StatusNoContent {
		t.Fatalf("none: %d %s", got.Code, got.Body)
	}
	if ids, _ := w.keys(admin, at); len(ids) != 0 {
		t.Errorf("none: %v", ids)
	}
}

// prove signs a proof.
func prove(t *testing.T, by credential.Certificate, issuer, audience string, from time.Time, lifetime time.Duration) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"aud": audience, "iss": issuer, "nbf": from.Unix(), "exp": from.Add(lifetime).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := token.Sign("RS256", token.Thumbprint(by.Chain[0].Raw), nil, claims, by.Key.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// An application without any permission replaces its own keys, if it proves that it has one.
func TestAnApplicationRollsItsKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	me, stranger := w.app("holder"), w.app("stranger")
	admin := w.app("admin", "Application.ReadWrite.All")
	present, next := w.login.Certificate("holder"), w.login.Certificate("stranger")
	app, err := w.login.Directory().View(t.Context()).Applications().Find(tenant, w.login.App("holder").ClientID)
	if err != nil {
		t.Fatal(err)
	}
	id, at := string(app.ID), "/v1.0/applications/"+string(app.ID)
	now := w.login.Clock().Now()
	const audience = "00000002-0000-0000-c000-000000000000"
	good := prove(t, present, id, audience, now, 10*time.Minute)
	add := func(proof string) string {
		return `{"keyCredential":{"type":"AsymmetricX509Cert","usage":"Verify","key":"` + base64.StdEncoding.EncodeToString(next.Chain[0].Raw) + `"},"passwordCredential":null,"proof":"` + proof + `"}`
	}
	for _, tt := range []struct{ name, token, proof, code string }{
		{"no proof", me, "", "Authentication_MissingOrMalformed"},
		{"another audience", me, prove(t, present, id, "https://graph.microsoft.com", now, time.Minute), "Authentication_MissingOrMalformed"},
		{"another issuer", me, prove(t, present, string(app.AppID), audience, now, time.Minute), "Authentication_MissingOrMalformed"},
		{"too long", me, prove(t, present, id, audience, now, time.Hour), "Authentication_MissingOrMalformed"},
		{"expired", me, prove(t, present, id, audience, now.Add(-time.Hour), 10*time.Minute), "Authentication_MissingOrMalformed"},
		{"not yet", me, prove(t, present, id, audience, now.Add(time.Hour), 10*time.Minute), "Authentication_MissingOrMalformed"},
		{"another key", me, prove(t, next, id, audience, now, 10*time.Minute), "Authentication_MissingOrMalformed"},
		{"an administrator without a key", admin, prove(t, next, id, audience, now, 10*time.Minute), "Authentication_MissingOrMalformed"},
		{"somebody else with the proof", stranger, good, "Authorization_RequestDenied"},
	} {
		got := w.do(tt.token, http.MethodPost, at+"/addKey", add(tt.proof))
		if code, _ := got.problem(); got.Code != http.StatusForbidden || code != tt.code {
			t.Errorf("%s: %d %s", tt.name, got.Code, got.Body)
		}
		if tt.proof != "" && strings.Contains(got.Body.String(), tt.proof) {
			t.Errorf("%s: the answer repeats the proof", tt.name)
		}
	}
	if ids, _ := w.keys(admin, at); len(ids) != 1 {
		t.Fatalf("after all that was refused there are %d keys", len(ids))
	}
	added := w.want(http.StatusOK, me, http.MethodPost, at+"/addKey", add(good))
	if added["@odata.context"] != ownURL+"/v1.0/$metadata#microsoft.graph.keyCredential" {
		t.Errorf("context: %v", added["@odata.context"])
	}
	ids, _ := w.keys(admin, at)
	if len(ids) != 2 || ids[1] != added["keyId"] {
		t.Fatalf("after a key was added: %v", ids)
	}
	// The new key removes the old one, and then nothing is proven by that any more.
	byNew := prove(t, next, id, audience, now, 10*time.Minute)
	w.want(http.StatusNoContent, me, http.MethodPost, at+"/removeKey", `{"keyId":"`+ids[0]+`","proof":"`+byNew+`"}`)
	if got := w.do(me, http.MethodPost, at+"/removeKey", `{"keyId":"`+ids[1]+`","proof":"`+good+`"}`); got.Code != http.StatusForbidden {
		t.Errorf("by the key that is gone: %d %s", got.Code, got.Body)
	}
	if got := w.do(me, http.MethodPost, at+"/removeKey", `{"keyId":"`+ids[0]+`","proof":"`+byNew+`"}`); got.Code != http.StatusBadRequest {
		t.Errorf("a key that is gone: %d %s", got.Code, got.Body)
	}
	// A key that is there to sign for the application, and not to prove it, proves nothing.
	w.want(http.StatusNoContent, admin, http.MethodPatch, at, `{"keyCredentials":[{"keyId":"`+ids[1]+`","type":"AsymmetricX509Cert","usage":"Verify","key":null},`+
		`{"type":"AsymmetricX509Cert","usage":"Sign","key":"`+base64.StdEncoding.EncodeToString(present.Chain[0].Raw)+`"}]}`)
	if got := w.do(me, http.MethodPost, at+"/removeKey", `{"keyId":"`+ids[1]+`","proof":"`+good+`"}`); got.Code != http.StatusForbidden {
		t.Errorf("by a key that signs: %d %s", got.Code, got.Body)
	}
}
