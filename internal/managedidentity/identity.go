package managedidentity

import (
	"errors"
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
}

// IdentityOf names a managed identity or, on the platform CLI, an application.
func IdentityOf(p *directory.ServicePrincipal) Identity {
	return Identity{p.AppID, p.ID, p.Created}
}

// is reports whether a service principal is the one that was assigned.
func (i Identity) is(p *directory.ServicePrincipal) bool {
	return i.Principal == p.ID && i.Created.Equal(p.Created)
}

// choose finds the selected identity among those assigned to the endpoint: the first of them
// when the request names none.
func (c *call) choose(by selector) (*directory.Instance, *refusal) {
	identities := c.endpoint.assigned()
	if by.kind == byDefault && len(identities) > 1 {
		identities = identities[:1] // when that is gone, no other takes its place
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

// names reports whether the selector selects the identity.
func (by selector) names(p *directory.ServicePrincipal) bool {
	switch by.kind {
	case byClient:
		return strings.EqualFold(by.value, string(p.AppID))
	case byObject:
		return strings.EqualFold(by.value, string(p.ID))
	case byResource:
		return p.ResourceID != "" && strings.EqualFold(strings.Trim(by.value, "/"), strings.Trim(p.ResourceID, "/"))
	default: // none was selected, which means the first
		return true
	}
}
