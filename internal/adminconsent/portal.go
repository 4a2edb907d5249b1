package adminconsent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// Config says what a Portal works with.
type Config struct {
	Authority  string               // required: root of the authority
	Directory  *directory.Directory // required
	HTTPClient *http.Client         // required: reaches the authority
	Now        func() time.Time     // nil means time.Now
	Log        *slog.Logger         // nil means discard
}

// A Portal takes consent. It is safe for concurrent use.
type Portal struct {
	cfg   Config
	guard *selfguard.Guard
}

// New checks the configuration and returns a portal.
func New(cfg Config) (*Portal, error) {
	admission, err := selfguard.New(selfguard.Config{
		Authority: cfg.Authority, Audience: []string{string(directory.PortalAppID)},
		Directory: cfg.Directory, HTTPClient: cfg.HTTPClient, Now: cfg.Now,
		WithoutPermissions: true, // who may consent, the directory is asked
	})
	if err != nil {
		return nil, fmt.Errorf("adminconsent: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Portal{cfg, admission}, nil
}

// Close ends the guards and their connections to the authority.
func (p *Portal) Close() { p.guard.Close() }

// Handler serves the request.
func (p *Portal) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/RegisteredApplications/{app}/Consent", p.consent)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		write(w, &problem{http.StatusNotFound, "NotFound", "The portal is not here. Consent to what an application asks for is taken at /api/RegisteredApplications/<app id>/Consent."})
	})
	return mux
}

// A problem is a refusal.
type problem struct {
	status        int
	code, message string
}

func (p *problem) Error() string { return p.code + ": " + p.message }

