package authority

import (
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A managed identity has no registration, hence no credential to prove itself by here.
func TestManagedIdentityIsNoClient(t *testing.T) {
	t.Parallel()
	const identity = "c11e0009-5a5a-4c4c-8d8d-000000000009"
	w := newWorld(t)
	w.edit(func(e *directory.Editor) error {
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{
			Tenant: testTenant, AppID: identity, Name: "orders-vm", Type: directory.PrincipalManagedIdentity,
		})
		return err
	})
	request := w.good().set("client_id", identity)
	for name, request := range map[string]values{
		"a secret":     request,
		"no secret":    request.without("client_secret"),
		"an assertion": request.without("client_secret").set("client_assertion", "x.y.z", "client_assertion_type", assertionTypeJWT),
	} {
		t.Run(name, func(t *testing.T) {
			answer := w.post(pathV2, request)
			answer.t = t
			answer.refused(400, "unauthorized_client", 700016)
		})
	}
}

// A public client without a credential cannot prove itself by an assertion either.
func TestAssertionForAPublicClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	signer, err := w.keys.Signer(t.Context(), testTenant)
	w.must(err)
	assertion, err := signer.Sign([]byte(`{"iss":"`+publicApp+`","sub":"`+publicApp+`","aud":"`+testBase+pathV2+`","jti":"1","exp":1}`), true)
	w.must(err)
	request := w.good().without("client_secret", "client_id").set("client_assertion", assertion, "client_assertion_type", assertionTypeJWT)
	w.post(pathV2, request).refused(401, "invalid_client", 700025)
	w.post(pathV2, request.set("client_id", publicApp)).refused(401, "invalid_client", 700025)
}
