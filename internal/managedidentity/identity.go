package managedidentity

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// An Identity is what is assigned to an endpoint: one service principal. A principal that was
// created anew with the ids of a deleted one is a different one.
type Identity struct {
	App       directory.AppID
	Principal directory.ObjectID
	Created   time.Time
	// System says that it is system-assigned: the one for requests that name none.
	System bool
}

// IdentityOf names a managed identity or, on the platform CLI, an application.
func IdentityOf(p *directory.ServicePrincipal) Identity {
	return Identity{p.AppID, p.ID, p.Created, p.IdentityKind == directory.IdentitySystem}
}

// is reports whether a service principal is the one that was assigned.
func (i Identity) is(p *directory.ServicePrincipal) bool {
	return i.Principal == p.ID && i.Created.Equal(p.Created)
}

// Default finds the identity for requests that name none, as Azure does: the system-assigned
// one. Where there is none, virtual machines and their like take the only user-assigned one, and
// App Service takes none. With several identities the result does not depend on which of them
// still exist: when one is gone, no other takes its place.
func Default(platform directory.Platform, identities []Identity) (Identity, bool) {
	if system := slices.IndexFunc(identities, func(i Identity) bool { return i.System }); system >= 0 {
		return identities[system], true
	}
	switch {
	case platform == directory.PlatformCLI && len(identities) > 0: // its one account
		return identities[0], true
	case platform == directory.PlatformAppService || len(identities) != 1:
		return Identity{}, false
	}
	return identities[0], true
}

// unnamed finds the identity for a request that names none.
func (c *call) unnamed() ([]Identity, *refusal) {
	identities := c.endpoint.assigned()
	if len(identities) == 0 {
		return nil, notFound()
	}
	if c.endpoint.defaultIdentity {
		return identities[:1], nil
	}
	identity, ok := Default(c.endpoint.kind, identities)
	switch {
	case ok:
		return []Identity{identity}, nil
	case c.endpoint.kind == directory.PlatformAppService:
		return nil, noSystemIdentity()
	}
	return nil, severalIdentities()
}

// choose finds the selected identity among those assigned to the endpoint.
func (c *call) choose(by selector) (*directory.Instance, *refusal) {
	identities := c.endpoint.assigned()
	if by.kind == byDefault {
		if by.name != "" && !c.mayBeEmpty(by.name) {
			return nil, malformed("The parameter '" + by.name + "' is empty: leave it out, or name an identity with it.")
		}
		var p *refusal
		if identities, p = c.unnamed(); p != nil {
			return nil, p
		}
	}
	for _, identity := range identities {
		client, err := c.endpoint.service.cfg.Directory.Instance(c.http.Context(), c.endpoint.tenant, identity.App)
		switch {
		case errors.Is(err, directory.ErrNotFound) || err == nil && (client.Principal == nil || !identity.is(client.Principal)):
			continue // deleted since, whether or not another has its ids now
		case err != nil:
			return nil, refused(err)
		case by.names(client.Principal):
			return client, nil
		}
	}
	return nil, notFound()
}

// mayBeEmpty reports whether a parameter without a value counts as absent. Clients of Azure
// Machine Learning send such a clientid.
func (c *call) mayBeEmpty(parameter string) bool {
	return c.endpoint.defaultIdentity || c.endpoint.kind == directory.PlatformAzureML && parameter == "clientid"
}

// names reports whether the selector selects the identity.
func (by selector) names(p *directory.ServicePrincipal) bool {
	switch by.kind {
	case byClient:
		return strings.EqualFold(by.value, string(p.AppID))
	case byObject:
		return strings.EqualFold(by.value, string(p.ID))
	case byResource:
		return p.HasResourceID(by.value)
	default: // none was selected
		return true
	}
}
