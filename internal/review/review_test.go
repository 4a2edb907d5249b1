package review_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/review"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// A world is a directory that was made half a year ago.
type world struct {
	*testing.T
	dir      *directory.Directory
	tenant   *directory.Tenant
	reviewer *review.Reviewer
	secrets  map[string]string // ids by name
}

// principals are the registrations and identities of the world, by name.
func newWorld(t *testing.T) *world {
	t.Helper()
	clock := now.Add(-180 * day)
	dir, err := directory.Open(t.Context(), directory.Config{Store: memory.New(), SecretKey: make([]byte, 32), SlowHash: directory.CheapHash(), Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, dir: dir, secrets: map[string]string{}}
	w.change(func(e *directory.Editor) (err error) {
		w.tenant, err = e.Tenants().Create(directory.Tenant{Name: "contoso", Domains: []string{"contoso.test"}})
		return err
	})
	w.register(directory.Application{Name: "orders", IdentifierURIs: []string{"api://orders"}, AppRoles: []directory.AppRole{
		{Value: "Orders.Read", Enabled: true, Members: []directory.MemberType{directory.MemberApplication}},
		{Value: "Orders.Write", Enabled: true, Members: []directory.MemberType{directory.MemberApplication}},
	}, Scopes: []directory.Scope{{Value: "Orders.List", Enabled: true}}})
	w.register(directory.Application{Name: "stock", IdentifierURIs: []string{"api://stock"}})
	w.register(directory.Application{Name: "client"})
	w.change(func(e *directory.Editor) error {
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: w.tenant.ID, Name: "batch", Type: directory.PrincipalManagedIdentity})
		return err
	})
	w.assign("client", "Orders.Read")
	w.assign("client", "Orders.Write")
	w.assign("batch", "Orders.Read")
	w.change(func(e *directory.Editor) error {
		client, api := w.find("client"), w.find("orders")
		_, err := e.DelegatedGrants().Add(w.tenant.ID, client.ID, api.ID, "", []string{"Orders.List"})
		return err
	})
	w.addSecret("soon", now.Add(10*day))
	w.addSecret("over", now.Add(-day))
	w.addSecret("late", now.Add(300*day))
	w.addSecret("rolecall run 1", now.Add(day))
	w.addSecret("lasting", time.Time{})
	clock = now
	w.reviewer = &review.Reviewer{Directory: dir, Tenants: []*directory.Tenant{w.tenant}, Now: now, Passing: func(name string) bool { return strings.HasPrefix(name, "rolecall ") }}
	return w
}

func (w *world) change(f func(*directory.Editor) error) {
	w.Helper()
	if _, err := w.dir.Change(context.Background(), directory.Operator("test"), f); err != nil {
		w.Fatal(err)
	}
}

func (w *world) register(app directory.Application) {
	w.Helper()
	w.change(func(e *directory.Editor) error {
		app.Tenant = w.tenant.ID
		made, err := e.Applications().Create(app)
		if err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: w.tenant.ID, AppID: made.AppID})
		return err
	})
}

func (w *world) find(name string) *directory.ServicePrincipal {
	w.Helper()
	p, err := w.dir.View(w.Context()).ServicePrincipals().Find(w.tenant.ID, name)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *world) api() *directory.Application {
	w.Helper()
	app, err := w.dir.View(w.Context()).Applications().Find(w.tenant.ID, "orders")
	if err != nil {
		w.Fatal(err)
	}
	return app
}

func (w *world) assign(name, value string) {
	w.Helper()
	role, _ := w.api().Role(value)
	holder, api := w.find(name), w.find("orders")
	w.change(func(e *directory.Editor) error {
		_, _, err := e.Assignments().Add(w.tenant.ID, holder.ID, api.ID, role.ID)
		return err
	})
}

func (w *world) addSecret(name string, expires time.Time) {
	w.Helper()
	client := w.find("client")
	w.change(func(e *directory.Editor) error {
		made, _, err := e.Credentials().AddSecret(w.tenant.ID, client.Application, name, expires)
		w.secrets[name] = made.ID
		return err
	})
}

