package directory_test

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
	"github.com/rolecall-auth/rolecall/internal/directory/sqlite"
)

// A model is the directory as plainly as it can be put: applications by app id, and who
// holds whose role. Each application offers one role.
type model struct {
	apps     map[directory.AppID]*modelApp
	assigned map[[2]directory.AppID]bool // holder, resource
}

type modelApp struct {
	name      string
	principal bool
	role      bool // offered
	enabled   bool
}

var (
	modelIDs   = []directory.AppID{"00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b", "00000000-0000-4000-8000-00000000000c"}
	modelNames = []string{"orders", "Orders", "a/b", "a%2Fb", "é", "x"}
)

const modelRole = directory.RoleID("00000000-0000-4000-8000-0000000000ff")

// TestAgainstModel makes random changes to a directory and to the model. The directory,
// another one on the same store and one on another engine must all agree with it.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testAgainstModel) // refreshes are paced; here that takes no time
}

// noDeadline hides the deadline, which is none in a bubble of its own time.
type noDeadline struct{ testing.TB }

func testAgainstModel(t *testing.T) {
	n := 0
	rapid.Check(noDeadline{t}, func(rt *rapid.T) {
		inMemory := memory.New()
		writers := []*directory.Directory{open(t, inMemory)}
		if n++; n%10 == 1 { // disks are slow
			disk, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), fmt.Sprintf("%d.db", n)))
			if err != nil {
				rt.Fatal(err)
			}
			defer disk.Close()
			writers = append(writers, open(t, disk))
		}
		reader := open(t, inMemory)
		for _, d := range writers {
			change(t, d, func(e *directory.Editor) error {
				_, err := e.Tenants().Create(directory.Tenant{ID: contoso, Name: "contoso"})
				return err
			})
		}
		m := &model{apps: map[directory.AppID]*modelApp{}, assigned: map[[2]directory.AppID]bool{}}
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) {
				for _, d := range writers {
					m.compare(rt, t, d)
				}
			},
			"refresh": func(rt *rapid.T) {
				if _, err := reader.Refresh(t.Context()); err != nil {
					rt.Fatal(err)
				}
				m.compare(rt, t, reader)
			},
			"changes": func(rt *rapid.T) {
				for range 3 {
					m.change(rt, t, writers)
				}
			},
		})
	})
}

// change makes one random change everywhere; the directories must allow it exactly when
// the model does.
func (m *model) change(rt *rapid.T, t *testing.T, writers []*directory.Directory) {
	id := rapid.SampledFrom(modelIDs).Draw(rt, "app")
	other := rapid.SampledFrom(modelIDs).Draw(rt, "other")
	name := rapid.SampledFrom(modelNames).Draw(rt, "name")
	act := rapid.SampledFrom(modelActs).Draw(rt, "act")
	allowed := act.model(m, id, other, name)
	for _, d := range writers {
		_, err := d.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error { return act.do(e, id, other, name) })
		var rule *directory.RuleError
		if err != nil && !errors.As(err, &rule) && !errors.Is(err, directory.ErrNotFound) {
			rt.Fatalf("%s: %v", act, err)
		}
		if (err == nil) != allowed {
			rt.Fatalf("%s: got %v, the model says %v", act, err, allowed)
		}
	}
}

type modelAct struct {
	name  string
	model func(m *model, id, other directory.AppID, name string) bool
	do    func(e *directory.Editor, id, other directory.AppID, name string) error
}

func (a modelAct) String() string { return a.name }

