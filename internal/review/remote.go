package review

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
)

// A Remote reviews through Microsoft Graph, with what its caller may read.
type Remote struct {
	Client *graphclient.Client
	Tenant *directory.Tenant
}

// A graphPrincipal is a service principal as Graph has it, or a user.
type graphPrincipal struct {
	ID          directory.ObjectID `json:"id"`
	AppID       directory.AppID    `json:"appId"`
	DisplayName string             `json:"displayName"`
	Name        string             `json:"userPrincipalName"` // of users
	Type        string             `json:"servicePrincipalType"`
	Enabled     bool               `json:"accountEnabled"`
	Roles       []struct {
		ID      directory.RoleID `json:"id"`
		Value   string           `json:"value"`
		Enabled bool             `json:"isEnabled"`
	} `json:"appRoles"`
	Scopes []struct {
		Value   string `json:"value"`
		Enabled bool   `json:"isEnabled"`
	} `json:"oauth2PermissionScopes"`
}

// A graphAssignment is an app role that somebody has, as Graph has it.
type graphAssignment struct {
	ID            string             `json:"id"`
	Role          directory.RoleID   `json:"appRoleId"`
	Created       time.Time          `json:"createdDateTime"`
	PrincipalID   directory.ObjectID `json:"principalId"`
	PrincipalType string             `json:"principalType"`
	ResourceID    directory.ObjectID `json:"resourceId"`
}

// A graphGrant is scopes that a client has for a user or for all, as Graph has it.
type graphGrant struct {
	ID         string             `json:"id"`
	Client     directory.ObjectID `json:"clientId"`
	Principal  directory.ObjectID `json:"principalId"`
	ResourceID directory.ObjectID `json:"resourceId"`
	Scope      string             `json:"scope"`
}

// ownID is the directory's id of an assignment or grant, by that of Graph, which has its holder's
// before it.
func ownID(of string) directory.ObjectID {
	both, err := base64.RawURLEncoding.DecodeString(of)
	if err != nil || len(both) != 32 {
		return directory.ObjectID(of)
	}
	digits := hex.EncodeToString(both[16:])
	return directory.ObjectID(strings.Join([]string{digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]}, "-"))
}

// A graphWalk is one review.
type graphWalk struct {
	Remote
	filter AccessFilter
	known  map[string]*graphPrincipal // by path
	yield  func(Access) error
}

// Access lets f see who may call what.
func (g Remote) Access(ctx context.Context, filter AccessFilter, f func(Access) error) error {
	w := &graphWalk{g, filter, map[string]*graphPrincipal{}, f}
	switch {
	case filter.Client != nil || filter.User != nil:
		return w.held(ctx)
	case filter.API == nil:
		return w.all(ctx)
	}
	api, err := w.read(ctx, "servicePrincipals(appId='"+string(filter.API.AppID)+"')")
	if api == nil || err != nil {
		return err
	}
	if err := w.assignments(ctx, assignedTo(api.ID)); err != nil {
		return err
	}
	return w.grants(ctx, "resourceId eq '"+string(api.ID)+"'")
}

func assignedTo(api directory.ObjectID) string {
	return "servicePrincipals/" + string(api) + "/appRoleAssignedTo"
}

// all goes through every API of the tenant: Graph has no list of all assignments.
func (w *graphWalk) all(ctx context.Context) error {
	query := url.Values{"$select": {"id"}, "$top": {"999"}, "$filter": {"servicePrincipalType eq 'Application'"}}
	if err := w.Client.Each(ctx, "servicePrincipals", query, func(found json.RawMessage) error {
		var api graphPrincipal
		if err := json.Unmarshal(found, &api); err != nil {
			return err
		}
		return w.assignments(ctx, assignedTo(api.ID))
	}); err != nil {
		return err
	}
	return w.grants(ctx, "")
}

// held goes through what one holder has.
func (w *graphWalk) held(ctx context.Context) error {
	if u := w.filter.User; u != nil {
		if err := w.assignments(ctx, "users/"+string(u.ID)+"/appRoleAssignments"); err != nil {
			return err
		}
		return w.grants(ctx, "principalId eq '"+string(u.ID)+"'")
	}
	id := string(w.filter.Client.ID)
	if err := w.assignments(ctx, "servicePrincipals/"+id+"/appRoleAssignments"); err != nil {
		return err
	}
	return w.grants(ctx, "clientId eq '"+id+"'")
}

// read reads a service principal or a user once; nil: it is gone.
func (w *graphWalk) read(ctx context.Context, path string) (*graphPrincipal, error) {
	if found, known := w.known[path]; known {
		return found, nil
	}
	members := "id,appId,displayName,servicePrincipalType,accountEnabled,appRoles,oauth2PermissionScopes"
	if strings.HasPrefix(path, "users/") {
		members = "id,displayName,userPrincipalName,accountEnabled"
	}
	found := &graphPrincipal{}
	err := w.Client.Get(ctx, path+"?$select="+members, found)
	if graphclient.NotFound(err) {
		found, err = nil, nil
	}
	if err == nil {
		w.known[path] = found
	}
	return found, err
}

