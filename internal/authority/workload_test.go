package authority

import (
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// workloadForm is a token request by an assertion.
func (w *world) workloadForm(client directory.AppID, assertion string) values {
	return w.good().without("client_secret").set("client_id", string(client), "client_assertion", assertion, "client_assertion_type", assertionTypeJWT)
}

func (w *world) startWorkload(client directory.AppID) (*clientauth.Workload, clientauth.Assertion) {
	w.t.Helper()
	started, err := w.StartWorkload(w.t.Context(), testTenant, client)
	w.must(err)
	w.t.Cleanup(started.Close)
	assertion, err := started.Assertion(w.t.Context())
	w.must(err)
	return started, assertion
}

func TestWorkloadActsWhileItRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addIdentity(directory.IdentityUser)
	for _, client := range []directory.AppID{testClient, testIdentity} {
		started, assertion := w.startWorkload(client)
		if assertion.Expires.Sub(assertion.Issued) != time.Hour || assertion.Audience != "api://AzureADTokenExchange" {
			t.Errorf("the assertion lives %v, for %s", assertion.Expires.Sub(assertion.Issued), assertion.Audience)
		}
		form := w.workloadForm(client, assertion.Token)
		got, err := token.Parse(w.post(pathV2, form).token(), token.Limits{})
		w.must(err)
		for name, want := range map[string]string{"azp": string(client), "azpacr": "2"} {
			value, _ := got.Claims.Get(name)
			if text, _ := value.String(); text != want {
				t.Errorf("%s is %q, want %q", name, text, want)
			}
		}
		if _, is := got.Claims.Get("xms_mirid"); is {
			t.Errorf("client %s: xms_mirid is there, in a token for one's own API", client)
		}
		started.Close()
		if reply := w.post(pathV2, form); reply.Code == 200 {
			t.Errorf("client %s: the workload is over, and yet its assertion is worth a token", client)
		}
	}
}

func TestWorkloadAssertionsAreNobodyElses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addIdentity(directory.IdentityUser)
	_, client := w.startWorkload(testClient)
	_, identity := w.startWorkload(testIdentity)
	w.post(pathV2, w.workloadForm(testIdentity, client.Token)).refused(401, "invalid_client", 700211)
	w.post(pathV2, w.workloadForm(testClient, identity.Token)).refused(401, "invalid_client", 700211)
	over, old := w.startWorkload(testClient)
	over.Close()
	w.post(pathV2, w.workloadForm(testClient, old.Token)).refused(401, "invalid_client", 700211)
	w.clock.Advance(time.Hour + 10*time.Minute)
	w.post(pathV2, w.workloadForm(testClient, client.Token)).refused(401, "invalid_client", 700024)
}

// What is made anew under the ids of an identity that is gone is not the workload's.
func TestWorkloadOfARecycledIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addIdentity(directory.IdentityUser)
	_, assertion := w.startWorkload(testIdentity)
	form := w.workloadForm(testIdentity, assertion.Token)
	w.post(pathV2, form).token()
	old, err := w.dir.Instance(t.Context(), testTenant, testIdentity)
	w.must(err)
	w.clock.Advance(time.Second)
	w.edit(func(e *directory.Editor) error {
		if err := e.ServicePrincipals().Delete(testTenant, old.Principal.ID); err != nil {
			return err
		}
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{
			Tenant: testTenant, ID: old.Principal.ID, AppID: testIdentity, Name: old.Principal.Name, Type: directory.PrincipalManagedIdentity, IdentityKind: directory.IdentityUser,
		})
		return err
	})
	if reply := w.post(pathV2, form); reply.Code == 200 {
		t.Error("the workload of the old identity is the new one")
	}
	_, assertion = w.startWorkload(testIdentity)
	w.post(pathV2, w.workloadForm(testIdentity, assertion.Token)).token()
}

// An access token, which the tenant's other keys sign, is no assertion of a workload.
func TestAccessTokensAreNoWorkloads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startWorkload(testClient)
	raw := w.post(pathV2, w.good()).token()
	if reply := w.post(pathV2, w.workloadForm(testClient, raw)); reply.Code == 200 {
		t.Error("an access token stands in for an assertion")
	}
}

func TestWorkloadIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, assertion := w.startWorkload(testClient)
	issuer := testBase + "/" + testTenant + "/workload"
	document := w.get("/" + testTenant + "/workload/.well-known/openid-configuration")
	if document.Code != 200 || document.json["issuer"] != issuer || document.json["jwks_uri"] != issuer+"/keys" || assertion.Issuer != issuer {
		t.Fatalf("got %d: issuer %v, keys %v", document.Code, document.json["issuer"], document.json["jwks_uri"])
	}
	published := w.get("/contoso.test/workload/keys")
	keys, ignored, err := token.ParseKeys(published.Body.Bytes())
	if err != nil || len(ignored) > 0 || len(keys) == 0 {
		t.Fatalf("keys: %v, %v", err, ignored)
	}
	parsed, err := token.Parse(assertion.Token, token.Limits{})
	w.must(err)
	kid, _ := parsed.Header.Get("kid")
	name, _ := kid.String()
	key := keyNamed(keys, name)
	if key == nil {
		t.Fatal("the key is not published")
	}
	w.must(parsed.Verify("RS256", key.Public))
	others, _, err := token.ParseKeys(w.get("/" + testTenant + "/discovery/v2.0/keys").Body.Bytes())
	w.must(err)
	if keyNamed(others, name) != nil {
		t.Error("the key of the workload issuer is among those of access tokens")
	}
	w.get("/nobody.test/workload/keys").refused(400, "invalid_tenant", 90002)
}

// The issuer may also be trusted like any other, by a federated credential.
func TestWorkloadByFederatedCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	started, assertion := w.startWorkload(testClient)
	w.edit(func(e *directory.Editor) error {
		app, err := e.Applications().Find(testTenant, testClient)
		if err != nil {
			return err
		}
		_, err = e.Credentials().AddFederated(testTenant, app.ID, directory.FederatedCredential{
			Name: "cluster", Issuer: assertion.Issuer, Subject: assertion.Subject, Audience: assertion.Audience,
		})
		return err
	})
	started.Close()
	w.post(pathV2, w.workloadForm(testClient, assertion.Token)).token()
}

// Applications without a name, as Graph makes them, are told apart by their ids: a federated
// credential that trusts the workload of one of them must not trust them all. A display name
// is chosen by whoever makes the application, and says nothing.
func TestWorkloadsWithoutANameAreToldApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	named, err := w.dir.Instance(t.Context(), testTenant, testClient)
	w.must(err)
	subjects := map[string]bool{clientauth.WorkloadSubject(named.Principal): true}
	for range 2 {
		var made *directory.Application
		w.edit(func(e *directory.Editor) (err error) {
			if made, err = e.Applications().Create(directory.Application{Tenant: testTenant, DisplayName: named.Principal.Name}); err != nil {
				return err
			}
			_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: testTenant, AppID: made.AppID})
			return err
		})
		_, assertion := w.startWorkload(made.AppID)
		if subjects[assertion.Subject] || assertion.Subject != "system:serviceaccount:rolecall:"+string(made.AppID) {
			t.Errorf("the subject is %s", assertion.Subject)
		}
		subjects[assertion.Subject] = true
	}
}

func TestWorkloadRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, client := range map[string]directory.AppID{"nobody": nobody, "no GUID": "orders-client"} {
		if _, err := w.StartWorkload(t.Context(), testTenant, client); err == nil {
			t.Errorf("%s: started", name)
		}
	}
	if _, err := w.StartWorkload(t.Context(), "fabrikam.invalid", testClient); err == nil {
		t.Error("a tenant that is not there: started")
	}
}

// The same application in two tenants is two: what runs as the one is not the other.
func TestWorkloadOfAnotherTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit(func(e *directory.Editor) error {
		if _, err := e.Applications().Create(directory.Application{Tenant: otherOne, AppID: testClient, Name: "orders-client"}); err != nil {
			return err
		}
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: otherOne, AppID: testClient, Enabled: true})
		return err
	})
	started, err := w.StartWorkload(t.Context(), otherOne, testClient)
	w.must(err)
	t.Cleanup(started.Close)
	assertion, err := started.Assertion(t.Context())
	w.must(err)
	w.post(pathV2, w.workloadForm(testClient, assertion.Token)).refused(401, "invalid_client", 700211)
}

// keyNamed finds a key by its id.
func keyNamed(keys []token.Key, id string) *token.Key {
	for i := range keys {
		if keys[i].ID == id {
			return &keys[i]
		}
	}
	return nil
}

// Anybody may ask for the keys of a tenant's workloads. As long as none has run there are none,
// and asking makes none.
func TestAskingForWorkloadKeysMakesNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if keys, _, err := token.ParseKeys(w.get("/contoso.test/workload/keys").Body.Bytes()); len(keys) > 0 {
		t.Errorf("there are keys: %v, %v", keys, err)
	}
	if infos, err := w.keys.List(t.Context(), w.origin.WorkloadRing(testTenant)); err != nil || len(infos) > 0 {
		t.Errorf("asking has made %v (%v)", infos, err)
	}
}
