package directory_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// A dry run is under every rule and right, tells what would change, and leaves neither that nor
// an audit row nor a change in the feed.
func TestDryRunKeepsNothing(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	before := dryRunTrace(t, o)
	operator := directory.Operator("cli:test")
	changes, err := directory.DryRun(t.Context(), o.Directory, operator, func(e *directory.Editor) error {
		made, err := e.Applications().Create(directory.Application{Tenant: contoso, Name: "spare"})
		if err != nil {
			return err
		}
		if _, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: made.AppID}); err != nil {
			return err
		}
		if _, added, err := e.Assignments().Add(contoso, o.appPrincipal.ID, o.apiPrincipal.ID, o.read); err != nil || added {
			t.Errorf("assigned anew: %v, %v", added, err)
		}
		return e.Applications().Delete(contoso, o.app.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	var got [][2]string
	for _, c := range changes {
		got = append(got, [2]string{c.Action, c.Kind})
	}
	if len(got) < 3 || got[0] != [2]string{"create", "application"} || got[1] != [2]string{"create", "servicePrincipal"} || got[len(got)-1] != [2]string{"delete", "application"} {
		t.Errorf("got %v", got)
	}
	if after := dryRunTrace(t, o); !reflect.DeepEqual(before, after) {
		t.Errorf("a dry run left %v of %v", after, before)
	}
	if _, err := o.View(t.Context()).Applications().Find(contoso, "spare"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("what it made is there: %v", err)
	}
	if _, err := o.View(t.Context()).Applications().Get(contoso, o.app.ID); err != nil {
		t.Errorf("what it deleted is gone: %v", err)
	}
	weak := directory.Actor{Kind: directory.ActorApplication, Name: "weak"}
	for name, tt := range map[string]struct {
		actor directory.Actor
		want  error
		f     func(*directory.Editor) error
	}{
		"a right": {weak, directory.ErrForbidden, func(e *directory.Editor) error { return e.Applications().Delete(contoso, o.app.ID) }},
		"a name that is taken": {operator, directory.ErrDuplicate, func(e *directory.Editor) error {
			_, err := e.Applications().Create(directory.Application{Tenant: contoso, Name: "orders-client"})
			return err
		}},
		"what is not there": {operator, directory.ErrNotFound, func(e *directory.Editor) error { return e.Applications().Delete(contoso, "nothing") }},
	} {
		if changes, err := directory.DryRun(t.Context(), o.Directory, tt.actor, tt.f); !errors.Is(err, tt.want) || changes != nil {
			t.Errorf("%s: %v, %v; want %v", name, changes, err, tt.want)
		}
	}
}

// dryRunTrace is what a change leaves behind.
func dryRunTrace(t *testing.T, o *orders) [2]int64 {
	t.Helper()
	rows, err := o.AuditRows(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	sequence, err := directory.Sequence(t.Context(), o.Directory)
	if err != nil {
		t.Fatal(err)
	}
	return [2]int64{int64(len(rows)), sequence}
}
