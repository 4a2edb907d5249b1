package operate_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/operate"
)

// A world is a directory with the Orders world, a host in it, and keys.
type world struct {
	*testing.T
	dir   *directory.Directory
	keys  *keyring.Ring
	host  directory.ObjectID
	spare directory.ObjectID // an identity without a role
}

// orders is the role of the Orders world.
func orders() operate.Role {
	return operate.Role{Resource: fixture.ServerPrincipal, ID: fixture.ReadRole}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, dir: fixture.OpenDirectory(t, nil)}
	kek, err := keyring.KEKFromBytes(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if w.keys, err = keyring.New(keyring.Config{Store: w.dir, KEK: kek, NewKey: fixture.NewKeys()}); err != nil {
		t.Fatal(err)
	}
	api := w.as(directory.Operator("test"))
	spare, err := api.CreateIdentity(t.Context(), fixture.TenantID, "spare", directory.IdentitySystem)
	if err != nil {
		t.Fatal(err)
	}
	w.spare = spare.ID
	made, err := api.CreateHost(t.Context(), directory.Host{Tenant: fixture.TenantID, Name: "box", Identities: []directory.ObjectID{fixture.UserIdentityPrincipal}})
	if err != nil {
		t.Fatal(err)
	}
	w.host = made.ID
	return w
}

// as is what an actor may do.
func (w *world) as(actor directory.Actor) *operate.API {
	w.Helper()
	api, err := operate.New(operate.Config{Directory: w.dir, Keys: w.keys, Actor: actor})
	if err != nil {
		w.Fatal(err)
	}
	return api
}

// rows are those of the audit trail, oldest first.
func (w *world) rows() []audit.Row {
	w.Helper()
	rows, err := w.dir.AuditRows(w.Context(), 0, 1000)
	if err != nil {
		w.Fatal(err)
	}
	return rows
}

// signing is the id of the key that signs for the names of a cloud.
func (w *world) signing(cloud origin.Cloud) string {
	w.Helper()
	all, err := w.as(directory.Operator("test")).Keys(w.Context(), fixture.TenantID)
	if err != nil {
		w.Fatal(err)
	}
	i := slices.IndexFunc(all, func(k operate.Key) bool { return k.Cloud == cloud && k.State == keyring.Current })
	if i < 0 {
		w.Fatalf("no key signs for %q: %v", cloud, all)
	}
	return all[i].ID
}

// An act is one thing to do, with the one right that it takes and the action that the audit
// trail has of it.
type act struct {
	name   string
	verb   directory.Verb
	noun   directory.Noun
	action string
	do     func(context.Context, *world, *operate.API) error
}

func acts() []act {
	return []act{
		{"create a tenant", directory.Create, directory.Tenants, "tenant.create", func(ctx context.Context, _ *world, a *operate.API) error {
			_, err := a.CreateTenant(ctx, directory.Tenant{Name: "fabrikam"})
			return err
		}},
		{"edit a tenant", directory.Update, directory.Tenants, "tenant.update", func(ctx context.Context, _ *world, a *operate.API) error {
			_, err := a.EditTenant(ctx, fixture.TenantID, func(t *directory.Tenant) error { t.Name = "renamed"; return nil })
			return err
		}},
		{"delete a tenant", directory.Delete, directory.Tenants, "tenant.delete", func(ctx context.Context, _ *world, a *operate.API) error {
			return a.DeleteTenant(ctx, fixture.TenantID)
		}},
		{"end tokens", directory.Update, directory.ServicePrincipals, "servicePrincipal.update", func(ctx context.Context, _ *world, a *operate.API) error {
			return a.EndTokens(ctx, fixture.TenantID, fixture.ClientPrincipal)
		}},
		{"assign roles", directory.Create, directory.Assignments, "assignment.create", func(ctx context.Context, w *world, a *operate.API) error {
			_, err := a.Assign(ctx, fixture.TenantID, w.spare, orders())
			return err
		}},
		{"unassign roles", directory.Delete, directory.Assignments, "assignment.delete", func(ctx context.Context, _ *world, a *operate.API) error {
			_, err := a.Unassign(ctx, fixture.TenantID, fixture.IdentityPrincipal, orders())
			return err
		}},
		{"create a host", directory.Create, directory.Hosts, "host.create", func(ctx context.Context, _ *world, a *operate.API) error {
			_, err := a.CreateHost(ctx, directory.Host{Tenant: fixture.TenantID, Name: "agent"})
			return err
		}},
		{"edit a host", directory.Update, directory.Hosts, "host.update", func(ctx context.Context, w *world, a *operate.API) error {
			_, err := a.EditHost(ctx, fixture.TenantID, w.host, func(h *directory.Host) error { h.Name = "agent"; return nil })
			return err
		}},
		{"renew a host", directory.Update, directory.Hosts, "host.update", func(ctx context.Context, w *world, a *operate.API) error {
			return a.RenewHost(ctx, fixture.TenantID, w.host)
		}},
		{"assign an identity", directory.Update, directory.Hosts, "host.update", func(ctx context.Context, w *world, a *operate.API) error {
			_, err := a.AssignIdentity(ctx, fixture.TenantID, w.host, fixture.IdentityPrincipal)
			return err
		}},
		{"unassign an identity", directory.Update, directory.Hosts, "host.update", func(ctx context.Context, w *world, a *operate.API) error {
			_, err := a.UnassignIdentity(ctx, fixture.TenantID, w.host, fixture.UserIdentityPrincipal)
			return err
		}},
		{"delete a host", directory.Delete, directory.Hosts, "host.delete", func(ctx context.Context, w *world, a *operate.API) error {
			return a.DeleteHost(ctx, fixture.TenantID, w.host)
		}},
		{"create an identity", directory.Create, directory.ServicePrincipals, "servicePrincipal.create", func(ctx context.Context, _ *world, a *operate.API) error {
			_, err := a.CreateIdentity(ctx, fixture.TenantID, "nightly", directory.IdentityUser)
			return err
		}},
		{"delete an identity", directory.Delete, directory.ServicePrincipals, "servicePrincipal.delete", func(ctx context.Context, _ *world, a *operate.API) error {
			return a.DeleteIdentity(ctx, fixture.TenantID, fixture.IdentityPrincipal)
		}},
		{"rotate keys", directory.Update, directory.Keys, "keyring.rotate", func(ctx context.Context, _ *world, a *operate.API) error {
			_, err := a.RotateKeys(ctx, fixture.TenantID, "", keyring.RotateOptions{Force: true})
			return err
		}},
		{"revoke a key", directory.Delete, directory.Keys, "keyring.revoke", func(ctx context.Context, w *world, a *operate.API) error {
			return a.RevokeKey(ctx, fixture.TenantID, w.signing(""), "laptop-lost")
		}},
	}
}

