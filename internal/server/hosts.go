package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
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

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
)

// hostRetry is how often a host is tried again whose address could not be had (that of a
// container network comes when the network does), and a change that could not be followed.
const hostRetry = 5 * time.Second

// hosts keeps a listener for each of the directory's hosts, as the directory has them.
type hosts struct {
	service   *managedidentity.Service
	directory *directory.Directory
	key       []byte         // of the hosts' secrets
	allowed   []netip.Prefix // where they may listen besides the loopback interface
	faulty    bool           // faults are for this machine only
	log       *slog.Logger

	mu     sync.Mutex // one settling at a time
	placed map[placeKey]*placed
}

// A placeKey names a host: its id alone is unique within a tenant only.
type placeKey struct {
	tenant directory.TenantID
	id     directory.ObjectID
}

// A placed is a host as it was found in the directory when it was last looked at.
type placed struct {
	directory.Host
	clients []*directory.Instance
	open    *managedidentity.Host // nil when it is not to be had
	problem error                 // why
}

// parseAddresses reads the addresses and networks that hosts may listen at.
func parseAddresses(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil {
			all = append(all, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("hosts may listen at %q: that is no address or network: write it as 172.17.0.1 or 172.16.0.0/12", text)
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
		err := h.settle(ctx)
		if err != nil && !behind && ctx.Err() == nil {
			h.log.WarnContext(ctx, "the hosts stay as they are until the directory can be read", "error", err)
		}
		behind = err != nil
	}
}

// lacking reports whether a host is not to be had.
func (h *hosts) lacking() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.placed {
		if p.problem != nil {
			return true
		}
	}
	return false
}

// settle brings the listeners to the directory's state. When the store does not answer,
// everything stays as it is.
func (h *hosts) settle(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	wanted, err := h.wanted(ctx)
	if err != nil {
		return err
	}
	for key, p := range h.placed { // first, so that an address is free for who takes it over
		if next, ok := wanted[key]; !ok || !p.samePlace(next) {
			h.remove(ctx, p)
			delete(h.placed, key)
		}
	}
	for key, next := range wanted {
		if p := h.placed[key]; p != nil && p.open != nil {
			next.open = p.open
			next.open.Assign(next.identities())
		} else {
			h.place(ctx, next, p)
		}
		h.placed[key] = next
	}
	return nil
}

// wanted lists the directory's hosts.
func (h *hosts) wanted(ctx context.Context) (map[placeKey]*placed, error) {
	tenants, err := h.directory.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	wanted := make(map[placeKey]*placed)
	for _, tenant := range tenants {
		all, err := h.directory.Hosts(ctx, tenant.ID)
		if err != nil {
			return nil, err
		}
		for _, host := range all {
			p := &placed{Host: *host}
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
			wanted[placeKey{tenant.ID, host.ID}] = p
		}
	}
	return wanted, nil
}

func (p *placed) identities() []managedidentity.Identity {
	identities := make([]managedidentity.Identity, len(p.clients))
	for i, client := range p.clients {
		identities[i] = managedidentity.IdentityOf(client.Principal)
	}
	return identities
}

// samePlace reports whether a host is the one it was, and is reached as it was.
func (p *placed) samePlace(next *placed) bool {
	return p.Created.Equal(next.Created) && p.Listen == next.Listen && p.Platform == next.Platform && p.User == next.User &&
		slices.Equal(p.Names, next.Names) && slices.Equal(p.From, next.From)
}

// place opens a host. A problem is told once.
func (h *hosts) place(ctx context.Context, p, before *placed) {
	p.open, p.problem = h.open(ctx, p)
	attributes := []slog.Attr{slog.String("host", p.Name), slog.String("listen", p.Listen), slog.String("via", string(p.Platform))}
	switch {
	case p.problem == nil:
		h.log.LogAttrs(ctx, slog.LevelInfo, "host opened", attributes...)
	case before == nil || before.problem.Error() != p.problem.Error():
		h.log.LogAttrs(ctx, slog.LevelError, "host not opened", append(attributes, slog.Any("error", p.problem))...)
	}
}

func (h *hosts) open(ctx context.Context, p *placed) (*managedidentity.Host, error) {
	if p.Listen == "" {
		return nil, errors.New("it listens nowhere: give it an address")
	}
	at, err := netip.ParseAddrPort(p.Listen)
	if err != nil {
		return nil, err
	}
	owner := anyone
	switch {
	case !at.Addr().IsLoopback():
		err = h.permit(at.Addr())
	case p.User != "" && !p.Platform.HasSecret() && !managedidentity.TellsOwners():
		err = fmt.Errorf("this system does not tell whose a connection is, so it cannot be for %s alone: use the shape app-service, whose programs show a secret", p.User)
	default:
		owner, err = userID(p.User)
	}
	if err != nil {
		return nil, err
	}
	host, err := h.service.Open(ctx, managedidentity.HostConfig{
		Tenant: p.Tenant, Identities: p.identities(), Shape: p.Platform, Owner: owner, Listen: p.Listen, Names: p.Names, From: p.Networks(),
		Secret: h.secret(&p.Host),
	})
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nil, fmt.Errorf("this machine does not have the address %s, or not yet: the host is opened when it comes: %w", at.Addr(), err)
	}
	return host, err
}

