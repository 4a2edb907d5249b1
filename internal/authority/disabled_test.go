package authority

import (
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// What is disabled or deleted gets nothing from the moment the change is acknowledged.
func TestDisabled(t *testing.T) {
	t.Parallel()
	enable := func(on bool) func(*directory.ServicePrincipal) {
		return func(p *directory.ServicePrincipal) { p.Enabled = on }
	}
	for _, tt := range []struct {
		name    string
		off, on func(*world) // on is nil where there is no way back
		status  int
		oauth   string
		code    int
	}{
		{"the client's principal", func(w *world) { w.editPrincipal(testClient, enable(false)) }, func(w *world) { w.editPrincipal(testClient, enable(true)) }, 400, "unauthorized_client", 7000112},
		{"the resource's principal", func(w *world) { w.editPrincipal(testAPI, enable(false)) }, func(w *world) { w.editPrincipal(testAPI, enable(true)) }, 400, "invalid_resource", 500014},
		{"the tenant", func(w *world) { w.enableTenant(testTenant, false) }, func(w *world) { w.enableTenant(testTenant, true) }, 400, "invalid_request", 5000225},
		{"the client's principal, deleted", deletePrincipal(testClient), nil, 400, "unauthorized_client", 7000229},
		{"the resource's principal, deleted", deletePrincipal(testAPI), nil, 400, "invalid_resource", 500011},
		{"the client, deleted", deleteApplication(testClient), nil, 400, "unauthorized_client", 700016},
		{"the resource, deleted", deleteApplication(testAPI), nil, 400, "invalid_resource", 500011},
		{"the secret, removed", removeSecret, nil, 401, "invalid_client", 7000215},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.post(pathV2, w.good()).token()
			tt.off(w)
			w.post(pathV2, w.good()).refused(tt.status, tt.oauth, tt.code)
			w.post(pathV1, w.goodV1()).refused(tt.status, tt.oauth, tt.code)
			if tt.on != nil {
				tt.on(w)
				w.post(pathV2, w.good()).token()
			}
		})
	}
}

func deletePrincipal(app directory.AppID) func(*world) {
	return func(w *world) {
		w.edit(func(e *directory.Editor) error { return e.ServicePrincipals().Delete(testTenant, principalID(app)) })
	}
}

func deleteApplication(app directory.AppID) func(*world) {
	return func(w *world) {
		w.edit(func(e *directory.Editor) error {
			a, err := e.Applications().Find(testTenant, string(app))
			if err != nil {
				return err
			}
			return e.Applications().Delete(testTenant, a.ID)
		})
	}
}

func removeSecret(w *world) {
	w.edit(func(e *directory.Editor) error {
		a, err := e.Applications().Find(testTenant, testClient)
		if err != nil {
			return err
		}
		return e.Credentials().Remove(testTenant, a.ID, a.Secrets[0].ID)
	})
}

// A change made through another process is seen before anything is refused because of it.
func TestRefusalIsFresh(t *testing.T) {
	t.Parallel()
	store := memory.New()
	w := newWorldOn(t, store)
	elsewhere, err := directory.Open(t.Context(), directory.Config{Store: store, SecretKey: make([]byte, 32), SlowHash: directory.CheapHash(), Now: w.clock.Now})
	w.must(err)
	w.post(pathV2, w.good().set("scope", "api://closed/.default")).refused(400, "invalid_grant", 501051)
	w.post(pathV2, w.good().set("scope", "api://billing/.default")).refused(400, "invalid_resource", 500011)
	w.post("/late.test/oauth2/v2.0/token", w.good()).refused(400, "invalid_request", 90002)

	_, err = elsewhere.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		_, _, err := e.Assignments().Add(testTenant, principalID(testClient), principalID(closedAPI), "40000004-5a5a-4c4c-8d8d-000000000004")
		return err
	})
	w.must(err)
	w.post(pathV2, w.good().set("scope", "api://closed/.default")).token()

	_, err = elsewhere.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		if _, err := e.Tenants().Create(directory.Tenant{Name: "late", Domains: []string{"late.test"}, Enabled: true}); err != nil {
			return err
		}
		app, err := e.Applications().Find(testTenant, testAPI)
		if err != nil {
			return err
		}
		app.IdentifierURIs = append(app.IdentifierURIs, "api://billing")
		if _, err := e.Applications().Edit(app.Tenant, app.ID, func(v *directory.Application) error { *v = *app; return nil }); err != nil {
			return err
		}
		client, err := e.Applications().Find(testTenant, testClient)
		if err != nil {
			return err
		}
		_, w.secret, err = e.Credentials().AddSecret(testTenant, client.ID, "second", client.Created.AddDate(1, 0, 0))
		return err
	})
	w.must(err)
	w.post(pathV2, w.good().set("scope", "api://billing/.default")).token()
	w.post("/late.test/oauth2/v2.0/token", w.good()).refused(400, "unauthorized_client", 700016)
}
