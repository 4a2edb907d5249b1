package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// Input is a token, and what it is checked against.
type Input struct {
	Token string
	// API is the name, app id or identifier URI of the API that was called. Empty means
	// the one that the token is for.
	API string
	// Roles are those that the API requires, any of them. Empty means any role of the API
	// that applications may hold.
	Roles     []string
	Directory *directory.Directory // required
	Authority string               // required: the authority host
	HTTP      *http.Client         // required: reaches the authority
	Now       func() time.Time     // nil means time.Now
}

// subject is who and what a token names, as the directory knows them. Nothing in it is proven.
type subject struct {
	claims   claims
	tenant   *directory.Tenant
	api      *directory.Instance // nil when it is not registered
	client   *directory.Instance // nil when there is none; an application or a managed identity
	user     *directory.User     // on whose behalf the client acts; nil when nobody, or unknown
	required []string            // roles, any of them
	builtin  *directory.Builtin  // what the API is, when it is one that nobody registers
}

// Token explains whether an API accepts a token, and why.
func Token(ctx context.Context, in Input) (*Report, error) {
	in.Token = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(in.Token), "Bearer "))
	s, err := in.subject(ctx)
	if err != nil {
		return nil, err
	}
	report := &Report{API: nameOf(s.api, s.claims.audience), Client: nameOf(s.client, s.claims.client), User: s.userName()}
	texts, err := in.guardSteps(ctx, s, report)
	if err != nil {
		return nil, err
	}
	f, err := in.facts(ctx, s)
	if err != nil {
		return nil, err
	}
	report.conclude()
	f.report(report)
	report.Fix = fix(report, f, texts)
	report.Note = s.note()
	return report, nil
}

// note tells of a service that is not here. Which roles count there, its own access control
// decides, not the token.
func (s *subject) note() string {
	if s.builtin == nil {
		return ""
	}
	return fmt.Sprintf("%s is one of Microsoft's own resources: the token is issued here, but the service that reads it is another's, such as an emulator, and decides by itself what the client may do.", s.builtin.Name)
}

func nameOf(c *directory.Instance, otherwise string) string {
	switch {
	case c == nil:
		return otherwise
	case c.Application != nil:
		return cmp.Or(c.Application.Name, c.Application.DisplayName)
	}
	return c.Principal.Name
}

func (s *subject) userName() string {
	if s.user != nil {
		return s.user.PrincipalName
	}
	return s.claims.user
}

// subject finds what a token names. It trusts every claim: the guard's checks say which of
// them deserve it.
func (in *Input) subject(ctx context.Context) (*subject, error) {
	s := &subject{claims: readClaims(in.Token)}
	tenants, err := in.tenants(ctx, s.claims.tenant)
	if err != nil {
		return nil, err
	}
	if s.tenant, s.api, err = in.api(ctx, tenants, s.claims.audience); err != nil {
		return nil, err
	}
	if b, is := directory.FindBuiltin(s.claims.audience); is && s.api != nil && s.api.Application.AppID == b.AppID {
		s.builtin = &b
	}
	s.client, err = in.Directory.Instance(ctx, s.tenant.ID, directory.AppID(s.claims.client))
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return nil, err
	}
	if s.claims.user != "" {
		s.user, err = in.Directory.User(ctx, s.tenant.ID, s.claims.user)
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			return nil, err
		}
	}
	s.required = in.Roles
	if len(s.required) == 0 && s.api != nil {
		for _, role := range s.api.Application.AppRoles {
			if role.Enabled && role.Allows(directory.MemberApplication) {
				s.required = append(s.required, role.Value)
			}
		}
	}
	return s, nil
}

// tenants returns all tenants, the one that the token names first.
func (in *Input) tenants(ctx context.Context, id string) ([]*directory.Tenant, error) {
	tenants, err := in.Directory.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	if len(tenants) == 0 {
		return nil, fmt.Errorf("explain a token: the directory has no tenants: %w", directory.ErrNotFound)
	}
	tenants = slices.Clone(tenants)
	if i := slices.IndexFunc(tenants, func(t *directory.Tenant) bool { return string(t.ID) == id }); i > 0 {
		tenants[0], tenants[i] = tenants[i], tenants[0]
	}
	return tenants, nil
}

