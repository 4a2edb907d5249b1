package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const maxScopes = 1200 // as for app roles

// checkScopes holds for the scopes of a registration, whose app roles are in order.
func checkScopes(old, a *Application) error {
	if len(a.Scopes) > maxScopes {
		return &RuleError{Field: "scopes", What: fmt.Sprintf("There are more than %d scopes.", maxScopes), Advice: "Remove some, or split the application."}
	}
	a.Scopes = slices.Clone(a.Scopes)
	ids, seen := map[string]bool{}, map[string]bool{}
	for _, role := range a.AppRoles {
		ids[string(role.ID)] = true
	}
	for i := range a.Scopes {
		scope := &a.Scopes[i]
		field := fmt.Sprintf("scopes[%d]", i)
		if err := checkScope(field, scope); err != nil {
			return err
		}
		if seen[fold(scope.Value)] {
			return taken(field+".value", fmt.Sprintf("The scope %q occurs twice.", scope.Value), "Give each scope a value of its own; case does not count.")
		}
		if scope.ID == "" {
			scope.ID = scopeIDByValue(old.Scopes, scope.Value)
		}
		id, err := givenGUID(field+".id", scope.ID)
		if err != nil {
			return err
		}
		if ids[string(id)] {
			return taken(field+".id", fmt.Sprintf("Two scopes or app roles have the id %s.", id), "Leave an id out to have a new one made.")
		}
		scope.ID = id
		ids[string(id)], seen[fold(scope.Value)] = true, true
	}
	return nil
}

// checkScope holds for one scope by itself, and gives it the texts it lacks.
func checkScope(field string, scope *Scope) error {
	if scope.DisplayName == "" {
		scope.DisplayName = scope.Value
	}
	if scope.Description == "" {
		scope.Description = scope.DisplayName
	}
	if err := checkText(field+".value", scope.Value, maxName); err != nil {
		return err
	}
	// A client asks for <API>/<value> in a list separated by spaces.
	if strings.ContainsFunc(scope.Value, func(r rune) bool { return r <= ' ' || r > '~' }) || scope.Value[0] == '.' || strings.ContainsAny(scope.Value, "/\"\\") {
		return &RuleError{Field: field + ".value", What: fmt.Sprintf("The scope value %q holds a character that a request may not carry there.", scope.Value), Advice: "Write it as Orders.Read: ASCII without spaces, slashes and quotes, not beginning with a dot."}
	}
	if err := checkText(field+".displayName", scope.DisplayName, maxName); err != nil {
		return err
	}
	return checkText(field+".description", scope.Description, 1000)
}

func scopeIDByValue(scopes []Scope, value string) ScopeID {
	for _, scope := range scopes {
		if scope.Value == value {
			return scope.ID
		}
	}
	return ""
}

// Scope returns the scope with that id or value.
func (a *Application) Scope(ref string) (Scope, bool) {
	for _, scope := range a.Scopes {
		if scope.Value == ref || strings.EqualFold(string(scope.ID), ref) {
			return scope, true
		}
	}
	return Scope{}, false
}

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
			return &RuleError{Field: "scopes", What: fmt.Sprintf("The scope %q is enabled and cannot be removed.", scope.Value), Advice: "Disable it first (enabled: false), then remove it."}
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

func scopeDetail(d *detail, old, next []Scope) {
	for _, scope := range next {
		i := slices.IndexFunc(old, func(s Scope) bool { return s.ID == scope.ID })
		switch {
		case i < 0:
			d.add("scopes: +%s", scope.Value)
		case old[i].Enabled != scope.Enabled:
			d.add("scopes: %s enabled: %v → %v", scope.Value, old[i].Enabled, scope.Enabled)
		case old[i].AdminOnly != scope.AdminOnly:
			d.add("scopes: %s adminOnly: %v → %v", scope.Value, old[i].AdminOnly, scope.AdminOnly)
		case old[i].Value != scope.Value:
			d.add("scopes: %s → %s", old[i].Value, scope.Value)
		case old[i] != scope:
			d.add("scopes: ~%s", scope.Value)
		}
	}
	for _, scope := range old {
		if !slices.ContainsFunc(next, func(s Scope) bool { return s.ID == scope.ID }) {
			d.add("scopes: -%s", scope.Value)
		}
	}
}
