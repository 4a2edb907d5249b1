package guardserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/guardfile"
)

// A setup is all that one state of the settings leads to. It never changes: other settings make
// another one.
type setup struct {
	file    *guardfile.File
	sources map[string][]byte // the files that the settings are made of
	trusted []netip.Prefix    // of the peers that say which request is judged
	apis    map[string]*api   // by host
	only    *api              // of any host; nil if there are several
}

// An api is one API as it is guarded.
type api struct {
	settings guardfile.API
	guard    *guarded
	policy   *guard.Policy
	identity identity
	upstream *upstream // nil where requests are only judged
	forward  bool      // the token
	document string    // path of what is published of the API; empty: nothing is
}

// A guarded is the guard of an API. It outlives settings that do not concern it, with its keys
// and what it has verified.
type guarded struct {
	*guard.Guard
	made   string // by which configuration
	cancel context.CancelFunc
}

// read reads the settings, without acting on them.
func (s *Server) read() (*setup, error) {
	content, err := readLimited(s.cfg.File)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	file, err := guardfile.Parse(s.cfg.File, content)
	if err != nil {
		return nil, err
	}
	if s.cfg.Listen != "" {
		file.Listen = s.cfg.Listen
	}
	if file.CABundle == "" {
		file.CABundle = s.cfg.CABundle
	}
	file.AllowTenants(s.cfg.Tenants)
	now := &setup{file: file, sources: map[string][]byte{s.cfg.File: content}}
	if file.CABundle != "" {
		if now.sources[file.CABundle], err = os.ReadFile(file.CABundle); err != nil {
			return nil, fmt.Errorf("read caBundle: %w", err)
		}
	}
	return now, s.complete(file)
}

func readLimited(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, guardfile.MaxSize+1))
}

// complete reports what a file may leave out, and a server may not.
func (s *Server) complete(f *guardfile.File) error {
	var problems []error
	if f.Identity == guardfile.IdentitySigned && f.Ops == "" {
		problems = append(problems, &incomplete{s.cfg.File + ": identity: signed has no ops, where upstreams get the key", "add ops: 127.0.0.1:9090, or another address"})
	}
	for i := range f.APIs {
		if f.Mode != guardfile.ModeProxy {
			continue
		}
		if f.APIs[i].Upstream == "" {
			f.APIs[i].Upstream = s.cfg.Upstream
		}
		if f.APIs[i].Upstream == "" {
			problems = append(problems, &incomplete{fmt.Sprintf("%s: upstream is missing%s: where requests go that were let in", s.cfg.File, ofHost(f.APIs[i].Host)), "write it into the file, or give --upstream http://127.0.0.1:PORT"})
		}
	}
	return errors.Join(problems...)
}

// newAPI makes an API of its settings.
func (s *Server) newAPI(ctx context.Context, now *setup, settings guardfile.API, old *setup) (*api, error) {
	a := &api{settings: settings, forward: now.file.ForwardToken}
	var err error
	if a.guard, err = s.guardOf(ctx, now, settings, old); err != nil {
		return nil, err
	}
	if a.policy, err = a.guard.Policy(settings.Rules); err != nil {
		return nil, err
	}
	a.document, _ = a.guard.Metadata()
	a.identity = newIdentity(now.file, settings, s.keys)
	if now.file.Mode == guardfile.ModeProxy {
		a.upstream, err = newUpstream(settings.Upstream, now.sources[now.file.CABundle], s)
	}
	return a, err
}

// guardOf returns the guard that is there already for the same configuration, or a new one.
func (s *Server) guardOf(ctx context.Context, now *setup, settings guardfile.API, old *setup) (*guarded, error) {
	cfg := now.file.Config(settings)
	made, err := json.Marshal([]any{cfg.Authority, cfg.Audience, cfg.Tenants, cfg.Caller, cfg.MaxKeyAge, now.sources[cfg.CABundle], settings.Follow, settings.Credential, settings.Origins, settings.Resource})
	if err != nil {
		return nil, err
	}
	if old != nil {
		for _, other := range old.all() {
			if other.guard.made == string(made) {
				return other.guard, nil
			}
		}
	}
	if settings.Follow {
		if cfg.Revocations, err = s.revocations(settings, cfg.CABundle); err != nil {
			return nil, err
		}
	}
	cfg.Now = s.cfg.Now
	cfg.OnDecision = func(guard.Decision) {} // so that a refusal keeps what it rests on, which report logs
	cfg.Log = slog.New(warningsOnly{s.log.Handler()})
	if cfg.HTTPClient = s.cfg.HTTPClient; cfg.HTTPClient != nil {
		cfg.CABundle = ""
	}
	ctx, cancel := context.WithCancel(ctx)
	g, err := guard.New(ctx, cfg)
	if err != nil {
		cancel()
		return nil, err
	}
	return &guarded{g, string(made), cancel}, nil
}

