package noun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/review"
	"github.com/rolecall-auth/rolecall/internal/text"
)

func appPermissionCommand(c *command.Line) *cobra.Command {
	return nounCommand("permission", "Manage what an application asks of APIs", "rolecall app permission list orders-client",
		appPermissionListCommand(c), appPermissionAddCommand(c), appPermissionConsentCommand(c), appPermissionRemoveCommand(c),
	)
}

// A requested permission is one that an application asks for.
type requested struct {
	API     string             `json:"api"`
	AppID   directory.AppID    `json:"apiAppId"`
	Value   string             `json:"permission"`
	ID      string             `json:"id"`
	Kind    string             `json:"type"` // "Role" or "Scope", as in Graph
	Granted bool               `json:"granted"`
	api     directory.ObjectID // its service principal; empty: it has none
}

// asks lists what an application asks for, and whether it was granted.
func (m *manager) asks(ctx context.Context, client *graphclient.Client, app lookup.API) ([]requested, error) {
	held := map[string]bool{}
	holder, err := servicePrincipal(ctx, client, app.AppID)
	if err != nil {
		return nil, err
	}
	if holder != "" {
		if err := m.place.Access(ctx, app.Tenant, review.AccessFilter{Client: &directory.ServicePrincipal{ID: holder}}, func(a review.Access) error {
			if a.Kind != review.ByUser { // one user's consent is not everybody's
				held[string(a.APIAppID)+"/"+a.Role+"/"+a.Scope] = true
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	apis, err := m.members(ctx, client, app, "requiredResourceAccess")
	if err != nil {
		return nil, err
	}
	all := []requested{}
	for _, asked := range apis {
		id := directory.AppID(memberText(asked, "resourceAppId"))
		api, err := m.place.Within(app.Tenant).FindAPI(ctx, string(id))
		if errors.Is(err, directory.ErrNotFound) {
			api, err = lookup.API{Application: &directory.Application{AppID: id, DisplayName: string(id)}, Tenant: app.Tenant}, nil
		}
		if err != nil {
			return nil, err
		}
		one := requested{API: api.Label(), AppID: api.AppID}
		if one.api, err = servicePrincipal(ctx, client, api.AppID); err != nil {
			return nil, err
		}
		access, _ := asked["resourceAccess"].([]any)
		for _, kind := range []string{"Role", "Scope"} {
			for _, each := range access {
				if each, ok := each.(map[string]any); ok && memberText(each, "type") == kind {
					one.describe(api.Application, memberText(each, "id"), kind, held)
					all = append(all, one)
				}
			}
		}
	}
	return all, nil
}

// describe completes what is asked for of an API. What the API does not have any more has no value.
func (r *requested) describe(api *directory.Application, id, kind string, held map[string]bool) {
	r.ID, r.Kind, r.Value = id, kind, ""
	key := string(api.AppID) + "/"
	if kind == "Role" {
		role, _ := api.Role(id)
		r.Value = role.Value
		key += role.Value + "/"
	} else {
		scope, _ := api.Scope(id)
		r.Value = scope.Value
		key += "/" + scope.Value
	}
	r.Granted = held[key]
}

// servicePrincipal is the id of an application's service principal; empty: it has none.
func servicePrincipal(ctx context.Context, client *graphclient.Client, app directory.AppID) (directory.ObjectID, error) {
	var found struct {
		ID directory.ObjectID `json:"id"`
	}
	err := client.Get(ctx, "servicePrincipals(appId='"+string(app)+"')?$select=id", &found)
	if graphclient.NotFound(err) {
		return "", nil
	}
	return found.ID, err
}

// printAsks prints what an application asks for by now.
func (m *manager) printAsks(ctx context.Context, ref string) error {
	client, app, err := m.application(ctx, ref)
	if err != nil {
		return err
	}
	all, err := m.asks(ctx, client, app)
	if err != nil {
		return err
	}
	l := output.Listing{Columns: []string{"api", "permission", "type", "granted", "id"}, Value: all, Name: 1, Spare: []int{4}, Cut: []int{0, 1}, Empty: "the application asks for nothing"}
	for _, a := range all {
		l.Rows = append(l.Rows, []string{a.API, a.Value, a.Kind, fmt.Sprint(a.Granted), a.ID})
	}
	return m.Print(m.format, l)
}

func appPermissionListCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "list APP", Short: "List what an application asks of APIs, and what of it was granted",
		Example: `  rolecall app permission list orders-client`,
		Args:    command.Exactly(1, whichApp),
	}, false, func(ctx context.Context, m *manager, args []string) error { return m.printAsks(ctx, args[0]) })
}

// A wanted permission is one that the command line names, by the ids that Graph takes.
type wanted struct {
	api  directory.AppID
	id   string
	kind string
}

// permission finds what API/VALUE means: a scope with --delegated, otherwise an app role.
func (m *manager) permission(ctx context.Context, app lookup.API, arg string, delegated bool) (wanted, error) {
	finder := m.place.Within(app.Tenant)
	if !delegated {
		who := lookup.Principal{Tenant: app.Tenant, Service: &directory.ServicePrincipal{Name: app.Name, DisplayName: app.DisplayName}}
		role, err := finder.FindRole(ctx, "rolecall app permission add", who, arg)
		if err != nil {
			return wanted{}, err
		}
		return wanted{role.API.AppID, string(role.ID), "Role"}, nil
	}
	cut := strings.LastIndexByte(arg, '/')
	if cut <= 0 {
		return wanted{}, command.Fail(command.ExitUsage, fmt.Errorf("%q names no API and scope", arg), "write orders-server/Orders.List or api://orders/Orders.List")
	}
	api, err := finder.FindAPI(ctx, arg[:cut])
	if err != nil {
		return wanted{}, err
	}
	scope, ok := api.Scope(arg[cut+1:])
	if !ok {
		var values []string
		for _, s := range api.Scopes {
			values = append(values, s.Value)
		}
		there := "; it has " + strings.Join(values, ", ")
		if len(values) == 0 {
			there = ", nor any other"
		}
		return wanted{}, command.NotFound(directory.DidYouMean(directory.Nearest(values, arg[cut+1:])), "%s has no scope %q%s", api.Called(), text.Shown(arg[cut+1:]), there)
	}
	return wanted{api.AppID, string(scope.ID), "Scope"}, nil
}

// changeAsks lets change work on each of the permissions that a command line names, and prints
// what the application asks for then.
func changeAsks(c *command.Line, cmd *cobra.Command, change func(all []member, one wanted) []member) *cobra.Command {
	var delegated bool
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 {
			return command.UsageError(cmd, errors.New("say which application, and which permissions: APP API/PERMISSION"))
		}
		return nil
	}
	cmd.Flags().BoolVar(&delegated, "delegated", false, "scopes, which the application uses on behalf of users, instead of app roles")
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		all, err := m.members(ctx, client, app, "requiredResourceAccess")
		if err != nil {
			return err
		}
		for _, arg := range args[1:] {
			one, err := m.permission(ctx, app, arg, delegated)
			if err != nil {
				return err
			}
			all = change(all, one)
		}
		if err := client.Do(ctx, http.MethodPatch, "applications/"+string(app.ID), member{"requiredResourceAccess": all}, nil); err != nil {
			return err
		}
		return m.printAsks(ctx, args[0])
	})
}

