// Package storetest is the contract that every engine of a directory's store is held
// to. An engine's own tests call [Run] and add what is particular to it, such as
// surviving the death of its process.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Run holds the stores that open returns to the contract. Each call of open returns a
// fresh, empty store; Run closes it.
func Run(t *testing.T, open func(t *testing.T) directory.Store) {
	t.Run("objects", func(t *testing.T) { run(t, open, objectTests) })
	t.Run("token records", func(t *testing.T) { run(t, open, recordTests) })
}

type test struct {
	name string
	test func(t *testing.T, s directory.Store)
}

var objectTests = []test{
	{"an empty store has nothing", testEmpty},
	{"what was put is found by id and by each key", testPutGet},
	{"bodies and keys are not shared with the caller", testNotShared},
	{"tenants and kinds are apart", testSpaces},
	{"a version that is not the stored one conflicts", testVersions},
	{"a key belongs to one object", testUniqueness},
	{"a refused put leaves the transaction as it was", testRefusedPut},
	{"a key that was given up is free", testKeyMoves},
	{"lists are in the order of keys, by prefix and page", testList},
	{"deleting removes the object and its keys", testDelete},
	{"tenants are found by a key of theirs", testTenantsWith},
	{"the feed has every change with all keys", testFeed},
	{"a transaction that fails leaves nothing", testRollback},
	{"a transaction that panics leaves nothing", testPanic},
	{"a transaction sees its own changes, others do not", testIsolation},
	{"readers are not held up by a transaction", testReadersGoOn},
	{"the audit chain is whole", testAudit},
	{"the audit chain is signed with each change", testSignedAudit},
	{"concurrent transactions lose no update", testConcurrent},
	{"a context that has ended stops everything", testCancelled},
	{"a context that ends in a transaction undoes it", testCancelledInside},
	{"sign-ins come newest first and filtered", testSignIns},
	{"sign-ins are bounded", testSignInsBounded},
	{"a closed store answers with errors", testClosed},
}

func run(t *testing.T, open func(t *testing.T) directory.Store, tests []test) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			tt.test(t, s)
		})
	}
}

// Object returns an object for tests: its body and keys are made from its id.
func Object(tenant, kind, id string, keys ...string) directory.Object {
	return directory.Object{Tenant: tenant, Kind: kind, ID: id, Body: []byte(`{"id":"` + id + `"}`), Keys: keys}
}

// update runs f in a transaction that must succeed.
func update(t *testing.T, s directory.Store, f func(tx directory.Tx) error) int64 {
	t.Helper()
	sequence, err := s.Update(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return sequence
}

func put(t *testing.T, s directory.Store, o directory.Object) int64 {
	t.Helper()
	var version int64
	update(t, s, func(tx directory.Tx) (err error) {
		version, err = tx.Put(t.Context(), o)
		return err
	})
	return version
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("got error %v, want %v", err, target)
	}
}

func testEmpty(t *testing.T, s directory.Store) {
	_, err := s.Get(t.Context(), "t", "app", "1")
	want(t, err, directory.ErrNotFound)
	_, err = s.Lookup(t.Context(), "t", "app", "name/a")
	want(t, err, directory.ErrNotFound)
	objects, keys, err := s.List(t.Context(), "t", "app", "name/", "", 0)
	if len(objects)+len(keys) > 0 || err != nil {
		t.Errorf("list: got %v, %v, %v", objects, keys, err)
	}
	if n, err := s.Sequence(t.Context()); n != 0 || err != nil {
		t.Errorf("sequence: got %d, %v", n, err)
	}
	if changes, err := s.Changes(t.Context(), 0, 10); len(changes) > 0 || err != nil {
		t.Errorf("changes: got %v, %v", changes, err)
	}
	if rows, err := s.AuditRows(t.Context(), 0, 10); len(rows) > 0 || err != nil {
		t.Errorf("audit rows: got %v, %v", rows, err)
	}
	if n := update(t, s, func(directory.Tx) error { return nil }); n != 0 {
		t.Errorf("sequence of a transaction without changes: got %d", n)
	}
}

