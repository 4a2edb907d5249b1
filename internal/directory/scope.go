package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

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
		if strings.ContainsAny(scope.Value, "/\"\\") { // a client asks for <API>/<value> in a list separated by spaces
			return &RuleError{Field: field + ".value", What: fmt.Sprintf("The scope value %q holds a character that a request may not carry there.", scope.Value), Advice: "Write it as Orders.Read: ASCII without spaces, slashes and quotes, not beginning with a dot."}
		}
		return nil
	})
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
