package directory_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// rightCase is one act, and the one right that it takes.
type rightCase struct {
	verb directory.Verb
	noun directory.Noun
	act  func(o *orders, dev *directory.User, e *directory.Editor) error
}

func rightCases() []rightCase {
	type (
		ordersWorld = *orders
		someUser    = *directory.User
		anEditor    = *directory.Editor
	)
	return []rightCase{
		{directory.Create, directory.Tenants, func(_ ordersWorld, _ someUser, e anEditor) error {
			_, err := e.Tenants().Create(directory.Tenant{Name: "fabrikam"})
			return err
		}},
		{directory.Update, directory.Tenants, func(_ ordersWorld, _ someUser, e anEditor) error {
			_, err := e.Tenants().Edit(contoso, func(t *directory.Tenant) error { t.Enabled = false; return nil })
			return err
		}},
		{directory.Delete, directory.Tenants, func(_ ordersWorld, _ someUser, e anEditor) error { return e.Tenants().Delete(contoso) }},
		{directory.Create, directory.Applications, func(_ ordersWorld, _ someUser, e anEditor) error {
			_, err := e.Applications().Create(directory.Application{Tenant: contoso, Name: "new"})
			return err
		}},
		{directory.Update, directory.Applications, func(o ordersWorld, _ someUser, e anEditor) error {
			_, err := e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error { a.Name = "renamed"; return nil })
			return err
		}},
		{directory.Delete, directory.Applications, func(o ordersWorld, _ someUser, e anEditor) error { return e.Applications().Delete(contoso, o.api.ID) }},
		{directory.Create, directory.ServicePrincipals, func(_ ordersWorld, _ someUser, e anEditor) error {
			_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, Name: "new", Type: directory.PrincipalManagedIdentity})
			return err
		}},
		{directory.Update, directory.ServicePrincipals, func(o ordersWorld, _ someUser, e anEditor) error {
			_, err := e.ServicePrincipals().Edit(contoso, o.appPrincipal.ID, func(p *directory.ServicePrincipal) error { p.Enabled = false; return nil })
			return err
		}},
		{directory.Delete, directory.ServicePrincipals, func(o ordersWorld, _ someUser, e anEditor) error {
			return e.ServicePrincipals().Delete(contoso, o.appPrincipal.ID)
		}},
		{directory.Create, directory.Credentials, func(o ordersWorld, _ someUser, e anEditor) error {
			_, _, err := e.Credentials().AddSecret(contoso, o.app.ID, "new", time.Time{})
			return err
		}},
		{directory.Create, directory.Credentials, func(o ordersWorld, _ someUser, e anEditor) error {
			_, err := e.Credentials().ImportSecret(contoso, o.app.ID, "new", directory.Choose("chosen elsewhere"), time.Time{})
			return err
		}},
		{directory.Create, directory.Credentials, func(o ordersWorld, _ someUser, e anEditor) error {
			_, err := e.Credentials().AddFederated(contoso, o.app.ID, directory.FederatedCredential{Name: "ci", Issuer: "https://issuer.test", Subject: "s"})
			return err
		}},
		{directory.Update, directory.Credentials, func(o ordersWorld, _ someUser, e anEditor) error {
			return e.Credentials().ExtendSecret(contoso, o.app.ID, firstSecret(o, e), time.Now().Add(time.Hour))
		}},
		{directory.Delete, directory.Credentials, func(o ordersWorld, _ someUser, e anEditor) error {
			return e.Credentials().Remove(contoso, o.app.ID, firstSecret(o, e))
		}},
		{directory.Create, directory.Assignments, func(o ordersWorld, dev someUser, e anEditor) error {
			_, _, err := e.Assignments().Add(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, o.read)
			return err
		}},
		{directory.Delete, directory.Assignments, func(o ordersWorld, _ someUser, e anEditor) error {
			return e.Assignments().Remove(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, o.read)
		}},
		{directory.Create, directory.DelegatedGrants, func(o ordersWorld, dev someUser, e anEditor) error {
			_, err := e.DelegatedGrants().Add(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, "", []string{"Orders.List"})
			return err
		}},
		{directory.Delete, directory.DelegatedGrants, func(o ordersWorld, dev someUser, e anEditor) error {
			return e.DelegatedGrants().Remove(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, dev.ID, nil)
		}},
		{directory.Create, directory.Users, func(_ ordersWorld, _ someUser, e anEditor) error {
			_, err := e.Users().Create(directory.User{Tenant: contoso, PrincipalName: "new@contoso.test"}, nil)
			return err
		}},
		{directory.Update, directory.Users, func(_ ordersWorld, dev someUser, e anEditor) error {
			_, err := e.Users().Edit(contoso, dev.ID, func(u *directory.User) error { u.DisplayName = "Devi"; return nil })
			return err
		}},
		{directory.Delete, directory.Users, func(_ ordersWorld, dev someUser, e anEditor) error { return e.Users().Delete(contoso, dev.ID) }},
		{directory.Update, directory.Passwords, func(_ ordersWorld, dev someUser, e anEditor) error {
			return e.Users().SetPassword(contoso, dev.ID, directory.Choose("another password"))
		}},
		{directory.Create, directory.Hosts, func(_ ordersWorld, _ someUser, e anEditor) error {
			_, err := e.Hosts().Create(directory.Host{Tenant: contoso, Name: "new"})
			return err
		}},
		{directory.Update, directory.Hosts, func(_ ordersWorld, _ someUser, e anEditor) error {
			_, err := e.Hosts().Edit(contoso, hostID(e), func(h *directory.Host) error { h.Name = "renamed"; return nil })
			return err
		}},
		{directory.Create, directory.ResourceGroups, func(_ ordersWorld, _ someUser, e anEditor) error {
			_, err := e.ResourceGroups().Create(directory.ResourceGroup{Tenant: contoso, Name: "new"})
			return err
		}},
		{directory.Update, directory.ResourceGroups, func(_ ordersWorld, _ someUser, e anEditor) error {
			_, err := e.ResourceGroups().Edit(contoso, groupID(e), func(g *directory.ResourceGroup) error { g.Location = "elsewhere"; return nil })
			return err
		}},
		{directory.Delete, directory.ResourceGroups, func(_ ordersWorld, _ someUser, e anEditor) error {
			return e.ResourceGroups().Delete(contoso, groupID(e))
		}},
		{directory.Update, directory.Policies, func(_ ordersWorld, _ someUser, e anEditor) error {
			_, err := e.EditAppManagementPolicy(contoso, func(p *directory.AppManagementPolicy) error { p.Enabled = true; return nil })
			return err
		}},
		{directory.Delete, directory.Hosts, func(_ ordersWorld, _ someUser, e anEditor) error { return e.Hosts().Delete(contoso, hostID(e)) }},
		{directory.Create, directory.Backups, func(_ ordersWorld, _ someUser, e anEditor) error { return e.RecordBackup("to a file") }},
		{directory.Update, directory.Backups, func(_ ordersWorld, _ someUser, e anEditor) error { return e.RecordRestore("from a file") }},
	}
}

