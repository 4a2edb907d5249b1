package directory

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/text"
)

const (
	maxRoles            = 1200 // as many as Entra allows in one registration
	maxOfferDescription = 1000 // characters
)

// An offer is what an application, as a resource, offers: an app role or a scope.
type offer[T any] interface {
	*T
	fields() offerFields
}

// offerFields are what both have.
type offerFields struct {
	what                            string // "app role"
	id                              *string
	value, displayName, description *string
	enabled                         bool
}

func (r *AppRole) fields() offerFields {
	return offerFields{"app role", (*string)(&r.ID), &r.Value, &r.DisplayName, &r.Description, r.Enabled}
}

func (s *Scope) fields() offerFields {
	return offerFields{"scope", (*string)(&s.ID), &s.Value, &s.DisplayName, &s.Description, s.Enabled}
}

// checkOffers checks the list of one kind: each by itself, then that values and ids are
// given once. An offer without an id gets that of the old one with its value. The ids are
// those of other offers of the registration, and gain these.
func checkOffers[T any, P offer[T]](list string, old, all []T, ids map[string]bool, check func(field string, one *T) error) error {
	seen := map[string]bool{}
	for i := range all {
		f, field := P(&all[i]).fields(), fmt.Sprintf("%s[%d]", list, i)
		if err := checkOffer(field, f); err != nil {
			return err
		}
		if err := check(field, &all[i]); err != nil {
			return err
		}
		if *f.value != "" && seen[fold(*f.value)] {
			return taken(field+".value", fmt.Sprintf("The %s %q occurs twice.", f.what, *f.value), "Give each "+f.what+" a value of its own; case does not count.")
		}
		if *f.id == "" && *f.value != "" {
			*f.id = idByValue[T, P](old, *f.value)
		}
		id, err := givenGUID(field+".id", *f.id)
		if err != nil {
			return err
		}
		if ids[id] {
			return taken(field+".id", fmt.Sprintf("Two app roles or scopes have the id %s.", id), "Leave an id out to have a new one made.")
		}
		*f.id = id
		ids[id], seen[fold(*f.value)] = true, true
	}
	return nil
}

