package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
)

// hostRetry is how often the server tries again to open a host whose address was not there
// (that of a container network comes with the network), or to follow a change.
const hostRetry = 5 * time.Second

// hosts keeps a listener for each of the directory's hosts, as the directory has them.
type hosts struct {
	service   *managedidentity.Service
	directory *directory.Directory
	key       []byte         // of the hosts' secrets
	allowed   []netip.Prefix // where they may listen besides the loopback interface
	faulty    bool           // faults are for this machine only
	folder    string         // the data folder
	bundle    string         // the file of what programs trust, besides Microsoft's names
	now       func() time.Time
	log       *slog.Logger

	mu      sync.Mutex // one reconciliation at a time
	entries map[entryKey]*hostEntry
}

// A entryKey names a host: its id alone is unique within a tenant only.
type entryKey struct {
	tenant directory.TenantID
	id     directory.ObjectID
}

// A hostEntry is a host as it was found in the directory when it was last looked at.
type hostEntry struct {
	directory.Host
	clients []*directory.Instance
	open    *managedidentity.Endpoint   // nil when it is not open
	problem error                       // why
	names   map[origin.Cloud]*hostNames // of Microsoft's, for programs that were told so
}

// parseAddresses reads the addresses and networks that hosts may listen at.
func parseAddresses(texts []string) ([]netip.Prefix, error) {
	return parseNetworks(texts, "hosts cannot listen at")
}

// parseNetworks reads addresses and networks.
func parseNetworks(texts []string, what string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil {
			all = append(all, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, refused("write it as 172.17.0.1 or 172.16.0.0/12", "%s %q: that is not an address or a network", what, text)
		}
		all = append(all, network)
	}
	return all, nil
}

// run follows the directory until the context ends.
func (h *hosts) run(ctx context.Context, changed <-chan struct{}) error {
	again := time.NewTicker(hostRetry)
	defer again.Stop()
	behind := false // a change could not be followed
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-again.C:
			if !behind && !h.lacking() {
				continue
			}
		}
		err := h.reconcile(ctx)
		if err != nil && !behind && ctx.Err() == nil {
			h.log.WarnContext(ctx, "the hosts stay as they are until the directory can be read", "error", err)
		}
		behind = err != nil
	}
}

// lacking reports whether a host is not open.
func (h *hosts) lacking() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.entries {
		if p.problem != nil {
			return true
		}
	}
	return false
}

// reconcile brings the listeners to the directory's state. When the store does not answer,
// everything stays as it is.
func (h *hosts) reconcile(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	wanted, err := h.wanted(ctx)
	if err != nil {
		return err
	}
	for key, p := range h.entries { // first, so that an address is free for the next host that takes it over
		if next, ok := wanted[key]; !ok || !p.unchanged(next) {
			h.remove(ctx, p)
			delete(h.entries, key)
		}
	}
	for key, next := range wanted {
		if p := h.entries[key]; p != nil && p.open != nil {
			next.open, next.names = p.open, p.names
			next.assign()
		} else {
			h.add(ctx, next, p)
		}
		h.entries[key] = next
	}
	return nil
}

// wanted lists the directory's hosts.
func (h *hosts) wanted(ctx context.Context) (map[entryKey]*hostEntry, error) {
	tenants, err := h.directory.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	wanted := make(map[entryKey]*hostEntry)
	for _, tenant := range tenants {
		all, err := h.directory.View(ctx).Hosts().All(tenant.ID)
		if err != nil {
			return nil, err
		}
		for _, host := range all {
			if host.Node != "" {
				continue // another server listens for it
			}
			p := &hostEntry{Host: *host}
			for _, id := range host.Identities {
				client, err := h.directory.Identity(ctx, tenant.ID, string(id))
				if errors.Is(err, directory.ErrNotFound) {
					continue // deleted just now
				}
				if err != nil {
					return nil, err
				}
				p.clients = append(p.clients, client)
			}
			wanted[entryKey{tenant.ID, host.ID}] = p
		}
	}
	return wanted, nil
}

func (p *hostEntry) identities() []managedidentity.Identity {
	identities := make([]managedidentity.Identity, len(p.clients))
	for i, client := range p.clients {
		identities[i] = managedidentity.IdentityOf(client.Principal)
	}
	return identities
}

// assign gives the host's endpoints its identities.
func (p *hostEntry) assign() {
	p.open.Assign(p.identities())
	for _, names := range p.names {
		names.endpoint.Assign(p.identities())
	}
}