func (p *Portal) consent(w http.ResponseWriter, r *http.Request) {
	err := p.grant(r.Context(), r.Header, r.PathValue("app"))
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var known *problem
	if !errors.As(err, &known) {
		known = problemOf(err)
	}
	p.cfg.Log.InfoContext(r.Context(), "portal refused a consent", "error", err)
	if known.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer authorization_uri="`+p.cfg.Authority+`/organizations"`)
	}
	write(w, known)
}

// problemOf words an error of the directory. What is not one is no business of the caller's.
func problemOf(err error) *problem {
	var (
		refused *selfguard.Refusal
		rule    *directory.RuleError
		missing *directory.NotFoundError
	)
	switch {
	case errors.As(err, &refused):
		return &problem{http.StatusUnauthorized, "InvalidAuthenticationToken", refused.What}
	case errors.As(err, &rule):
		return &problem{http.StatusBadRequest, "BadRequest", rule.Error()}
	case errors.As(err, &missing):
		return &problem{http.StatusNotFound, "NotFound", text.Line(missing.Error(), 500) + ". " + missing.Fix()}
	case errors.Is(err, directory.ErrForbidden):
		return &problem{http.StatusForbidden, "Forbidden", err.Error()}
	}
	return &problem{http.StatusServiceUnavailable, "ServiceUnavailable", "The directory does not answer at the moment. Try again."}
}

// grant gives an application of the caller's tenant all that it asks for, or nothing.
func (p *Portal) grant(ctx context.Context, header http.Header, ref string) error {
	caller, err := p.guard.Admit(ctx, header, guard.Rule{Caller: guard.CallerAny})
	if err != nil {
		return err
	}
	holder, err := p.guard.Holder(ctx, caller)
	if err != nil {
		return err
	}
	if holder == nil {
		return &problem{http.StatusForbidden, "Forbidden", "The caller is not in the directory any more, or is disabled."}
	}
	if !guid.Is(ref) {
		return &problem{http.StatusBadRequest, "BadRequest", fmt.Sprintf("%s is not an app id.", text.Quote(ref))}
	}
	rights := directory.To(directory.Create, directory.ServicePrincipals) | directory.To(directory.Create, directory.Assignments) |
		directory.Manage(directory.DelegatedGrants)
	_, err = p.cfg.Directory.Change(ctx, holder.Actor(rights), func(e *directory.Editor) error {
		app, err := e.Applications().Find(caller.Tenant.ID, ref)
		if err != nil {
			return err
		}
		graph, err := e.Applications().FindAPI(app.Tenant, string(directory.GraphAppID))
		if err != nil {
			return err
		}
		if err := may(holder, app, graph.AppID); err != nil {
			return err
		}
		client, err := e.ServicePrincipals().Find(app.Tenant, string(app.AppID))
		if errors.Is(err, directory.ErrNotFound) {
			client, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: app.Tenant, AppID: app.AppID})
		}
		if err != nil {
			return err
		}
		for _, asked := range app.Permissions {
			if err := grantOf(e, client, asked); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// grantOf gives a client what it asks of one API.
func grantOf(e *directory.Editor, client *directory.ServicePrincipal, asked directory.Permission) error {
	api, err := e.Applications().FindAPI(client.Tenant, string(asked.API))
	if err != nil {
		return err
	}
	resource, err := e.ServicePrincipals().FindAPI(client.Tenant, api.AppID)
	if err != nil {
		return err
	}
	for _, role := range asked.Roles {
		if _, _, err := e.Assignments().Add(client.Tenant, client.ID, resource.ID, role); err != nil {
			return err
		}
	}
	var scopes []string
	for _, scope := range api.Scopes {
		if slices.Contains(asked.Scopes, scope.ID) {
			scopes = append(scopes, scope.Value)
		}
	}
	if len(scopes) < len(asked.Scopes) {
		return &problem{http.StatusBadRequest, "BadRequest", fmt.Sprintf("%s offers not all the scopes that are asked for. Ask for those that it has.", api.Label())}
	}
	if len(scopes) == 0 {
		return nil
	}
	_, err = e.DelegatedGrants().Add(client.Tenant, client.ID, resource.ID, "", scopes)
	return err
}

// The app roles of Microsoft Graph by which an application grants, as it could do there.
const (
	grantsRoles  = "AppRoleAssignment.ReadWrite.All"
	grantsScopes = "DelegatedPermissionGrant.ReadWrite.All"
)

// userScope is the portal's scope that lets a client act for a user.
const userScope = "user_impersonation"

// may says what a caller lacks to consent to all that an application asks for. An app role of
// Microsoft Graph lets its holder change the directory, so that fewer may consent to one.
func may(h *selfguard.Holder, app *directory.Application, graphID directory.AppID) error {
	var roles, scopes, graph bool
	for _, asked := range app.Permissions {
		roles, scopes = roles || len(asked.Roles) > 0, scopes || len(asked.Scopes) > 0
		graph = graph || len(asked.Roles) > 0 && asked.API == graphID
	}
	lacks := ""
	switch {
	case h.User != nil && !slices.Contains(h.Scopes, userScope):
		lacks = "the scope " + userScope + ", by which it acts for its user here"
	case h.User != nil && graph && !h.HasDirectoryRole("Global Administrator", "Privileged Role Administrator"):
		lacks = "the directory role Global Administrator or Privileged Role Administrator, because the application asks for app roles of Microsoft Graph"
	case h.User != nil && !h.User.IsConsentAdmin():
		lacks = "a directory role of administrators, such as Cloud Application Administrator"
	case h.User == nil && roles && !slices.Contains(h.GraphRoles, grantsRoles):
		lacks = "the app role " + grantsRoles + " of Microsoft Graph"
	case h.User == nil && (scopes || !roles) && !slices.Contains(h.GraphRoles, grantsScopes):
		lacks = "the app role " + grantsScopes + " of Microsoft Graph"
	default:
		return nil
	}
	return &problem{http.StatusForbidden, "Forbidden", "Insufficient privileges: the caller lacks " + lacks + "."}
}

func write(w http.ResponseWriter, p *problem) {
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": p.code, "message": p.message}}) // the caller may be gone
}
