package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/rolecall-auth/rolecall/internal/adminconsent"
	"github.com/rolecall-auth/rolecall/internal/arm"
	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graph"
)

// A publicPlan is a row of the table of Microsoft's own names. They are answered on the admin
// socket alone: whoever may speak to that decides who is led here by them.
type publicPlan struct {
	name  string
	hosts func(origin.Cloud) []string
	build func(*publicNames, *names) (http.Handler, error)
}

// publicPlans is the table, in the order in which it is built: the authority first, because the
// others use it.
func publicPlans() []publicPlan {
	return []publicPlan{
		{authoritySurface, origin.Cloud.LoginHosts, (*publicNames).buildAuthority},
		{"graph", origin.Cloud.GraphHosts, (*publicNames).buildGraph},
		{"resource manager", origin.Cloud.ManagerHosts, (*publicNames).buildManager},
		{"consent of an administrator", origin.Cloud.PortalHosts, (*publicNames).buildPortal},
	}
}

// names are what the server answers under: its own, or those of one of Microsoft's clouds.
type names struct {
	origin    origin.Origin // zero: the authority's own
	authority *authority.Authority
	handler   answering
	graph     *graph.API
	manager   *arm.Manager
	portal    *adminconsent.Portal
}

// publicNames are the names of the clouds that somebody has asked for, made when they are.
type publicNames struct {
	server *Server
	making sync.WaitGroup // keys, in the background

	mu    sync.Mutex
	built map[origin.Cloud]*names // guarded by mu
}

// named returns the names of a cloud, or the server's own if the cloud is empty.
func (p *publicNames) named(cloud string) (*names, error) {
	if cloud == "" {
		return &names{authority: p.server.authority}, nil
	}
	known, err := origin.ParseCloud(cloud)
	if err != nil {
		return nil, refused("name one of them with --cloud", "%v", err)
	}
	return p.of(known)
}

// of returns the names of a cloud.
func (p *publicNames) of(cloud origin.Cloud) (*names, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, ok := p.built[cloud]; ok {
		return n, nil
	}
	at, err := origin.Public(cloud)
	if err != nil {
		return nil, err
	}
	under, err := p.server.authority.At(at)
	if err != nil {
		return nil, err
	}
	n := &names{origin: at, authority: under, handler: answering{byHost: map[string]http.Handler{}, byDefault: http.NotFoundHandler()}}
	for _, plan := range publicPlans() {
		handler, err := plan.build(p, n)
		if err != nil {
			return nil, err
		}
		for _, host := range plan.hosts(cloud) {
			n.handler.byHost[host] = handler
		}
	}
	if p.built == nil {
		p.built = map[origin.Cloud]*names{}
	}
	p.built[cloud] = n
	return n, nil
}

func (p *publicNames) buildAuthority(n *names) (http.Handler, error) {
	return p.server.faults.Authority(n.authority.Handler()), nil
}

