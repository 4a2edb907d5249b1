package authority

import (
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// trust lets tokens of a managed identity prove the test's client.
func (w *world) trust(c directory.FederatedCredential) {
	w.t.Helper()
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().Find(testTenant, testClient)
		if err != nil {
			return err
		}
		_, err = e.Credentials().AddFederated(testTenant, app.ID, c)
		return err
	})
}

// exchangeToken is the managed identity's token for the token exchange.
func (w *world) exchangeToken() string {
	w.t.Helper()
	minted, err := w.Mint(w.t.Context(), mintRequest(directory.ExchangeAudience))
	w.must(err)
	return minted.Token
}

// asserted presents an assertion in place of the client's secret.
func (w *world) asserted(assertion string) *reply {
	w.t.Helper()
	return w.post(pathV2, w.good().without("client_secret").set("client_assertion_type", assertionTypeJWT, "client_assertion", assertion))
}

// A managed identity proves an application that trusts it: no secret anywhere.
func TestIdentityAsCredential(t *testing.T) {
	t.Parallel()
	v2 := testBase + "/" + testTenant + "/v2.0"
	for _, tt := range []struct {
		name  string
		trust func(id directory.ObjectID) directory.FederatedCredential
		code  int // 0: accepted
	}{
		{"by the identity", func(id directory.ObjectID) directory.FederatedCredential {
			return directory.FederatedCredential{Name: "mi", Identity: id}
		}, 0},
		{"by issuer and subject", func(id directory.ObjectID) directory.FederatedCredential {
			return directory.FederatedCredential{Name: "mi", Issuer: v2, Subject: string(id)}
		}, 0},
		{"with the app id of the token exchange for an audience", func(id directory.ObjectID) directory.FederatedCredential {
			return directory.FederatedCredential{Name: "mi", Issuer: v2, Subject: string(id), Audience: string(directory.ExchangeAppID)}
		}, 700214},
		{"with another audience", func(id directory.ObjectID) directory.FederatedCredential {
			return directory.FederatedCredential{Name: "mi", Issuer: v2, Subject: string(id), Audience: "api://orders"}
		}, 700214},
		{"with the version 1 issuer", func(id directory.ObjectID) directory.FederatedCredential {
			return directory.FederatedCredential{Name: "mi", Issuer: testBase + "/" + testTenant + "/", Subject: string(id)}
		}, 700211},
		{"with the app id for a subject", func(directory.ObjectID) directory.FederatedCredential {
			return directory.FederatedCredential{Name: "mi", Issuer: v2, Subject: string(testIdentity)}
		}, 700213},
		{"with the object id in capitals", func(id directory.ObjectID) directory.FederatedCredential {
			return directory.FederatedCredential{Name: "mi", Issuer: v2, Subject: strings.ToUpper(string(id))}
		}, 7002138},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.trust(tt.trust(w.addIdentity(directory.IdentitySystem).ID))
			got := w.asserted(w.exchangeToken())
			if tt.code != 0 {
				got.refused(401, "invalid_client", tt.code)
				return
			}
			if claims := got.claims(t); claims["azp"] != testClient || claims["azpacr"] != "2" {
				t.Errorf("azp %v, azpacr %v", claims["azp"], claims["azpacr"])
			}
		})
	}
}

// Two credentials for one identity, one for each version of the issuer, are one too many.
func TestTwoCredentialsForOneIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.addIdentity(directory.IdentitySystem).ID
	w.trust(directory.FederatedCredential{Name: "two", Identity: id})
	w.trust(directory.FederatedCredential{Name: "one", Issuer: testBase + "/" + testTenant + "/", Subject: string(id)})
	w.asserted(w.exchangeToken()).refused(401, "invalid_client", 700263)
}

// A forger has a good token of the trusted identity, and the authority's keys.
type forger struct {
	*world
	id     directory.ObjectID // of the identity
	issuer string
	good   string
	parts  []string // of the good token
	claims object   // which are as good
	now    int64
}

func newForger(t *testing.T) *forger {
	t.Helper()
	f := &forger{world: newWorld(t), issuer: testBase + "/" + testTenant + "/v2.0"}
	f.id = f.addIdentity(directory.IdentitySystem).ID
	f.trust(directory.FederatedCredential{Name: "mi", Identity: f.id})
	f.good, f.now = f.exchangeToken(), f.clock.Now().Unix()
	f.parts = strings.Split(f.good, ".")
	f.claims = object{
		"iss": f.issuer, "sub": string(f.id), "oid": string(f.id), "tid": testTenant, "aud": string(directory.ExchangeAppID),
		"azp": string(testIdentity), "idtyp": "app", "ver": "2.0", "iat": f.now, "nbf": f.now, "exp": f.now + 3600,
	}
	return f
}

func (f *forger) sign(ring string, claims object) string { return f.ownToken(ring, claims) }

func (f *forger) mint(resource string, identity directory.AppID) string {
	f.t.Helper()
	req := mintRequest(resource)
	req.Identity = identity
	made, err := f.Mint(f.t.Context(), req)
	f.must(err)
	return made.Token
}

