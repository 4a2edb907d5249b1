package directory_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
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
	code    = directory.TokenRecordKind("code")
	refresh = directory.TokenRecordKind("refresh")
)

// record returns one that is good for an hour.
func (o *orders) record(kind directory.TokenRecordKind, secret string) directory.TokenRecord {
	return directory.TokenRecord{Tenant: contoso, Kind: kind, ID: o.TokenRecordID(kind, secret), Expires: time.Now().Add(time.Hour), Body: []byte("of " + secret)}
}

func (o *orders) putRecord(t testing.TB, record directory.TokenRecord) {
	t.Helper()
	if err := o.PutTokenRecord(t.Context(), record); err != nil {
		t.Fatal(err)
	}
}

// hasRecord reports whether there is such a record.
func (o *orders) hasRecord(t testing.TB, kind directory.TokenRecordKind, secret string) bool {
	t.Helper()
	_, err := o.TokenRecord(t.Context(), contoso, kind, o.TokenRecordID(kind, secret))
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestTokenRecordsAreTakenOnce(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	o.putRecord(t, o.record(code, "secret"))
	if err := o.PutTokenRecord(t.Context(), o.record(code, "secret")); !errors.Is(err, directory.ErrDuplicate) {
		t.Errorf("a second one: got %v", err)
	}
	for range 2 {
		found, err := o.TokenRecord(t.Context(), "7F1D3C52-0A4E-4B8E-9C61-2D5E8F0A1B11", code, o.TokenRecordID(code, "secret"))
		if err != nil || string(found.Body) != "of secret" {
			t.Errorf("got %+v, %v", found, err)
		}
	}
	for kind, secret := range map[directory.TokenRecordKind]string{code: "other", refresh: "secret"} {
		if o.hasRecord(t, kind, secret) {
			t.Errorf("there is a %s for %q", kind, secret)
		}
	}
	if _, err := o.TokenRecord(t.Context(), contoso, refresh, o.TokenRecordID(code, "secret")); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("an id of another kind: got %v", err)
	}
	if taken, err := o.TakeTokenRecord(t.Context(), contoso, code, o.TokenRecordID(code, "secret")); err != nil || string(taken.Body) != "of secret" {
		t.Errorf("take: got %+v, %v", taken, err)
	}
	if _, err := o.TakeTokenRecord(t.Context(), contoso, code, o.TokenRecordID(code, "secret")); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("take again: got %v", err)
	}
}

func TestTokenRecordIsTakenByOneOfMany(t *testing.T) {
	t.Parallel()
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
	o.putRecord(t, o.record(code, "secret"))
	results := make([]error, 16)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() { _, results[i] = o.TakeTokenRecord(t.Context(), contoso, code, o.TokenRecordID(code, "secret")) })
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
		t.Errorf("%d callers got the record", got)
	}
}