func (p *publicNames) buildGraph(n *names) (http.Handler, error) {
	s := p.server
	var err error
	n.graph, err = graph.New(graph.Config{
		Authority: n.origin.BaseURL, URL: "https://" + n.origin.Cloud().GraphHosts()[0], Directory: s.data.Directory,
		HTTPClient: &http.Client{Transport: overAdmin(s.adminPath)}, Minter: n.authority, Explainer: s.explainer(), Now: s.cfg.Now, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	return n.graph.Handler(), nil
}

func (p *publicNames) buildManager(n *names) (http.Handler, error) {
	s := p.server
	var err error
	cfg := arm.Config{
		Directory: s.data.Directory, HTTPClient: &http.Client{Transport: overAdmin(s.adminPath)}, Now: s.cfg.Now, Log: s.log,
	}
	for _, cloud := range origin.Clouds() {
		if described := describe(cloud); cloud == n.origin.Cloud() {
			cfg.Cloud = described
		} else {
			cfg.Others = append(cfg.Others, described)
		}
	}
	n.manager, err = arm.New(cfg)
	if err != nil {
		return nil, err
	}
	return n.manager.Handler(), nil
}

func (p *publicNames) buildPortal(n *names) (http.Handler, error) {
	s := p.server
	var err error
	n.portal, err = adminconsent.New(adminconsent.Config{
		Authority: n.origin.BaseURL, Directory: s.data.Directory, HTTPClient: &http.Client{Transport: overAdmin(s.adminPath)}, Now: s.cfg.Now, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	return n.portal.Handler(), nil
}

// describe is what the metadata say of one of Microsoft's clouds, as that cloud's own do.
func describe(cloud origin.Cloud) arm.Cloud {
	return arm.Cloud{
		Name: string(cloud), Login: "https://" + cloud.LoginHosts()[0], Manager: "https://" + cloud.ManagerHosts()[0] + "/",
		Audience: cloud.ManagerAudience(), Graph: cloud.GraphResource(),
	}
}

// close ends what the names began.
func (p *publicNames) close() {
	p.making.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.built {
		n.graph.Close()
		n.manager.Close()
		n.portal.Close()
	}
}

// answer answers requests to Microsoft's names on the admin socket, and leaves the others to
// its own handler. All come from this machine, wherever the program is.
func (p *publicNames) answer(own http.Handler) http.Handler {
	clouds := map[string]origin.Cloud{}
	for _, cloud := range origin.Clouds() {
		for _, host := range cloud.Hosts() {
			clouds[host] = cloud
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cloud, ok := clouds[r.Host]
		if !ok {
			own.ServeHTTP(w, r)
			return
		}
		n, err := p.of(cloud)
		if err != nil {
			refuse(w, err)
			return
		}
		r.RemoteAddr = "127.0.0.1:0"
		n.handler.handler().ServeHTTP(w, r)
	})
}

// A PublicRequest asks for Microsoft's names of a cloud, for programs of a tenant.
type PublicRequest struct {
	Cloud  string `json:"cloud"`  // as the Azure CLI names it
	Tenant string `json:"tenant"` // its id
}

// PublicState is what the server answers under Microsoft's names.
type PublicState struct {
	Cloud     string   `json:"cloud"`
	Authority string   `json:"authority"` // the URL of the authority
	Hosts     []string `json:"hosts"`     // all names that are answered, the authority's first
}

// open gets ready to answer under a cloud's names: the tenant's keys are made in the
// background, for they take time, and who needs them first waits for them.
func (p *publicNames) open(ctx context.Context, req PublicRequest) (PublicState, error) {
	cloud, err := origin.ParseCloud(req.Cloud)
	if err != nil {
		return PublicState{}, refused("name one of them with --cloud", "%v", err)
	}
	n, err := p.of(cloud)
	if err != nil {
		return PublicState{}, err
	}
	tenant, err := p.server.tenantOf(ctx, req.Tenant)
	if err != nil {
		return PublicState{}, err
	}
	p.making.Go(func() { p.ensure(context.WithoutCancel(ctx), n.origin, tenant.ID) })
	return PublicState{Cloud: string(cloud), Authority: n.origin.BaseURL, Hosts: cloud.Hosts()}, nil
}

// ensure makes the keys of a tenant.
func (p *publicNames) ensure(ctx context.Context, at origin.Origin, tenant directory.TenantID) {
	s := p.server
	if err := s.data.Keys.Ensure(ctx, at.KeyRing(string(tenant))); err != nil {
		s.log.WarnContext(ctx, "make the keys of public names", "tenant", tenant, "cloud", at.Cloud(), "error", err)
	}
}

// OpenPublic asks the server that runs on a data folder to answer under Microsoft's names.
func OpenPublic(ctx context.Context, dir string, req PublicRequest) (PublicState, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return PublicState{}, fmt.Errorf("encode the request for public names: %w", err)
	}
	return askAdmin[PublicState](ctx, dir, http.MethodPost, "/public", bytes.NewReader(body))
}

// PublicTransport carries requests to Microsoft's names to the server that runs on a data folder.
// Their URLs are https, and TLS has ended before.
func PublicTransport(dir string) (*http.Transport, error) {
	path, err := adminPath(dir)
	if err != nil {
		return nil, err
	}
	return overAdmin(path), nil
}

// overAdmin speaks plainly to an admin socket, whatever the URL.
func overAdmin(path string) *http.Transport {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &http.Transport{DialContext: dial, DialTLSContext: dial, MaxIdleConnsPerHost: publicIdle, DisableCompression: true}
}

// publicIdle is how many connections are kept to answer under public names. More requests at once
// than that open others.
const publicIdle = 64
