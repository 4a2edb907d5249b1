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
	"github.com/rolecall-auth/rolecall/internal/guardfile"
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
	Public    bool                 // the authority host is one of Microsoft's own names
	HTTP      *http.Client         // required: reaches the authority
	Now       func() time.Time     // nil means time.Now
	// Guard are the API's own settings. Nil means what they should be by its registration.
	Guard *guardfile.API
	// SignIns reads sign-ins. Nil means those that the directory has.
	SignIns func(context.Context, directory.SignInFilter) ([]directory.SignIn, error)
	// Within is the one tenant of which something is told. Nil means all.
	Within *directory.Tenant
}

// subject is who and what a token names, as the directory knows them. Nothing in it is proven.
type subject struct {
	claims   claims
	tenant   *directory.Tenant
	api      *directory.Instance   // nil when it is not registered
	client   *directory.Instance   // nil when there is none; an application or a managed identity
	user     *directory.User       // on whose behalf the client acts; nil when nobody, or unknown
	required []string              // roles, any of them
	named    bool                  // the roles were named, and are not all that the API has
	several  bool                  // other tenants have a principal with the client's name
	stranger bool                  // the token is of another tenant than the one of which something is told
	revoked  *directory.Revocation // what was taken away that the token says still; nil if nothing was
	builtin  *directory.Builtin    // what the API is, when it is one that nobody registers
}

// Token explains whether an API accepts a token, and why.
func Token(ctx context.Context, in Input) (*Report, error) {
	in.Token = bare(in.Token)
	if in.Now == nil {
		in.Now = time.Now
	}
	if in.SignIns == nil {
		in.SignIns = in.Directory.SignIns
	}
	if err := in.settle(ctx); err != nil {
		return nil, err
	}
	s, err := in.subject(ctx)
	if err != nil {
		return nil, err
	}
	report := &Report{API: nameOf(s.api, s.claims.audience), Client: nameOf(s.client, s.claims.client), User: s.userName(), Tenant: s.tenant.Name}
	texts, err := in.guardSteps(ctx, s, report)
	if err != nil {
		return nil, err
	}
	f, err := in.facts(ctx, s)
	if err != nil {
		return nil, err
	}
	report.conclude()
	switch {
	case !s.claims.read:
		garbageReport(report, in.Token)
		return report, nil
	case s.stranger:
		f.strangerReport(report)
		return report, nil
	case report.Reason == string(guard.IssuerUnknown) && !strings.HasPrefix(s.claims.issuer, in.Authority+"/"):
		f.foreignReport(report, in.Authority)
		return report, nil
	}
	f.report(report)
	report.Fix = fix(report, f, texts)
	report.Verdict = f.verdict(report)
	in.settingsAtFault(f, report)
	report.Note = s.note(in.Public)
	if report.Hints, err = f.howChosen(ctx, in.Directory, in.SignIns); err != nil {
		return nil, err
	}
	if s.revoked != nil && report.Reason != string(guard.TokenRevoked) {
		report.Hints = append(report.Hints, s.wasRevoked()+": an API that follows revocations refuses the token, and others accept it until it ends.")
	}
	if report.Accepted && in.API == "" {
		report.Hints = append(report.Hints, "Did another API refuse it? rolecall explain --api NAME -")
	}
	return report, nil
}

// note tells of a service that is not here. Which roles count there, its own access control
// decides, not the token.
func (s *subject) note(public bool) string {
	switch {
	case s.builtin == nil && public:
		return "The token was issued here under Microsoft's own names, as `rolecall run --public-names` has it: an API accepts it that runs in that way too, and trusts those names."
	case s.builtin == nil:
		return ""
	case s.builtin.AppID == directory.SelfAppID:
		return "The token is for Rolecall itself: with it the API's own application reads revocations (guard.Revocations)."
	}
	return fmt.Sprintf("%s is one of Microsoft's own resources: the token is issued here, but the service that reads it is another's, such as an emulator, and decides by itself what the client may do.", s.builtin.Name)
}

