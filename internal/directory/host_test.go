package directory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/directory/memory"
)

// host makes a host.
func (o *orders) host(t testing.TB, h directory.Host) (made *directory.Host) {
	t.Helper()
	h.Tenant = contoso
	change(t, o.Directory, func(e *directory.Editor) (err error) {
		made, err = e.Hosts().Create(h)
		return err
	})
	return made
}

func (o *orders) hosts(t testing.TB) []*directory.Host {
	t.Helper()
	all, err := o.View(t.Context()).Hosts().All(contoso)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestHostRules(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	system := o.identity(t, directory.ServicePrincipal{Name: "system"}).ID
	lent := o.identity(t, directory.ServicePrincipal{Name: "lent"}).ID
	shared := o.identity(t, directory.ServicePrincipal{Name: "shared", IdentityKind: directory.IdentityUser}).ID
	o.host(t, directory.Host{Name: "first", Listen: "127.0.0.1:8450", Identities: []directory.ObjectID{lent, shared}})
	change(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Tenants().Create(directory.Tenant{ID: "11111111-0000-4000-8000-000000000001", Name: "fabrikam"})
		return err
	})
	for _, tt := range []struct {
		name  string
		spoil func(h *directory.Host)
		field string
		cause error
	}{
		{"without a name", func(h *directory.Host) { h.Name = "" }, "name", wrong},
		{"with the name of another", func(h *directory.Host) { h.Name = "FIRST" }, "name", duplicate},
		{"with a GUID for a name", func(h *directory.Host) { h.Name = string(contoso) }, "name", wrong},
		{"with an id that is none", func(h *directory.Host) { h.ID = "x" }, "id", wrong},
		{"of an unknown platform", func(h *directory.Host) { h.Platform = "App-Service" }, "platform", wrong},
		{"with an address without a port", func(h *directory.Host) { h.Listen = "127.0.0.1" }, "listen", wrong},
		{"with any port", func(h *directory.Host) { h.Listen = "127.0.0.1:0" }, "listen", wrong},
		{"with a name for an address", func(h *directory.Host) { h.Listen = "localhost:8450" }, "listen", wrong},
		{"with a multicast address", func(h *directory.Host) { h.Listen = "224.0.0.1:8450" }, "listen", wrong},
		{"with a zone", func(h *directory.Host) { h.Listen = "[fe80::1%eth0]:8450" }, "listen", wrong},
		{"with IPv4 in the spelling of IPv6", func(h *directory.Host) { h.Listen = "[::ffff:127.0.0.1]:8450" }, "listen", wrong},
		{"at the address of another", func(h *directory.Host) { h.Listen = "127.0.0.1:8450" }, "listen", duplicate},
		{"at the address of another tenant's", func(h *directory.Host) {
			h.Tenant, h.Listen = "11111111-0000-4000-8000-000000000001", "127.0.0.1:8450"
		}, "listen", duplicate},
		{"with an address for a name", func(h *directory.Host) { h.Names = []string{"127.0.0.1"} }, "names[0]", wrong},
		{"with a port in a name", func(h *directory.Host) { h.Names = []string{"a", "b:80"} }, "names[1]", wrong},
		{"with a name twice", func(h *directory.Host) { h.Names = []string{"a", "A"} }, "names[1]", duplicate},
		{"with very many names", func(h *directory.Host) { h.Names = make([]string, 51) }, "names", wrong},
		{"everywhere, without a name", func(h *directory.Host) { h.Listen = "0.0.0.0:8450" }, "names", wrong},
		{"with a network that is none", func(h *directory.Host) { h.From = []string{"172.17.0.0/33"} }, "from[0]", wrong},
		{"with an IPv4 network in the spelling of IPv6", func(h *directory.Host) { h.From = []string{"::ffff:172.17.0.0/112"} }, "from[0]", wrong},
		{"with a network twice", func(h *directory.Host) { h.From = []string{"172.17.0.1/16", "172.17.0.0/16"} }, "from[1]", duplicate},
		{"without a secret, open to everybody", func(h *directory.Host) { h.Platform, h.Listen = directory.PlatformIMDS, "172.17.0.1:80" }, "from", wrong},
		{"with a user nobody can have", func(h *directory.Host) { h.User = "a b" }, "user", wrong},
		{"with a user where none can be told", func(h *directory.Host) { h.User, h.Listen = "orders", "172.17.0.1:8450" }, "user", wrong},
		{"with an identity that is not there", func(h *directory.Host) { h.Identities = []directory.ObjectID{"x"} }, "identities[0]", directory.ErrNotFound},
		{"with an application for an identity", func(h *directory.Host) { h.Identities = []directory.ObjectID{o.appPrincipal.ID} }, "identities[0]", directory.ErrNotFound},
		{"with an identity twice", func(h *directory.Host) { h.Identities = []directory.ObjectID{shared, shared} }, "identities[1]", duplicate},
		{"with the system identity of another host", func(h *directory.Host) { h.Identities = []directory.ObjectID{shared, lent} }, "identities[1]", duplicate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := directory.Host{Tenant: contoso, Name: "second", Listen: "127.0.0.1:8451", Identities: []directory.ObjectID{system}}
			tt.spoil(&h)
			checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
				_, err := e.Hosts().Create(h)
				return err
			}), tt.field, tt.cause)
		})
	}
	if got := o.hosts(t); len(got) != 1 {
		t.Errorf("got %d hosts, want the first alone", len(got))
	}
	checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Hosts().Create(directory.Host{Tenant: contoso, ID: o.hosts(t)[0].ID, Name: "second", Listen: "127.0.0.1:8451", Identities: []directory.ObjectID{system}})
		return err
	}), "id", duplicate)
}

