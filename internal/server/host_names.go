package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
	"github.com/rolecall-auth/rolecall/internal/publicnames"
)

// publicFolder is where the data folder has what programs of hosts must trust for Microsoft's
// names: certificates, without their keys.
const publicFolder = "public-names"

// publicCAFile has the certificate of the names, in the folder of one host and cloud.
const publicCAFile = "ca.pem"

// hostNames lead the programs of a host here by Microsoft's names of a cloud. They have an endpoint
// of their own at the host's address, whose tokens have the public issuers and which is their proxy
// too. Programs that know the host's own endpoint notice nothing of it.
type hostNames struct {
	known    *HostNames // what its programs need to know
	endpoint *managedidentity.Endpoint
	proxy    *publicnames.Proxy
	gateway  *publicnames.Gateway
	folder   string
}

// HostNames is how the programs of a host come to Microsoft's names.
type HostNames struct {
	PublicState
	Proxy  string   `json:"proxy"`  // its URL, which may hold a credential
	Direct []string `json:"direct"` // names and addresses that are reached without it
	Folder string   `json:"folder"` // with the files, and for others that programs need
	CA     string   `json:"ca"`     // the file with the certificate of the names alone
	Bundle string   `json:"bundle"` // the file with that certificate, the authority's and the system's
}

// NamesOfHost asks the server that runs on a data folder to lead the programs of one of the
// directory's hosts to it by Microsoft's names of a cloud, and tells what they need to know for
// that. Without a tenant, the host is looked for in all.
func NamesOfHost(ctx context.Context, dir, tenant, name, cloud string) (BindingState, error) {
	query := url.Values{"tenant": {tenant}, "name": {name}, "cloud": {cloud}}
	return askAdmin[BindingState](ctx, dir, http.MethodPost, "/host?"+query.Encode(), nil)
}

// openHost leads the programs of a host here, unless it does so already.
func (p *publicNames) openHost(ctx context.Context, req hostRequest) (BindingState, error) {
	cloud, err := origin.ParseCloud(req.cloud)
	if err != nil {
		return BindingState{}, refused("name one of them with --cloud", "%v", err)
	}
	n, err := p.of(cloud)
	if err != nil {
		return BindingState{}, err
	}
	return p.server.withHost(ctx, req, func(host *hostEntry) (BindingState, error) {
		state, err := host.state()
		if err != nil {
			return BindingState{}, err
		}
		public, err := p.open(ctx, PublicRequest{Cloud: string(cloud), Tenant: string(host.Tenant)})
		if err != nil {
			return BindingState{}, err
		}
		names := host.names[cloud]
		if names == nil {
			if names, err = p.server.hosts.openNames(ctx, host, n, public); err != nil {
				return BindingState{}, fmt.Errorf("answer under Microsoft's names for the host %s: %w", host.Name, err)
			}
			if host.names == nil {
				host.names = map[origin.Cloud]*hostNames{}
			}
			host.names[cloud] = names
		}
		state.setHost(names.endpoint)
		state.Names = names.known
		return state, nil
	})
}

// openNames begins to lead a host's programs here.
func (h *hosts) openNames(ctx context.Context, p *hostEntry, n *names, public PublicState) (_ *hostNames, err error) {
	if p.Platform == directory.PlatformServiceFabric {
		return nil, refused("use another platform for the host, such as app-service", "its programs speak TLS to its address, as the platform %s has it, and no program does so to a proxy", p.Platform)
	}
	cfg, err := h.endpointConfig(p)
	if err != nil {
		return nil, err
	}
	say := func(line string) {
		h.log.LogAttrs(ctx, slog.LevelWarn, "public names of a host", slog.String("host", p.Name), slog.String("what", line))
	}
	names := &hostNames{folder: filepath.Join(h.folder, publicFolder, strings.ToLower(fmt.Sprintf("%s-%s-%s", p.Tenant, p.ID, public.Cloud)))}
	defer func() {
		if err != nil {
			err = errors.Join(err, names.close())
		}
	}()
	names.gateway, err = publicnames.NewGateway(publicnames.GatewayConfig{Hosts: public.Hosts, Handler: n.handler.handler(), Say: say, Now: h.now})
	if err != nil {
		return nil, err
	}
	proxy := publicnames.ProxyConfig{
		Gateway: names.gateway, Closed: origin.Cloud(public.Cloud).UnansweredHosts(), Elsewhere: true, Upstream: launch.Upstream(os.Environ()), Say: say,
	}
	if cfg.Owner < 0 || !managedidentity.TellsOwners() { // whose process asks cannot be told
		proxy.Credential = publicnames.NewCredential()
	}
	if names.proxy, err = publicnames.NewProxy(proxy); err != nil {
		return nil, err
	}
	at := netip.MustParseAddrPort(p.Listen).Addr() // the host is open there
	cfg.Listen, cfg.Origin, cfg.Secret, cfg.Proxy = netip.AddrPortFrom(at, 0).String(), n.origin, "", names.proxy
	if names.endpoint, err = h.service.Open(ctx, cfg); err != nil {
		return nil, err
	}
	names.known = &HostNames{
		PublicState: public, Proxy: names.proxy.URLAt(names.endpoint.Address()), Direct: append(slices.Clone(p.Names), at.String()),
		Folder: names.folder, CA: filepath.Join(names.folder, publicCAFile), Bundle: filepath.Join(names.folder, BundleFile),
	}
	if err := names.writeTrust(h.bundle); err != nil {
		return nil, err
	}
	h.log.LogAttrs(ctx, slog.LevelInfo, "host opened under public names", slog.String("host", p.Name), slog.String("listen", names.endpoint.Address()), slog.String("cloud", public.Cloud))
	return names, nil
}

// writeTrust writes the certificates that the programs must trust.
func (n *hostNames) writeTrust(bundle string) error {
	if err := os.MkdirAll(n.folder, 0o700); err != nil {
		return fmt.Errorf("keep the certificate of public names: %w", err)
	}
	others, err := os.ReadFile(bundle)
	if err != nil {
		return fmt.Errorf("read the CA bundle: %w", err)
	}
	own := n.gateway.CA()
	if err := launch.ReplaceFile(n.known.CA, own, 0o644); err != nil {
		return err
	}
	return launch.ReplaceFile(n.known.Bundle, slices.Concat(others, []byte("\n"), own), 0o644)
}

// close ends all that the programs had, and removes the files.
func (n *hostNames) close() error {
	var errs []error
	if n.endpoint != nil {
		errs = append(errs, n.endpoint.Close())
	}
	if n.proxy != nil {
		errs = append(errs, n.proxy.Close())
	}
	if n.gateway != nil {
		errs = append(errs, n.gateway.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(n.folder))...)
}

// closeNames ends the public names of a host.
func (h *hosts) closeNames(ctx context.Context, p *hostEntry) {
	for cloud, names := range p.names {
		if err := names.close(); err != nil {
			h.log.ErrorContext(ctx, "close the public names of a host", "host", p.Name, "cloud", cloud, "error", err)
		}
	}
	p.names = nil
}

// closeAllNames ends the public names of all hosts.
func (h *hosts) closeAllNames(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.entries {
		h.closeNames(ctx, p)
	}
	_ = os.Remove(filepath.Join(h.folder, publicFolder)) // it may not be there, or hold files of others
}

// sweepNames removes the certificates that a server has left which was killed. Their keys ended
// with it.
func sweepNames(cfg Config) error {
	if cfg.Unannounced {
		return nil
	}
	return os.RemoveAll(filepath.Join(cfg.Dir, publicFolder))
}