// revocations is how the guard of an API follows what its authority revokes.
func (s *Server) revocations(settings guardfile.API, bundle string) (*guard.Revocations, error) {
	if s.cfg.OwnToken == nil {
		return nil, errors.New("revocation: follow needs a credential of the API's own application, and there is none here")
	}
	token, err := s.cfg.OwnToken(settings, bundle)
	if err != nil {
		return nil, fmt.Errorf("revocation: follow: %w", err)
	}
	return &guard.Revocations{Token: token}, nil
}

// warningsOnly leaves to the server what it logs itself: each decision, and what is trusted.
type warningsOnly struct{ slog.Handler }

// Enabled reports whether a record is logged.
func (h warningsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// apply makes what the settings lead to, and puts it in the place of what was there. If anything
// is wrong, everything stays as it was.
func (s *Server) apply(ctx context.Context, now *setup) error {
	old := s.current.Load()
	now.trusted = trustedPeers(now.file)
	now.apis = map[string]*api{}
	var problems []error
	for _, settings := range now.file.APIs {
		a, err := s.newAPI(ctx, now, settings, old)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s%s: %w", s.cfg.File, ofHost(settings.Host), err))
			continue
		}
		if settings.Host == "" {
			now.only = a
			continue
		}
		now.apis[settings.Host] = a
	}
	if err := errors.Join(problems...); err != nil {
		now.endUnlike(old)
		return err
	}
	if old != nil {
		now.fetchKeys(ctx, s.log) // so that the first requests need not wait
	}
	s.current.Store(now)
	s.load.guards(len(now.file.APIs))
	for _, a := range now.all() {
		s.log.Info("guards", "host", a.settings.Host, "authority", a.settings.Authority, "audience", strings.Join(a.settings.Audience, ", "), "rules", len(a.settings.Rules))
	}
	if old != nil {
		// Requests under way end with the settings they began with.
		time.AfterFunc(lateRequests, func() { old.endUnlike(now) })
	}
	return nil
}

// lateRequests is how long guards and connections of former settings stay for requests that
// began with them.
const lateRequests = 10 * time.Second

// trustedPeers are those of the file. Where requests are only judged, the proxy that asks is on
// this machine if nothing is said; in a proxy nobody is before it.
func trustedPeers(f *guardfile.File) []netip.Prefix {
	if len(f.TrustedPeers) > 0 || f.Mode == guardfile.ModeProxy {
		return f.TrustedPeers
	}
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func ofHost(host string) string {
	if host == "" {
		return ""
	}
	return " (host " + host + ")"
}

// all returns every API.
func (now *setup) all() []*api {
	if now == nil {
		return nil
	}
	var all []*api
	if now.only != nil {
		all = append(all, now.only)
	}
	for _, host := range slices.Sorted(maps.Keys(now.apis)) {
		all = append(all, now.apis[host])
	}
	return all
}

// of returns the API that a request to a host is for, or nil.
func (now *setup) of(host string) *api {
	if now.only != nil {
		return now.only
	}
	return now.apis[strings.TrimSuffix(strings.ToLower(hostOf(host)), ".")]
}

// certified returns a request with the certificate of the client whose request it is: what a
// trusted peer has passed on, where one does, or else that of the connection, if that is the
// client's own.
func (now *setup) certified(r *http.Request, request guard.Request) guard.Request {
	if name := now.file.ClientCertificate; name != "" {
		request.Certificate = nil
		if value, ok := single(r.Header, http.CanonicalHeaderKey(name)); ok && now.trusts(r) {
			request.Certificate, _ = guard.ForwardedCertificate(value)
		}
	} else if now.file.Mode != guardfile.ModeProxy {
		request.Certificate = nil // the connection is the proxy's
	}
	return request
}

// trusts reports whether a peer may say which request is judged, or who the client is.
func (now *setup) trusts(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return now.file.Mode != guardfile.ModeProxy && strings.HasPrefix(now.file.Listen, "unix:") // a peer of the socket, which its owner chose
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	address = address.Unmap().WithZone("")
	return slices.ContainsFunc(now.trusted, func(network netip.Prefix) bool { return network.Contains(address) })
}

// fetchKeys fetches the keys that guards do not have yet, within a bounded time.
func (now *setup) fetchKeys(ctx context.Context, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, firstKeys)
	defer cancel()
	var wait sync.WaitGroup
	for _, a := range now.all() {
		wait.Go(func() {
			if err := a.guard.Ready(ctx); err != nil && ctx.Err() == nil {
				log.Warn("no keys yet", "host", a.settings.Host, "error", err)
			}
		})
	}
	wait.Wait()
}