func TestHostsAreKeptInOneSpelling(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	shared := o.identity(t, directory.ServicePrincipal{Name: "shared", IdentityKind: directory.IdentityUser})
	made := o.host(t, directory.Host{
		Name: "box", Listen: "[0:0:0:0:0:0:0:1]:8450", Names: []string{"Host.Docker.Internal"}, From: []string{"172.17.0.9/16", "10.0.0.1"},
		Identities: []directory.ObjectID{directory.ObjectID(strings.ToUpper(string(shared.ID)))},
	})
	want := directory.Host{
		Stored: made.Stored, ID: made.ID, Tenant: contoso, Name: "box", Platform: directory.PlatformAppService, Listen: "[::1]:8450",
		Names: []string{"host.docker.internal"}, From: []string{"172.17.0.0/16", "10.0.0.1/32"}, Identities: []directory.ObjectID{shared.ID}, Created: made.Created,
	}
	if got := o.hosts(t); len(got) != 1 || fmt.Sprint(*got[0]) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := made.Networks(); len(got) != 2 || got[0].String() != "172.17.0.0/16" {
		t.Errorf("networks: got %v", got)
	}
	if !made.Loopback() {
		t.Error("::1 is not on the loopback interface")
	}
}

func TestHostsChangeAndGo(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	a := o.identity(t, directory.ServicePrincipal{Name: "a", IdentityKind: directory.IdentityUser})
	b := o.identity(t, directory.ServicePrincipal{Name: "b", IdentityKind: directory.IdentityUser})
	made := o.host(t, directory.Host{Name: "box", Listen: "127.0.0.1:8450", Identities: []directory.ObjectID{a.ID, b.ID}})
	other := o.host(t, directory.Host{Name: "other", Listen: "127.0.0.1:8451", Identities: []directory.ObjectID{a.ID}})

	var notes []directory.ChangeNote
	update := func(f func(h *directory.Host)) {
		t.Helper()
		change(t, o.Directory, func(e *directory.Editor) error {
			found, err := e.Hosts().Find(contoso, "BOX")
			if err != nil {
				return err
			}
			next := *found
			f(&next)
			_, err = e.Hosts().Edit(next.Tenant, next.ID, func(v *directory.Host) error { *v = next; return nil })
			notes = e.Changes()
			return err
		})
	}
	update(func(h *directory.Host) { h.Identities = []directory.ObjectID{b.ID} })
	if notes[0].Action != "update" || notes[0].Kind != "host" || notes[0].Detail != "identities: -a" {
		t.Errorf("got %+v", notes)
	}
	update(func(*directory.Host) {})
	if notes[0].Action != "none" {
		t.Errorf("an update of nothing: got %+v", notes)
	}
	update(func(h *directory.Host) { h.Identities = []directory.ObjectID{b.ID, a.ID} })
	update(func(h *directory.Host) { h.Identities = []directory.ObjectID{a.ID, b.ID} })
	if notes[0].Action != "update" || notes[0].Detail == "" { // the first is whom programs get
		t.Errorf("another order: got %+v", notes)
	}

	// What a system-assigned identity cannot have, one cannot become that has it.
	checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
		next := *a
		next.IdentityKind, next.ResourceID = directory.IdentitySystem, ""
		_, err := e.ServicePrincipals().Edit(next.Tenant, next.ID, func(v *directory.ServicePrincipal) error { *v = next; return nil })
		return err
	}), "identityKind", wrong)

	// An identity that goes leaves its hosts, and one made anew with its ids is not theirs.
	change(t, o.Directory, func(e *directory.Editor) error { return e.ServicePrincipals().Delete(contoso, a.ID) })
	o.identity(t, directory.ServicePrincipal{Name: "a", ID: a.ID, AppID: a.AppID, IdentityKind: directory.IdentityUser})
	hosts := o.hosts(t)
	if !slices.Equal(hosts[0].Identities, []directory.ObjectID{b.ID}) || len(hosts[1].Identities) != 0 {
		t.Errorf("after the identity went: got %+v and %+v", hosts[0], hosts[1])
	}

	change(t, o.Directory, func(e *directory.Editor) error { return e.Hosts().Delete(contoso, other.ID) })
	if err := attempt(t, o.Directory, func(e *directory.Editor) error { return e.Hosts().Delete(contoso, other.ID) }); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("delete again: got %v", err)
	}
	// Its address is free for another, which is not the same host.
	again := o.host(t, directory.Host{Name: "other", Listen: other.Listen, Identities: []directory.ObjectID{b.ID}})
	if again.ID == other.ID {
		t.Error("a host made anew has the id of the old one")
	}
	change(t, o.Directory, func(e *directory.Editor) error { return e.Tenants().Delete(contoso) })
	if left := o.hosts(t); len(left) != 0 {
		t.Errorf("the tenant's end left %+v, such as %s", left, made.Name)
	}
}

// The addresses of different nodes do not meet.
func TestHostsOfNodes(t *testing.T) {
	t.Parallel()
	o := newOrders(t, memory.New())
	const at = "127.0.0.1:8450"
	o.host(t, directory.Host{Name: "here", Listen: at, Node: "local"})
	o.host(t, directory.Host{Name: "there", Listen: at, Node: "Node-2"})
	for _, node := range []string{"", "local", "LOCAL", "node-2"} {
		checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
			_, err := e.Hosts().Create(directory.Host{Tenant: contoso, Name: "another", Listen: at, Node: node})
			return err
		}), "listen", duplicate)
	}
	checkRule(t, attempt(t, o.Directory, func(e *directory.Editor) error {
		_, err := e.Hosts().Create(directory.Host{Tenant: contoso, Name: "another", Node: "no/de"})
		return err
	}), "node", wrong)
	for _, host := range o.hosts(t) {
		if want := map[string]string{"here": "", "there": "node-2"}[host.Name]; host.Node != want {
			t.Errorf("%s is of the node %q, want %q", host.Name, host.Node, want)
		}
	}
}
