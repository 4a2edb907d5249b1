package directory

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/text"
)

const (
	maxHostLists = 50 // entries of each list of a host
	maxUserName  = 64 // of a user of the machine
)

// A HostEditor reads and changes hosts.
type HostEditor struct {
	Objects[Host]
	*editor
	version version
}

// IfVersion makes Edit and Delete fail with ErrConflict unless that version is there.
func (e HostEditor) IfVersion(expected int64) HostEditor {
	e.version = version(expected)
	return e
}

// Create makes a host and assigns it its identities.
func (e HostEditor) Create(h Host) (*Host, error) {
	return acting(e.editor, Create, Hosts, func() (*Host, error) {
		tenant, err := e.tenantByID(h.Tenant)
		if err != nil {
			return nil, err
		}
		if h.ID, err = givenGUID("id", h.ID); err != nil {
			return nil, err
		}
		h.Tenant, h.Created = tenant.ID, e.now
		if err := e.free(h.Tenant, KindHost, makeKey("id", string(h.ID)), ""); err != nil {
			return nil, duplicate(err, "id", fmt.Sprintf("There is a host with the id %s already.", h.ID), "Leave the id out to have a new one made.")
		}
		if err := e.check(&h); err != nil {
			return nil, err
		}
		return &h, e.create(&h)
	})
}

// Edit changes everything but the id: what it is called, whose it is and where it is.
func (e HostEditor) Edit(tenant TenantID, id ObjectID, f func(*Host) error) (*Host, error) {
	old, err := e.get(tenant, id)
	if err != nil {
		return nil, err
	}
	h, err := edited(old, e.version, f)
	if err != nil {
		return nil, err
	}
	return acting(e.editor, Update, Hosts, func() (*Host, error) {
		h.ID, h.Tenant, h.Created, h.Renewed = old.value.ID, old.value.Tenant, old.value.Created, old.value.Renewed
		if err := e.check(h); err != nil {
			return nil, err
		}
		return h, update(e.editor, old, h, e.detail(old.value, h))
	})
}

// Renew replaces the secret of a host: what its programs presented so far is refused from now on.
func (e HostEditor) Renew(tenant TenantID, id ObjectID) error {
	return e.act(Update, Hosts, func() error {
		old, err := e.get(tenant, id)
		if err != nil {
			return err
		}
		if err := e.version.check(old.version); err != nil {
			return err
		}
		next := *old.value
		next.Renewed = e.now
		return update(e.editor, old, &next, "secret renewed")
	})
}

// Delete removes a host; its programs get no more tokens.
func (e HostEditor) Delete(tenant TenantID, id ObjectID) error {
	return e.act(Delete, Hosts, func() error {
		found, err := e.get(tenant, id)
		if err != nil {
			return err
		}
		if err := e.version.check(found.version); err != nil {
			return err
		}
		if err := e.remove(found.value, found.version); err != nil {
			return err
		}
		return e.record("delete", found.value.target(), "")
	})
}

// dropIdentity takes an identity that is about to go from its hosts. A host that is left
// with none stays: its programs are told that there is no identity.
func (e HostEditor) dropIdentity(p *ServicePrincipal) error {
	rows, err := list[Host](e.editor, p.Tenant, KindHost, makePrefix("identity", string(p.ID)))
	if err != nil {
		return err
	}
	for _, old := range rows {
		next := *old.value
		next.Identities = emptyToNil(slices.DeleteFunc(slices.Clone(next.Identities), func(id ObjectID) bool { return id == p.ID }))
		if err := update(e.editor, old, &next, e.detail(old.value, &next)); err != nil {
			return err
		}
	}
	return nil
}

// check checks a host that has its ids. It brings what was given into the form
// that is kept.
func (e HostEditor) check(h *Host) error {
	for _, check := range []func(*Host) error{e.checkHostName, checkHostNode, checkHostPlatform, e.checkListen, checkHostNames, checkFrom, checkHostUser, e.checkHostIdentities} {
		if err := check(h); err != nil {
			return err
		}
	}
	return nil
}

func (e HostEditor) checkHostName(h *Host) error {
	if err := checkName("name", h.Name); err != nil {
		return err
	}
	if err := checkNotGUID(h.Name); err != nil {
		return err
	}
	if err := e.free(h.Tenant, KindHost, makeKey("name", fold(h.Name)), string(h.ID)); err != nil {
		return duplicate(err, "name", fmt.Sprintf("There is a host named %q already.", h.Name), "Choose another name; case does not count.")
	}
	return nil
}

