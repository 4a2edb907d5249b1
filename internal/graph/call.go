package graph

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A call is one request of a caller whom the route's permit admits.
type call struct {
	api     *API
	request *http.Request
	ids     requestIDs
	version string // "v1.0" or "beta"
	path    string // of the route
	refs    map[string]ref
	caller  *caller
	permit  *permit
	extent  extent                 // what of the tenant the caller may change: see owns
	dryRun  bool                   // nothing is to change
	changes []directory.ChangeNote // of a dry run
}

// A ref is what a path names a thing by: applications/ID, or applications(appId='ID').
type ref struct {
	by    string // the key's name in lower case; empty: the id
	value string
}

func (c *call) ctx() context.Context { return c.request.Context() }

// tenant is the caller's. Nothing of another one is ever read or changed.
func (c *call) tenant() directory.TenantID { return c.caller.tenant.ID }

func (c *call) view() *directory.View { return c.api.cfg.Directory.View(c.ctx()) }

// change changes the directory on behalf of the caller, with the rights that the route gives.
func (c *call) change(f func(*directory.Editor) error) error {
	actor := c.caller.actor(c.permit.rights)
	if c.dryRun {
		changes, err := directory.DryRun(c.ctx(), c.api.cfg.Directory, actor, f)
		c.changes = append(c.changes, changes...)
		return err
	}
	_, err := c.api.cfg.Directory.Change(c.ctx(), actor, f)
	return err
}

// owns requires that the caller is among the owners, unless it may change everything. It is to
// be asked within the transaction that makes the change.
func (c *call) owns(owners []directory.ObjectID) error {
	if c.extent == toEverything || c.extent == toOwned && slices.Contains(owners, c.caller.id) {
		return nil
	}
	return c.caller.denied(c.permit, "The caller is not among the owners of the object.")
}

// base is the root of the URLs of this version.
func (c *call) base() string { return c.api.cfg.URL + "/" + c.version }

// isBeta reports whether the call is for the beta version.
func (c *call) isBeta() bool { return c.version == versionBeta }

// linkPurpose is what the token of a link is good for: this list in this tenant.
func (c *call) linkPurpose(kind string) []string {
	return []string{kind, string(c.tenant()), c.version, strings.ToLower(c.request.URL.Path), c.options().Encode()}
}

// link is the URL of the same list with a token.
func (c *call) link(option, kind string, state any) (string, error) {
	token, err := c.api.sealer.Seal(state, c.linkPurpose(kind)...)
	if err != nil {
		return "", err
	}
	// The names of options begin with a dollar sign, which need not be encoded.
	query := strings.ReplaceAll(c.options().Encode(), "%24", "$")
	if query != "" {
		query += "&"
	}
	return c.api.cfg.URL + c.request.URL.EscapedPath() + "?" + query + option + "=" + token, nil
}
