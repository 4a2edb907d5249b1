package directory

import (
	"fmt"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

const (
	maxResourceTags     = 50 // as in the resource manager, as are the following
	maxResourceTagName  = 512
	maxResourceTagValue = 256
	maxLocation         = 60
)

// A ResourceGroupEditor reads and changes resource groups.
type ResourceGroupEditor struct {
	Objects[ResourceGroup]
	*editor
	version version
}

// IfVersion makes Edit and Delete fail with ErrConflict unless that version is there.
func (e ResourceGroupEditor) IfVersion(expected int64) ResourceGroupEditor {
	e.version = version(expected)
	return e
}

// Create makes a resource group.
func (e ResourceGroupEditor) Create(g ResourceGroup) (*ResourceGroup, error) {
	return acting(e.editor, Create, ResourceGroups, func() (*ResourceGroup, error) {
		tenant, err := e.tenantByID(g.Tenant)
		if err != nil {
			return nil, err
		}
		g.ID, g.Tenant, g.Created = ObjectID(guid.New()), tenant.ID, e.now
		if err := checkGroupName(g.Name); err != nil {
			return nil, err
		}
		if err := e.free(g.Tenant, KindResourceGroup, makeKey("name", fold(g.Name)), ""); err != nil {
			return nil, duplicate(err, "name", fmt.Sprintf("There is a resource group %q already.", g.Name), "Choose another name; case does not count.")
		}
		if err := checkPlace(g.Location, g.Tags); err != nil {
			return nil, err
		}
		return &g, e.create(&g)
	})
}

// Edit changes the location and the tags. The name of a resource group is in the ids of what is
// in it, and stays.
func (e ResourceGroupEditor) Edit(tenant TenantID, id ObjectID, f func(*ResourceGroup) error) (*ResourceGroup, error) {
	old, err := e.get(tenant, id)
	if err != nil {
		return nil, err
	}
	g, err := edited(old, e.version, f)
	if err != nil {
		return nil, err
	}
	return acting(e.editor, Update, ResourceGroups, func() (*ResourceGroup, error) {
		next := *old.value
		next.Location, next.Tags = g.Location, g.Tags
		if err := checkPlace(next.Location, next.Tags); err != nil {
			return nil, err
		}
		var d detail
		d.changed("location", old.value.Location, next.Location)
		if !maps.Equal(old.value.Tags, next.Tags) {
			d.add("~tags")
		}
		return &next, update(e.editor, old, &next, d.String())
	})
}

// Delete removes a resource group with the user-assigned managed identities in it: those that have
// it in their ARM ids, in the tenant's own subscription. It stays where a system-assigned one is:
// that goes with its host.
func (e ResourceGroupEditor) Delete(tenant TenantID, id ObjectID) error {
	return e.act(Delete, ResourceGroups, func() error {
		found, err := e.get(tenant, id)
		if err != nil {
			return err
		}
		if err := e.version.check(found.version); err != nil {
			return err
		}
		group := found.value
		if err := e.empty(group, "/subscriptions/"+Subscription(group.Tenant)+"/resourcegroups/"+group.Name); err != nil {
			return err
		}
		if err := e.remove(group, found.version); err != nil {
			return err
		}
		return e.record("delete", group.target(), "")
	})
}

// empty deletes the managed identities below a scope.
func (e ResourceGroupEditor) empty(group *ResourceGroup, scope string) error {
	identities, err := e.view.Identities().In(group.Tenant, scope, Query{})
	if err != nil {
		return err
	}
	for _, identity := range identities.Items {
		if err := e.principals().Delete(group.Tenant, identity.ID); err != nil {
			return err
		}
	}
	left, err := e.view.Identities().Below(group.Tenant, scope)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return &RuleError{Field: "name", What: fmt.Sprintf("The resource group %q holds system-assigned managed identities.", group.Name), Advice: "Delete those first; they share the life of what runs under them."}
	}
	return nil
}

// checkGroupName checks the name of a resource group as the resource manager does.
func checkGroupName(name string) error {
	const longest = 90
	plain := func(r rune) bool {
		return r != '_' && r != '-' && r != '.' && r != '(' && r != ')' && (r >= utf8.RuneSelf || !unicode.IsLetter(r) && !unicode.IsDigit(r))
	}
	if name == "" || len(name) > longest || strings.HasSuffix(name, ".") || strings.ContainsFunc(name, plain) {
		return &RuleError{Field: "name", What: fmt.Sprintf("A resource group cannot be named %q.", text.Shown(name)), Advice: fmt.Sprintf("Use 1 to %d letters, digits, hyphens, underscores, parentheses and dots, no dot at the end.", longest)}
	}
	return checkNotGUID(name)
}

func (g *ResourceGroup) target() target {
	return target{kind: KindResourceGroup, tenant: g.Tenant, id: string(g.ID), name: g.Name}
}

// checkPlace checks where something is in the resource manager, and its tags there.
func checkPlace(location string, tags map[string]string) error {
	if err := checkOptionalText("location", location, maxLocation); err != nil {
		return err
	}
	if len(tags) > maxResourceTags {
		return &RuleError{Field: "tags", What: fmt.Sprintf("There are more than %d tags.", maxResourceTags), Advice: "Remove some."}
	}
	seen := map[string]bool{}
	for name, value := range tags {
		if err := checkText("tags", name, maxResourceTagName); err != nil {
			return err
		}
		if strings.ContainsAny(name, "<>%&\\?/") {
			return &RuleError{Field: "tags", What: fmt.Sprintf("The name of the tag %q holds a character that does not belong there.", text.Shown(name)), Advice: `Leave out <, >, %, &, \, ? and /.`}
		}
		if seen[fold(name)] {
			return taken("tags", fmt.Sprintf("The tag %q is there twice.", text.Shown(name)), "List it once; case does not count.")
		}
		seen[fold(name)] = true
		if err := checkOptionalText("tags", value, maxResourceTagValue); err != nil {
			return err
		}
	}
	return nil
}
