package arm

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/selfguard"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A route is a row of the table of what may be asked. Those with an action change something, and
// the action is what Azure calls that.
type route struct {
	method, form string
	action       string
	serve        func(*call) (reply, error)
	pattern      pattern
}

// The parts of paths.
const (
	inSubscription = "/subscriptions/{subscription}"
	inGroup        = inSubscription + "/resourceGroups/{group}"
	groupType      = "Microsoft.Resources/subscriptions/resourceGroups"
	identityType   = "Microsoft.ManagedIdentity/userAssignedIdentities"
	identities     = "/providers/" + identityType
	oneIdentity    = inGroup + identities + "/{name}"
	credentialType = identityType + "/federatedIdentityCredentials"
	credentials    = oneIdentity + "/federatedIdentityCredentials"
	oneCredential  = credentials + "/{credential}"
)

// routes is the table. The first that matches answers.
func routes() []route {
	all := []route{
		{method: http.MethodGet, form: "/tenants", serve: tenants},
		{method: http.MethodGet, form: "/providers", serve: providers},
		{method: http.MethodGet, form: "/providers/{namespace}", serve: provider},
		{method: http.MethodGet, form: "/subscriptions", serve: subscriptions},
		{method: http.MethodGet, form: inSubscription, serve: subscription},
		{method: http.MethodGet, form: inSubscription + "/locations", serve: locations},
		{method: http.MethodGet, form: inSubscription + "/providers", serve: providers},
		{method: http.MethodGet, form: inSubscription + "/providers/{namespace}", serve: provider},
		{method: http.MethodPost, form: inSubscription + "/providers/{namespace}/register", serve: provider},
		{method: http.MethodGet, form: inSubscription + "/resources", serve: resources},
		{method: http.MethodGet, form: inSubscription + "/resourceGroups", serve: listGroups},
		{method: http.MethodGet, form: inGroup, serve: getGroup},
		{method: http.MethodHead, form: inGroup, serve: headGroup},
		{method: http.MethodPut, form: inGroup, serve: putGroup, action: groupType + "/write"},
		{method: http.MethodPatch, form: inGroup, serve: patchGroup, action: groupType + "/write"},
		{method: http.MethodDelete, form: inGroup, serve: deleteGroup, action: groupType + "/delete"},
		{method: http.MethodGet, form: inGroup + "/resources", serve: resources},
		{method: http.MethodGet, form: inSubscription + identities, serve: listIdentities},
		{method: http.MethodGet, form: inGroup + identities, serve: listIdentities},
		{method: http.MethodGet, form: oneIdentity, serve: getIdentity},
		{method: http.MethodPut, form: oneIdentity, serve: putIdentity, action: identityType + "/write"},
		{method: http.MethodPatch, form: oneIdentity, serve: patchIdentity, action: identityType + "/write"},
		{method: http.MethodDelete, form: oneIdentity, serve: deleteIdentity, action: identityType + "/delete"},
		{method: http.MethodPost, form: oneIdentity + "/listAssociatedResources", serve: associated},
		{method: http.MethodGet, form: credentials, serve: listCredentials},
		{method: http.MethodGet, form: oneCredential, serve: getCredential},
		{method: http.MethodPut, form: oneCredential, serve: putCredential, action: credentialType + "/write"},
		{method: http.MethodDelete, form: oneCredential, serve: deleteCredential, action: credentialType + "/delete"},
		{method: http.MethodGet, form: "{scope...}/providers/Microsoft.ManagedIdentity/identities/default", serve: systemIdentity},
	}
	for i := range all {
		all[i].pattern = newPattern(all[i].form)
	}
	return all
}

// A call is a request of a caller who was admitted.
type call struct {
	*Manager
	ctx    context.Context
	r      *http.Request
	caller caller
	path   []string
	at     map[string]string // what stands for the braces of the route
	actor  directory.Actor   // of routes with an action, as the next one
	holder *selfguard.Holder
}

// A reply is what a call is answered with.
type reply struct {
	status int
	body   any // nil: none
}

func found(body any) (reply, error) { return reply{http.StatusOK, body}, nil }

// reply answers everything but the metadata.
func (m *Manager) reply(r *http.Request, path []string) (reply, error) {
	ctx := r.Context()
	admitted, err := m.admit(ctx, r.Header)
	if err != nil {
		return reply{}, err
	}
	if err := elsewhere(path); err != nil {
		return reply{}, err
	}
	var allowed []string
	for _, to := range m.routes {
		at := to.pattern.match(path)
		if at == nil {
			continue
		}
		if to.method != r.Method {
			allowed = append(allowed, to.method)
			continue
		}
		c := &call{Manager: m, ctx: ctx, r: r, caller: admitted, path: path, at: at}
		return c.answer(to)
	}
	if len(allowed) > 0 {
		slices.Sort(allowed)
		p := refusal(http.StatusMethodNotAllowed, "MethodNotAllowed", "The method %s cannot be used on %s.", text.Shown(r.Method), text.Shown(joinPath(path)))
		p.header = http.Header{"Allow": {strings.Join(slices.Compact(allowed), ", ")}}
		return reply{}, p
	}
	return reply{}, refusal(http.StatusNotFound, "InvalidResourceType",
		"There are no resources of the kind of '%s' here: tenants, subscriptions, resource groups and managed identities alone.", text.Shown(joinPath(path)))
}

func (c *call) answer(to route) (reply, error) {
	if id, given := c.at["subscription"]; given {
		if err := c.checkSubscription(id); err != nil {
			return reply{}, err
		}
	}
	if to.action != "" {
		actor, holder, err := c.Manager.actor(c.ctx, c.caller)
		if err != nil {
			return reply{}, err
		}
		if holder == nil {
			c.cfg.Log.InfoContext(c.ctx, "resource manager refused a caller", "reason", "no right to "+to.action, "caller", c.caller.ref())
			return reply{}, forbidden(c.caller, to.action, joinPath(c.path))
		}
		c.actor, c.holder = actor, holder
	}
	return to.serve(c)
}

// change changes the directory on behalf of the caller.
func (c *call) change(f func(*directory.Editor) error) error {
	_, err := c.cfg.Directory.Change(c.ctx, c.actor, f)
	return err
}

func (c *call) view() *directory.View { return c.cfg.Directory.View(c.ctx) }

func (c *call) tenant() directory.TenantID { return c.caller.Tenant.ID }

// elsewhere refuses what Azure has and this manager never will, in words that lead on.
func elsewhere(path []string) error {
	for i, segment := range path {
		if i == 0 || !strings.EqualFold(path[i-1], "providers") {
			continue
		}
		rest := strings.ToLower(joinPath(path[i:]))
		switch {
		case strings.EqualFold(segment, "Microsoft.Authorization") && i+1 < len(path):
			return refusal(http.StatusBadRequest, "NotSupported",
				"There are no role assignments of Azure (RBAC) here. What an application may do with an API is an app role: `rolecall grant PRINCIPAL API/ROLE`, or appRoleAssignedTo of Microsoft Graph, gives one. Who may change resources here, docs/resource-manager.md says.")
		case strings.HasPrefix(rest, "/microsoft.resources/deployments"), strings.HasPrefix(rest, "/microsoft.resources/deploymentstacks"):
			return refusal(http.StatusBadRequest, "NotSupported",
				"There are no deployments here, so templates and Bicep files cannot be deployed: create resource groups and managed identities one by one, or with rolecall.yaml.")
		}
	}
	return nil
}