func firstSecret(o *orders, e *directory.Editor) string {
	app, err := e.Applications().Get(contoso, o.app.ID)
	if err != nil || len(app.Secrets) == 0 {
		return ""
	}
	return app.Secrets[0].ID
}

func hostID(e *directory.Editor) directory.ObjectID {
	host, err := e.Hosts().Find(contoso, "box")
	if err != nil {
		return ""
	}
	return host.ID
}

func groupID(e *directory.Editor) directory.ObjectID {
	group, err := e.ResourceGroups().Find(contoso, "shop")
	if err != nil {
		return ""
	}
	return group.ID
}

// TestRights tries every act with the one right that it takes, and with all others.
func TestRights(t *testing.T) {
	t.Parallel()
	for i, tt := range rightCases() {
		t.Run(fmt.Sprint(tt.verb, " ", tt.noun, " ", i), func(t *testing.T) {
			t.Parallel()
			o := newOrders(t, memory.New())
			dev := o.user(t, "dev@contoso.test")
			o.host(t, directory.Host{Name: "box"})
			change(t, o.Directory, func(e *directory.Editor) error {
				_, err := e.Applications().Edit(contoso, o.api.ID, func(a *directory.Application) error {
					a.Scopes = []directory.Scope{{Value: "Orders.List", Enabled: true}}
					return nil
				})
				if err != nil {
					return err
				}
				if _, err = e.ResourceGroups().Create(directory.ResourceGroup{Tenant: contoso, Name: "shop"}); err != nil {
					return err
				}
				_, err = e.DelegatedGrants().Add(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, dev.ID, []string{"Orders.List"})
				return err
			})
			try := func(rights directory.Rights) error {
				actor := directory.Actor{Kind: directory.ActorApplication, Name: "caller", Rights: rights}
				_, err := o.Change(t.Context(), actor, func(e *directory.Editor) error { return tt.act(o, dev, e) })
				return err
			}
			right := directory.To(tt.verb, tt.noun)
			for _, rights := range []directory.Rights{0, directory.AllRights() &^ right} {
				before := o.Applied()
				err := try(rights)
				forbidden, is := errors.AsType[*directory.ForbiddenError](err)
				if !is || !errors.Is(err, directory.ErrForbidden) || forbidden.Verb != tt.verb || forbidden.Noun != tt.noun || forbidden.Actor != "caller" {
					t.Errorf("with the rights %b: got %v", rights, err)
				}
				if o.Applied() != before {
					t.Errorf("with the rights %b: something was written", rights)
				}
			}
			if err := try(right); err != nil {
				t.Errorf("with the right: got %v", err)
			}
		})
	}
}

// A password takes a right of its own, also with a new user.
func TestRightToANewUsersPassword(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	actor := directory.Actor{Kind: directory.ActorUser, Name: "caller", Rights: directory.Manage(directory.Users)}
	_, err := o.Change(t.Context(), actor, func(e *directory.Editor) error {
		_, err := e.Users().Create(directory.User{Tenant: contoso, PrincipalName: "new@contoso.test"}, directory.Choose("correct horse battery"))
		return err
	})
	if !errors.Is(err, directory.ErrForbidden) {
		t.Errorf("got %v", err)
	}
}

func TestActorsInTheAuditLog(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	for _, actor := range []directory.Actor{
		directory.Operator("cli:apply"), directory.System("first-start"),
		{Kind: directory.ActorUser, Name: "dev@contoso.test", Rights: directory.Manage(directory.Tenants)},
	} {
		if _, err := o.Change(t.Context(), actor, func(e *directory.Editor) error {
			_, err := e.Tenants().Create(directory.Tenant{})
			if err == nil {
				t.Error("a tenant without a name")
			}
			_, err = e.Tenants().Create(directory.Tenant{Name: "by-" + string(actor.Kind)})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		rows, err := o.AuditRows(t.Context(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if last := rows[len(rows)-1]; last.Actor != actor.Name || last.ActorKind != string(actor.Kind) {
			t.Errorf("got %q of kind %q, want %+v", last.Actor, last.ActorKind, actor)
		}
	}
	for _, actor := range []directory.Actor{{}, {Kind: directory.ActorUser}, {Name: "x"}} {
		if _, err := o.Change(t.Context(), actor, func(*directory.Editor) error { return nil }); err == nil {
			t.Errorf("%+v: no error", actor)
		}
	}
}