// checkOffer gives an offer the texts it lacks, and checks them.
func checkOffer(field string, f offerFields) error {
	*f.displayName = cmp.Or(*f.displayName, *f.value)
	*f.description = cmp.Or(*f.description, *f.displayName)
	if err := checkOptionalText(field+".value", *f.value, maxName); err != nil {
		return err
	}
	if *f.value == "" && *f.displayName == "" {
		return &RuleError{Field: field + ".value", What: fmt.Sprintf("The %s has no value and no display name.", f.what), Advice: "Write the value as Orders.Read."}
	}
	if strings.ContainsFunc(*f.value, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.HasPrefix(*f.value, ".") {
		return &RuleError{Field: field + ".value", What: fmt.Sprintf("The %s value %q holds a space or a character that a token may not carry there.", f.what, *f.value), Advice: "Write it as Orders.Read: ASCII without spaces, not beginning with a dot."}
	}
	if err := checkText(field+".displayName", *f.displayName, maxName); err != nil {
		return err
	}
	return checkText(field+".description", *f.description, maxOfferDescription)
}

func idByValue[T any, P offer[T]](all []T, value string) string {
	for i := range all {
		if f := P(&all[i]).fields(); *f.value == value {
			return *f.id
		}
	}
	return ""
}

// offerNamed returns the one with that id or value.
func offerNamed[T any, P offer[T]](all []T, ref string) (found T, ok bool) {
	for i := range all {
		if f := P(&all[i]).fields(); ref != "" && (*f.value == ref || strings.EqualFold(*f.id, ref)) {
			return all[i], true
		}
	}
	return found, false
}

// offerDetail notes what came, went and changed; differs says more of one that stayed.
func offerDetail[T any, P offer[T]](d *detail, list string, old, next []T, differs func(old, next *T) string) {
	for i := range next {
		f := P(&next[i]).fields()
		j := slices.IndexFunc(old, func(o T) bool { return *P(&o).fields().id == *f.id })
		if j < 0 {
			d.add("%s: +%s", list, *f.value)
			continue
		}
		was := P(&old[j]).fields()
		switch more := differs(&old[j], &next[i]); {
		case was.enabled != f.enabled:
			d.add("%s: %s enabled: %v → %v", list, *f.value, was.enabled, f.enabled)
		case more != "":
			d.add("%s: %s %s", list, *f.value, more)
		case *was.value != *f.value:
			d.add("%s: %s → %s", list, *was.value, *f.value)
		case fmt.Sprint(old[j]) != fmt.Sprint(next[i]):
			d.add("%s: ~%s", list, *f.value)
		}
	}
	for i := range old {
		f := P(&old[i]).fields()
		if !slices.ContainsFunc(next, func(n T) bool { return *P(&n).fields().id == *f.id }) {
			d.add("%s: -%s", list, *f.value)
		}
	}
}

// ErrEnabled says that an app role or scope must be disabled before a change, in a change of
// its own.
var ErrEnabled = errors.New("it must be disabled first")

func stillEnabled(field, what, value, done string) error {
	then := map[string]string{"removed": "remove", "changed": "change"}[done]
	return &RuleError{
		Field: field, What: fmt.Sprintf("The %s %q is enabled and cannot be %s.", what, value, done),
		Advice: "Disable it first (enabled: false), then " + then + " it.", Cause: ErrEnabled,
	}
}

// checkUnchanged requires that enabled roles and scopes stay what they are to those who hold
// them: see [ApplicationEditor.DisabledFirst].
func checkUnchanged(old, a *Application) error {
	for _, was := range old.AppRoles {
		i := slices.IndexFunc(a.AppRoles, func(r AppRole) bool { return r.ID == was.ID })
		if was.Enabled && i >= 0 && (a.AppRoles[i].Value != was.Value || !sameMembers(a.AppRoles[i].Members, was.Members)) {
			return stillEnabled("appRoles", "app role", cmp.Or(was.Value, was.DisplayName), "changed")
		}
	}
	for _, was := range old.Scopes {
		i := slices.IndexFunc(a.Scopes, func(s Scope) bool { return s.ID == was.ID })
		if was.Enabled && i >= 0 && (a.Scopes[i].Value != was.Value || a.Scopes[i].AdminOnly != was.AdminOnly) {
			return stillEnabled("scopes", "scope", cmp.Or(was.Value, was.DisplayName), "changed")
		}
	}
	return nil
}

func sameMembers(a, b []MemberType) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(m MemberType) bool { return !slices.Contains(b, m) })
}

// checkRoles checks the app roles of a registration.
func checkRoles(old, a *Application) error {
	if len(a.AppRoles) > maxRoles {
		return &RuleError{Field: "appRoles", What: fmt.Sprintf("There are more than %d app roles.", maxRoles), Advice: "Remove some, or split the application."}
	}
	a.AppRoles = slices.Clone(a.AppRoles)
	return checkOffers("appRoles", old.AppRoles, a.AppRoles, map[string]bool{}, func(field string, role *AppRole) error {
		return checkMembers(field+".members", role)
	})
}

func checkMembers(field string, role *AppRole) error {
	if len(role.Members) == 0 {
		return &RuleError{Field: field, What: fmt.Sprintf("The app role %q does not say who may hold it.", role.Value), Advice: "List Application, User or both."}
	}
	for i, member := range role.Members {
		if member != MemberApplication && member != MemberUser {
			return &RuleError{Field: field, What: fmt.Sprintf("%q cannot hold the app role %q.", text.Shown(string(member)), role.Value), Advice: "List Application, User or both."}
		}
		if slices.Contains(role.Members[:i], member) {
			return taken(field, fmt.Sprintf("%s is listed twice in the app role %q.", member, role.Value), "List it once.")
		}
	}
	return nil
}

// Role returns the app role with that id or value.
func (a *Application) Role(ref string) (AppRole, bool) { return offerNamed(a.AppRoles, ref) }

// Allows reports whether members of that type may hold the role.
func (r AppRole) Allows(member MemberType) bool { return slices.Contains(r.Members, member) }