// without is what an application asks for, but for one permission.
func without(all []member, one wanted) (rest []member) {
	rest = []member{}
	for _, api := range all {
		if !strings.EqualFold(memberText(api, "resourceAppId"), string(one.api)) {
			rest = append(rest, api)
			continue
		}
		var kept []any
		list, _ := api["resourceAccess"].([]any)
		for _, each := range list {
			if access, ok := each.(map[string]any); ok && strings.EqualFold(memberText(access, "id"), one.id) {
				continue
			}
			kept = append(kept, each)
		}
		if len(kept) > 0 {
			rest = append(rest, member{"resourceAppId": api["resourceAppId"], "resourceAccess": kept})
		}
	}
	return rest
}

func appPermissionAddCommand(c *command.Line) *cobra.Command {
	return changeAsks(c, &cobra.Command{
		Use: "add APP API/PERMISSION...", Short: "Let an application ask for app roles or scopes of an API",
		Long: `Adds permissions to what an application asks for. Asking grants nothing: an administrator's
consent does, or "rolecall grant".`,
		Example: `  rolecall app permission add reports-client orders-server/Orders.Read
  rolecall app permission add reports-client api://orders/Orders.List --delegated`,
	}, func(all []member, one wanted) []member {
		access := map[string]any{"id": one.id, "type": one.kind}
		for _, api := range all {
			if strings.EqualFold(memberText(api, "resourceAppId"), string(one.api)) {
				all = without(all, one)
				break
			}
		}
		for i, api := range all {
			if strings.EqualFold(memberText(api, "resourceAppId"), string(one.api)) {
				list, _ := api["resourceAccess"].([]any)
				all[i] = member{"resourceAppId": api["resourceAppId"], "resourceAccess": append(slices.Clone(list), any(access))}
				return all
			}
		}
		return append(all, member{"resourceAppId": one.api, "resourceAccess": []any{access}})
	})
}

