package directory

import (
	"errors"
	"fmt"
	"slices"
)

const maxOwners = 100 // of one application or service principal

// checkOwners requires owners that are there, each once, and brings their ids into the form
// that is kept. Those of before are known.
func (e *editor) checkOwners(tenant TenantID, old []ObjectID, owners *[]ObjectID) error {
	if len(*owners) > maxOwners {
		return &RuleError{Field: "owners", What: fmt.Sprintf("There are more than %d owners.", maxOwners), Advice: "Remove some."}
	}
	kept := make([]ObjectID, 0, len(*owners))
	for i, owner := range *owners {
		field, owner := fmt.Sprintf("owners[%d]", i), fold(owner)
		if slices.Contains(kept, owner) {
			return taken(field, fmt.Sprintf("The owner %s is listed twice.", owner), "List it once.")
		}
		if !slices.Contains(old, owner) {
			if _, err := e.assignments().holderOf(tenant, owner); err != nil {
				return e.noOwner(field, err)
			}
		}
		kept = append(kept, owner)
	}
	*owners = emptyToNil(kept)
	return e.checkLastOwner(tenant, old, kept)
}

// noOwner words that somebody who was named as an owner is not there.
func (e *editor) noOwner(field string, err error) error {
	if rule, is := errors.AsType[*RuleError](err); is && errors.Is(err, ErrNotFound) {
		return &RuleError{Field: field, What: rule.What, Advice: "Give the object id of a user or of a service principal.", Cause: err}
	}
	return err
}

// checkLastOwner keeps callers from taking away the last user who owns something: nobody would
// be left to answer for it. Everybody may step back from what is their own, and the operator
// of the machine may do anything.
func (e *editor) checkLastOwner(tenant TenantID, old, next []ObjectID) error {
	if len(next) > 0 || !e.actor.isCaller() {
		return nil
	}
	for _, owner := range old {
		if owner == e.actor.ID {
			continue
		}
		if _, err := e.users().get(tenant, owner); err == nil {
			return &RuleError{Field: "owners", What: fmt.Sprintf("The last owner %s is a user and cannot be removed.", owner), Advice: "Add another owner first.", Cause: ErrLastOwner}
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// ErrLastOwner says that a change would take away the last user who owns something.
var ErrLastOwner = errors.New("the last owner stays")

// AddOwner makes a service principal or a user an owner. ErrDuplicate means that it is one.
func (e ApplicationEditor) AddOwner(tenant TenantID, id, owner ObjectID) error {
	_, err := e.Edit(tenant, id, func(a *Application) error { return addOwner(&a.Owners, owner) })
	return err
}

// RemoveOwner takes an owner away. ErrNotFound means that it is none.
func (e ApplicationEditor) RemoveOwner(tenant TenantID, id, owner ObjectID) error {
	_, err := e.Edit(tenant, id, func(a *Application) error { return removeOwner(&a.Owners, owner) })
	return err
}

// AddOwner makes a service principal or a user an owner. ErrDuplicate means that it is one.
func (e PrincipalEditor) AddOwner(tenant TenantID, id, owner ObjectID) error {
	_, err := e.Edit(tenant, id, func(p *ServicePrincipal) error { return addOwner(&p.Owners, owner) })
	return err
}

// RemoveOwner takes an owner away. ErrNotFound means that it is none.
func (e PrincipalEditor) RemoveOwner(tenant TenantID, id, owner ObjectID) error {
	_, err := e.Edit(tenant, id, func(p *ServicePrincipal) error { return removeOwner(&p.Owners, owner) })
	return err
}

func addOwner(owners *[]ObjectID, owner ObjectID) error {
	if slices.Contains(*owners, fold(owner)) {
		return taken("owners", fmt.Sprintf("%s is an owner already.", fold(owner)), "List the owners to see who they are.")
	}
	*owners = append(*owners, owner)
	return nil
}

func removeOwner(owners *[]ObjectID, owner ObjectID) error {
	i := slices.Index(*owners, fold(owner))
	if i < 0 {
		return missing(fmt.Sprintf("%s is no owner.", fold(owner)), "List the owners to see who they are.")
	}
	*owners = without(*owners, i)
	return nil
}

// dropOwner takes somebody who is about to go from what they own, so that nobody who bears
// the id later inherits it.
func (e *editor) dropOwner(tenant TenantID, owner ObjectID) error {
	applications, err := list[Application](e, tenant, KindApplication, makePrefix("owner", string(owner)))
	if err != nil {
		return err
	}
	for _, old := range applications {
		next := *old.value
		next.Owners = withoutOwner(next.Owners, owner)
		if err := update(e, old, &next, "owners: -"+string(owner)); err != nil {
			return err
		}
	}
	principals, err := list[ServicePrincipal](e, tenant, KindServicePrincipal, makePrefix("owner", string(owner)))
	if err != nil {
		return err
	}
	for _, old := range principals {
		if old.value.ID == owner {
			continue // it goes too
		}
		next := *old.value
		next.Owners = withoutOwner(next.Owners, owner)
		if err := update(e, old, &next, "owners: -"+string(owner)); err != nil {
			return err
		}
	}
	return nil
}

func withoutOwner(owners []ObjectID, owner ObjectID) []ObjectID {
	return emptyToNil(slices.DeleteFunc(slices.Clone(owners), func(id ObjectID) bool { return id == owner }))
}