var modelActs = []modelAct{
	{"create", func(m *model, id, _ directory.AppID, name string) bool {
		if m.apps[id] != nil || m.named(name) != "" {
			return false
		}
		m.apps[id] = &modelApp{name: name, role: true, enabled: true}
		return true
	}, func(e *directory.Editor, id, _ directory.AppID, name string) error {
		_, err := e.Applications().Create(directory.Application{Tenant: contoso, AppID: id, Name: name, AppRoles: offered(true)})
		return err
	}},
	{"create principal", func(m *model, id, _ directory.AppID, _ string) bool {
		if m.apps[id] == nil || m.apps[id].principal {
			return false
		}
		m.apps[id].principal = true
		return true
	}, func(e *directory.Editor, id, _ directory.AppID, _ string) error {
		_, err := e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: contoso, AppID: id})
		return err
	}},
	{"delete", func(m *model, id, _ directory.AppID, _ string) bool {
		if m.apps[id] == nil {
			return false
		}
		delete(m.apps, id)
		m.forget(id)
		return true
	}, func(e *directory.Editor, id, _ directory.AppID, _ string) error {
		app, err := e.Applications().Find(contoso, string(id))
		if err != nil {
			return err
		}
		return e.Applications().Delete(contoso, app.ID)
	}},
	{"delete principal", func(m *model, id, _ directory.AppID, _ string) bool {
		if m.apps[id] == nil || !m.apps[id].principal {
			return false
		}
		m.apps[id].principal = false
		m.forget(id)
		return true
	}, func(e *directory.Editor, id, _ directory.AppID, _ string) error {
		p, err := e.ServicePrincipals().Find(contoso, string(id))
		if err != nil {
			return err
		}
		return e.ServicePrincipals().Delete(contoso, p.ID)
	}},
	{"rename", func(m *model, id, _ directory.AppID, name string) bool {
		if m.apps[id] == nil || (m.named(name) != "" && m.named(name) != id) {
			return false
		}
		m.apps[id].name = name
		return true
	}, func(e *directory.Editor, id, _ directory.AppID, name string) error {
		return editApp(e, id, func(a *directory.Application) { a.Name = name })
	}},
	{"disable role", func(m *model, id, _ directory.AppID, _ string) bool {
		if m.apps[id] == nil {
			return false
		}
		m.apps[id].role, m.apps[id].enabled = true, false
		return true
	}, func(e *directory.Editor, id, _ directory.AppID, _ string) error {
		return editApp(e, id, func(a *directory.Application) { a.AppRoles = offered(false) })
	}},
	{"enable role", func(m *model, id, _ directory.AppID, _ string) bool {
		if m.apps[id] == nil {
			return false
		}
		m.apps[id].role, m.apps[id].enabled = true, true
		return true
	}, func(e *directory.Editor, id, _ directory.AppID, _ string) error {
		return editApp(e, id, func(a *directory.Application) { a.AppRoles = offered(true) })
	}},
	{"remove role", func(m *model, id, _ directory.AppID, _ string) bool {
		app := m.apps[id]
		if app == nil || (app.role && app.enabled) {
			return false
		}
		app.role = false
		maps.DeleteFunc(m.assigned, func(pair [2]directory.AppID, _ bool) bool { return pair[1] == id })
		return true
	}, func(e *directory.Editor, id, _ directory.AppID, _ string) error {
		return editApp(e, id, func(a *directory.Application) { a.AppRoles = nil })
	}},
	{"assign", func(m *model, id, other directory.AppID, _ string) bool {
		holder, api := m.apps[id], m.apps[other]
		if holder == nil || api == nil || !holder.principal || !api.principal || !api.role || !api.enabled {
			return false
		}
		m.assigned[[2]directory.AppID{id, other}] = true
		return true
	}, func(e *directory.Editor, id, other directory.AppID, _ string) error {
		return withPrincipals(e, id, other, func(holder, api directory.ObjectID) error {
			_, _, err := e.Assignments().Add(contoso, holder, api, modelRole)
			return err
		})
	}},
	{"unassign", func(m *model, id, other directory.AppID, _ string) bool {
		pair := [2]directory.AppID{id, other}
		if !m.assigned[pair] {
			return false
		}
		delete(m.assigned, pair)
		return true
	}, func(e *directory.Editor, id, other directory.AppID, _ string) error {
		return withPrincipals(e, id, other, func(holder, api directory.ObjectID) error {
			return e.Assignments().Remove(contoso, holder, api, modelRole)
		})
	}},
}

func offered(enabled bool) []directory.AppRole {
	return []directory.AppRole{{ID: modelRole, Value: "Role", Enabled: enabled, Members: []directory.MemberType{directory.MemberApplication}}}
}

func editApp(e *directory.Editor, id directory.AppID, edit func(a *directory.Application)) error {
	app, err := e.Applications().Find(contoso, string(id))
	if err != nil {
		return err
	}
	_, err = e.Applications().Edit(contoso, app.ID, func(a *directory.Application) error { edit(a); return nil })
	return err
}

func withPrincipals(e *directory.Editor, id, other directory.AppID, f func(holder, api directory.ObjectID) error) error {
	holder, err := e.ServicePrincipals().Find(contoso, string(id))
	if err != nil {
		return err
	}
	api, err := e.ServicePrincipals().Find(contoso, string(other))
	if err != nil {
		return err
	}
	return f(holder.ID, api.ID)
}

// named returns the application whose name that is, case aside.
func (m *model) named(name string) directory.AppID {
	for id, app := range m.apps {
		if app.name == name || (app.name == "Orders" && name == "orders") || (app.name == "orders" && name == "Orders") {
			return id
		}
	}
	return ""
}

func (m *model) forget(id directory.AppID) {
	maps.DeleteFunc(m.assigned, func(pair [2]directory.AppID, _ bool) bool { return pair[0] == id || pair[1] == id })
}

// compare asks a directory everything that the model knows.
func (m *model) compare(rt *rapid.T, t *testing.T, d *directory.Directory) {
	clients := map[directory.AppID]*directory.Instance{}
	for _, id := range modelIDs {
		client, err := d.Instance(t.Context(), contoso, id)
		app := m.apps[id]
		if (app == nil) != errors.Is(err, directory.ErrNotFound) || (err != nil && app != nil) {
			rt.Fatalf("client %s: got %v, the model has %+v", id, err, app)
		}
		if app == nil {
			continue
		}
		if client.Application.Name != app.name || (client.Principal != nil) != app.principal || (app.principal && client.Principal.Name != app.name) {
			rt.Fatalf("client %s: got %+v, %+v, the model has %+v", id, client.Application, client.Principal, app)
		}
		clients[id] = client
	}
	for _, name := range modelNames {
		client, err := d.Named(t.Context(), contoso, name)
		if want := m.named(name); (want == "") != errors.Is(err, directory.ErrNotFound) || (want != "" && (err != nil || client.Application.AppID != want)) {
			rt.Fatalf("named %q: got %v, %v, the model has %q", name, client, err, want)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(clients)) {
		for _, other := range slices.Sorted(maps.Keys(clients)) {
			roles, assigned, err := d.Roles(t.Context(), clients[id], clients[other])
			held := m.assigned[[2]directory.AppID{id, other}]
			if err != nil || assigned != held || (len(roles) == 1) != (held && m.apps[other].enabled) {
				rt.Fatalf("roles of %s for %s: got %q, %v, %v, the model has %v", id, other, roles, assigned, err, held)
			}
		}
	}
	if all, err := d.View(t.Context()).Applications().All(contoso); err != nil || len(all) != len(m.apps) {
		rt.Fatalf("applications: got %d, %v, the model has %d", len(all), err, len(m.apps))
	}
}
