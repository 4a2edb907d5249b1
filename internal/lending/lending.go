package lending

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/runas"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

// A Config says which server lends, and to whom.
type Config struct {
	Name      string              // of the server, as people call it
	Tenant    *directory.Tenant   // of whoever is signed in
	Finder    lookup.Finder       // in that tenant
	Client    *graphclient.Client // with the token of whoever is signed in
	Endpoints server.Endpoints    // Authority, Graph and CABundle, which is empty where the system trusts the server
	Dir       string              // of this machine, for what concerns this server
	// User is the principal name of the user who is signed in; empty: it is an application.
	User string
	// UserToken gets a token of that user.
	UserToken func(ctx context.Context, scopes ...string) (azcore.AccessToken, error)
	ArcFolder string // in place of the one folder where clients of Azure Arc look; empty: that one
	Say       func(string)
	Now       func() time.Time
	Log       *slog.Logger // nil means discard
}

// A Server is elsewhere, and lends what programs of this machine need.
type Server struct{ cfg Config }

var _ runas.Source = (*Server)(nil)

// New returns a server that lends.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Tenant == nil || cfg.Finder == nil || cfg.Client == nil:
		return nil, errors.New("lending: Tenant, Finder or Client is missing")
	case cfg.Dir == "":
		return nil, errors.New("lending: Dir is missing")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Say == nil {
		cfg.Say = func(string) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg}, nil
}

// An Error says what the server does not lend, and what to do.
type Error struct{ what, fix string }

func (e *Error) Error() string { return e.what }

// Fix says what to do next.
func (e *Error) Fix() string { return e.fix }

func refused(fix, format string, args ...any) error { return &Error{fmt.Sprintf(format, args...), fix} }

// Endpoints are where the server is.
func (s *Server) Endpoints() server.Endpoints { return s.cfg.Endpoints }

// Graph calls the server's Graph as whoever is signed in.
func (s *Server) Graph() *graphclient.Client { return s.cfg.Client }

// Dir is the folder for files that outlive a program.
func (s *Server) Dir() string { return s.cfg.Dir }

// Credentials issues temporary credentials through the server's Graph.
func (s *Server) Credentials(purpose string, holder *tempcred.Holder) runas.Credentials {
	return tempcred.Remote{
		Client: s.cfg.Client, Server: s.cfg.Name, Machine: machine(), Dir: s.cfg.Dir, Purpose: purpose, Now: s.cfg.Now, Holder: holder,
	}
}

// machine is what this machine is called, so that others see whose a credential is.
func machine() string {
	const most = 60
	name, err := os.Hostname()
	if err != nil {
		return "another machine"
	}
	name, _, _ = strings.Cut(name, ".")
	return name[:min(len(name), most)]
}

// FindActor finds whoever a program can be run as.
func (s *Server) FindActor(ctx context.Context, tenant, ref string) (lookup.Actor, error) {
	if tenant != "" && !s.isTenant(tenant) {
		return lookup.Actor{}, refused("leave out --tenant, or sign in to a server in that tenant",
			"the sign-in at %s is in the tenant %s, and not in %s", s.cfg.Name, s.cfg.Tenant.Name, tenant)
	}
	found, err := s.cfg.Finder.FindPrincipal(ctx, ref)
	switch {
	case err != nil:
		return lookup.Actor{}, err
	case found.User != nil:
		return s.user(found.User)
	}
	actor := lookup.Actor{Tenant: s.cfg.Tenant, Instance: &directory.Instance{Principal: found.Service}}
	if found.Service.Type == directory.PrincipalManagedIdentity {
		return actor, s.completeIdentity(ctx, found.Service)
	}
	app, err := s.cfg.Finder.FindApplication(ctx, string(found.Service.AppID))
	if err != nil {
		return lookup.Actor{}, err
	}
	actor.Application = app.Application
	return actor, nil
}

func (s *Server) isTenant(ref string) bool {
	t := s.cfg.Tenant
	return strings.EqualFold(ref, string(t.ID)) || strings.EqualFold(ref, t.Name) ||
		slices.ContainsFunc(t.Domains, func(domain string) bool { return strings.EqualFold(ref, domain) })
}

// user is whoever is signed in: nobody is another user from afar.
func (s *Server) user(user *directory.User) (lookup.Actor, error) {
	switch {
	case s.cfg.User == "" || s.cfg.UserToken == nil:
		return lookup.Actor{}, refused("sign in as that user, or run it on the server's machine",
			"%s is a user, and an application is signed in at %s: from afar, a program can be only the user who is signed in", user.PrincipalName, s.cfg.Name)
	case !strings.EqualFold(s.cfg.User, user.PrincipalName):
		return lookup.Actor{}, refused("act as yourself, or run it on the server's machine",
			"%s is another user than %s, who is signed in at %s: from afar, a program can be only the user who is signed in", user.PrincipalName, s.cfg.User, s.cfg.Name)
	}
	tool := &directory.Instance{Principal: &directory.ServicePrincipal{Tenant: s.cfg.Tenant.ID, AppID: launch.AzureCLI}}
	return lookup.Actor{Tenant: s.cfg.Tenant, Instance: tool, User: user}, nil
}

// completeIdentity reads what is particular to managed identities: which kind it is, and its id in
// the resource manager.
func (s *Server) completeIdentity(ctx context.Context, p *directory.ServicePrincipal) error {
	var more struct {
		Names []string `json:"alternativeNames"`
	}
	if err := s.cfg.Client.Get(ctx, "servicePrincipals/"+string(p.ID)+"?$select=alternativeNames", &more); err != nil {
		return err
	}
	p.IdentityKind = directory.IdentitySystem
	for _, name := range more.Names {
		switch {
		case strings.EqualFold(name, "isExplicit=True"):
			p.IdentityKind = directory.IdentityUser
		case strings.HasPrefix(name, "/"):
			p.ResourceID = name
		}
	}
	return nil
}

// Token gets a token of a managed identity, or of the user who is signed in.
func (s *Server) Token(ctx context.Context, actor lookup.Actor, scopes ...string) (azcore.AccessToken, error) {
	if actor.User != nil {
		return s.cfg.UserToken(ctx, scopes...)
	}
	resource := strings.TrimSuffix(strings.Join(scopes, " "), "/.default")
	lent, err := s.cfg.Client.IdentityToken(ctx, string(actor.Principal.ID), graphclient.IdentityTokenRequest{Resource: resource})
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return azcore.AccessToken{Token: lent.Token, ExpiresOn: lent.Expires}, nil
}

// identity finds one by its name or any of its ids, if whoever is signed in may have its tokens.
func (s *Server) identity(ctx context.Context, ref string) (*directory.Instance, error) {
	actor, err := s.FindActor(ctx, "", ref)
	switch {
	case err != nil:
		return nil, err
	case !actor.IsIdentity():
		return nil, refused("name a managed identity", "%s is no managed identity", cmp.Or(actor.Name(), ref))
	}
	if err := s.cfg.Client.MayHaveTokens(ctx, string(actor.Principal.ID)); err != nil {
		return nil, fmt.Errorf("run as %s of %s: %w", actor.Name(), s.cfg.Name, err)
	}
	return actor.Instance, nil
}