// unchanged reports whether a host is the one it was, and is reached as it was.
func (p *hostEntry) unchanged(next *hostEntry) bool {
	return p.Created.Equal(next.Created) && p.Renewed.Equal(next.Renewed) && p.Listen == next.Listen && p.Platform == next.Platform && p.User == next.User &&
		slices.Equal(p.Names, next.Names) && slices.Equal(p.From, next.From)
}

// add opens a host. A problem is told once.
func (h *hosts) add(ctx context.Context, p, before *hostEntry) {
	p.open, p.problem = h.open(ctx, p)
	attributes := []slog.Attr{slog.String("host", p.Name), slog.String("listen", p.Listen), slog.String("via", string(p.Platform))}
	switch {
	case p.problem == nil:
		h.log.LogAttrs(ctx, slog.LevelInfo, "host opened", attributes...)
	case before == nil || before.problem.Error() != p.problem.Error():
		h.log.LogAttrs(ctx, slog.LevelError, "host not opened", append(attributes, slog.Any("error", p.problem), slog.String("fix", fix.Of(p.problem)))...)
	}
}

func (h *hosts) open(ctx context.Context, p *hostEntry) (*managedidentity.Endpoint, error) {
	cfg, err := h.endpointConfig(p)
	if err != nil {
		return nil, err
	}
	host, err := h.service.Open(ctx, cfg)
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		address, _, _ := net.SplitHostPort(p.Listen)
		return nil, fmt.Errorf("this machine does not have the address %s, or not yet: the host is opened when it comes: %w", address, err)
	}
	return host, err
}

// endpointConfig describes the endpoint of a host that may be open.
func (h *hosts) endpointConfig(p *hostEntry) (managedidentity.EndpointConfig, error) {
	if p.Listen == "" {
		return managedidentity.EndpointConfig{}, refused("give it an address: the member listen", "it has no address to listen on")
	}
	at, err := netip.ParseAddrPort(p.Listen)
	if err != nil {
		return managedidentity.EndpointConfig{}, err
	}
	owner := anyone
	switch {
	case !at.Addr().IsLoopback():
		err = h.permit(at.Addr())
	case p.User != "" && !p.Platform.HasSecret() && !managedidentity.TellsOwners():
		err = refused("use the platform app-service, whose programs present a secret", "this system does not tell which user a connection belongs to, so the host cannot be for %s alone", p.User)
	default:
		owner, err = userID(p.User)
	}
	if err != nil {
		return managedidentity.EndpointConfig{}, err
	}
	return managedidentity.EndpointConfig{
		Tenant: p.Tenant, Identities: p.identities(), Platform: p.Platform, Owner: owner, Listen: p.Listen, Names: p.Names, From: p.Networks(),
		Secret: h.secret(&p.Host),
	}, nil
}

// permit refuses addresses that the operator did not allow: permission to change the
// directory is no permission to open the machine to a network.
func (h *hosts) permit(address netip.Addr) error {
	switch {
	case !slices.ContainsFunc(h.allowed, func(network netip.Prefix) bool { return network.Contains(address) }):
		return refused(fmt.Sprintf("to allow it, start the server with --allow-host %s", address), "%s is not on the loopback interface", address)
	case h.faulty:
		return refused("leave out the faults", "faults are for this machine only, and %s is not on the loopback interface", address)
	}
	return nil
}

// userID is the number of a user of this machine; no name means the server's own.
func userID(name string) (int, error) {
	if name == "" {
		return os.Getuid(), nil
	}
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(id), nil
	}
	found, err := user.Lookup(name)
	if err != nil {
		return 0, refused("name one in the host's member user", "this machine has no user %q", name)
	}
	id, err := strconv.Atoi(found.Uid)
	if err != nil { // where users have no numbers, connections do not tell theirs either
		return anyone, nil
	}
	return id, nil
}

// secret is what a host's programs present. It is the same after a restart, since they may
// live longer than the server, and another for a host made anew, even with the same id, and
// for one whose secret was renewed.
func (h *hosts) secret(host *directory.Host) string {
	mac := hmac.New(sha256.New, h.key)
	fmt.Fprintf(mac, "%s\n%s\n%d", host.Tenant, host.ID, host.Created.UnixNano())
	if !host.Renewed.IsZero() {
		fmt.Fprintf(mac, "\n%d", host.Renewed.UnixNano())
	}
	return hex.EncodeToString(mac.Sum(nil))
}

