package manifest

import (
	"maps"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// applyGroups makes and changes resource groups.
func (w *work) applyGroups() error {
	if len(w.file.groups) == 0 {
		return nil
	}
	present, err := w.editor.ResourceGroups().All(w.tenant.ID)
	if err != nil {
		return err
	}
	found := make(map[string]*directory.ResourceGroup, len(present))
	for _, g := range present {
		found[strings.ToLower(g.Name)] = g
	}
	for _, g := range w.file.groups {
		if err := w.applyGroup(g, found[strings.ToLower(g.name)]); err != nil {
			return w.ruled(err, g.of)
		}
	}
	return nil
}

func (w *work) applyGroup(g *resourceGroup, found *directory.ResourceGroup) error {
	if found == nil {
		_, err := w.editor.ResourceGroups().Create(directory.ResourceGroup{Tenant: w.tenant.ID, Name: g.name, Location: g.location, Tags: maps.Clone(g.tags)})
		return err
	}
	_, err := w.editor.ResourceGroups().Edit(w.tenant.ID, found.ID, func(next *directory.ResourceGroup) error {
		if w.says(g.place, "location", false) {
			next.Location = g.location
		}
		if w.says(g.place, "tags", false) && !maps.Equal(next.Tags, g.tags) {
			next.Tags = maps.Clone(g.tags)
		}
		return nil
	})
	return err
}

// pruneGroups removes the resource groups that the file does not mention, when the identities
// that it does not mention are gone. One that others are in stays: they would go with it.
func pruneGroups(w *work) error {
	if !w.prune {
		return nil
	}
	mentioned := make(map[string]bool, len(w.file.groups))
	for _, g := range w.file.groups {
		mentioned[strings.ToLower(g.name)] = true
	}
	present, err := w.editor.ResourceGroups().All(w.tenant.ID)
	if err != nil {
		return err
	}
	for _, g := range present {
		if mentioned[strings.ToLower(g.Name)] {
			continue
		}
		within, err := w.editor.View().Identities().Below(w.tenant.ID, "/subscriptions/"+directory.Subscription(w.tenant.ID)+"/resourcegroups/"+g.Name)
		if err != nil {
			return err
		}
		if len(within) > 0 {
			continue
		}
		if err := w.editor.ResourceGroups().Delete(w.tenant.ID, g.ID); err != nil {
			return w.ruled(err, w.file.of)
		}
	}
	return nil
}
