package runas

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/managedidentity"
)

// companions are whom a program can be besides the actor.
type companions struct {
	identities  []lookup.Actor
	application *lookup.Actor // of an actor that is a managed identity
	unknown     []string      // those that the server refuses when it is asked for a binding
}

// names are what the server knows the identities by.
func (c companions) names() []string {
	var names []string
	for _, identity := range c.identities {
		names = append(names, identity.ID())
	}
	return append(names, c.unknown...)
}

// findAlso finds whom the program can be besides the actor: further managed identities, and
// either an application with an identity or the other way round.
func (e *Environment) findAlso(ctx context.Context) (companions, error) {
	var all companions
	actor, via := e.cfg.Actor, e.cfg.Via
	for _, name := range e.cfg.Also {
		found, err := e.cfg.Source.FindActor(ctx, string(actor.Tenant.ID), name)
		switch {
		case actor.User != nil || actor.IsIdentity() && (err != nil || found.User != nil):
			all.unknown = append(all.unknown, name)
		case err != nil:
			return companions{}, err
		case found.User != nil:
			return companions{}, fmt.Errorf("%s is a user, and --also is for managed identities and applications: leave it out", name)
		case found.IsIdentity():
			all.identities = append(all.identities, found)
		case !actor.IsIdentity() || all.application != nil:
			return companions{}, fmt.Errorf("%s is a second application, and a program has the credential of one: leave out one of them", name)
		default:
			all.application = &found
		}
	}
	if via == Workload && (all.application != nil || !actor.IsIdentity() && len(all.identities) > 0) {
		return companions{}, errors.New("--via workload gives a program one identity, because libraries would use its token file for every other: leave out --also, or --via")
	}
	if via == Identity && len(all.identities) == 0 {
		return companions{}, fmt.Errorf("--via identity has no identity: give with --also the managed identity that a federated credential of %s names", actor.Name())
	}
	return all, nil
}

// sayDefault says what Azure would do with requests that name no identity, where that differs.
func (e *Environment) sayDefault(via string, all []lookup.Actor) {
	var identities []managedidentity.Identity
	for _, actor := range all {
		identities = append(identities, managedidentity.IdentityOf(actor.Principal))
	}
	usual, ok := managedidentity.Default(directory.Platform(via), identities)
	switch {
	case !ok:
		e.say("requests that name no identity get a token of %s: Azure would refuse this", all[0].Name())
	case usual != identities[0]:
		e.say("requests that name no identity get a token of %s: Azure would give them one of %s, which is system-assigned", all[0].Name(), all[slices.Index(identities, usual)].Name())
	}
}
