package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

var recordTests = []test{
	{"what was put is found, and only under its kind and tenant", testRecordPutGet},
	{"a version that is not the stored one conflicts", testRecordVersions},
	{"what many take at a time, one gets", testRecordTakenOnce},
	{"the records of a family, of an owner and of a tenant fall together", testRecordSets},
	{"expired ones are swept, a few at a time", testRecordSweep},
	{"the feed tells nothing of them", testRecordsAreNoNews},
	{"a transaction that fails leaves them as they were", testRecordRollback},
	{"a context that has ended stops everything", testRecordCancelled},
}

func record(id string) directory.TokenRecord {
	return directory.TokenRecord{Tenant: "t", Kind: "code", ID: id, Expires: time.Unix(1_800_000_000, 123_000).UTC(), Body: []byte("of " + id)}
}

func putRecord(t *testing.T, s directory.Store, r directory.TokenRecord) int64 {
	t.Helper()
	var version int64
	update(t, s, func(tx directory.Tx) (err error) {
		version, err = tx.PutTokenRecord(t.Context(), r)
		return err
	})
	return version
}

func hasRecord(t *testing.T, s directory.Store, tenant directory.TenantID, kind directory.TokenRecordKind, id string) bool {
	t.Helper()
	_, err := s.TokenRecord(t.Context(), tenant, kind, id)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func testRecordPutGet(t *testing.T, s directory.Store) {
	r := record("1")
	r.Family, r.Client, r.User = "family", "client", "user"
	if version := putRecord(t, s, r); version != 1 {
		t.Errorf("version: got %d", version)
	}
	r.Body[0] = 'X' // the store has a copy
	got, err := s.TokenRecord(t.Context(), "t", "code", "1")
	if err != nil || string(got.Body) != "of 1" || got.Version != 1 || got.Family != "family" || got.Client != "client" || got.User != "user" || !got.Expires.Equal(r.Expires) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, other := range [][3]string{{"u", "code", "1"}, {"t", "refresh", "1"}, {"t", "code", "2"}} {
		if hasRecord(t, s, directory.TenantID(other[0]), directory.TokenRecordKind(other[1]), other[2]) {
			t.Errorf("there is one under %q", other)
		}
	}
	update(t, s, func(tx directory.Tx) error {
		if _, err := tx.TokenRecord(t.Context(), "t", "code", "1"); err != nil {
			t.Errorf("inside: %v", err)
		}
		return tx.DeleteTokenRecord(t.Context(), "t", "code", "1")
	})
	if hasRecord(t, s, "t", "code", "1") {
		t.Error("it is there after it was deleted")
	}
	_, err = s.Update(t.Context(), func(tx directory.Tx) error { return tx.DeleteTokenRecord(t.Context(), "t", "code", "1") })
	want(t, err, directory.ErrNotFound)
}

func testRecordVersions(t *testing.T, s directory.Store) {
	r := record("1")
	putRecord(t, s, r)
	for _, version := range []int64{0, 2, -1} {
		r.Version = version
		_, err := s.Update(t.Context(), func(tx directory.Tx) error {
			_, err := tx.PutTokenRecord(t.Context(), r)
			return err
		})
		want(t, err, directory.ErrConflict)
	}
	r.Version, r.Body, r.Family = 1, []byte("changed"), "family"
	if version := putRecord(t, s, r); version != 2 {
		t.Errorf("second version: got %d", version)
	}
	if got, err := s.TokenRecord(t.Context(), "t", "code", "1"); err != nil || string(got.Body) != "changed" || got.Family != "family" {
		t.Errorf("got %+v, %v", got, err)
	}
	absent := record("2")
	absent.Version = 1
	_, err := s.Update(t.Context(), func(tx directory.Tx) error {
		_, err := tx.PutTokenRecord(t.Context(), absent)
		return err
	})
	want(t, err, directory.ErrConflict)
}

// testRecordTakenOnce lets many read and delete one record at a time: one succeeds, and
// the others see that it is gone.
func testRecordTakenOnce(t *testing.T, s directory.Store) {
	putRecord(t, s, record("1"))
	const callers = 16
	results := make([]error, callers)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			_, results[i] = s.Update(t.Context(), func(tx directory.Tx) error {
				if _, err := tx.TokenRecord(t.Context(), "t", "code", "1"); err != nil {
					return err
				}
				return tx.DeleteTokenRecord(t.Context(), "t", "code", "1")
			})
		})
	}
	group.Wait()
	taken := 0
	for _, err := range results {
		if err == nil {
			taken++
		} else if !errors.Is(err, directory.ErrNotFound) {
			t.Error(err)
		}
	}
	if taken != 1 {
		t.Errorf("%d callers took the one record", taken)
	}
}

