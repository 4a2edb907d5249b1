package directory_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

func TestAppManagementPolicy(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	der := certificate(t, 2048, time.Now().Add(time.Hour))
	set := func(f func(p *directory.AppManagementPolicy)) {
		t.Helper()
		change(t, o.Directory, func(e *directory.Editor) error {
			_, err := e.EditAppManagementPolicy(contoso, func(p *directory.AppManagementPolicy) error { f(p); return nil })
			return err
		})
	}
	secret := func(life time.Duration) error {
		return attempt(t, o.Directory, func(e *directory.Editor) error {
			expires := time.Time{}
			if life > 0 {
				expires = time.Now().Add(life)
			}
			_, _, err := e.Credentials().MakeSecret(contoso, o.appPrincipal.ID, directory.NewSecret{Expires: expires})
			return err
		})
	}
	imported := func() error {
		return attempt(t, o.Directory, func(e *directory.Editor) error {
			_, err := e.Credentials().ImportSecret(contoso, o.app.ID, "new", directory.Choose("chosen elsewhere"), time.Time{})
			return err
		})
	}
	extended := func() error {
		return attempt(t, o.Directory, func(e *directory.Editor) error {
			return e.Credentials().ExtendSecret(contoso, o.app.ID, firstSecret(o, e), time.Now().Add(1000*time.Hour))
		})
	}
	cert := func(until time.Time) error {
		return attempt(t, o.Directory, func(e *directory.Editor) error {
			_, err := e.Credentials().KeepCertificate(contoso, o.app.ID, directory.NewCertificate{DER: der, Until: until})
			return err
		})
	}
	if policy, err := o.View(t.Context()).AppManagementPolicy(contoso); err != nil || policy.Enabled || policy.Version != 0 {
		t.Errorf("before: %+v, %v", policy, err)
	}
	set(func(p *directory.AppManagementPolicy) {
		p.SecretsForbidden, p.MaxSecretLife, p.MaxCertificateLife = true, 24*time.Hour, time.Minute
	})
	for name, err := range map[string]error{"a secret": secret(0), "an imported one": imported(), "an extended one": extended(), "a certificate": cert(time.Time{})} {
		if err != nil {
			t.Errorf("%s, and the policy is not enabled: %v", name, err)
		}
	}
	set(func(p *directory.AppManagementPolicy) { p.Enabled = true })
	checkRule(t, secret(time.Hour), "secrets", directory.ErrPolicy)
	checkRule(t, imported(), "secrets", directory.ErrPolicy)
	set(func(p *directory.AppManagementPolicy) { p.SecretsForbidden = false })
	checkRule(t, secret(0), "expires", directory.ErrPolicy)
	checkRule(t, secret(25*time.Hour), "expires", directory.ErrPolicy)
	checkRule(t, imported(), "expires", directory.ErrPolicy)
	checkRule(t, extended(), "expires", directory.ErrPolicy)
	checkRule(t, cert(time.Time{}), "der", directory.ErrPolicy)
	if err := secret(23 * time.Hour); err != nil {
		t.Error(err)
	}
	if policy, err := o.View(t.Context()).AppManagementPolicy(contoso); err != nil || !policy.Enabled || policy.MaxSecretLife != 24*time.Hour {
		t.Errorf("after: %+v, %v", policy, err)
	}
	if client, err := o.Instance(t.Context(), contoso, ordersApp); err != nil {
		t.Error(err)
	} else if _, err := o.CheckSecret(t.Context(), client.Application, o.secret); err != nil {
		t.Errorf("a secret from before: %v", err)
	}
	checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.EditAppManagementPolicy(contoso, func(p *directory.AppManagementPolicy) error { p.MaxSecretLife = -1; return nil })
		return err
	}), "maxLifetime", wrong)
}