// base begins a row about an API; nil: it is not asked about.
func (w *graphWalk) base(ctx context.Context, id directory.ObjectID) (*graphPrincipal, Access, error) {
	api, err := w.read(ctx, "servicePrincipals/"+string(id))
	if api == nil || err != nil || w.filter.API != nil && !strings.EqualFold(string(api.AppID), string(w.filter.API.AppID)) {
		return nil, Access{}, err
	}
	row := Access{Tenant: w.Tenant.Name, API: api.DisplayName, APIAppID: api.AppID}
	if !api.Enabled {
		row.Idle = "the API is disabled"
	}
	return api, row, nil
}

func (w *graphWalk) assignments(ctx context.Context, path string) error {
	return w.Client.Each(ctx, path, url.Values{"$top": {"999"}}, func(found json.RawMessage) error {
		var a graphAssignment
		if err := json.Unmarshal(found, &a); err != nil {
			return err
		}
		api, row, err := w.base(ctx, a.ResourceID)
		if api == nil || err != nil {
			return err
		}
		row.ID, row.Since, row.PrincipalID, row.Role = ownID(a.ID), a.Created, a.PrincipalID, string(a.Role)
		for _, role := range api.Roles {
			if role.ID == a.Role {
				row.Role = role.Value
				if !role.Enabled {
					row.Idle = "the role is disabled"
				}
			}
		}
		if a.PrincipalType == "User" {
			return w.user(ctx, row)
		}
		principal, err := w.read(ctx, "servicePrincipals/"+string(a.PrincipalID))
		if principal == nil || err != nil {
			return err
		}
		row.Principal, row.Kind = principal.DisplayName, ByApplication
		if principal.Type == string(directory.PrincipalManagedIdentity) {
			row.Kind = ByIdentity
		}
		if !principal.Enabled {
			row.Idle = "the principal is disabled"
		}
		return w.yield(row)
	})
}

// user completes a row that is a user's.
func (w *graphWalk) user(ctx context.Context, row Access) error {
	user, err := w.read(ctx, "users/"+string(row.PrincipalID))
	if user == nil || err != nil {
		return err
	}
	row.Principal, row.Kind = user.Name, ByUser
	if !user.Enabled {
		row.Idle = "the user is disabled"
	}
	return w.yield(row)
}

func (w *graphWalk) grants(ctx context.Context, filter string) error {
	query := url.Values{"$top": {"999"}}
	if filter != "" {
		query.Set("$filter", filter)
	}
	return w.Client.Each(ctx, "oauth2PermissionGrants", query, func(found json.RawMessage) error {
		var g graphGrant
		if err := json.Unmarshal(found, &g); err != nil {
			return err
		}
		api, base, err := w.base(ctx, g.ResourceID)
		if api == nil || err != nil {
			return err
		}
		client, err := w.read(ctx, "servicePrincipals/"+string(g.Client))
		if client == nil || err != nil {
			return err
		}
		base.ID, base.Client = ownID(g.ID), client.DisplayName
		if !client.Enabled {
			base.Idle = "the client is disabled"
		}
		for _, value := range strings.Fields(g.Scope) {
			row := base
			row.Scope = value
			enabled := false
			for _, scope := range api.Scopes {
				enabled = enabled || scope.Value == value && scope.Enabled
			}
			if !enabled {
				row.Idle = "the scope is disabled"
			}
			if g.Principal == "" {
				row.Principal, row.Kind = "every user", ByEveryone
				err = w.yield(row)
			} else {
				row.PrincipalID = g.Principal
				err = w.user(ctx, row)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Ending finds the credentials that end by a time, those that have ended included. Passing are
// the names of those that a command made for itself.
func (g Remote) Ending(ctx context.Context, now, by time.Time, passing func(name string) bool) ([]Ending, error) {
	found := []Ending{}
	for _, set := range []string{"applications", "servicePrincipals"} {
		query := url.Values{"$select": {"appId,displayName,passwordCredentials,keyCredentials"}, "$top": {"999"}}
		err := g.Client.Each(ctx, set, query, func(one json.RawMessage) error {
			var holder struct {
				AppID   directory.AppID `json:"appId"`
				Name    string          `json:"displayName"`
				Secrets []graphEnding   `json:"passwordCredentials"`
				Keys    []graphEnding   `json:"keyCredentials"`
			}
			if err := json.Unmarshal(one, &holder); err != nil {
				return err
			}
			note := func(kind string, all []graphEnding) {
				for _, c := range all {
					if c.Ends.IsZero() || c.Ends.After(by) || passing(c.Name) {
						continue
					}
					found = append(found, Ending{
						Tenant: g.Tenant.Name, Kind: kind, Of: holder.Name, OfAppID: holder.AppID, Name: c.Name, ID: c.ID, Ends: c.Ends, Ended: !now.Before(c.Ends),
					})
				}
			}
			note("secret", holder.Secrets)
			note("certificate", holder.Keys)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// A graphEnding is a credential as Graph has it.
type graphEnding struct {
	ID   string    `json:"keyId"`
	Name string    `json:"displayName"`
	Ends time.Time `json:"endDateTime"`
}