func TestTokenRecordsChangeUnderAnOptimisticLock(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	o.putRecord(t, o.record(code, "secret"))
	read := func() *directory.TokenRecord {
		found, err := o.TokenRecord(t.Context(), contoso, code, o.TokenRecordID(code, "secret"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	first, second := read(), read()
	first.Body = []byte("approved")
	if err := o.UpdateTokenRecord(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := o.UpdateTokenRecord(t.Context(), second); !errors.Is(err, directory.ErrConflict) {
		t.Errorf("a stale one: got %v", err)
	}
	first.Body = []byte("used")
	if err := o.UpdateTokenRecord(t.Context(), first); err != nil {
		t.Errorf("again: got %v", err)
	}
	if found := read(); string(found.Body) != "used" {
		t.Errorf("got %q", found.Body)
	}
	unread := o.record(code, "other")
	if err := o.UpdateTokenRecord(t.Context(), &unread); !errors.Is(err, directory.ErrConflict) {
		t.Errorf("one that was never read: got %v", err)
	}
	if _, err := o.TakeTokenRecord(t.Context(), contoso, code, first.ID); err != nil {
		t.Fatal(err)
	}
	if err := o.UpdateTokenRecord(t.Context(), first); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("one that was taken: got %v", err)
	}
}

func TestTokenRecordFamiliesFallTogether(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	for _, secret := range []string{"one", "two"} {
		member := o.record(refresh, secret)
		member.Family = "family"
		o.putRecord(t, member)
	}
	outsider := o.record(refresh, "three")
	outsider.Family = "family/other"
	o.putRecord(t, outsider)
	for range 2 {
		if err := o.DropFamily(t.Context(), contoso, "family"); err != nil {
			t.Fatal(err)
		}
	}
	if o.hasRecord(t, refresh, "one") || o.hasRecord(t, refresh, "two") || !o.hasRecord(t, refresh, "three") {
		t.Error("not exactly the family fell")
	}
	if got := auditActions(t, o.Directory, "tokenFamily.delete"); got != 1 {
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

func TestTokenRecordRules(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	for _, tt := range []struct {
		name  string
		spoil func(record *directory.TokenRecord)
		field string
	}{
		{"no kind", func(record *directory.TokenRecord) { record.Kind = "" }, "id"},
		{"no id", func(record *directory.TokenRecord) { record.ID = "" }, "id"},
		{"a long family", func(record *directory.TokenRecord) { record.Family = strings.Repeat("x", 1025) }, "id"},
		{"no end", func(record *directory.TokenRecord) { record.Expires = time.Time{} }, "expires"},
		{"a large body", func(record *directory.TokenRecord) { record.Body = make([]byte, 64<<10+1) }, "body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			record := o.record(code, "secret")
			tt.spoil(&record)
			checkRule(t, o.PutTokenRecord(t.Context(), record), tt.field, wrong)
		})
	}
	nobody := directory.ObjectID("00000000-0000-4000-8000-000000000000")
	for name, record := range map[string]directory.TokenRecord{
		"of no tenant": {Tenant: directory.TenantID(nobody)}, "of no client": {Tenant: contoso, Client: nobody}, "of no user": {Tenant: contoso, User: nobody},
	} {
		record.Kind, record.ID, record.Expires = code, "id", time.Now().Add(time.Hour)
		if err := o.PutTokenRecord(t.Context(), record); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestTokenRecordsEndWithTheirOwners holds for whom a session is of, and for whom not.
func TestTokenRecordsEndWithTheirOwners(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		act        func(o *orders, dev *directory.User, e *directory.Editor) error
		user, left bool // whether the user's and the client's token records are left
	}{
		{"the user is deleted", func(_ *orders, dev *directory.User, e *directory.Editor) error {
			return e.Users().Delete(contoso, dev.ID)
		}, false, true},
		{"the user is disabled", func(_ *orders, dev *directory.User, e *directory.Editor) error {
			disabled := *dev
			disabled.Enabled = false
			_, err := e.Users().Edit(disabled.Tenant, disabled.ID, func(v *directory.User) error { *v = disabled; return nil })
			return err
		}, false, true},
		{"the user is renamed", func(_ *orders, dev *directory.User, e *directory.Editor) error {
			renamed := *dev
			renamed.DisplayName = "Devi"
			_, err := e.Users().Edit(renamed.Tenant, renamed.ID, func(v *directory.User) error { *v = renamed; return nil })
			return err
		}, true, true},
		{"the password is another", func(_ *orders, dev *directory.User, e *directory.Editor) error {
			return e.Users().SetPassword(contoso, dev.ID, directory.Choose("another password"))
		}, false, true},
		{"the password is the same", func(_ *orders, dev *directory.User, e *directory.Editor) error {
			return e.Users().SetPassword(contoso, dev.ID, directory.Choose("correct horse battery"))
		}, true, true},
		{"the client is deleted", func(o *orders, _ *directory.User, e *directory.Editor) error {
			return e.Applications().Delete(contoso, o.app.ID)
		}, true, false},
		{"the tenant is deleted", func(_ *orders, _ *directory.User, e *directory.Editor) error { return e.Tenants().Delete(contoso) }, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrders(t, memory.New())
			dev := o.user(t, "dev@contoso.test")
			ofUser, ofClient := o.record(refresh, "user's"), o.record(refresh, "client's")
			ofUser.User, ofClient.Client = dev.ID, o.appPrincipal.ID
			o.putRecord(t, ofUser)
			o.putRecord(t, ofClient)
			change(t, o.Directory, func(e *directory.Editor) error { return tt.act(o, dev, e) })
			if got := o.hasRecord(t, refresh, "user's"); got != tt.user {
				t.Errorf("the user's record is left: %v", got)
			}
			if got := o.hasRecord(t, refresh, "client's"); got != tt.left {
				t.Errorf("the client's record is left: %v", got)
			}
		})
	}
}

// user makes a user with a password.
func (o *orders) user(t testing.TB, name string) (u *directory.User) {
	t.Helper()
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		u, err = e.Users().Create(directory.User{Tenant: contoso, PrincipalName: name}, directory.Choose("correct horse battery"))
		return err
	})
	return u
}

func TestTokenRecordsExpireAndAreSwept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		o := newOrders(t, store)
		const many = 450 // more than two batches
		for i := range many {
			short := o.record(code, strings.Repeat("x", i+1))
			short.Expires = time.Now().Add(time.Minute)
			o.putRecord(t, short)
		}
		o.putRecord(t, o.record(refresh, "long"))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- o.Run(ctx) }()

		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		if !o.hasRecord(t, code, "x") || keptRecords(t, store) != many+1 {
			t.Error("token records went too early")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if o.hasRecord(t, code, "x") {
			t.Error("an expired record is found")
		}
		if _, err := o.TakeTokenRecord(t.Context(), contoso, code, o.TokenRecordID(code, "x")); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("take an expired one: got %v", err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if left := keptRecords(t, store); left != 1 || !o.hasRecord(t, refresh, "long") {
			t.Errorf("%d token records are kept", left)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// keptRecords counts the records of the tenant in a store, expired or not, by dropping
// them in a transaction that is undone.
func keptRecords(t *testing.T, store directory.Store) (n int) {
	t.Helper()
	undo := errors.New("undo")
	_, err := store.Update(t.Context(), func(tx directory.Tx) (err error) {
		n, err = tx.DropTokenRecords(t.Context(), contoso, directory.RecordsOfTenant, "")
		return errors.Join(err, undo)
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	return n
}

func TestAnExpiredTokenRecordGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrders(t, memory.New())
		o.putRecord(t, o.record(code, "secret"))
		time.Sleep(time.Hour)
		o.putRecord(t, o.record(code, "secret"))
		if !o.hasRecord(t, code, "secret") {
			t.Error("the new one is not there")
		}
	})
}

// TestTokenRecordsAreNoNews: followers of the directory hear nothing of token records, and
// nothing is read anew because of them.
func TestTokenRecordsAreNoNews(t *testing.T) {
	t.Parallel()
	store := memory.New()
	o := newOrders(t, store)
	heard := make(chan directory.Change, 100)
	other, err := directory.Open(t.Context(), directory.Config{Store: store, SecretKey: make([]byte, 32), OnChange: func(c directory.Change) { heard <- c }})
	if err != nil {
		t.Fatal(err)
	}
	o.putRecord(t, o.record(code, "secret"))
	if changed, err := other.Refresh(t.Context()); changed || err != nil {
		t.Errorf("refresh: got %v, %v", changed, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- other.Run(ctx) }()
	change(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Tenants().Create(directory.Tenant{Name: "fabrikam"})
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

// TestTokenRecordsKeepNoSecret looks for the secret in everything that is stored.
func TestTokenRecordsKeepNoSecret(t *testing.T) {
	t.Parallel()
	store := memory.New()
	o := newOrders(t, store)
	const secret = "the-secret-of-a-record"
	record := o.record(code, secret)
	record.Body, record.Family = nil, o.TokenRecordID("family", secret)
	o.putRecord(t, record)
	kept, err := store.TokenRecord(t.Context(), contoso, code, record.ID)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v %s", kept, kept.Body); strings.Contains(text, secret) {
		t.Errorf("the secret stands in %s", text)
	}
	elsewhere, err := directory.Open(t.Context(), directory.Config{Store: memory.New(), SecretKey: []byte(strings.Repeat("k", 32))})
	if err != nil {
		t.Fatal(err)
	}
	if elsewhere.TokenRecordID(code, secret) == record.ID {
		t.Error("the id does not depend on the key")
	}
}