func TestResourceGroups(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	scope := "/subscriptions/" + directory.Subscription(contoso) + "/resourcegroups/"
	o.identity(t, directory.ServicePrincipal{Name: "in-shop", IdentityKind: directory.IdentityUser, ResourceID: scope + "SHOP/providers/Microsoft.ManagedIdentity/userAssignedIdentities/in-shop"})
	o.identity(t, directory.ServicePrincipal{Name: "beside", IdentityKind: directory.IdentityUser, ResourceID: scope + "shop2/providers/Microsoft.ManagedIdentity/userAssignedIdentities/beside"})
	o.identity(t, directory.ServicePrincipal{Name: "site", ResourceID: scope + "web/providers/Microsoft.Web/sites/site"})
	o.identity(t, directory.ServicePrincipal{Name: "elsewhere", IdentityKind: directory.IdentityUser, ResourceID: "/subscriptions/5ab50001-5a5a-4c4c-8d8d-000000000001/resourcegroups/shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/elsewhere"})
	var shop, web *directory.ResourceGroup
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		if shop, err = e.ResourceGroups().Create(directory.ResourceGroup{Tenant: contoso, Name: "Shop", Location: "westeurope", Tags: map[string]string{"a": "b"}}); err != nil {
			return err
		}
		web, err = e.ResourceGroups().Create(directory.ResourceGroup{Tenant: contoso, Name: "web"})
		return err
	})
	for field, g := range map[string]directory.ResourceGroup{
		"name": {Name: "a/b"}, "location": {Name: "x", Location: strings.Repeat("x", 61)}, "tags": {Name: "x", Tags: map[string]string{"a<": ""}},
	} {
		g.Tenant = contoso
		checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error { _, err := e.ResourceGroups().Create(g); return err }), field, wrong)
	}
	checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.ResourceGroups().Create(directory.ResourceGroup{Tenant: contoso, Name: "SHOP"})
		return err
	}), "name", duplicate)
	change(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.ResourceGroups().Edit(contoso, shop.ID, func(g *directory.ResourceGroup) error { g.Tags, g.Name = nil, "renamed"; return nil })
		return err
	})
	if got, err := o.View(t.Context()).ResourceGroups().Find(contoso, "sHOP"); err != nil || got.Name != "Shop" || got.Tags != nil || got.Location != "westeurope" {
		t.Errorf("got %+v, %v", got, err)
	}
	change(t, o.Directory, func(e *directory.Editor) error { return e.ResourceGroups().Delete(contoso, shop.ID) })
	if _, err := o.View(t.Context()).Identities().Find(contoso, "in-shop"); !errors.Is(err, notFound) {
		t.Errorf("an identity in the group that was deleted: %v", err)
	}
	for _, left := range []string{"beside", "elsewhere"} { // in a group of another name, or of another subscription
		if _, err := o.View(t.Context()).Identities().Find(contoso, left); err != nil {
			t.Error(err)
		}
	}
	checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error { return e.ResourceGroups().Delete(contoso, web.ID) }), "name", wrong)
}

func TestChangesSince(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	before := o.Applied()
	var other *directory.Application
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		if other, err = e.Applications().Create(directory.Application{Tenant: contoso, DisplayName: "x"}); err != nil {
			return err
		}
		if _, err := e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error { a.Notes = "x"; return nil }); err != nil {
			return err
		}
		_, err = e.Applications().Edit(contoso, other.ID, func(a *directory.Application) error { a.Notes = "x"; return nil })
		return err
	})
	change(t, o.Directory, func(e *directory.Editor) error { return e.Applications().Delete(contoso, o.app.ID) })
	want := []directory.ObjectID{other.ID, o.api.ID, o.app.ID}
	got, next, err := o.ChangesSince(t.Context(), contoso, directory.KindApplication, before, 100)
	if err != nil || !slices.Equal(got, want) || next != o.Applied() {
		t.Errorf("got %v until %d, %v; want %v until %d", got, next, err, want, o.Applied())
	}
	var paged []directory.ObjectID
	for after := before; ; {
		page, next, err := o.ChangesSince(t.Context(), contoso, directory.KindApplication, after, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		if paged = append(paged, page...); next <= after || len(page) > 1 {
			t.Fatalf("a page of %d from %d to %d", len(page), after, next)
		}
		after = next
	}
	for _, id := range want {
		if !slices.Contains(paged, id) {
			t.Errorf("pages lack %s", id)
		}
	}
	if got, _, err := o.ChangesSince(t.Context(), "b0000000-0a4e-4b8e-9c61-2d5e8f0a1b11", directory.KindApplication, before, 100); err != nil || len(got) != 0 {
		t.Errorf("of another tenant: %v, %v", got, err)
	}
	if _, _, err := o.ChangesSince(t.Context(), contoso, directory.KindApplication, o.Applied()+1, 100); !errors.Is(err, directory.ErrFeedTrimmed) {
		t.Errorf("from a sequence to come: %v", err)
	}
}