// api returns the API that was called, with its tenant: the one named in the input, which must
// exist, or else the token's audience, which is nil when it is not registered.
func (in *Input) api(ctx context.Context, tenants []*directory.Tenant, audience string) (*directory.Tenant, *directory.Instance, error) {
	if in.API == "" {
		api, err := found(in.Directory.Resource(ctx, tenants[0].ID, audience))
		return tenants[0], api, err
	}
	var missing error
	for _, tenant := range tenants {
		app, err := in.Directory.View(ctx).Applications().Find(tenant.ID, in.API)
		if errors.Is(err, directory.ErrNotFound) {
			missing = cmp.Or(missing, fmt.Errorf("find the API: %w", err))
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		api, err := in.Directory.Instance(ctx, tenant.ID, app.AppID)
		return tenant, api, err
	}
	return nil, nil, missing
}

// found returns nil for ErrNotFound and for a managed identity, which is not an application.
func found(c *directory.Instance, err error) (*directory.Instance, error) {
	if errors.Is(err, directory.ErrNotFound) || err == nil && c.Application == nil {
		return nil, nil
	}
	return c, err
}

// guardSteps adds the checks of a guard that is configured as the API's should be, and returns
// the guard's advice by step.
func (in *Input) guardSteps(ctx context.Context, s *subject, report *Report) (advice map[string]string, err error) {
	ctx, cancel := context.WithCancel(ctx) // ends the guard
	defer cancel()
	g, err := guard.New(ctx, guard.Config{
		Authority: in.Authority + "/" + string(s.tenant.ID), Audience: s.audience(), HTTPClient: in.HTTP, Now: in.Now, CacheBytes: -1,
	})
	if err != nil {
		return nil, err
	}
	advice = map[string]string{}
	for _, step := range g.Explain(ctx, in.Token, s.rule()) {
		report.Steps = append(report.Steps, Step{
			Name: step.Name, Outcome: Outcome(step.Outcome), Reason: string(step.Reason), Detail: step.Detail,
		})
		advice[step.Name] = step.Fix
	}
	return advice, nil
}

// rule is what the API asks of the token. A service of Microsoft's asks for no role: it has
// access control of its own.
func (s *subject) rule() guard.Rule {
	if s.builtin != nil && guid.Is(s.claims.client) {
		return guard.Rule{Clients: []string{s.claims.client}, Caller: guard.CallerAny}
	}
	return guard.Rule{Roles: s.required, Caller: guard.CallerApplication}
}

// audience is what the API accepts: its app id and identifier URIs. For an API that is not
// registered, only the token says.
func (s *subject) audience() []string {
	if s.api == nil {
		if s.claims.audience == "" || strings.ContainsFunc(s.claims.audience, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return []string{"unknown"}
		}
		return []string{s.claims.audience}
	}
	app := s.api.Application
	if s.builtin != nil { // which may be that of an account
		return append([]string{string(app.AppID), s.claims.audience}, app.IdentifierURIs...)
	}
	return append([]string{string(app.AppID), "api://" + string(app.AppID)}, app.IdentifierURIs...)
}

// claims are those claims of a token that name someone.
type claims struct {
	audience, client, tenant string
	user                     string // object id, in a token issued on behalf of a user
	roles                    []string
	issued                   time.Time
}

// readClaims reads what it can, and verifies nothing.
func readClaims(raw string) claims {
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return claims{}
	}
	text := func(names ...string) string {
		for _, name := range names {
			value, _ := parsed.Claims.Get(name)
			if s, ok := value.String(); ok {
				return s
			}
		}
		return ""
	}
	c := claims{audience: text("aud"), client: text("azp", "appid"), tenant: text("tid")}
	if text("scp") != "" || text("idtyp") == "user" {
		c.user = text("oid")
	}
	if value, ok := parsed.Claims.Get("roles"); ok {
		c.roles, _ = value.Strings()
	}
	if value, ok := parsed.Claims.Get("iat"); ok {
		if seconds, ok := value.Integer(); ok {
			c.issued = time.Unix(seconds, 0)
		}
	}
	return c
}
