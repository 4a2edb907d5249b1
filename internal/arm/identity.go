package arm

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// An identityBody is a managed identity, user-assigned or of a resource.
type identityBody struct {
	ID         string             `json:"id"`
	Name       string             `json:"name"`
	Type       string             `json:"type"`
	Location   string             `json:"location"`
	Tags       map[string]string  `json:"tags"`
	Properties identityProperties `json:"properties"`
}

type identityProperties struct {
	Tenant    directory.TenantID `json:"tenantId"`
	Principal directory.ObjectID `json:"principalId"`
	Client    directory.AppID    `json:"clientId"`
}

func bodyOf(p *directory.ServicePrincipal) identityBody {
	body := identityBody{
		ID: p.ResourceID, Name: lastSegment(p.ResourceID), Type: identityType, Location: locationOf(p.Location), Tags: p.ResourceTags,
		Properties: identityProperties{p.Tenant, p.ID, p.AppID},
	}
	if body.Tags == nil {
		body.Tags = map[string]string{}
	}
	return body
}

// lastSegment is the name of a resource, as its id ends.
func lastSegment(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// scope is the path of the call up to its subscription, or its group if it names one.
func (c *call) scope() string {
	scope := "/subscriptions/" + c.at["subscription"]
	if group, given := c.at["group"]; given {
		scope += "/resourcegroups/" + group
	}
	return scope
}

// pageSize is how many identities one answer lists.
const pageSize = 100

func listIdentities(c *call) (reply, error) {
	if err := c.checkGroup(); err != nil {
		return reply{}, err
	}
	page, next, err := c.identityPage(pageSize)
	if err != nil {
		return reply{}, err
	}
	all := list[identityBody]{Value: []identityBody{}, NextLink: next}
	for _, p := range page {
		all.Value = append(all.Value, bodyOf(p))
	}
	return found(all)
}

// identityPage is the page of identities of the call's scope that it asks for, and the link to the
// next one. The token in the link is where this page ended, in ids that whoever has it has read.
func (c *call) identityPage(size int) (page []*directory.ServicePrincipal, next string, err error) {
	const token = "$skiptoken"
	query := c.r.URL.Query()
	after, err := base64.RawURLEncoding.DecodeString(query.Get(token))
	if err != nil || len(after) > maxPath {
		return nil, "", refusal(http.StatusBadRequest, "InvalidSkipToken", "The %s of the request is none that was given out here.", token)
	}
	found, err := c.view().Identities().In(c.tenant(), c.scope(), directory.Query{Limit: size, After: string(after)})
	if err != nil || found.Next == "" {
		return found.Items, "", err
	}
	query.Set(token, base64.RawURLEncoding.EncodeToString([]byte(found.Next)))
	return found.Items, strings.TrimSuffix(c.cfg.Cloud.Manager, "/") + c.r.URL.EscapedPath() + "?" + query.Encode(), nil
}

// typeFilter is the one filter of resources.
var typeFilter = regexp.MustCompile(`^(?i:resourcetype) (?i:eq) '([^']*)'$`)

// resources lists what is in a group or a subscription: identities alone.
func resources(c *call) (reply, error) {
	if err := c.checkGroup(); err != nil {
		return reply{}, err
	}
	filter := c.r.URL.Query().Get("$filter")
	wanted := typeFilter.FindStringSubmatch(filter)
	switch {
	case filter != "" && wanted == nil:
		return reply{}, refusal(http.StatusBadRequest, "InvalidFilterInQueryString", "The $filter of resources can only be resourceType eq 'TYPE'.")
	case wanted != nil && !strings.EqualFold(wanted[1], identityType):
		return found(list[struct{}]{Value: []struct{}{}})
	}
	page, next, err := c.identityPage(pageSize)
	if err != nil {
		return reply{}, err
	}
	type resource struct {
		ID       string            `json:"id"`
		Name     string            `json:"name"`
		Type     string            `json:"type"`
		Location string            `json:"location"`
		Tags     map[string]string `json:"tags"`
	}
	all := list[resource]{Value: []resource{}, NextLink: next}
	for _, p := range page {
		body := bodyOf(p)
		all.Value = append(all.Value, resource{body.ID, body.Name, body.Type, body.Location, body.Tags})
	}
	return found(all)
}

// identityID is the ARM id of the identity that the path names, in the spelling that is kept.
func (c *call) identityID() string {
	return c.scope() + identities + "/" + url.PathEscape(c.at["name"])
}

// identity finds the user-assigned identity that the path names.
func (c *call) identity(v *directory.View) (*directory.ServicePrincipal, error) {
	found, err := v.Identities().Find(c.tenant(), c.identityID())
	if errors.Is(err, directory.ErrNotFound) {
		return nil, c.noIdentity()
	}
	if err == nil && found.IdentityKind != directory.IdentityUser {
		return nil, c.noIdentity()
	}
	return found, err
}

func (c *call) noIdentity() *problem {
	return refusal(http.StatusNotFound, "ResourceNotFound", "The resource '%s/%s' under resource group '%s' was not found.",
		identityType, text.Shown(c.at["name"]), text.Shown(c.at["group"]))
}

func getIdentity(c *call) (reply, error) {
	if err := c.checkGroup(); err != nil {
		return reply{}, err
	}
	p, err := c.identity(c.view())
	if err != nil {
		return reply{}, err
	}
	return found(bodyOf(p))
}

// A resourceRequest is what may be set of an identity or a group.
type resourceRequest struct {
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags"`
}

// putIdentity makes an identity, or changes the tags of the one there is.
func putIdentity(c *call) (reply, error) {
	var body resourceRequest
	if err := c.readBody(&body); err != nil {
		return reply{}, err
	}
	if !validIdentityName(c.at["name"]) {
		return reply{}, refusal(http.StatusBadRequest, "InvalidResourceName",
			"The name '%s' cannot be that of a managed identity: use 3 to 128 letters, digits, hyphens and underscores, a letter or digit first.", text.Shown(c.at["name"]))
	}
	status := http.StatusOK
	var made *directory.ServicePrincipal
	err := c.change(func(e *directory.Editor) error {
		if err := c.checkGroupIn(e.View()); err != nil {
			return err
		}
		present, err := c.identity(e.View())
		if p, is := errors.AsType[*problem](err); is && p.code == "ResourceNotFound" {
			if body.Location == "" {
				return refusal(http.StatusBadRequest, "LocationRequired", "The location property is required for this definition. Any is taken; the resource group has one, too.")
			}
			status = http.StatusCreated
			made, err = c.createIdentity(e, body)
			return err
		}
		if err != nil {
			return err
		}
		made, err = c.editIdentity(e, present, body, true)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return reply{status, bodyOf(made)}, nil
}

// createIdentity makes an identity, which is also known by its name alone unless something else is.
func (c *call) createIdentity(e *directory.Editor, body resourceRequest) (*directory.ServicePrincipal, error) {
	name := c.at["name"]
	p := directory.ServicePrincipal{
		Tenant: c.tenant(), Type: directory.PrincipalManagedIdentity, IdentityKind: directory.IdentityUser,
		Name: name, DisplayName: name, ResourceID: c.identityID(), Location: locationOf(body.Location), ResourceTags: body.Tags,
	}
	_, err := e.View().ServicePrincipals().Find(c.tenant(), name)
	if errors.Is(err, directory.ErrNotFound) {
		_, err = e.View().Applications().Find(c.tenant(), name)
	}
	switch {
	case err == nil:
		p.Name = ""
	case !errors.Is(err, directory.ErrNotFound):
		return nil, err
	}
	return e.ServicePrincipals().Create(p)
}

// editIdentity changes an identity; whole: what is not given is gone.
func (c *call) editIdentity(e *directory.Editor, p *directory.ServicePrincipal, body resourceRequest, whole bool) (*directory.ServicePrincipal, error) {
	if given := locationOf(body.Location); body.Location != "" && given != bodyOf(p).Location {
		return nil, refusal(http.StatusConflict, "InvalidResourceLocation",
			"The resource '%s' exists at the location '%s' and cannot be at '%s', too: delete it first.", text.Shown(c.at["name"]), bodyOf(p).Location, text.Shown(given))
	}
	return e.ServicePrincipals().Edit(p.Tenant, p.ID, func(next *directory.ServicePrincipal) error {
		if whole || body.Tags != nil {
			next.ResourceTags = body.Tags
		}
		return nil
	})
}

func patchIdentity(c *call) (reply, error) {
	var body resourceRequest
	if err := c.readBody(&body); err != nil {
		return reply{}, err
	}
	var changed *directory.ServicePrincipal
	err := c.change(func(e *directory.Editor) error {
		if err := c.checkGroupIn(e.View()); err != nil {
			return err
		}
		present, err := c.identity(e.View())
		if err != nil {
			return err
		}
		changed, err = c.editIdentity(e, present, body, false)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return found(bodyOf(changed))
}

// deleteIdentity removes an identity for good, with what it holds. That there was none is an
// answer, too.
func deleteIdentity(c *call) (reply, error) {
	status := http.StatusOK
	err := c.change(func(e *directory.Editor) error {
		present, err := c.identity(e.View())
		if p, is := errors.AsType[*problem](err); is && p.code == "ResourceNotFound" {
			status = http.StatusNoContent
			return nil
		}
		if err != nil {
			return err
		}
		return e.ServicePrincipals().Delete(present.Tenant, present.ID)
	})
	return reply{status: status}, err
}

// systemIdentity is the identity that shares the life of a resource.
func systemIdentity(c *call) (reply, error) {
	scope := c.at[scopeName]
	p, err := c.view().Identities().Find(c.tenant(), escapedPath(scope))
	if errors.Is(err, directory.ErrNotFound) || err == nil && p.IdentityKind != directory.IdentitySystem {
		return reply{}, refusal(http.StatusNotFound, "ResourceNotFound", "The resource '%s' has no system-assigned identity.", text.Shown(scope))
	}
	if err != nil {
		return reply{}, err
	}
	body := bodyOf(p)
	body.ID, body.Name, body.Type = p.ResourceID+"/providers/Microsoft.ManagedIdentity/identities/default", "default", "Microsoft.ManagedIdentity/identities"
	return found(body)
}

// escapedPath is a path whose segments are escaped as in the ids that the directory makes.
func escapedPath(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return strings.Join(segments, "/")
}

// associated lists the hosts whose programs may be the identity.
func associated(c *call) (reply, error) {
	if err := c.checkGroup(); err != nil {
		return reply{}, err
	}
	p, err := c.identity(c.view())
	if err != nil {
		return reply{}, err
	}
	hosts, err := c.view().Hosts().All(c.tenant())
	if err != nil {
		return reply{}, err
	}
	type resource struct {
		ID               string `json:"id"`
		Name             string `json:"name"`
		Type             string `json:"type"`
		Group            string `json:"resourceGroup"`
		Subscription     string `json:"subscriptionId"`
		SubscriptionName string `json:"subscriptionDisplayName"`
	}
	type body struct {
		Total    int        `json:"totalCount"`
		Value    []resource `json:"value"`
		NextLink *string    `json:"nextLink"`
	}
	all, own := body{Value: []resource{}}, c.subscriptionBody(directory.Subscription(c.tenant()))
	for _, host := range hosts {
		for _, id := range host.Identities {
			if id != p.ID {
				continue
			}
			kind := hostType(host.Platform)
			all.Value = append(all.Value, resource{
				ID:   own.ID + "/resourcegroups/" + directory.DefaultGroup + "/providers/" + kind + "/" + url.PathEscape(host.Name),
				Name: host.Name, Type: strings.ToLower(kind), Group: directory.DefaultGroup, Subscription: own.SubscriptionID, SubscriptionName: own.DisplayName,
			})
		}
	}
	all.Total = len(all.Value)
	return found(all)
}

// hostType is what Azure calls a host that offers its identities in a platform's way.
func hostType(platform directory.Platform) string {
	switch platform {
	case directory.PlatformIMDS:
		return "Microsoft.Compute/virtualMachines"
	case directory.PlatformArc:
		return "Microsoft.HybridCompute/machines"
	case directory.PlatformServiceFabric:
		return "Microsoft.ServiceFabric/clusters"
	case directory.PlatformAzureML:
		return "Microsoft.MachineLearningServices/workspaces"
	default:
		return "Microsoft.Web/sites"
	}
}

func validIdentityName(name string) bool {
	const shortest, longest = 3, 120 // Azure has 128: a name here is also that of a service principal
	if len(name) < shortest || len(name) > longest || strings.ContainsAny(name[:1], "-_") {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}