func (h *hosts) remove(ctx context.Context, p *hostEntry) {
	if p.open == nil {
		return
	}
	h.closeNames(ctx, p)
	if err := p.open.Close(); err != nil {
		h.log.ErrorContext(ctx, "close a host", "host", p.Name, "error", err)
	}
	h.log.LogAttrs(ctx, slog.LevelInfo, "host closed", slog.String("host", p.Name), slog.String("listen", p.Listen))
}

// A HostState says how one of the directory's hosts is.
type HostState struct {
	Name       string
	Listen     string
	Identities []string
	Problem    error // why it is not open; nil when it is
}

// Hosts returns the state of the directory's hosts, by name.
func (s *Server) Hosts() []HostState {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	var all []HostState
	for _, p := range s.hosts.entries {
		state := HostState{Name: p.Name, Listen: p.Listen, Problem: p.problem}
		for _, client := range p.clients {
			state.Identities = append(state.Identities, client.Principal.Called())
		}
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b HostState) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// A hostRequest names one of the directory's hosts.
type hostRequest struct{ tenant, name, cloud string }

func hostOf(r *http.Request) (hostRequest, error) {
	query := r.URL.Query()
	return hostRequest{query.Get("tenant"), query.Get("name"), query.Get("cloud")}, nil
}

// hostState answers what the programs of a host need to know.
func (s *Server) hostState(ctx context.Context, req hostRequest) (BindingState, error) {
	return s.withHost(ctx, req, (*hostEntry).state)
}

// withHost finds a host and asks it something, while nothing changes it.
func (s *Server) withHost(ctx context.Context, req hostRequest, ask func(*hostEntry) (BindingState, error)) (BindingState, error) {
	if s.cfg.Unannounced {
		return BindingState{}, refused("start one with `rolecall serve`", "hosts are opened by `rolecall serve`, and this server is another command's own")
	}
	if _, err := s.data.Directory.Refresh(ctx); err != nil {
		s.log.WarnContext(ctx, "follow the change feed", "error", err)
	}
	tenants, err := s.tenantsOf(ctx, req.tenant)
	if err != nil {
		return BindingState{}, err
	}
	if err := s.hosts.reconcile(ctx); err != nil {
		return BindingState{}, err
	}
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	var found []*hostEntry
	var names []string
	for _, p := range s.hosts.entries {
		if !slices.ContainsFunc(tenants, func(t *directory.Tenant) bool { return t.ID == p.Tenant }) {
			continue
		}
		names = append(names, p.Name)
		if strings.EqualFold(p.Name, req.name) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		slices.Sort(names)
		return BindingState{}, noHost(tenants, req.name, names)
	case 1:
		return ask(found[0])
	}
	return BindingState{}, refused("say which tenant with --tenant", "%d tenants have a host %q", len(found), req.name)
}

// tenantsOf finds the tenant that is named, or all when none is.
func (s *Server) tenantsOf(ctx context.Context, ref string) ([]*directory.Tenant, error) {
	if ref == "" {
		return s.data.Directory.Tenants(ctx)
	}
	tenant, err := s.tenantOf(ctx, ref)
	return []*directory.Tenant{tenant}, err
}

// state is what the host's programs need to know.
func (p *hostEntry) state() (BindingState, error) {
	switch {
	case p.problem != nil:
		return BindingState{}, fmt.Errorf("the host %s is not open: %w", p.Name, p.problem)
	case len(p.clients) == 0:
		return BindingState{}, refused("assign it one: the member identities of the host", "the host %s has no managed identity", p.Name)
	}
	state := newState(p.Tenant, p.clients[0])
	state.setHost(p.open)
	return state, nil
}

func noHost(tenants []*directory.Tenant, name string, there []string) error {
	where := "" // in any tenant
	if len(tenants) == 1 {
		where = " in the tenant " + tenants[0].Name
	}
	if len(there) == 0 {
		return &refusedError{fmt.Sprintf("there is no host %q%s, nor another one", name, where), "list it under hosts in rolecall.yaml", directory.ErrNotFound}
	}
	return &refusedError{fmt.Sprintf("there is no host %q%s, but %q", name, where, there), "name one of these, or list it under hosts in rolecall.yaml", directory.ErrNotFound}
}
