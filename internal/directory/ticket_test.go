package directory_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
)

const (
	code    = directory.TicketKind("code")
	refresh = directory.TicketKind("refresh")
)

// ticket returns one that is good for an hour.
func (o *orders) ticket(kind directory.TicketKind, secret string) directory.Ticket {
	return directory.Ticket{Tenant: contoso, Kind: kind, ID: o.TicketID(kind, secret), Expires: time.Now().Add(time.Hour), Body: []byte("of " + secret)}
}

func (o *orders) putTicket(t testing.TB, ticket directory.Ticket) {
	t.Helper()
	if err := o.PutTicket(t.Context(), ticket); err != nil {
		t.Fatal(err)
	}
}

// hasTicket reports whether there is such a ticket.
func (o *orders) hasTicket(t testing.TB, kind directory.TicketKind, secret string) bool {
	t.Helper()
	_, err := o.Ticket(t.Context(), contoso, kind, o.TicketID(kind, secret))
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestTicketsAreTakenOnce(t *testing.T) {
	o := newOrders(t, memory.New())
	o.putTicket(t, o.ticket(code, "secret"))
	if err := o.PutTicket(t.Context(), o.ticket(code, "secret")); !errors.Is(err, directory.ErrDuplicate) {
		t.Errorf("a second one: got %v", err)
	}
	for range 2 {
		found, err := o.Ticket(t.Context(), "7F1D3C52-0A4E-4B8E-9C61-2D5E8F0A1B11", code, o.TicketID(code, "secret"))
		if err != nil || string(found.Body) != "of secret" {
			t.Errorf("got %+v, %v", found, err)
		}
	}
	for kind, secret := range map[directory.TicketKind]string{code: "other", refresh: "secret"} {
		if o.hasTicket(t, kind, secret) {
			t.Errorf("there is a %s for %q", kind, secret)
		}
	}
	if _, err := o.Ticket(t.Context(), contoso, refresh, o.TicketID(code, "secret")); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("an id of another kind: got %v", err)
	}
	if taken, err := o.TakeTicket(t.Context(), contoso, code, o.TicketID(code, "secret")); err != nil || string(taken.Body) != "of secret" {
		t.Errorf("take: got %+v, %v", taken, err)
	}
	if _, err := o.TakeTicket(t.Context(), contoso, code, o.TicketID(code, "secret")); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("take again: got %v", err)
	}
}

func TestTicketIsTakenByOneOfMany(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) directory.Store{
		"memory": func(*testing.T) directory.Store { return memory.New() },
		"sqlite": func(t *testing.T) directory.Store {
			s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		},
	} {
		t.Run(name, func(t *testing.T) { takeAtOnce(t, newOrders(t, open(t))) })
	}
}

func takeAtOnce(t *testing.T, o *orders) {
	o.putTicket(t, o.ticket(code, "secret"))
	results := make([]error, 16)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() { _, results[i] = o.TakeTicket(t.Context(), contoso, code, o.TicketID(code, "secret")) })
	}
	group.Wait()
	got := 0
	for _, err := range results {
		if err == nil {
			got++
		} else if !errors.Is(err, directory.ErrNotFound) {
			t.Error(err)
		}
	}
	if got != 1 {
		t.Errorf("%d callers got the ticket", got)
	}
}

