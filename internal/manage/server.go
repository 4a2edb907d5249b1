package manage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/operate"
	"github.com/rolecall-auth/rolecall/internal/review"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

// A Server is elsewhere, and managed through its Graph with the rights of whoever is signed in.
type Server struct {
	lookup.Remote
	Now func() time.Time
}

var _ Place = (*Server)(nil)

// Close has nothing to end.
func (s *Server) Close() error { return nil }

// Await returns at once: the server itself has made the change.
func (s *Server) Await(context.Context) error { return nil }

// Within finds in the one tenant that there is.
func (s *Server) Within(*directory.Tenant) lookup.Finder { return s.Remote }

// Graph calls the server's Graph.
func (s *Server) Graph(*directory.Tenant) *graphclient.Client { return s.Client }

// Tenants are the one that there is.
func (s *Server) Tenants(context.Context) ([]*directory.Tenant, error) {
	return []*directory.Tenant{s.Tenant}, nil
}

// Access lets each see who may call what.
func (s *Server) Access(ctx context.Context, _ *directory.Tenant, filter review.AccessFilter, each func(review.Access) error) error {
	return s.review().Access(ctx, filter, each)
}

// errEnough ends a list that was read far enough.
var errEnough = errors.New("enough")

// maxRows is how many rows of a log are read from afar for one answer.
const maxRows = 20_000

// LastUses are the last times at which an application got a token.
func (s *Server) LastUses(ctx context.Context, app lookup.API, span time.Duration) (map[string]time.Time, error) {
	rows, err := s.SignIns(ctx, directory.SignInFilter{Tenant: app.Tenant.ID, AppID: app.AppID, Since: s.Now().Add(-span), Limit: maxRows})
	if err != nil {
		return nil, err
	}
	return lastUses(rows), nil
}

// A graphSignIn is a sign-in as Graph's beta has it.
type graphSignIn struct {
	ID          string          `json:"id"`
	Time        time.Time       `json:"createdDateTime"`
	AppID       directory.AppID `json:"appId"`
	Name        string          `json:"appDisplayName"`
	Source      string          `json:"ipAddress"`
	Correlation string          `json:"correlationId"`
	Resource    string          `json:"resourceDisplayName"`
	User        string          `json:"userPrincipalName"`
	Library     string          `json:"userAgent"`
	TokenID     string          `json:"uniqueTokenIdentifier"`
	KeyID       string          `json:"servicePrincipalCredentialKeyId"`
	FederatedID string          `json:"federatedCredentialId"`
	Details     []keyValue      `json:"authenticationProcessingDetails"`
	Status      struct {
		Code    int    `json:"errorCode"`
		Reason  string `json:"failureReason"`
		Details string `json:"additionalDetails"`
	} `json:"status"`
}

// A keyValue is a detail of a row of a log.
type keyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func detail(all []keyValue, key string) string {
	for _, one := range all {
		if one.Key == key {
			return one.Value
		}
	}
	return ""
}

func (g *graphSignIn) row(tenant directory.TenantID) directory.SignIn {
	row := directory.SignIn{
		Tenant: tenant, TraceID: g.ID, Time: g.Time, AppID: g.AppID, Name: g.Name, Source: g.Source, CorrelationID: g.Correlation, Resource: g.Resource,
		User: g.User, Library: g.Library, TokenID: g.TokenID, CredentialID: g.KeyID + g.FederatedID, Code: g.Status.Code,
		Refusal: detail(g.Details, "Refusal"), Cloud: detail(g.Details, "Cloud"),
		Credential: detail(g.Details, "Credential"), Version: detail(g.Details, "Version"),
		Roles: strings.Fields(detail(g.Details, "Roles")), Scopes: strings.Fields(detail(g.Details, "Scopes")),
	}
	if asked := detail(g.Details, "Resource"); asked != "" {
		row.Resource = asked
	}
	if row.Refused() {
		row.Reason, row.Fix = g.Status.Reason, g.Status.Details
	}
	return row
}

