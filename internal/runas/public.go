package runas

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/peer"
	"github.com/rolecall-auth/rolecall/internal/publicnames"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// Public says how a program is led here by Microsoft's own host names.
type Public struct {
	Cloud   string   // as the Azure CLI names it; empty means AzureCloud
	Allow   []string // the only other hosts that it can reach
	Offline bool     // it can reach no other host
}

// A publicWay is what leads one program here by Microsoft's names.
type publicWay struct {
	server.PublicState
	folder  string // of the run's files
	gateway *publicnames.Gateway
	proxy   *publicnames.Proxy
}

// openPublic begins to answer for Microsoft's names. It comes first: what the program is given
// depends on the authority's name.
func (e *Environment) openPublic(ctx context.Context) error {
	want := e.cfg.Public
	if want == nil {
		return nil
	}
	here, ok := e.cfg.Source.(Folder)
	if !ok {
		return &usageError{errors.New("only a server on this machine answers Microsoft's names: leave out --public-names, or --server")}
	}
	state, err := server.OpenPublic(ctx, here.Dir(), server.PublicRequest{Cloud: want.Cloud, Tenant: string(e.cfg.Actor.Tenant.ID)})
	if err != nil {
		return fmt.Errorf("answer under Microsoft's names: %w", err)
	}
	next, err := server.PublicTransport(here.Dir())
	if err != nil {
		return err
	}
	gateway, err := publicnames.NewGateway(publicnames.GatewayConfig{Hosts: state.Hosts, Next: next, Say: e.sayLine, Now: e.cfg.Now})
	if err != nil {
		return err
	}
	e.atEnd(func() error { next.CloseIdleConnections(); return nil })
	e.atEnd(gateway.Close)
	folder, err := e.folder()
	e.public = &publicWay{PublicState: state, folder: folder, gateway: gateway}
	return err
}

func (e *Environment) sayLine(line string) { e.say("%s", line) }

// authority is the URL of the authority as the program knows it.
func (e *Environment) authority() string {
	if e.public != nil {
		return e.public.Authority
	}
	return e.cfg.Source.Endpoints().Authority
}

// graph is the URL of Microsoft Graph as the program knows it.
func (e *Environment) graph() string {
	if e.public != nil {
		return publicGraph(e.public.Cloud)
	}
	return e.cfg.Source.Endpoints().Graph
}

// cloud is whose names tokens are issued under; empty: the authority's own.
func (e *Environment) cloud() string {
	if e.public != nil {
		return e.public.Cloud
	}
	return ""
}

// addProxy gives the program the proxy that leads it to Microsoft's names. The metadata service, if
// it has one, is behind it too. In a network of its own the names lead here without one.
func (e *Environment) addProxy(ctx context.Context) error {
	if e.public == nil || e.cfg.Network != nil {
		return nil
	}
	cfg := publicnames.ProxyConfig{
		Gateway: e.public.gateway, Closed: origin.Cloud(e.public.Cloud).UnansweredHosts(), Metadata: e.metadata,
		Allow: e.cfg.Public.Allow, Offline: e.cfg.Public.Offline, Upstream: launch.Upstream(os.Environ()), Say: e.sayLine,
	}
	if peer.Tells() {
		cfg.Admit, e.adopts = admitDescendants, true
	}
	var err error
	if e.public.proxy, err = publicnames.Listen(ctx, cfg); err != nil {
		return err
	}
	e.atEnd(e.public.proxy.Close)
	variables, lost, err := launch.ProxyVariables(e.public.folder, os.Environ(), e.public.proxy.URL(), e.public.Hosts)
	if err != nil {
		return err
	}
	if len(lost) > 0 {
		e.say("left out of NO_PROXY: %s, which would lead the program past this run to Microsoft's names", strings.Join(lost, ", "))
	}
	e.set(variables...)
	return nil
}

// admitDescendants admits the connections of the processes that descend from this one.
func admitDescendants(conn net.Conn) error {
	socket, err := peer.Find(peer.Address(conn.RemoteAddr()), peer.Address(conn.LocalAddr()))
	if err != nil {
		return err
	}
	return peer.CheckDescendant(os.Getpid(), socket)
}

// noteMetadata remembers where the endpoint is that answers in place of the metadata service.
func (e *Environment) noteMetadata(state server.BindingState) error {
	endpoint, err := url.Parse(state.Endpoint)
	if err != nil {
		return fmt.Errorf("read the address of the binding: %w", err)
	}
	e.metadata = endpoint.Host
	return nil
}

// publicBundle is the bundle of the authority with the certificate of the run's own gateway, in a
// folder of the run.
func (e *Environment) publicBundle() (string, error) {
	content, err := os.ReadFile(e.cfg.Source.Endpoints().CABundle)
	if err != nil {
		return "", fmt.Errorf("read the CA bundle: %w", err)
	}
	path := filepath.Join(e.public.folder, server.BundleFile)
	return path, launch.ReplaceFile(path, slices.Concat(content, []byte("\n"), e.public.gateway.CA()), 0o644)
}
