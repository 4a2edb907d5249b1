package arm

import (
	"cmp"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// A group is a resource group: one that was made, the default one, or one that the ids of
// identities name. Only the first has an entry of its own.
type group struct {
	name     string // as it is spelled where it is kept
	location string
	tags     map[string]string
	made     *directory.ResourceGroup // nil: of the other two
}

type groupBody struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags"`
	Properties struct {
		State string `json:"provisioningState"`
	} `json:"properties"`
}

func (c *call) groupBody(g group) groupBody {
	body := groupBody{
		ID:   "/subscriptions/" + strings.ToLower(c.at["subscription"]) + "/resourceGroups/" + g.name,
		Name: g.name, Type: "Microsoft.Resources/resourceGroups", Location: locationOf(g.location), Tags: g.tags,
	}
	if body.Tags == nil {
		body.Tags = map[string]string{}
	}
	body.Properties.State = "Succeeded"
	return body
}

func madeGroup(g *directory.ResourceGroup) group { return group{g.Name, g.Location, g.Tags, g} }

// own reports whether the call is about the tenant's own subscription, in which groups are made.
func (c *call) own() bool {
	return strings.EqualFold(c.at["subscription"], directory.Subscription(c.tenant()))
}

// groups lists the groups of the call's subscription, by name.
func (c *call) groups(v *directory.View) (all []group, err error) {
	if c.own() {
		made, err := v.ResourceGroups().All(c.tenant())
		if err != nil {
			return nil, err
		}
		for _, g := range made {
			all = append(all, madeGroup(g))
		}
		all = append(all, group{name: directory.DefaultGroup})
	}
	named, err := v.Identities().Below(c.tenant(), "/subscriptions/"+c.at["subscription"]+"/resourcegroups")
	if err != nil {
		return nil, err
	}
	for _, name := range named {
		all = append(all, group{name: name})
	}
	// The first of a name counts: what was made knows more than what is only named.
	slices.SortStableFunc(all, func(a, b group) int { return cmp.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) })
	return slices.CompactFunc(all, func(a, b group) bool { return strings.EqualFold(a.name, b.name) }), nil
}

// group finds the group that the call names.
func (c *call) group(v *directory.View) (group, error) {
	name := c.at["group"]
	if c.own() && !guid.Is(name) { // by which it would be found as an object
		made, err := v.ResourceGroups().Find(c.tenant(), name)
		if err == nil {
			return madeGroup(made), nil
		}
		if !errors.Is(err, directory.ErrNotFound) {
			return group{}, err
		}
		if strings.EqualFold(name, directory.DefaultGroup) {
			return group{name: directory.DefaultGroup}, nil
		}
	}
	named, err := v.Identities().Below(c.tenant(), "/subscriptions/"+c.at["subscription"]+"/resourcegroups")
	if err != nil {
		return group{}, err
	}
	for _, one := range named {
		if strings.EqualFold(one, name) {
			return group{name: one}, nil
		}
	}
	return group{}, refusal(http.StatusNotFound, "ResourceGroupNotFound", "Resource group '%s' could not be found.", text.Shown(name))
}

// checkGroup refuses a resource group that is not there, if the call names one.
func (c *call) checkGroup() error { return c.checkGroupIn(c.view()) }

func (c *call) checkGroupIn(v *directory.View) error {
	if _, given := c.at["group"]; !given {
		return nil
	}
	_, err := c.group(v)
	return err
}

// tagFilter is the one filter of groups.
var tagFilter = regexp.MustCompile(`^(?i:tagname) (?i:eq) '([^']*)'(?: (?i:and) (?i:tagvalue) (?i:eq) '([^']*)')?$`)

func listGroups(c *call) (reply, error) {
	all, err := c.groups(c.view())
	if err != nil {
		return reply{}, err
	}
	filter := c.r.URL.Query().Get("$filter")
	wanted := tagFilter.FindStringSubmatch(filter)
	if filter != "" && wanted == nil {
		return reply{}, refusal(http.StatusBadRequest, "InvalidFilterInQueryString", "The $filter of resource groups can only be tagName eq 'NAME', and tagValue eq 'VALUE' behind it.")
	}
	bodies := list[groupBody]{Value: []groupBody{}}
	for _, g := range all {
		if wanted == nil || tagged(g.tags, wanted[1], wanted[2]) {
			bodies.Value = append(bodies.Value, c.groupBody(g))
		}
	}
	return found(bodies)
}