// permit refuses addresses that the operator did not allow: who may change the directory
// may not for that reason open the machine to a network.
func (h *hosts) permit(address netip.Addr) error {
	switch {
	case !slices.ContainsFunc(h.allowed, func(network netip.Prefix) bool { return network.Contains(address) }):
		return fmt.Errorf("%s is not on the loopback interface: to allow it, start the server with --allow-host %[1]s", address)
	case h.faulty:
		return fmt.Errorf("faults are for this machine only, and %s is not on the loopback interface: leave out the faults", address)
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
		return 0, fmt.Errorf("this machine has no user %q: name one in the host's member user", name)
	}
	id, err := strconv.Atoi(found.Uid)
	if err != nil { // where users have no numbers, connections do not tell theirs either
		return anyone, nil
	}
	return id, nil
}

// secret is what a host's programs show. It is the same after a restart, since they may
// live longer than the server, and another for a host made anew, even with the same id.
func (h *hosts) secret(host *directory.Host) string {
	mac := hmac.New(sha256.New, h.key)
	fmt.Fprintf(mac, "%s\n%s\n%d", host.Tenant, host.ID, host.Created.UnixNano())
	return hex.EncodeToString(mac.Sum(nil))
}

func (h *hosts) remove(ctx context.Context, p *placed) {
	if p.open == nil {
		return
	}
	if err := p.open.Close(); err != nil {
		h.log.ErrorContext(ctx, "close a host", "host", p.Name, "error", err)
	}
	h.log.LogAttrs(ctx, slog.LevelInfo, "host closed", slog.String("host", p.Name), slog.String("listen", p.Listen))
}

// A HostState tells of one of the directory's hosts.
type HostState struct {
	Name       string
	Listen     string
	Identities []string
	Problem    error // why it is not open; nil when it is
}

// Hosts tells of the directory's hosts, by name.
func (s *Server) Hosts() []HostState {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	var all []HostState
	for _, p := range s.hosts.placed {
		state := HostState{Name: p.Name, Listen: p.Listen, Problem: p.problem}
		for _, client := range p.clients {
			state.Identities = append(state.Identities, client.Principal.Name)
		}
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b HostState) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// A hostRequest names one of the directory's hosts.
type hostRequest struct{ tenant, name string }

func hostOf(r *http.Request) (hostRequest, error) {
	query := r.URL.Query()
	return hostRequest{query.Get("tenant"), query.Get("name")}, nil
}

// hostLine answers what the programs of a host need to know.
func (s *Server) hostLine(ctx context.Context, req hostRequest) (Line, error) {
	if s.cfg.Unannounced {
		return Line{}, errors.New("hosts are opened by `rolecall serve`, and this server is another command's own")
	}
	if _, err := s.data.Directory.Refresh(ctx); err != nil {
		s.log.WarnContext(ctx, "follow the change feed", "error", err)
	}
	tenants, err := s.tenantsOf(ctx, req.tenant)
	if err != nil {
		return Line{}, err
	}
	if err := s.hosts.settle(ctx); err != nil {
		return Line{}, err
	}
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	var found []*placed
	var names []string
	for _, p := range s.hosts.placed {
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
		return Line{}, noHost(tenants, req.name, names)
	case 1:
		return found[0].line()
	}
	return Line{}, fmt.Errorf("%d tenants have a host %q: say which tenant with --tenant", len(found), req.name)
}

// tenantsOf finds the tenant that is named, or all when none is.
func (s *Server) tenantsOf(ctx context.Context, ref string) ([]*directory.Tenant, error) {
	if ref == "" {
		return s.data.Directory.Tenants(ctx)
	}
	tenant, err := s.tenantOf(ctx, ref)
	return []*directory.Tenant{tenant}, err
}

// line is what the host's programs need to know.
func (p *placed) line() (Line, error) {
	switch {
	case p.problem != nil:
		return Line{}, fmt.Errorf("the host %s is not open: %w", p.Name, p.problem)
	case len(p.clients) == 0:
		return Line{}, fmt.Errorf("the host %s has no managed identity: assign it one", p.Name)
	}
	line := newLine(p.Tenant, p.clients[0])
	line.setHost(p.open)
	return line, nil
}

func noHost(tenants []*directory.Tenant, name string, there []string) error {
	where := "" // in any tenant
	if len(tenants) == 1 {
		where = " in the tenant " + tenants[0].Name
	}
	if len(there) == 0 {
		return fmt.Errorf("there is no host %q%s, nor another one: list it under hosts in rolecall.yaml: %w", name, where, directory.ErrNotFound)
	}
	return fmt.Errorf("there is no host %q%s, but %q: %w", name, where, there, directory.ErrNotFound)
}