// signIn notes that a client got a token with roles and scopes, by a secret.
func (w *world) signIn(at time.Time, client, resource, secret string, roles, scopes []string) {
	w.Helper()
	row := directory.SignIn{
		Time: at, Tenant: w.tenant.ID, AppID: w.find(client).AppID, Resource: resource, CredentialID: w.secrets[secret], Roles: roles, Scopes: scopes, TraceID: fmt.Sprint(at, client, secret),
	}
	if err := w.dir.AddSignIns(w.Context(), []directory.SignIn{row}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) unused(since time.Time) []string {
	w.Helper()
	report, err := w.reviewer.Unused(w.Context(), since)
	if err != nil {
		w.Fatal(err)
	}
	var lines []string
	for _, u := range report.Unused {
		line := u.Kind + " " + u.Of + " " + u.Name
		if !u.LastUsed.IsZero() {
			line += " " + u.LastUsed.Format(time.DateOnly)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func TestUnusedIsWhatNoSignInTellsOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn(now.Add(-170*day), "batch", "api://orders", "", []string{"Orders.Read"}, nil) // long ago
	w.signIn(now.Add(-10*day), "client", "API://Orders/", "soon", []string{"Orders.Read"}, nil)
	w.signIn(now.Add(-9*day), "client", string(w.api().AppID), "late", nil, []string{"Orders.List"})
	want := []string{
		"assignment batch orders/Orders.Read 2026-06-06", "assignment client orders/Orders.Write", "managedIdentity batch batch 2026-06-06",
		"secret client lasting", "secret client over",
	}
	if got := w.unused(now.Add(-90 * day)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := w.unused(now.Add(-181 * day)); len(got) > 0 { // it was all made since
		t.Errorf("unused since before it was there: %q", got)
	}
	report, err := w.reviewer.Unused(t.Context(), now)
	if err != nil || !report.Known.Equal(now.Add(-170*day)) {
		t.Errorf("sign-ins are known since %s (%v)", report.Known, err)
	}
}

// A refusal is no use: neither of the credential, nor of what was asked for.
func TestRefusalsAreNoUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	row := directory.SignIn{Time: now, Tenant: w.tenant.ID, AppID: w.find("client").AppID, Resource: "api://orders", CredentialID: w.secrets["soon"], Roles: []string{"Orders.Read"}, Code: 7000222}
	if err := w.dir.AddSignIns(t.Context(), []directory.SignIn{row}); err != nil {
		t.Fatal(err)
	}
	got := w.unused(now.Add(-90 * day))
	for _, want := range []string{"secret client soon", "assignment client orders/Orders.Read"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestEndingNamesWhatEndsAndWhenItWasUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn(now.Add(-2*day), "client", "api://orders", "over", nil, nil)
	found, err := w.reviewer.Ending(t.Context(), now.Add(30*day))
	if err != nil {
		t.Fatal(err)
	}
	review.SortEnding(found)
	var got []string
	for _, e := range found {
		got = append(got, fmt.Sprint(e.Of, " ", e.Name, " ", e.Ended, " ", e.LastUsed.Format(time.DateOnly)))
	}
	want := []string{"client over true 2026-11-21", "client soon false 0001-01-01"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func (w *world) access(filter review.AccessFilter) (lines []string) {
	w.Helper()
	err := w.reviewer.Access(w.Context(), filter, func(a review.Access) error {
		lines = append(lines, strings.TrimSpace(strings.Join([]string{a.Kind, a.Principal, a.API, a.Permission(), a.Client, a.Idle}, " ")))
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

// From either end, the same permissions are found.
func TestAccessFromEitherEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.access(review.AccessFilter{Open: true})
	want := []string{
		"anyone any application of the tenant stock", "application client orders Orders.Read", "application client orders Orders.Write",
		"everyone every user orders Orders.List client", "managedIdentity batch orders Orders.Read",
	}
	if !slices.Equal(all, want) {
		t.Errorf("got %q, want %q", all, want)
	}
	if got := w.access(review.AccessFilter{API: w.api()}); !slices.Equal(got, want[1:]) {
		t.Errorf("of the API: got %q, want %q", got, want[1:])
	}
	if got := w.access(review.AccessFilter{Client: w.find("client")}); !slices.Equal(got, want[1:4]) {
		t.Errorf("of the client: got %q, want %q", got, want[1:4])
	}
	if got := w.access(review.AccessFilter{Client: w.find("client"), API: &directory.Application{AppID: w.find("stock").AppID}}); len(got) > 0 {
		t.Errorf("of the client and another API: got %q", got)
	}
}

// What is disabled anywhere on the way stands in no token.
func TestAccessSaysWhatIsIdle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change(func(e *directory.Editor) error {
		_, err := e.ServicePrincipals().Edit(w.tenant.ID, w.find("batch").ID, func(p *directory.ServicePrincipal) error { p.Enabled = false; return nil })
		if err != nil {
			return err
		}
		_, err = e.Applications().Edit(w.tenant.ID, w.api().ID, func(a *directory.Application) error {
			a.AppRoles[1].Enabled, a.Scopes[0].Enabled = false, false
			return nil
		})
		return err
	})
	want := []string{
		"application client orders Orders.Read", "application client orders Orders.Write  the role is disabled",
		"everyone every user orders Orders.List client the scope is disabled", "managedIdentity batch orders Orders.Read  the principal is disabled",
	}
	if got := w.access(review.AccessFilter{API: w.api()}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOpenAreAPIsThatTellNobodyApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := func() (names []string) {
		open, err := w.reviewer.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range open {
			names = append(names, o.API)
		}
		return names
	}
	if got := names(); !slices.Equal(got, []string{"stock"}) { // orders has roles that some hold; client is no API
		t.Errorf("got %q", got)
	}
	w.change(func(e *directory.Editor) error {
		_, err := e.ServicePrincipals().Edit(w.tenant.ID, w.find("stock").ID, func(p *directory.ServicePrincipal) error { p.AssignmentRequired = true; return nil })
		return err
	})
	if got := names(); len(got) > 0 {
		t.Errorf("with an assignment demanded: %q", got)
	}
}