const firstKeys = 5 * time.Second

// end ends what the setup has started.
func (now *setup) end() { now.endUnlike(nil) }

// endUnlike ends what the setup has started and another one does not use.
func (now *setup) endUnlike(other *setup) {
	for _, a := range now.all() {
		if !slices.ContainsFunc(other.all(), func(b *api) bool { return b.guard == a.guard }) {
			a.guard.cancel()
		}
		if a.upstream != nil {
			a.upstream.transport.CloseIdleConnections()
		}
	}
}

// follow reads the settings again when a file of theirs has changed. A file is taken when two
// looks in a row found the same in it: one that is being written is not whole.
func (s *Server) follow(ctx context.Context) {
	look := time.NewTicker(s.cfg.Look)
	defer look.Stop()
	var last map[string][]byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		seen := s.sources()
		if maps.EqualFunc(seen, s.current.Load().sources, bytes.Equal) {
			last = seen
			s.settle("")
			continue
		}
		if settled := maps.EqualFunc(seen, last, bytes.Equal); settled && !s.tried(seen) {
			s.reload(ctx)
		}
		last = seen
	}
}

// sources reads the files of the settings in use. One that cannot be read is empty.
func (s *Server) sources() map[string][]byte {
	all := map[string][]byte{}
	for name := range s.current.Load().sources {
		if name == s.cfg.File {
			all[name], _ = readLimited(name) // what is wrong is said when it is read to be used
			continue
		}
		all[name], _ = os.ReadFile(name)
	}
	return all
}

// tried reports whether these settings were found wrong before, and notes them.
func (s *Server) tried(seen map[string][]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrong != nil && maps.EqualFunc(seen, s.wrong, bytes.Equal) {
		return true
	}
	s.wrong = seen
	return false
}

// settle notes why the newest settings are not used; empty if they are.
func (s *Server) settle(problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem = problem; problem == "" {
		s.wrong = nil
	}
}

// unused says why the newest settings are not used; empty if they are.
func (s *Server) unused() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

// reload takes the settings as they are now, or keeps those from before and says why.
func (s *Server) reload(ctx context.Context) {
	next, err := s.read()
	if err == nil {
		err = sameAddresses(s.current.Load().file, next.file)
	}
	if err == nil {
		err = s.apply(ctx, next)
	}
	if err != nil {
		s.settle(fix.InOneLine(err))
		s.metrics.reloads.failed.Add(1)
		s.log.Error("the new settings are not used, those from before stay", "file", s.cfg.File, "error", fix.InOneLine(err))
		return
	}
	s.settle("")
	s.metrics.reloads.done.Add(1)
	s.log.Info("settings read again", "file", s.cfg.File)
}

// sameAddresses refuses settings that count only at the start.
func sameAddresses(old, next *guardfile.File) error {
	tls := func(f *guardfile.File) guardfile.TLS {
		if f.TLS == nil {
			return guardfile.TLS{}
		}
		return *f.TLS
	}
	for _, member := range []struct {
		name string
		same bool
	}{{"listen", old.Listen == next.Listen}, {"tls", tls(old) == tls(next)}, {"ops", old.Ops == next.Ops}, {"stateDir", old.StateDir == next.StateDir}} {
		if !member.same {
			return &incomplete{member.name + " is another one, which counts only at the start", "start the guard again to change it"}
		}
	}
	return nil
}

// An incomplete is something that the settings lack, and what to do about it.
type incomplete struct{ what, fix string }

func (e *incomplete) Error() string { return e.what }

// Fix says what to do.
func (e *incomplete) Fix() string { return e.fix }