func appPermissionRemoveCommand(c *command.Line) *cobra.Command {
	return changeAsks(c, &cobra.Command{
		Use: "remove APP API/PERMISSION...", Short: "Let an application ask for app roles or scopes no longer",
		Long:    `Removes permissions from what an application asks for. What was granted stays: "rolecall revoke" takes roles away.`,
		Example: `  rolecall app permission remove orders-client orders-server/Orders.Read`,
	}, without)
}

func appPermissionConsentCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "consent APP", Short: "Grant an application everything that it asks for",
		Long: `Grants what an application asks for and does not have yet, as an administrator's consent
does: app roles to itself, and scopes for every user. What the API has disabled, or does
not have any more, stays as it is.`,
		Example: `  rolecall app permission consent orders-client`,
		Args:    command.Exactly(1, whichApp),
	}, true, func(ctx context.Context, m *manager, args []string) error {
		client, app, err := m.application(ctx, args[0])
		if err != nil {
			return err
		}
		holder, err := servicePrincipal(ctx, client, app.AppID)
		if err != nil {
			return err
		}
		if holder == "" {
			return command.Failed("`rolecall sp create "+lookup.Word(app.Called())+"` makes one", "%s has no service principal, so it can be granted nothing", app.Called())
		}
		all, err := m.asks(ctx, client, app)
		if err != nil {
			return err
		}
		for _, a := range all {
			if a.Granted || a.Value == "" || a.api == "" {
				continue
			}
			if err := m.consentTo(ctx, client, holder, a); err != nil {
				return err
			}
		}
		return m.printAsks(ctx, args[0])
	})
}

// consentTo grants one permission: a role to the application, or a scope beside those that every
// user has granted it.
func (m *manager) consentTo(ctx context.Context, client *graphclient.Client, holder directory.ObjectID, a requested) error {
	if a.Kind == "Role" {
		return client.Do(ctx, http.MethodPost, "servicePrincipals/"+string(holder)+"/appRoleAssignments", member{"principalId": holder, "resourceId": a.api, "appRoleId": a.ID}, nil)
	}
	var present member
	filter := url.Values{"$filter": {"clientId eq " + odataText(string(holder)) + " and resourceId eq " + odataText(string(a.api))}}
	err := client.Each(ctx, "oauth2PermissionGrants", filter, func(found json.RawMessage) error {
		one := member{}
		err := json.Unmarshal(found, &one)
		if one["consentType"] == "AllPrincipals" {
			present = one
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case present != nil:
		return client.Do(ctx, http.MethodPatch, "oauth2PermissionGrants/"+memberText(present, "id"), member{"scope": memberText(present, "scope") + " " + a.Value}, nil)
	}
	return client.Do(ctx, http.MethodPost, "oauth2PermissionGrants", member{"clientId": holder, "consentType": "AllPrincipals", "resourceId": a.api, "scope": a.Value}, nil)
}