func testPutGet(t *testing.T, s directory.Store) {
	o := Object("t", "app", "1", "id/1", "name/é%2F☃")
	o.Body = []byte("any bytes \x00\xff")
	if version := put(t, s, o); version != 1 {
		t.Errorf("first version: got %d", version)
	}
	byID, err := s.Get(t.Context(), "t", "app", "1")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range o.Keys {
		byKey, err := s.Lookup(t.Context(), "t", "app", key)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []directory.Object{byID, byKey} {
			slices.Sort(got.Keys)
			if got.Tenant != "t" || got.Kind != "app" || got.ID != "1" || got.Version != 1 || string(got.Body) != string(o.Body) || !slices.Equal(got.Keys, o.Keys) {
				t.Errorf("got %+v, want %+v", got, o)
			}
		}
	}
	_, err = s.Lookup(t.Context(), "t", "app", "name/")
	want(t, err, directory.ErrNotFound)
}

func testNotShared(t *testing.T, s directory.Store) {
	o := Object("t", "app", "1", "name/a")
	put(t, s, o)
	o.Body[0], o.Keys[0] = 'X', "name/x"
	got, err := s.Lookup(t.Context(), "t", "app", "name/a")
	if err != nil || got.Body[0] != '{' || got.Keys[0] != "name/a" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func testSpaces(t *testing.T, s directory.Store) {
	update(t, s, func(tx directory.Tx) error {
		for _, space := range [][2]string{{"", "app"}, {"t", "app"}, {"u", "app"}, {"t", "user"}, {"ta", "pp"}} {
			if _, err := tx.Put(t.Context(), Object(space[0], space[1], "1", "name/a")); err != nil {
				return err
			}
		}
		return nil
	})
	objects, _, err := s.List(t.Context(), "t", "app", "name/", "", 0)
	if err != nil || len(objects) != 1 || objects[0].Tenant != "t" || objects[0].Kind != "app" {
		t.Errorf("list: got %v, %v", objects, err)
	}
}

func testVersions(t *testing.T, s directory.Store) {
	o := Object("t", "app", "1", "name/a")
	put(t, s, o)
	for _, version := range []int64{0, 2, -1} {
		o.Version = version
		_, err := s.Update(t.Context(), func(tx directory.Tx) error {
			_, err := tx.Put(t.Context(), o)
			return err
		})
		want(t, err, directory.ErrConflict)
	}
	o.Version = 1
	if version := put(t, s, o); version != 2 {
		t.Errorf("second version: got %d", version)
	}
	absent := Object("t", "app", "2", "name/b")
	absent.Version = 1
	_, err := s.Update(t.Context(), func(tx directory.Tx) error {
		_, err := tx.Put(t.Context(), absent)
		return err
	})
	want(t, err, directory.ErrConflict)
	_, err = s.Update(t.Context(), func(tx directory.Tx) error { return tx.Delete(t.Context(), "t", "app", "1", 1) })
	want(t, err, directory.ErrConflict)
	_, err = s.Update(t.Context(), func(tx directory.Tx) error { return tx.Delete(t.Context(), "t", "app", "2", 1) })
	want(t, err, directory.ErrNotFound)
}

func testUniqueness(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a", "uri/a"))
	_, err := s.Update(t.Context(), func(tx directory.Tx) error {
		_, err := tx.Put(t.Context(), Object("t", "app", "2", "name/b", "uri/a"))
		return err
	})
	want(t, err, directory.ErrDuplicate)
	put(t, s, Object("t", "app", "2", "name/A")) // keys are compared by their bytes
}

func testRefusedPut(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a"))
	update(t, s, func(tx directory.Tx) error {
		_, err := tx.Put(t.Context(), Object("t", "app", "2", "id/2", "name/a"))
		want(t, err, directory.ErrDuplicate)
		_, err = tx.Put(t.Context(), Object("t", "app", "3", "id/2"))
		return err
	})
	got, err := s.Lookup(t.Context(), "t", "app", "id/2")
	if err != nil || got.ID != "3" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = s.Get(t.Context(), "t", "app", "2")
	want(t, err, directory.ErrNotFound)
}

func testKeyMoves(t *testing.T, s directory.Store) {
	update(t, s, func(tx directory.Tx) error {
		if _, err := tx.Put(t.Context(), Object("t", "app", "1", "name/a", "uri/a")); err != nil {
			return err
		}
		renamed := Object("t", "app", "1", "name/b", "uri/a")
		renamed.Version = 1
		if _, err := tx.Put(t.Context(), renamed); err != nil {
			return err
		}
		_, err := tx.Put(t.Context(), Object("t", "app", "2", "name/a"))
		return err
	})
	for key, id := range map[string]string{"name/a": "2", "name/b": "1", "uri/a": "1"} {
		if got, err := s.Lookup(t.Context(), "t", "app", key); err != nil || got.ID != id {
			t.Errorf("%s: got %q, %v, want %q", key, got.ID, err, id)
		}
	}
}

func testDelete(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a"))
	update(t, s, func(tx directory.Tx) error { return tx.Delete(t.Context(), "t", "app", "1", 1) })
	_, err := s.Get(t.Context(), "t", "app", "1")
	want(t, err, directory.ErrNotFound)
	_, err = s.Lookup(t.Context(), "t", "app", "name/a")
	want(t, err, directory.ErrNotFound)
	if version := put(t, s, Object("t", "app", "1", "name/a")); version != 1 {
		t.Errorf("version of an object made anew: got %d", version)
	}
}

func testList(t *testing.T, s directory.Store) {
	names := []string{"B", "a", "a b", "a-b", "a0", "aa", "ab", "é", "~", "%2F"}
	update(t, s, func(tx directory.Tx) error {
		for i, name := range names {
			id := fmt.Sprint(i)
			if _, err := tx.Put(t.Context(), Object("t", "app", id, "id/"+id, "name/"+name, "names/"+name, "in/a/"+name, "in/ab/"+name)); err != nil {
				return err
			}
		}
		return nil
	})
	slices.Sort(names)
	for _, prefix := range []string{"name/", "in/a/"} {
		var expected []string
		for _, name := range names {
			expected = append(expected, prefix+name)
		}
		for _, limit := range []int{0, 1, 3, 100} {
			if got := pages(t, s, prefix, limit); !slices.Equal(got, expected) {
				t.Errorf("prefix %s, pages of %d:\n got %q\nwant %q", prefix, limit, got, expected)
			}
		}
	}
	if got := pages(t, s, "in/", 0); len(got) != 2*len(names) {
		t.Errorf("an object with several keys under the prefix: got %d rows, want %d", len(got), 2*len(names))
	}
	if _, _, err := s.List(t.Context(), "t", "app", "name", "", 0); err == nil {
		t.Error("a prefix that does not end in a slash: no error")
	}
	objects, keys, err := s.List(t.Context(), "t", "app", "name/", "name/aa", 1)
	if err != nil || len(keys) != 1 || keys[0] != "name/ab" || !slices.Contains(objects[0].Keys, "name/ab") {
		t.Errorf("after name/aa: got %v, %v, %v", objects, keys, err)
	}
}

// pages reads a list page by page and returns its keys.
func pages(t *testing.T, s directory.Store, prefix string, limit int) (all []string) {
	t.Helper()
	after := ""
	for {
		objects, keys, err := s.List(t.Context(), "t", "app", prefix, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(objects) != len(keys) || (limit > 0 && len(keys) > limit) {
			t.Fatalf("got %d objects and %d keys for a limit of %d", len(objects), len(keys), limit)
		}
		all = append(all, keys...)
		if limit == 0 || len(keys) < limit {
			return all
		}
		after = keys[len(keys)-1]
	}
}

func testFeed(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a", "uri/a"))
	sequence := update(t, s, func(tx directory.Tx) error {
		o := Object("t", "app", "1", "name/b", "uri/a")
		o.Version = 1
		if _, err := tx.Put(t.Context(), o); err != nil {
			return err
		}
		return tx.Delete(t.Context(), "t", "app", "1", 2)
	})
	if newest, err := s.Sequence(t.Context()); sequence != 3 || newest != 3 || err != nil {
		t.Errorf("sequence: got %d from the transaction, %d, %v from the store, want 3", sequence, newest, err)
	}
	expected := [][]string{{"name/a", "uri/a"}, {"name/a", "name/b", "uri/a"}, {"name/b", "uri/a"}}
	for after := range int64(4) {
		changes, err := s.Changes(t.Context(), after, 0)
		if err != nil || int64(len(changes)) != 3-after {
			t.Fatalf("after %d: got %v, %v", after, changes, err)
		}
		for i, c := range changes {
			place := after + int64(i)
			if c.Sequence != place+1 || c.Tenant != "t" || c.Kind != "app" || c.ID != "1" || !slices.Equal(slices.Sorted(slices.Values(c.Keys)), expected[place]) {
				t.Errorf("change %d: got %+v, want keys %q", place+1, c, expected[place])
			}
		}
	}
	if changes, err := s.Changes(t.Context(), 1, 1); err != nil || len(changes) != 1 || changes[0].Sequence != 2 {
		t.Errorf("one change after the first: got %v, %v", changes, err)
	}
}

var errUndo = errors.New("undo")

// halfway makes every kind of change and then fails.
func halfway(ctx context.Context, tx directory.Tx) error {
	o := Object("t", "app", "1", "name/b")
	o.Version = 1
	_, put := tx.Put(ctx, o)
	_, made := tx.Put(ctx, Object("t", "app", "2", "name/a"))
	return errors.Join(put, made, tx.Delete(ctx, "t", "app", "2", 1), tx.Audit(ctx, audit.Signer{}, audit.Event{Actor: "test", Action: "undone"}), errUndo)
}

func untouched(t *testing.T, s directory.Store) {
	t.Helper()
	if got, err := s.Lookup(t.Context(), "t", "app", "name/a"); err != nil || got.ID != "1" || got.Version != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err := s.Lookup(t.Context(), "t", "app", "name/b")
	want(t, err, directory.ErrNotFound)
	if n, err := s.Sequence(t.Context()); n != 1 || err != nil {
		t.Errorf("sequence: got %d, %v, want 1", n, err)
	}
	if rows, err := s.AuditRows(t.Context(), 0, 0); len(rows) != 0 || err != nil {
		t.Errorf("audit rows: got %v, %v", rows, err)
	}
	put(t, s, Object("t", "app", "3", "name/c")) // and the store goes on
}

func testRollback(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a"))
	_, err := s.Update(t.Context(), func(tx directory.Tx) error { return halfway(t.Context(), tx) })
	want(t, err, errUndo)
	untouched(t, s)
}

func testPanic(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a"))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not get through")
			}
		}()
		_, _ = s.Update(t.Context(), func(tx directory.Tx) error { panic(halfway(t.Context(), tx)) })
	}()
	untouched(t, s)
}