func testRecordSets(t *testing.T, s directory.Store) {
	fill := func() {
		for id, change := range map[string]func(*directory.TokenRecord){
			"plain":  func(*directory.TokenRecord) {},
			"family": func(r *directory.TokenRecord) { r.Family = "f" },
			"longer": func(r *directory.TokenRecord) { r.Family = "f/g" },
			"client": func(r *directory.TokenRecord) { r.Client = "o" },
			"user":   func(r *directory.TokenRecord) { r.User = "o" },
			"both":   func(r *directory.TokenRecord) { r.Client, r.User = "o", "o" },
			"other":  func(r *directory.TokenRecord) { r.Tenant, r.Family, r.Client = "u", "f", "o" },
		} {
			r := record(id)
			change(&r)
			putRecord(t, s, r)
		}
	}
	for _, tt := range []struct {
		by    directory.RecordSet
		value string
		fall  []string
	}{
		{directory.RecordsOfFamily, "f", []string{"family"}},
		{directory.RecordsOfFamily, "g", nil},
		{directory.RecordsOfOwner, "o", []string{"client", "user", "both"}},
		{directory.RecordsOfTenant, "", []string{"plain", "family", "longer", "client", "user", "both"}},
	} {
		fill()
		update(t, s, func(tx directory.Tx) error {
			dropped, err := tx.DropTokenRecords(t.Context(), "t", tt.by, tt.value)
			if dropped != len(tt.fall) {
				t.Errorf("set %d of %q: dropped %d, want %d", tt.by, tt.value, dropped, len(tt.fall))
			}
			return err
		})
		for _, id := range tt.fall {
			if hasRecord(t, s, "t", "code", id) {
				t.Errorf("set %d of %q: %s is left", tt.by, tt.value, id)
			}
		}
		update(t, s, func(tx directory.Tx) error {
			left, err := tx.DropTokenRecords(t.Context(), "t", directory.RecordsOfTenant, "")
			if left != 6-len(tt.fall) {
				t.Errorf("set %d of %q: %d are left", tt.by, tt.value, left)
			}
			other, otherErr := tx.DropTokenRecords(t.Context(), "u", directory.RecordsOfTenant, "")
			if other != 1 {
				t.Errorf("set %d of %q: that of another tenant is gone", tt.by, tt.value)
			}
			return errors.Join(err, otherErr)
		})
	}
}

func testRecordSweep(t *testing.T, s directory.Store) {
	end := record("1").Expires
	for i := range 5 {
		r := record(fmt.Sprint(i))
		r.Expires = end.Add(time.Duration(i) * time.Microsecond)
		putRecord(t, s, r)
	}
	expired := func(by time.Time, expected bool) {
		t.Helper()
		if got, err := s.HasExpiredTokenRecords(t.Context(), by); got != expected || err != nil {
			t.Errorf("expired by %v: got %v, %v", by, got, err)
		}
	}
	sweep := func(by time.Time, limit int) {
		update(t, s, func(tx directory.Tx) error { return tx.SweepTokenRecords(t.Context(), by, limit) })
	}
	expired(end.Add(-time.Microsecond), false)
	sweep(end.Add(-time.Microsecond), 10)
	expired(end, true)
	sweep(end.Add(3*time.Microsecond), 3)
	expired(end.Add(3*time.Microsecond), true)
	sweep(end.Add(3*time.Microsecond), 3)
	expired(end.Add(3*time.Microsecond), false)
	if !hasRecord(t, s, "t", "code", "4") || hasRecord(t, s, "t", "code", "3") {
		t.Error("not exactly the expired ones went")
	}
}

func testRecordsAreNoNews(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a"))
	putRecord(t, s, record("1"))
	update(t, s, func(tx directory.Tx) error {
		_, err := tx.DropTokenRecords(t.Context(), "t", directory.RecordsOfTenant, "")
		return err
	})
	if n, err := s.Sequence(t.Context()); n != 1 || err != nil {
		t.Errorf("sequence: got %d, %v, want 1", n, err)
	}
}

func testRecordRollback(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a"))
	putRecord(t, s, record("1"))
	_, err := s.Update(t.Context(), func(tx directory.Tx) error {
		_, put := tx.PutTokenRecord(t.Context(), record("2"))
		_, dropped := tx.DropTokenRecords(t.Context(), "t", directory.RecordsOfTenant, "")
		return errors.Join(put, dropped, tx.Audit(t.Context(), audit.Signer{}, audit.Event{Actor: "test", Action: "undone"}), errUndo)
	})
	want(t, err, errUndo)
	if !hasRecord(t, s, "t", "code", "1") || hasRecord(t, s, "t", "code", "2") {
		t.Error("the records changed")
	}
	untouched(t, s)
}

func testRecordCancelled(t *testing.T, s directory.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, getErr := s.TokenRecord(ctx, "t", "code", "1")
	_, expiredErr := s.HasExpiredTokenRecords(ctx, time.Unix(0, 0))
	for i, err := range []error{getErr, expiredErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: got %v, want %v", i, err, context.Canceled)
		}
	}
}