func nameOf(c *directory.Instance, otherwise string) string {
	switch {
	case c == nil:
		return otherwise
	case c.Application != nil:
		return c.Application.Called()
	}
	return c.Principal.Called()
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
	if in.isStranger(s.claims) {
		s.tenant, s.stranger = in.Within, true
		return s, nil
	}
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
	s.require(in.Roles)
	if s.revoked, err = in.revocation(ctx, s); err != nil {
		return nil, err
	}
	s.several = s.client != nil && s.client.Principal != nil && isIn(in.Directory.View(ctx), tenants[1:], s.client.Principal.Called())
	return s, nil
}

// require notes the roles of which the API requires one: those that were named, or else all of
// its that applications may hold.
func (s *subject) require(named []string) {
	s.required, s.named = named, len(named) > 0
	if s.named || s.api == nil {
		return
	}
	for _, role := range s.api.Application.AppRoles {
		if isUsable(role) {
			s.required = append(s.required, role.Value)
		}
	}
}

func isUsable(role directory.AppRole) bool {
	return role.Enabled && role.Allows(directory.MemberApplication)
}

// isIn reports whether a principal of that name is in one of the tenants, so that the name
// alone does not say whom a command is about.
func isIn(v *directory.View, tenants []*directory.Tenant, name string) bool {
	return slices.ContainsFunc(tenants, func(t *directory.Tenant) bool {
		_, err := v.ServicePrincipals().Find(t.ID, name)
		return err == nil
	})
}

// isStranger reports whether a token is of a tenant of which nothing is told.
func (in *Input) isStranger(c claims) bool {
	return in.Within != nil && c.read && !strings.EqualFold(c.tenant, string(in.Within.ID))
}

// tenants returns all tenants of which something is told, the one that the token names first.
func (in *Input) tenants(ctx context.Context, id string) ([]*directory.Tenant, error) {
	if in.Within != nil {
		return []*directory.Tenant{in.Within}, nil
	}
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
	cfg, rules := in.guardConfig(s)
	g, err := guard.New(ctx, cfg)
	if err != nil && in.Guard != nil {
		return nil, &SettingsError{err}
	}
	if err != nil {
		return nil, err
	}
	advice = map[string]string{}
	for _, step := range explainedBy(ctx, g, in.Token, rules) {
		report.Steps = append(report.Steps, Step{
			Name: checkName(step.Name), Outcome: Outcome(step.Outcome), Reason: string(step.Reason), Detail: step.Detail,
		})
		advice[checkName(step.Name)] = step.Fix
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
	read                     bool // it is a token, whoever made it
	issuer                   string
	audience, client, tenant string
	tokenID                  string // uti
	user                     string // object id, in a token issued on behalf of a user
	principal                string // object id
	binding                  string // the member of cnf; empty: none
	roles, scopes            []string
	issued, expires          time.Time // zero when not said
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
	date := func(name string) time.Time {
		value, _ := parsed.Claims.Get(name)
		if seconds, ok := value.Integer(); ok {
			return time.Unix(seconds, 0)
		}
		return time.Time{}
	}
	c := claims{
		read: true, issuer: text("iss"), audience: text("aud"), client: text("azp", "appid"), tenant: text("tid"), tokenID: text("uti"),
		issued: date("iat"), expires: date("exp"), principal: text("oid"),
	}
	c.scopes = strings.Fields(text("scp"))
	if text("scp") != "" || text("idtyp") == "user" {
		c.user = text("oid")
	}
	if value, ok := parsed.Claims.Get("cnf"); ok {
		if members, ok := value.Object(); ok && members.Len() == 1 {
			c.binding = members.Names()[0]
		}
	}
	if value, ok := parsed.Claims.Get("roles"); ok {
		c.roles, _ = value.Strings()
	}
	return c
}