// Nothing but a good token of the trusted identity for the token exchange is accepted.
func TestForgedIdentityCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		forge func(*forger) string
		code  int // 0: accepted
	}{
		{"its own", func(f *forger) string { return f.good }, 0},
		{"the same claims", func(f *forger) string { return f.sign(testTenant, f.claims) }, 0},
		{"another audience", func(f *forger) string { return f.mint("api://orders", testIdentity) }, 700212},
		{"another audience, version 1", func(f *forger) string { return f.mint("api://legacy", testIdentity) }, 700211},
		{"storage", func(f *forger) string { return f.mint("https://storage.azure.com", testIdentity) }, 700211},
		{"another principal", func(f *forger) string { return f.mint(directory.ExchangeAudience, testClient) }, 700213},
		{"another tenant's issuer", func(f *forger) string {
			return f.sign(otherOne, f.claims.with(object{"iss": testBase + "/" + otherOne + "/f.issuer.0", "tid": otherOne}))
		}, 700211},
		{"another tenant's key", func(f *forger) string { return f.sign(otherOne, f.claims) }, 700027},
		{"a key of the workload issuer", func(f *forger) string { return f.sign(testTenant+"/workload", f.claims) }, 700027},
		{"another host", func(f *forger) string {
			return f.sign(testTenant, f.claims.with(object{"iss": "https://login.microsoftonline.com/" + testTenant + "/f.issuer.0"}))
		}, 700211},
		{"the issuer with a slash", func(f *forger) string { return f.sign(testTenant, f.claims.with(object{"iss": f.issuer + "/"})) }, 700211},
		{"the issuer in capitals", func(f *forger) string {
			return f.sign(testTenant, f.claims.with(object{"iss": strings.ToUpper(f.issuer)}))
		}, 700211},
		{"a user", func(f *forger) string {
			return f.sign(testTenant, f.claims.with(object{"idtyp": "user", "scp": "user_impersonation"}))
		}, 700229},
		{"a user's pairwise subject", func(f *forger) string {
			return f.sign(testTenant, f.claims.with(object{"idtyp": "user", "sub": "pairwise"}))
		}, 700229},
		{"a user without type", func(f *forger) string {
			return f.sign(testTenant, f.claims.with(object{"idtyp": nil, "sub": "pairwise"}))
		}, 700229},
		{"scopes", func(f *forger) string { return f.sign(testTenant, f.claims.with(object{"scp": "user_impersonation"})) }, 700229},
		{"another identity", func(f *forger) string { return f.sign(testTenant, f.claims.with(object{"sub": nobody, "oid": nobody})) }, 700213},
		{"the identity's app id", func(f *forger) string { return f.sign(testTenant, f.claims.with(object{"sub": string(testIdentity)})) }, 700213},
		{"the object id in capitals", func(f *forger) string {
			return f.sign(testTenant, f.claims.with(object{"sub": strings.ToUpper(string(f.id))}))
		}, 7002138},
		{"its name", func(f *forger) string { return f.sign(testTenant, f.claims.with(object{"sub": "orders-client-mi"})) }, 700213},
		{"expired", func(f *forger) string {
			return f.sign(testTenant, f.claims.with(object{"iat": f.now - 7200, "nbf": f.now - 7200, "exp": f.now - 600}))
		}, 700024},
		{"not valid yet", func(f *forger) string { return f.sign(testTenant, f.claims.with(object{"nbf": f.now + 600})) }, 700024},
		{"made before the identity", func(f *forger) string {
			return f.sign(testTenant, f.claims.with(object{"iat": f.now - 360, "nbf": f.now - 360}))
		}, 700213},
		{"no audience", func(f *forger) string {
			return f.sign(testTenant, f.claims.with(object{"aud": "00000000-0000-0000-0000-000000000000"}))
		}, 700212},
		{"a signature that lacks its end", func(f *forger) string { return f.good[:len(f.good)-8] + "AAAAAAAA" }, 700027},
		{"without a signature", func(f *forger) string { return f.parts[0] + "." + f.parts[1] + "." }, 50027},
		{"a signature of another token", func(f *forger) string {
			return f.parts[0] + "." + f.parts[1] + "." + strings.Split(f.mint("api://orders", testIdentity), ".")[2]
		}, 700027},
		{"claims of another token", func(f *forger) string {
			return f.parts[0] + "." + strings.Split(f.mint(directory.ExchangeAudience, testIdentity), ".")[1] + "." + f.parts[2]
		}, 700027},
		{"the algorithm none", func(f *forger) string { return "eyJhbGciOiJub25lIn0." + f.parts[1] + "." }, 50027},
		{"a header that is the client's word", func(f *forger) string { return "eyJhbGciOiJIUzI1NiJ9." + f.parts[1] + "." + f.parts[2] }, 50027},
		{"a day later", func(f *forger) string {
			f.clock.Advance(25 * time.Hour)
			return f.good
		}, 700024},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newForger(t)
			got := f.asserted(tt.forge(f))
			if tt.code == 0 {
				got.token()
				return
			}
			got.refused(401, "invalid_client", tt.code)
		})
	}
}

// A token that was good is worth nothing once its identity is disabled or gone.
func TestCredentialOfAnIdentityThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.addIdentity(directory.IdentitySystem)
	w.trust(directory.FederatedCredential{Name: "mi", Identity: p.ID})
	good := w.exchangeToken()
	w.asserted(good).token()
	w.editPrincipal(testIdentity, func(p *directory.ServicePrincipal) { p.Enabled = false })
	w.asserted(good).refused(401, "invalid_client", 700213)
	w.editPrincipal(testIdentity, func(p *directory.ServicePrincipal) { p.Enabled = true })
	w.asserted(good).token()
	w.edit(func(e *directory.Editor) error { return e.ServicePrincipals().Delete(testTenant, p.ID) })
	w.asserted(good).refused(401, "invalid_client", 700213)
	w.clock.Advance(20 * time.Minute)
	w.edit(func(e *directory.Editor) error { // another one of the same id
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: testTenant, ID: p.ID, AppID: testIdentity, Name: p.Name, Type: directory.PrincipalManagedIdentity})
		return err
	})
	w.asserted(good).refused(401, "invalid_client", 700213)
	w.asserted(w.exchangeToken()).token()
}