// checkHostNode takes "local" for the only node there is.
func checkHostNode(h *Host) error {
	h.Node = fold(h.Node)
	if h.Node == localNode {
		h.Node = ""
	}
	if h.Node != "" && !validHostName(h.Node) {
		return &RuleError{Field: "node", What: fmt.Sprintf("%q is not the name of a node.", text.Shown(h.Node)), Advice: "Write the name of the server's machine, or leave it out where there is one server."}
	}
	return nil
}

// localNode is another way to write no node.
const localNode = "local"

func checkHostPlatform(h *Host) error {
	h.Platform = cmp.Or(h.Platform, PlatformAppService)
	if !slices.Contains(Platforms(), h.Platform) {
		return &RuleError{Field: "platform", What: fmt.Sprintf("There is no platform %q of hosts.", text.Shown(string(h.Platform))), Advice: "Use one of " + join(Platforms()) + "."}
	}
	return nil
}

func join[T ~string](all []T) string {
	var b strings.Builder
	for i, one := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(one))
	}
	return b.String()
}

// checkListen requires an address with a port, both in their usual spelling: a name might
// mean another address tomorrow, and a port that nobody chose could not be told to anyone.
// A host may also listen nowhere.
func (e HostEditor) checkListen(h *Host) error {
	if h.Listen == "" {
		return nil
	}
	const fix = "Write an address and a port of the server's machine, as 172.17.0.1:8450 or 127.0.0.1:8450."
	at, err := netip.ParseAddrPort(h.Listen)
	if err != nil || at.Port() == 0 || at.Addr().Is4In6() || at.Addr().IsMulticast() || at.Addr().Zone() != "" {
		return &RuleError{Field: "listen", What: fmt.Sprintf("A host cannot listen at %q.", text.Shown(h.Listen)), Advice: fix}
	}
	h.Listen = at.String()
	tenants, err := e.tenants().All()
	if err != nil {
		return err
	}
	for _, tenant := range tenants { // a node serves the hosts of all tenants
		if err := e.free(tenant.ID, KindHost, h.listenKey(), string(h.ID)); err != nil {
			return duplicate(err, "listen", fmt.Sprintf("Another host listens at %s already.", h.Listen), "Choose another port.")
		}
	}
	return nil
}

// Loopback reports whether only processes of the server's machine reach the listener.
func (h *Host) Loopback() bool {
	at, err := netip.ParseAddrPort(h.Listen)
	return err == nil && at.Addr().IsLoopback()
}

func checkHostNames(h *Host) error {
	if err := checkHostList("names", h.Names); err != nil {
		return err
	}
	names := make([]string, 0, len(h.Names))
	for i, name := range h.Names {
		field := fmt.Sprintf("names[%d]", i)
		name = fold(name)
		if _, err := netip.ParseAddr(name); err == nil || !validHostName(name) {
			return &RuleError{Field: field, What: fmt.Sprintf("%q is not a host name.", text.Shown(name)), Advice: "Write it as host.docker.internal, without a port; the address itself needs no mention."}
		}
		if slices.Contains(names, name) {
			return taken(field, fmt.Sprintf("The name %q is listed twice.", name), "List it once.")
		}
		names = append(names, name)
	}
	if at, err := netip.ParseAddrPort(h.Listen); err == nil && at.Addr().IsUnspecified() && len(names) == 0 {
		return &RuleError{
			Field:  "names",
			What:   fmt.Sprintf("%s stands for every address of the machine, and its programs could not be told where to ask.", h.Listen),
			Advice: "Say in names what they call the machine, or listen at the one address that they reach.",
		}
	}
	h.Names = emptyToNil(names)
	return nil
}

// validHostName reports whether it is a host name, with or without dots.
func validHostName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return true
}

func checkFrom(h *Host) error {
	if err := checkHostList("from", h.From); err != nil {
		return err
	}
	networks := make([]string, 0, len(h.From))
	for i, given := range h.From {
		field := fmt.Sprintf("from[%d]", i)
		network, err := parseNetwork(given)
		if err != nil {
			return &RuleError{Field: field, What: fmt.Sprintf("%q is no address or network.", text.Shown(given)), Advice: "Write it as 172.17.0.2 or 172.17.0.0/16."}
		}
		if slices.Contains(networks, network.String()) {
			return taken(field, fmt.Sprintf("The network %s is listed twice.", network), "List it once.")
		}
		networks = append(networks, network.String())
	}
	if len(networks) == 0 && h.Listen != "" && !h.Loopback() && !h.Platform.HasSecret() {
		return &RuleError{
			Field:  "from",
			What:   fmt.Sprintf("Programs of a host of platform %s show no secret, so everybody who reaches %s would get its tokens.", h.Platform, h.Listen),
			Advice: "Say in from which addresses may ask, or use the platform app-service.",
		}
	}
	h.From = emptyToNil(networks)
	return nil
}