// SignIns reads sign-ins, newest first.
func (s *Server) SignIns(ctx context.Context, filter directory.SignInFilter) ([]directory.SignIn, error) {
	// Without a kind, the log is that of users alone.
	terms := []string{"signInEventTypes/any(t: t eq 'interactiveUser' or t eq 'servicePrincipal' or t eq 'managedIdentity')"}
	if filter.AppID != "" {
		terms = append(terms, "appId eq "+lookup.Quoted(string(filter.AppID)))
	}
	if filter.User != "" {
		terms = append(terms, "userPrincipalName eq "+lookup.Quoted(filter.User))
	}
	if !filter.Since.IsZero() {
		terms = append(terms, "createdDateTime ge "+filter.Since.UTC().Truncate(time.Second).Format(time.RFC3339))
	}
	if filter.FailuresOnly {
		terms = append(terms, "status/errorCode ne 0")
	}
	beta := graphclient.Client{Base: strings.TrimSuffix(s.Client.Base, "/v1.0") + "/beta", HTTP: s.Client.HTTP}
	limit := filter.Limit
	filter.Tenant = "" // it is that of the token
	var rows []directory.SignIn
	err := beta.Each(ctx, "auditLogs/signIns", url.Values{"$filter": {strings.Join(terms, " and ")}, "$top": {"999"}}, func(found json.RawMessage) error {
		var one graphSignIn
		if err := json.Unmarshal(found, &one); err != nil {
			return err
		}
		if row := one.row(s.Tenant.ID); filter.Keeps(row) {
			rows = append(rows, row)
		}
		if len(rows) >= limit {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return rows, nil
}

// A graphChange is a row of the audit log as Graph has it.
type graphChange struct {
	Time      time.Time  `json:"activityDateTime"`
	Details   []keyValue `json:"additionalDetails"`
	Initiated struct {
		App *struct {
			Name string `json:"displayName"`
		} `json:"app"`
		User *struct {
			Name string `json:"userPrincipalName"`
		} `json:"user"`
	} `json:"initiatedBy"`
	Targets []struct {
		ID   string `json:"id"`
		Name string `json:"displayName"`
	} `json:"targetResources"`
}

func (g *graphChange) row(tenant directory.TenantID) audit.Row {
	row := audit.Row{Event: audit.Event{Time: g.Time, Tenant: string(tenant), Action: detail(g.Details, "action"), Detail: detail(g.Details, "detail")}}
	switch {
	case g.Initiated.User != nil:
		row.Actor = g.Initiated.User.Name
	case g.Initiated.App != nil:
		row.Actor = g.Initiated.App.Name
	}
	if len(g.Targets) > 0 {
		row.Target, row.Name = g.Targets[0].ID, g.Targets[0].Name
	}
	return row
}

// Changes returns at most limit rows of the audit log that are kept, newest first, from a time on.
func (s *Server) Changes(ctx context.Context, since time.Time, limit int, kept func(audit.Row) bool) ([]audit.Row, error) {
	var rows []audit.Row
	err := s.Client.Each(ctx, "auditLogs/directoryAudits", url.Values{"$top": {"999"}}, func(found json.RawMessage) error {
		var one graphChange
		if err := json.Unmarshal(found, &one); err != nil {
			return err
		}
		row := one.row(s.Tenant.ID)
		if row.Time.Before(since) {
			return errEnough
		}
		if kept(row) {
			rows = append(rows, row)
		}
		if len(rows) >= limit {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return rows, nil
}

// A held role is one that a principal has.
type held struct {
	ID       string             `json:"id"`
	Role     directory.RoleID   `json:"appRoleId"`
	Resource directory.ObjectID `json:"resourceId"`
}

// rolesPath is where the roles of a principal are.
func rolesPath(who lookup.Principal) string {
	if who.User != nil {
		return "users/" + string(who.ID()) + "/appRoleAssignments"
	}
	return "servicePrincipals/" + string(who.ID()) + "/appRoleAssignments"
}

func (s *Server) held(ctx context.Context, who lookup.Principal) (all []held, err error) {
	err = s.Client.Each(ctx, rolesPath(who), url.Values{"$top": {"999"}}, func(found json.RawMessage) error {
		var one held
		err := json.Unmarshal(found, &one)
		all = append(all, one)
		return err
	})
	return all, err
}

// Assign gives a principal roles. Graph gives one with each request: where one is refused, those
// before it are taken back.
func (s *Server) Assign(ctx context.Context, who lookup.Principal, roles ...operate.Role) (added []bool, err error) {
	present, err := s.held(ctx, who)
	if err != nil {
		return nil, err
	}
	added = make([]bool, len(roles))
	var made []string
	for i, role := range roles {
		if slices.ContainsFunc(present, func(h held) bool { return h.Role == role.ID && h.Resource == role.Resource }) {
			continue
		}
		var one held
		body := map[string]any{"principalId": who.ID(), "resourceId": role.Resource, "appRoleId": role.ID}
		if err := s.Client.Do(ctx, http.MethodPost, rolesPath(who), body, &one); err != nil {
			for _, id := range made {
				err = errors.Join(err, s.Client.Do(ctx, http.MethodDelete, rolesPath(who)+"/"+id, nil, nil))
			}
			return nil, err
		}
		made, present, added[i] = append(made, one.ID), append(present, one), true
	}
	return added, nil
}

// Unassign takes roles from a principal. Where one cannot be taken, those before it are given
// back.
func (s *Server) Unassign(ctx context.Context, who lookup.Principal, roles ...operate.Role) (removed []bool, err error) {
	present, err := s.held(ctx, who)
	if err != nil {
		return nil, err
	}
	removed = make([]bool, len(roles))
	for i, role := range roles {
		at := slices.IndexFunc(present, func(h held) bool { return h.Role == role.ID && h.Resource == role.Resource })
		if at < 0 {
			continue
		}
		if err := s.Client.Do(ctx, http.MethodDelete, rolesPath(who)+"/"+present[at].ID, nil, nil); err != nil {
			for j, before := range roles[:i] {
				if removed[j] {
					body := map[string]any{"principalId": who.ID(), "resourceId": before.Resource, "appRoleId": before.ID}
					err = errors.Join(err, s.Client.Do(ctx, http.MethodPost, rolesPath(who), body, nil))
				}
			}
			return nil, err
		}
		present, removed[i] = slices.Delete(present, at, at+1), true
	}
	return removed, nil
}

// Ending finds the credentials that end by a time, and when they were last used within a month,
// if the caller may read sign-ins.
func (s *Server) Ending(ctx context.Context, by time.Time) ([]review.Ending, error) {
	found, err := s.review().Ending(ctx, s.Now(), by, tempcred.IsTemporary)
	if err != nil {
		return nil, err
	}
	used := map[directory.AppID]map[string]time.Time{}
	for i, e := range found {
		if _, asked := used[e.OfAppID]; !asked {
			app := lookup.API{Application: &directory.Application{AppID: e.OfAppID}, Tenant: s.Tenant}
			last, err := s.LastUses(ctx, app, month)
			if graphclient.Forbidden(err) {
				break
			}
			if err != nil {
				return nil, err
			}
			used[e.OfAppID] = last
		}
		found[i].LastUsed = used[e.OfAppID][e.ID]
	}
	review.SortEnding(found)
	return found, nil
}

const month = 30 * 24 * time.Hour

func (s *Server) review() review.Remote { return review.Remote{Client: s.Client, Tenant: s.Tenant} }
