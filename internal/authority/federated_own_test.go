package authority

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// ownToken signs claims as a tenant of the authority would.
func (w *world) ownToken(tenant string, claims object) string {
	w.t.Helper()
	signer, err := w.keys.Signer(w.t.Context(), tenant)
	w.must(err)
	body, err := json.Marshal(claims)
	w.must(err)
	raw, err := signer.Sign(body, false)
	w.must(err)
	return raw
}

// registerElsewhere registers the test's client in the other tenant too, by the same app id.
func (w *world) registerElsewhere() {
	w.t.Helper()
	w.edit(func(e *directory.Editor) error {
		if _, err := e.Applications().Create(directory.Application{Tenant: otherOne, AppID: testClient, Name: "orders-client"}); err != nil {
			return err
		}
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: otherOne, AppID: testClient, Enabled: true})
		return err
	})
}

// A token of the authority itself, such as a managed identity's, stands in for a secret;
// a user's does not.
func TestOwnTokensAsCredentials(t *testing.T) {
	t.Parallel()
	const identity = "0b1ec7ff-5a5a-4c4c-8d8d-0000000000aa"
	issuers := map[string]string{"v2": testBase + "/" + otherOne + "/v2.0", "v1": testBase + "/" + otherOne + "/"}
	for _, tt := range []struct {
		name   string
		tenant string // whose key signs
		issuer string
		change object
		code   int // 0: accepted
	}{
		{"application, version 2", otherOne, issuers["v2"], object{"idtyp": "app"}, 0},
		{"application, version 1", otherOne, issuers["v1"], object{"idtyp": "app"}, 0},
		{"application without idtyp", otherOne, issuers["v2"], nil, 0},
		{"user", otherOne, issuers["v2"], object{"idtyp": "user"}, 700229},
		{"user without idtyp", otherOne, issuers["v2"], object{"oid": testClient}, 700229},
		{"user without oid", otherOne, issuers["v2"], object{"oid": nil}, 700229},
		{"scopes", otherOne, issuers["v2"], object{"idtyp": "app", "scp": "Orders.Read"}, 700229},
		{"idtyp is a number", otherOne, issuers["v2"], object{"idtyp": 1}, 700229},
		{"signed by another tenant", testTenant, issuers["v2"], object{"idtyp": "app"}, 700027},
		{"issued by another tenant", testTenant, testBase + "/" + testTenant + "/v2.0", object{"idtyp": "app"}, 700211},
		{"audience of an API", otherOne, issuers["v2"], object{"idtyp": "app", "aud": testAPI}, 700212},
		{"other subject", otherOne, issuers["v2"], object{"idtyp": "app", "sub": testClient, "oid": testClient}, 700213},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.registerElsewhere()
			w.edit(func(e *directory.Editor) error {
				app, err := e.Applications().Find(testTenant, testClient)
				if err != nil {
					return err
				}
				trusted := issuers["v2"]
				if tt.issuer == issuers["v1"] {
					trusted = tt.issuer
				}
				_, err = e.Credentials().AddFederated(testTenant, app.ID, directory.FederatedCredential{
					Name: "fabrikam", Issuer: trusted, Subject: identity, Audience: directory.ExchangeAudience,
				})
				if err != nil {
					return err
				}
				_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{
					Tenant: otherOne, ID: identity, Name: "fabrikam-mi", Type: directory.PrincipalManagedIdentity,
				})
				return err
			})
			now := w.clock.Now().Unix()
			claims := object{"iss": tt.issuer, "sub": identity, "oid": identity, "aud": directory.ExchangeAudience, "iat": now, "exp": now + 3600}
			form := w.good().without("client_secret").set("client_assertion_type", assertionTypeJWT, "client_assertion", w.ownToken(tt.tenant, claims.with(tt.change)))
			got := w.post("/"+testTenant+"/oauth2/v2.0/token", form)
			if tt.code == 0 {
				if got.Code != 200 {
					t.Fatalf("refused: %s", got.Body)
				}
				return
			}
			var body struct {
				Codes []int `json:"error_codes"`
			}
			w.must(json.Unmarshal(got.Body.Bytes(), &body))
			if !slices.Equal(body.Codes, []int{tt.code}) {
				t.Errorf("got %d %s, want %d", got.Code, got.Body, tt.code)
			}
		})
	}
}

// The tokens that a tenant issued end with it, as far as they stand in for a credential.
func TestTokenOfADisabledTenantIsNoCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.registerElsewhere()
	issuer := testBase + "/" + otherOne + "/v2.0"
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().Find(testTenant, testClient)
		if err != nil {
			return err
		}
		_, err = e.Credentials().AddFederated(testTenant, app.ID, directory.FederatedCredential{Name: "fabrikam", Issuer: issuer, Subject: testAPI})
		if err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: otherOne, ID: testAPI, Name: "fabrikam-mi", Type: directory.PrincipalManagedIdentity})
		return err
	})
	now := w.clock.Now().Unix()
	assertion := w.ownToken(otherOne, object{
		"iss": issuer, "sub": testAPI, "oid": testAPI, "aud": directory.ExchangeAudience, "idtyp": "app", "iat": now, "exp": now + 3600,
	})
	form := w.good().without("client_secret").set("client_assertion_type", assertionTypeJWT, "client_assertion", assertion)
	w.post(pathV2, form).token()
	w.enableTenant(otherOne, false)
	w.post(pathV2, form).refused(503, "temporarily_unavailable", 50166)
	w.enableTenant(otherOne, true)
	w.post(pathV2, form).token()
}

// A managed identity of another tenant proves an application only where that is registered in
// the identity's tenant as well.
func TestTokenOfATenantWithoutTheApplication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const identity = "0b1ec7ff-5a5a-4c4c-8d8d-0000000000aa"
	issuer := testBase + "/" + otherOne + "/v2.0"
	w.trust(directory.FederatedCredential{Name: "fabrikam", Issuer: issuer, Subject: identity})
	w.edit(func(e *directory.Editor) error {
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: otherOne, ID: identity, Name: "fabrikam-mi", Type: directory.PrincipalManagedIdentity})
		return err
	})
	now := w.clock.Now().Unix()
	claims := object{"iss": issuer, "sub": identity, "oid": identity, "aud": directory.ExchangeAudience, "idtyp": "app", "iat": now, "exp": now + 3600}
	w.asserted(w.ownToken(otherOne, claims)).refused(401, "invalid_client", 700236)
	w.asserted(w.ownToken(testTenant, claims)).refused(401, "invalid_client", 700027) // nobody learns of it without a good token
	w.registerElsewhere()
	w.asserted(w.ownToken(otherOne, claims)).token()
}