func testIsolation(t *testing.T, s directory.Store) {
	update(t, s, func(tx directory.Tx) error {
		if _, err := tx.Put(t.Context(), Object("t", "app", "1", "name/a")); err != nil {
			return err
		}
		if _, err := tx.Get(t.Context(), "t", "app", "1"); err != nil {
			t.Errorf("get inside: %v", err)
		}
		if _, err := tx.Lookup(t.Context(), "t", "app", "name/a"); err != nil {
			t.Errorf("look up inside: %v", err)
		}
		if objects, _, err := tx.List(t.Context(), "t", "app", "name/", "", 0); len(objects) != 1 || err != nil {
			t.Errorf("list inside: got %v, %v", objects, err)
		}
		_, err := s.Lookup(t.Context(), "t", "app", "name/a")
		want(t, err, directory.ErrNotFound)
		return nil
	})
}

func testReadersGoOn(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a"))
	inside, leave := make(chan struct{}), make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		_, err := s.Update(t.Context(), func(tx directory.Tx) error {
			o := Object("t", "app", "1", "name/b")
			o.Version = 1
			_, err := tx.Put(t.Context(), o)
			close(inside)
			<-leave
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-inside
	for range 20 {
		if _, err := s.Lookup(t.Context(), "t", "app", "name/a"); err != nil {
			t.Error(err)
		}
	}
	close(leave)
	writer.Wait()
	if got, err := s.Lookup(t.Context(), "t", "app", "name/b"); err != nil || got.Version != 2 {
		t.Errorf("afterwards: got %+v, %v", got, err)
	}
}

func testConcurrent(t *testing.T, s directory.Store) {
	const writers, rounds = 8, 25
	put(t, s, directory.Object{Tenant: "t", Kind: "counter", ID: "1", Body: []byte{0, 0}, Keys: []string{"id/1"}})
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range rounds {
				if _, err := s.Update(t.Context(), func(tx directory.Tx) error { return count(t.Context(), tx, w, i) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	o, err := s.Get(t.Context(), "t", "counter", "1")
	if err != nil || int(o.Body[0])<<8+int(o.Body[1]) != writers*rounds || o.Version != writers*rounds+1 {
		t.Errorf("counter: got %v at version %d, %v", o.Body, o.Version, err)
	}
	rows, err := s.AuditRows(t.Context(), 0, 0)
	if err != nil || len(rows) != writers*rounds {
		t.Errorf("got %d audit rows, %v, want %d", len(rows), err, writers*rounds)
	}
	if err := audit.Verify(0, nil, rows); err != nil {
		t.Error(err)
	}
	changes, err := s.Changes(t.Context(), 0, 0)
	for i, c := range changes {
		if c.Sequence != int64(i+1) {
			t.Fatalf("change %d has the sequence %d", i+1, c.Sequence)
		}
	}
	if err != nil || len(changes) != 2*writers*rounds+1 {
		t.Errorf("got %d changes, %v", len(changes), err)
	}
}

// count adds one to the counter, leaves an object of its own and an audit row.
func count(ctx context.Context, tx directory.Tx, writer, round int) error {
	o, err := tx.Lookup(ctx, "t", "counter", "id/1")
	if err != nil {
		return err
	}
	n := int(o.Body[0])<<8 + int(o.Body[1]) + 1
	o.Body = []byte{byte(n >> 8), byte(n)}
	_, counted := tx.Put(ctx, o)
	id := fmt.Sprintf("%d-%d", writer, round)
	_, made := tx.Put(ctx, Object("t", "app", id, "id/"+id))
	return errors.Join(counted, made, tx.Audit(ctx, audit.Signer{}, audit.Event{Actor: "test", Action: "count", Target: id}))
}

func testCancelled(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, getErr := s.Get(ctx, "t", "app", "1")
	_, lookupErr := s.Lookup(ctx, "t", "app", "name/a")
	_, _, listErr := s.List(ctx, "t", "app", "name/", "", 0)
	_, sequenceErr := s.Sequence(ctx)
	_, changesErr := s.Changes(ctx, 0, 1)
	_, auditErr := s.AuditRows(ctx, 0, 1)
	_, signInsErr := s.SignIns(ctx, directory.SignInFilter{})
	_, updateErr := s.Update(ctx, func(directory.Tx) error {
		t.Error("the transaction began")
		return nil
	})
	appendErr := s.AppendSignIns(ctx, []directory.SignIn{{Code: 1}})
	for i, err := range []error{getErr, lookupErr, listErr, sequenceErr, changesErr, auditErr, signInsErr, updateErr, appendErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: got %v, want %v", i, err, context.Canceled)
		}
	}
}

func testCancelledInside(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a"))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Update(ctx, func(tx directory.Tx) error {
		_, err := tx.Put(ctx, Object("t", "app", "2", "name/b"))
		cancel()
		return err
	})
	want(t, err, context.Canceled)
	untouched(t, s)
}

func testClosed(t *testing.T, s directory.Store) {
	put(t, s, Object("t", "app", "1", "name/a"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup(t.Context(), "t", "app", "name/a"); err == nil || errors.Is(err, directory.ErrNotFound) {
		t.Errorf("look up: got %v", err)
	}
	if _, err := s.Update(t.Context(), func(directory.Tx) error { return nil }); err == nil {
		t.Error("update: no error")
	}
}

func testTenantsWith(t *testing.T, s directory.Store) {
	put := func(tenant, kind, id string, keys ...string) directory.Object {
		object := directory.Object{Tenant: tenant, Kind: kind, ID: id, Body: []byte("{}"), Keys: keys}
		if _, err := s.Update(t.Context(), func(tx directory.Tx) (err error) {
			object.Version, err = tx.Put(t.Context(), object)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return object
	}
	for _, kind := range []string{"app", directory.KindServicePrincipal} {
		put("b", kind, "1", "appid/x", "name/x")
		put("a", kind, "2", "appid/x")
		put("a", kind, "3", "appid/y")
		gone := put("c", kind, "4", "appid/x")
		put("d", "another", "5", "appid/x", "appid/"+kind)
		if _, err := s.Update(t.Context(), func(tx directory.Tx) error {
			return tx.Delete(t.Context(), gone.Tenant, gone.Kind, gone.ID, gone.Version)
		}); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string][]directory.TenantID{
			"appid/x": {"a", "b"}, "appid/y": {"a"}, "name/x": {"b"}, "appid/z": nil, "appid/": nil, "": nil, "x": nil,
		} {
			got, err := s.TenantsWith(t.Context(), kind, key)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s with %q: got %v, %v, want %v", kind, key, got, err, want)
			}
		}
		if kind == "app" {
			if _, err := s.Update(t.Context(), func(tx directory.Tx) error {
				return tx.Delete(t.Context(), "d", "another", "5", 1)
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