func TestTicketsChangeUnderAnOptimisticLock(t *testing.T) {
	o := newOrders(t, memory.New())
	o.putTicket(t, o.ticket(code, "secret"))
	read := func() *directory.Ticket {
		found, err := o.Ticket(t.Context(), contoso, code, o.TicketID(code, "secret"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	first, second := read(), read()
	first.Body = []byte("approved")
	if err := o.UpdateTicket(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := o.UpdateTicket(t.Context(), second); !errors.Is(err, directory.ErrConflict) {
		t.Errorf("a stale one: got %v", err)
	}
	first.Body = []byte("used")
	if err := o.UpdateTicket(t.Context(), first); err != nil {
		t.Errorf("again: got %v", err)
	}
	if found := read(); string(found.Body) != "used" {
		t.Errorf("got %q", found.Body)
	}
	unread := o.ticket(code, "other")
	if err := o.UpdateTicket(t.Context(), &unread); !errors.Is(err, directory.ErrConflict) {
		t.Errorf("one that was never read: got %v", err)
	}
	if _, err := o.TakeTicket(t.Context(), contoso, code, first.ID); err != nil {
		t.Fatal(err)
	}
	if err := o.UpdateTicket(t.Context(), first); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("one that was taken: got %v", err)
	}
}

func TestTicketFamiliesFallTogether(t *testing.T) {
	o := newOrders(t, memory.New())
	for _, secret := range []string{"one", "two"} {
		member := o.ticket(refresh, secret)
		member.Family = "family"
		o.putTicket(t, member)
	}
	outsider := o.ticket(refresh, "three")
	outsider.Family = "family/other"
	o.putTicket(t, outsider)
	for range 2 {
		if err := o.DropFamily(t.Context(), contoso, "family"); err != nil {
			t.Fatal(err)
		}
	}
	if o.hasTicket(t, refresh, "one") || o.hasTicket(t, refresh, "two") || !o.hasTicket(t, refresh, "three") {
		t.Error("not exactly the family fell")
	}
	if got := auditActions(t, o.Directory, "ticketFamily.delete"); got != 1 {
		t.Errorf("%d audit rows tell of it", got)
	}
}

// auditActions counts the rows of an action.
func auditActions(t *testing.T, d *directory.Directory, action string) (n int) {
	t.Helper()
	rows, err := d.AuditRows(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Action == action {
			n++
		}
	}
	return n
}

func TestTicketRules(t *testing.T) {
	o := newOrders(t, memory.New())
	for _, tt := range []struct {
		name  string
		spoil func(ticket *directory.Ticket)
		field string
	}{
		{"no kind", func(ticket *directory.Ticket) { ticket.Kind = "" }, "id"},
		{"no id", func(ticket *directory.Ticket) { ticket.ID = "" }, "id"},
		{"a long family", func(ticket *directory.Ticket) { ticket.Family = strings.Repeat("x", 1025) }, "id"},
		{"no end", func(ticket *directory.Ticket) { ticket.Expires = time.Time{} }, "expires"},
		{"a large body", func(ticket *directory.Ticket) { ticket.Body = make([]byte, 64<<10+1) }, "body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ticket := o.ticket(code, "secret")
			tt.spoil(&ticket)
			checkRule(t, o.PutTicket(t.Context(), ticket), tt.field, wrong)
		})
	}
	nobody := directory.ObjectID("00000000-0000-4000-8000-000000000000")
	for name, ticket := range map[string]directory.Ticket{
		"of no tenant": {Tenant: directory.TenantID(nobody)}, "of no client": {Tenant: contoso, Client: nobody}, "of no user": {Tenant: contoso, User: nobody},
	} {
		ticket.Kind, ticket.ID, ticket.Expires = code, "id", time.Now().Add(time.Hour)
		if err := o.PutTicket(t.Context(), ticket); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestTicketsEndWithTheirOwners holds for whom a session is of, and for whom not.
func TestTicketsEndWithTheirOwners(t *testing.T) {
	for _, tt := range []struct {
		name       string
		act        func(o *orders, dev *directory.User, e *directory.Editor) error
		user, left bool // whether the user's and the client's tickets are left
	}{
		{"the user is deleted", func(_ *orders, dev *directory.User, e *directory.Editor) error { return e.DeleteUser(contoso, dev.ID) }, false, true},
		{"the user is disabled", func(_ *orders, dev *directory.User, e *directory.Editor) error {
			disabled := *dev
			disabled.Enabled = false
			_, err := e.UpdateUser(disabled)
			return err
		}, false, true},
		{"the user is renamed", func(_ *orders, dev *directory.User, e *directory.Editor) error {
			renamed := *dev
			renamed.DisplayName = "Devi"
			_, err := e.UpdateUser(renamed)
			return err
		}, true, true},
		{"the password is another", func(_ *orders, dev *directory.User, e *directory.Editor) error {
			return e.SetPassword(contoso, dev.ID, "another password")
		}, false, true},
		{"the password is the same", func(_ *orders, dev *directory.User, e *directory.Editor) error {
			return e.SetPassword(contoso, dev.ID, "correct horse battery")
		}, true, true},
		{"the client is deleted", func(o *orders, _ *directory.User, e *directory.Editor) error {
			return e.DeleteApplication(contoso, o.app.ID)
		}, true, false},
		{"the tenant is deleted", func(_ *orders, _ *directory.User, e *directory.Editor) error { return e.DeleteTenant(contoso) }, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrders(t, memory.New())
			dev := o.user(t, "dev@contoso.test")
			ofUser, ofClient := o.ticket(refresh, "user's"), o.ticket(refresh, "client's")
			ofUser.User, ofClient.Client = dev.ID, o.appPrincipal.ID
			o.putTicket(t, ofUser)
			o.putTicket(t, ofClient)
			change(t, o.Directory, func(e *directory.Editor) error { return tt.act(o, dev, e) })
			if got := o.hasTicket(t, refresh, "user's"); got != tt.user {
				t.Errorf("the user's ticket is left: %v", got)
			}
			if got := o.hasTicket(t, refresh, "client's"); got != tt.left {
				t.Errorf("the client's ticket is left: %v", got)
			}
		})
	}
}

// user makes a user with a password.
func (o *orders) user(t testing.TB, name string) (u *directory.User) {
	t.Helper()
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		u, err = e.CreateUser(directory.User{Tenant: contoso, PrincipalName: name}, "correct horse battery")
		return err
	})
	return u
}

func TestTicketsExpireAndAreSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		o := newOrders(t, store)
		const many = 450 // more than two batches
		for i := range many {
			short := o.ticket(code, strings.Repeat("x", i+1))
			short.Expires = time.Now().Add(time.Minute)
			o.putTicket(t, short)
		}
		o.putTicket(t, o.ticket(refresh, "long"))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- o.Run(ctx) }()

		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		if !o.hasTicket(t, code, "x") || len(keptTickets(t, store)) != many+1 {
			t.Error("tickets went too early")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if o.hasTicket(t, code, "x") {
			t.Error("an expired ticket is found")
		}
		if _, err := o.TakeTicket(t.Context(), contoso, code, o.TicketID(code, "x")); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("take an expired one: got %v", err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if left := keptTickets(t, store); len(left) != 1 || !o.hasTicket(t, refresh, "long") {
			t.Errorf("%d tickets are kept", len(left))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func keptTickets(t *testing.T, store directory.Store) []string {
	t.Helper()
	_, keys, err := store.List(t.Context(), string(contoso), "ticket", "id/", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestAnExpiredTicketGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrders(t, memory.New())
		o.putTicket(t, o.ticket(code, "secret"))
		time.Sleep(time.Hour)
		o.putTicket(t, o.ticket(code, "secret"))
		if !o.hasTicket(t, code, "secret") {
			t.Error("the new one is not there")
		}
	})
}

// TestTicketsAreNoNews: whoever follows the directory hears nothing of tickets, and
// nothing is read anew because of them.
func TestTicketsAreNoNews(t *testing.T) {
	store := memory.New()
	o := newOrders(t, store)
	heard := make(chan directory.Change, 100)
	other, err := directory.Open(t.Context(), directory.Config{Store: store, SecretKey: make([]byte, 32), OnChange: func(c directory.Change) { heard <- c }})
	if err != nil {
		t.Fatal(err)
	}
	o.putTicket(t, o.ticket(code, "secret"))
	if changed, err := other.Refresh(t.Context()); changed || err != nil {
		t.Errorf("refresh: got %v, %v", changed, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- other.Run(ctx) }()
	change(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.CreateTenant(directory.Tenant{Name: "fabrikam"})
		return err
	})
	if c := <-heard; c.Kind != "tenant" {
		t.Errorf("heard of %+v first", c)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	sequence, err := store.Sequence(t.Context())
	if err != nil || other.Applied() != sequence {
		t.Errorf("applied %d of %d, %v", other.Applied(), sequence, err)
	}
}

// TestTicketsKeepNoSecret looks for the secret in everything that is stored.
func TestTicketsKeepNoSecret(t *testing.T) {
	store := memory.New()
	o := newOrders(t, store)
	const secret = "the-secret-of-a-ticket"
	ticket := o.ticket(code, secret)
	ticket.Body, ticket.Family = nil, o.TicketID("family", secret)
	o.putTicket(t, ticket)
	objects, keys, err := store.List(t.Context(), string(contoso), "ticket", "id/", "", 0)
	if err != nil || len(objects) != 1 {
		t.Fatal(objects, err)
	}
	for _, text := range slices.Concat(keys, objects[0].Keys, []string{string(objects[0].Body), objects[0].ID}) {
		if strings.Contains(text, secret) {
			t.Errorf("the secret stands in %q", text)
		}
	}
	elsewhere, err := directory.Open(t.Context(), directory.Config{Store: memory.New(), SecretKey: []byte(strings.Repeat("k", 32))})
	if err != nil {
		t.Fatal(err)
	}
	if elsewhere.TicketID(code, secret) == ticket.ID {
		t.Error("the id does not depend on the key")
	}
}