// tagged reports whether there is the tag, with the value if one is given.
func tagged(tags map[string]string, name, value string) bool {
	for n, v := range tags {
		if strings.EqualFold(n, name) && (value == "" || v == value) {
			return true
		}
	}
	return false
}

func getGroup(c *call) (reply, error) {
	g, err := c.group(c.view())
	if err != nil {
		return reply{}, err
	}
	return found(c.groupBody(g))
}

func headGroup(c *call) (reply, error) {
	_, err := c.group(c.view())
	return reply{status: http.StatusNoContent}, err
}

// putGroup makes a group, or changes the tags of the one there is.
func putGroup(c *call) (reply, error) {
	var body resourceRequest
	if err := c.readBody(&body); err != nil {
		return reply{}, err
	}
	if body.Location == "" {
		return reply{}, refusal(http.StatusBadRequest, "LocationRequired", "The location property is required for this definition. Any is taken.")
	}
	status, location := http.StatusOK, locationOf(body.Location)
	var g *directory.ResourceGroup
	err := c.change(func(e *directory.Editor) error {
		present, err := c.group(e.View())
		if p, is := errors.AsType[*problem](err); is && p.code == "ResourceGroupNotFound" && c.own() {
			status, present, err = http.StatusCreated, group{name: c.at["group"], location: location}, nil
		}
		if err != nil {
			return err
		}
		if at := locationOf(present.location); at != location {
			return refusal(http.StatusConflict, "InvalidResourceGroupLocation",
				"The resource group '%s' exists at the location '%s' and cannot be at '%s', too: delete it first.", text.Shown(present.name), at, text.Shown(location))
		}
		g, err = c.editGroup(e, present, body.Tags)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	return reply{status, c.groupBody(madeGroup(g))}, nil
}

// editGroup gives a group its tags, and an entry of its own if it has none.
func (c *call) editGroup(e *directory.Editor, g group, tags map[string]string) (*directory.ResourceGroup, error) {
	switch {
	case g.made != nil:
		return e.ResourceGroups().Edit(c.tenant(), g.made.ID, func(next *directory.ResourceGroup) error {
			next.Tags = tags
			return nil
		})
	case c.own():
		return e.ResourceGroups().Create(directory.ResourceGroup{Tenant: c.tenant(), Name: g.name, Location: locationOf(g.location), Tags: tags})
	}
	return nil, c.notOwn()
}

// notOwn is the refusal of a change to a group that the id of an identity names in a subscription of
// another's.
func (c *call) notOwn() *problem {
	return refusal(http.StatusConflict, "Conflict", "The subscription '%s' is there by the ids of managed identities alone. The tenant's own, in which groups are made, is '%s'.",
		text.Shown(c.at["subscription"]), directory.Subscription(c.tenant()))
}

func patchGroup(c *call) (reply, error) {
	var body resourceRequest
	if err := c.readBody(&body); err != nil {
		return reply{}, err
	}
	var changed group
	err := c.change(func(e *directory.Editor) error {
		var err error
		if changed, err = c.group(e.View()); err != nil || body.Tags == nil {
			return err
		}
		g, err := c.editGroup(e, changed, body.Tags)
		if err != nil {
			return err
		}
		changed = madeGroup(g)
		return nil
	})
	if err != nil {
		return reply{}, err
	}
	return found(c.groupBody(changed))
}

// deleteGroup deletes a group with the identities in it. The default group is always there.
func deleteGroup(c *call) (reply, error) {
	err := c.change(func(e *directory.Editor) error {
		g, err := c.group(e.View())
		switch {
		case err != nil:
			return err
		case c.own() && strings.EqualFold(g.name, directory.DefaultGroup):
			return refusal(http.StatusConflict, "ResourceGroupDeletionBlocked", "The resource group '%s' is always there, with the identities of rolecall.yaml in it: delete what is in it one by one.", g.name)
		case g.made == nil && !c.own():
			return c.notOwn()
		case g.made == nil:
			if g.made, err = c.editGroup(e, g, nil); err != nil {
				return err
			}
		}
		return e.ResourceGroups().Delete(c.tenant(), g.made.ID)
	})
	return reply{status: http.StatusOK}, err
}