// parseNetwork reads an address or a network in CIDR notation.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err == nil && network.Addr().Is4In6() { // what is compared with it is written as IPv4
		err = errors.New("an IPv4 network in the spelling of IPv6")
	}
	return network.Masked(), err
}

// Networks returns From in the form that addresses are compared with.
func (h *Host) Networks() []netip.Prefix {
	networks := make([]netip.Prefix, 0, len(h.From))
	for _, text := range h.From {
		if network, err := netip.ParsePrefix(text); err == nil { // it was written by checkFrom
			networks = append(networks, network)
		}
	}
	return networks
}

func checkHostUser(h *Host) error {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@+\\$"
	switch {
	case h.User == "":
		return nil
	case len(h.User) > maxUserName || strings.Trim(h.User, plain) != "":
		return &RuleError{Field: "user", What: fmt.Sprintf("%q is no user of a machine.", text.Shown(h.User)), Advice: "Write a user's name or number."}
	case h.Listen != "" && !h.Loopback():
		return &RuleError{Field: "user", What: fmt.Sprintf("Processes that reach %s cannot be told apart by user.", h.Listen), Advice: "Leave user out and say in from which addresses may ask, or listen on 127.0.0.1."}
	}
	return nil
}

// checkHostIdentities requires managed identities, each once. A system-assigned one shares the
// life of a single host.
func (e HostEditor) checkHostIdentities(h *Host) error {
	if err := checkHostList("identities", h.Identities); err != nil {
		return err
	}
	ids := make([]ObjectID, 0, len(h.Identities))
	for i, id := range h.Identities {
		field := fmt.Sprintf("identities[%d]", i)
		identity, err := e.view.Identities().get(h.Tenant, id)
		if err != nil {
			return ruleAbout(field, err)
		}
		if slices.Contains(ids, identity.value.ID) {
			return taken(field, fmt.Sprintf("%s is listed twice.", identity.value.ref()), "List it once.")
		}
		if err := e.checkSystemAssigned(h, identity.value, field); err != nil {
			return err
		}
		ids = append(ids, identity.value.ID)
	}
	h.Identities = emptyToNil(ids)
	return nil
}

func (e HostEditor) checkSystemAssigned(h *Host, identity *ServicePrincipal, field string) error {
	if identity.IdentityKind != IdentitySystem {
		return nil
	}
	others, err := list[Host](e.editor, h.Tenant, KindHost, makePrefix("identity", string(identity.ID)))
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.value.ID != h.ID {
			return taken(field, fmt.Sprintf("%s is system-assigned, and the host %s has it.", identity.ref(), other.value.Name), "Take it from that host first, or use an identity of the type user.")
		}
	}
	return nil
}

// checkKind checks an identity whose kind is about to change.
func (e HostEditor) checkKind(p *ServicePrincipal) error {
	hosts, err := list[Host](e.editor, p.Tenant, KindHost, makePrefix("identity", string(p.ID)))
	if err != nil || len(hosts) < 2 || p.IdentityKind != IdentitySystem {
		return err
	}
	return &RuleError{Field: "identityKind", What: fmt.Sprintf("%s is assigned to %d hosts, and a system-assigned identity belongs to one.", p.ref(), len(hosts)), Advice: "Take it from all hosts but one first."}
}

func checkHostList[T any](field string, list []T) error {
	if len(list) > maxHostLists {
		return &RuleError{Field: field, What: fmt.Sprintf("%s has more than %d entries.", field, maxHostLists), Advice: "Remove some."}
	}
	return nil
}

func emptyToNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

func (e HostEditor) detail(old, next *Host) string {
	var d detail
	d.changed("name", old.Name, next.Name)
	d.changed("node", cmp.Or(old.Node, localNode), cmp.Or(next.Node, localNode))
	d.changed("platform", old.Platform, next.Platform)
	d.changed("listen", cmp.Or(old.Listen, "nowhere"), cmp.Or(next.Listen, "nowhere"))
	d.changed("user", old.User, next.User)
	d.lists("identities", e.identityNames(old), e.identityNames(next))
	d.lists("names", old.Names, next.Names)
	d.lists("from", old.From, next.From)
	if d.parts == nil {
		d.add("order of lists")
	}
	return d.String()
}

// identityNames are for people; an identity that is gone keeps its id.
func (e HostEditor) identityNames(h *Host) []string {
	names := make([]string, len(h.Identities))
	for i, id := range h.Identities {
		names[i] = string(id)
		if identity, err := e.view.Identities().get(h.Tenant, id); err == nil {
			names[i] = identity.value.ref()
		}
	}
	return names
}

func (h *Host) target() target {
	return target{kind: KindHost, tenant: h.Tenant, id: string(h.ID), name: h.Name}
}