// dropRemovedRoles takes away the assignments of roles that the update leaves out. A
// role must have been disabled first, in a change of its own, as in Entra: so nobody
// loses access by a slip that cannot be undone.
func (e ApplicationEditor) dropRemovedRoles(old, a *Application) error {
	for _, role := range old.AppRoles {
		if slices.ContainsFunc(a.AppRoles, func(r AppRole) bool { return r.ID == role.ID }) {
			continue
		}
		if role.Enabled {
			return stillEnabled("appRoles", "app role", cmp.Or(role.Value, role.DisplayName), "removed")
		}
		if err := e.assignments().dropRole(old, role); err != nil {
			return err
		}
	}
	return nil
}

const maxScopes = 1200 // as for app roles

// checkScopes checks the scopes of a registration, whose app roles are in order.
func checkScopes(old, a *Application) error {
	if len(a.Scopes) > maxScopes {
		return &RuleError{Field: "scopes", What: fmt.Sprintf("There are more than %d scopes.", maxScopes), Advice: "Remove some, or split the application."}
	}
	a.Scopes = slices.Clone(a.Scopes)
	ids := map[string]bool{}
	for _, role := range a.AppRoles {
		ids[string(role.ID)] = true
	}
	return checkOffers("scopes", old.Scopes, a.Scopes, ids, func(field string, scope *Scope) error {
		if err := checkOptionalText(field+".userDisplayName", scope.UserDisplayName, maxName); err != nil {
			return err
		}
		if err := checkOptionalText(field+".userDescription", scope.UserDescription, maxOfferDescription); err != nil {
			return err
		}
		if strings.ContainsAny(scope.Value, "/\"\\") { // a client asks for <API>/<value> in a list separated by spaces
			return &RuleError{Field: field + ".value", What: fmt.Sprintf("The scope value %q holds a character that a request may not carry there.", scope.Value), Advice: "Write it as Orders.Read: ASCII without spaces, slashes and quotes, not beginning with a dot."}
		}
		return nil
	})
}

// NameFor is what somebody who consents to the scope is shown: an administrator or a user.
func (s Scope) NameFor(administrator bool) string {
	if administrator {
		return s.DisplayName
	}
	return cmp.Or(s.UserDisplayName, s.DisplayName)
}

// DescriptionFor is NameFor for what is said about the scope.
func (s Scope) DescriptionFor(administrator bool) string {
	if administrator {
		return s.Description
	}
	return cmp.Or(s.UserDescription, s.Description)
}

// Scope returns the scope with that id or value.
func (a *Application) Scope(ref string) (Scope, bool) { return offerNamed(a.Scopes, ref) }

// followScopes brings the grants of an application's scopes along with an update: those
// of a scope that has another value now, and those of a scope that is left out, which
// must have been disabled before, as app roles must. Grants name scopes by their values;
// one that stayed behind would come to life with the next scope of that value.
func (e ApplicationEditor) followScopes(old, a *Application) error {
	moved := map[string]string{}
	for _, scope := range old.Scopes {
		i := slices.IndexFunc(a.Scopes, func(s Scope) bool { return s.ID == scope.ID })
		switch {
		case i < 0 && scope.Enabled:
			return stillEnabled("scopes", "scope", cmp.Or(scope.Value, scope.DisplayName), "removed")
		case i < 0:
			moved[scope.Value] = ""
		case a.Scopes[i].Value != scope.Value:
			moved[scope.Value] = a.Scopes[i].Value
		}
	}
	if len(moved) == 0 {
		return nil
	}
	api, err := e.principals().of(a)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return e.grants().move(api.value, moved)
}

// move replaces scopes in all grants of an API: the old values by the new, or by
// nothing.
func (e DelegatedGrantEditor) move(api *ServicePrincipal, moved map[string]string) error {
	rows, err := list[DelegatedGrant](e.editor, api.Tenant, KindDelegatedGrant, makePrefix("resource", string(api.ID)))
	if err != nil {
		return err
	}
	for _, grant := range rows {
		next := *grant.value
		next.Scopes = nil
		for _, value := range grant.value.Scopes {
			if to, ok := moved[value]; ok {
				value = to
			}
			if value != "" {
				next.Scopes = append(next.Scopes, value)
			}
		}
		slices.Sort(next.Scopes)
		if slices.Equal(next.Scopes, grant.value.Scopes) {
			continue
		}
		if err := e.write(grant, &next); err != nil {
			return err
		}
	}
	return nil
}