// TestRights tries every act with the one right that it takes, and with all others, as somebody
// whom Graph would let in; what was done stands in the audit trail under the actor's name.
func TestRights(t *testing.T) {
	t.Parallel()
	for _, tt := range acts() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if err := w.keys.Ensure(t.Context(), string(fixture.TenantID)); err != nil {
				t.Fatal(err)
			}
			right := directory.To(tt.verb, tt.noun)
			for _, rights := range []directory.Rights{0, directory.AllRights() &^ right} {
				before := len(w.rows())
				err := tt.do(t.Context(), w, w.as(directory.Actor{Kind: directory.ActorUser, Name: "dev@contoso.test", Rights: rights}))
				forbidden, is := errors.AsType[*directory.ForbiddenError](err)
				if !is || forbidden.Verb != tt.verb || forbidden.Noun != tt.noun || forbidden.Actor != "dev@contoso.test" {
					t.Errorf("with the rights %b: got %v", rights, err)
				}
				if after := w.rows(); len(after) != before {
					t.Errorf("with the rights %b: something was done: %v", rights, after[before:])
				}
			}
			before := len(w.rows())
			if err := tt.do(t.Context(), w, w.as(directory.Actor{Kind: directory.ActorUser, Name: "dev@contoso.test", Rights: right})); err != nil {
				t.Fatalf("with the right: %v", err)
			}
			added := w.rows()[before:]
			if !slices.ContainsFunc(added, func(row audit.Row) bool { return row.Action == tt.action }) {
				t.Errorf("the audit trail has no %s: %v", tt.action, added)
			}
			for _, row := range added {
				if row.Actor != "dev@contoso.test" || row.ActorKind != "user" {
					t.Errorf("%s is said to be by %q (%q)", row.Action, row.Actor, row.ActorKind)
				}
			}
		})
	}
}

// What a command does is the operator's.
func TestTheOperatorIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.as(directory.Operator("cli:keys rotate")).RotateKeys(t.Context(), fixture.TenantID, "", keyring.RotateOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	rows := w.rows()
	if row := rows[len(rows)-1]; row.Action != "keyring.rotate" || row.Actor != "cli:keys rotate" || row.ActorKind != "operator" {
		t.Errorf("got %+v", row)
	}
	if row := rows[len(rows)-2]; row.Action != "keyring.create" || row.Actor != "system:keyring" || row.ActorKind != "system" {
		t.Errorf("the keys that were missing: got %+v", row)
	}
}

func TestAssigningTwiceIsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.as(directory.Operator("test"))
	for range 2 {
		host, err := api.AssignIdentity(t.Context(), fixture.TenantID, w.host, fixture.IdentityPrincipal)
		if want := []directory.ObjectID{fixture.UserIdentityPrincipal, fixture.IdentityPrincipal}; err != nil || !slices.Equal(host.Identities, want) {
			t.Fatalf("got %v, %v; want %v", host, err, want)
		}
	}
	for range 2 {
		host, err := api.UnassignIdentity(t.Context(), fixture.TenantID, w.host, fixture.UserIdentityPrincipal)
		if want := []directory.ObjectID{fixture.IdentityPrincipal}; err != nil || !slices.Equal(host.Identities, want) {
			t.Fatalf("got %v, %v; want %v", host, err, want)
		}
	}
}

// An application's service principal is Graph's to delete.
func TestOnlyManagedIdentitiesAreDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := w.as(directory.Operator("test")).DeleteIdentity(t.Context(), fixture.TenantID, fixture.ClientPrincipal)
	if !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := w.dir.View(t.Context()).ServicePrincipals().Get(fixture.TenantID, fixture.ClientPrincipal); err != nil {
		t.Errorf("it is gone: %v", err)
	}
}

// Several roles are assigned together or not at all, and it is told which were new.
func TestRolesAreAssignedTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.as(directory.Operator("test"))
	before := len(w.rows())
	if _, err := api.Assign(t.Context(), fixture.TenantID, w.spare, orders(), operate.Role{Resource: fixture.ServerPrincipal, ID: "nothing"}); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("with a role that there is not: got %v", err)
	}
	if rows := w.rows(); len(rows) != before {
		t.Errorf("something was assigned all the same: %v", rows[before:])
	}
	for _, want := range []bool{true, false} {
		if added, err := api.Assign(t.Context(), fixture.TenantID, w.spare, orders()); err != nil || !slices.Equal(added, []bool{want}) {
			t.Errorf("assigned %v, %v; want %v", added, err, want)
		}
	}
	for _, want := range []bool{true, false} {
		if removed, err := api.Unassign(t.Context(), fixture.TenantID, w.spare, orders()); err != nil || !slices.Equal(removed, []bool{want}) {
			t.Errorf("unassigned %v, %v; want %v", removed, err, want)
		}
	}
}

// An administrator is made whole: where one right is missing, nothing is there.
func TestAdministratorsAreMadeWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		wanted operate.NewAdministrator
		nouns  []directory.Noun // of which it creates one
	}{
		{operate.NewAdministrator{Name: "terraform", Days: 30}, []directory.Noun{directory.Applications, directory.ServicePrincipals, directory.Assignments, directory.Credentials}},
		{operate.NewAdministrator{User: "admin@contoso.test"}, []directory.Noun{directory.Users, directory.Passwords}},
		{operate.NewAdministrator{Name: "first", Days: 30, Tenant: directory.Tenant{Name: "fabrikam"}}, []directory.Noun{directory.Tenants}},
	} {
		if tt.wanted.Tenant.Name == "" {
			tt.wanted.Tenant = directory.Tenant{ID: fixture.TenantID, Name: "contoso"}
		}
		before := len(w.rows())
		for _, noun := range tt.nouns {
			rights := directory.AllRights() &^ directory.To(directory.Create, noun)
			_, err := w.as(directory.Actor{Kind: directory.ActorUser, Name: "dev@contoso.test", Rights: rights}).CreateAdministrator(t.Context(), tt.wanted)
			if forbidden, is := errors.AsType[*directory.ForbiddenError](err); !is || forbidden.Noun != noun {
				t.Errorf("%+v without the right to create %v: got %v", tt.wanted, noun, err)
			}
		}
		if rows := w.rows(); len(rows) != before {
			t.Errorf("%+v: something was made without a right: %v", tt.wanted, rows[before:])
		}
		made, err := w.as(directory.Operator("test")).CreateAdministrator(t.Context(), tt.wanted)
		if err != nil || made.Secret+made.Password == "" || made.ObjectID == "" || len(made.Roles) == 0 || made.Tenant.Name != tt.wanted.Tenant.Name {
			t.Errorf("%+v: got %+v, %v", tt.wanted, made, err)
		}
	}
}

// Each set of names has keys of its own, which rotate and are revoked by themselves.
func TestKeysOfEachSetOfNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.as(directory.Operator("test"))
	if err := w.keys.Ensure(t.Context(), string(fixture.TenantID)); err != nil {
		t.Fatal(err)
	}
	own := w.signing("")
	cloud := origin.Clouds()[0]
	rotated, err := api.RotateKeys(t.Context(), fixture.TenantID, cloud, keyring.RotateOptions{Force: true})
	if err != nil || rotated.Cloud != cloud || rotated.ID != w.signing(cloud) {
		t.Fatalf("got %+v, %v", rotated, err)
	}
	if err := api.RevokeKey(t.Context(), fixture.TenantID, rotated.ID, "lost"); err != nil {
		t.Fatal(err)
	}
	if now := w.signing(cloud); now == rotated.ID {
		t.Error("the key that was revoked still signs")
	}
	if now := w.signing(""); now != own {
		t.Error("keys of other names changed, too")
	}
	if err := api.RevokeKey(t.Context(), fixture.TenantID, "nobody", "lost"); !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("of a key that there is not: got %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, cfg := range map[string]operate.Config{
		"no directory": {Keys: w.keys, Actor: directory.Operator("test")},
		"no keys":      {Directory: w.dir, Actor: directory.Operator("test")},
		"no actor":     {Directory: w.dir, Keys: w.keys},
		"no kind":      {Directory: w.dir, Keys: w.keys, Actor: directory.Actor{Name: "test"}},
	} {
		if _, err := operate.New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
