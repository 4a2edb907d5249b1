package directory

import (
	"fmt"
	"slices"
	"strings"
)

const maxRoles = 1200 // as many as Entra allows in one registration

// checkRoles holds for the app roles of a registration.
func checkRoles(old, a *Application) error {
	if len(a.AppRoles) > maxRoles {
		return &RuleError{Field: "appRoles", What: fmt.Sprintf("There are more than %d app roles.", maxRoles), Advice: "Remove some, or split the application."}
	}
	a.AppRoles = slices.Clone(a.AppRoles)
	ids, seen := map[RoleID]bool{}, map[string]bool{}
	for i := range a.AppRoles {
		role := &a.AppRoles[i]
		field := fmt.Sprintf("appRoles[%d]", i)
		if err := checkRole(field, role); err != nil {
			return err
		}
		if seen[fold(role.Value)] {
			return taken(field+".value", fmt.Sprintf("The app role %q occurs twice.", role.Value), "Give each role a value of its own; case does not count.")
		}
		if role.ID == "" {
			role.ID = roleIDByValue(old.AppRoles, role.Value)
		}
		id, err := givenGUID(field+".id", role.ID)
		if err != nil {
			return err
		}
		if ids[id] {
			return taken(field+".id", fmt.Sprintf("Two app roles have the id %s.", id), "Leave an id out to have a new one made.")
		}
		role.ID = id
		ids[id], seen[fold(role.Value)] = true, true
	}
	return nil
}

// checkRole holds for one app role by itself, and gives it the texts it lacks.
func checkRole(field string, role *AppRole) error {
	if role.DisplayName == "" {
		role.DisplayName = role.Value
	}
	if role.Description == "" {
		role.Description = role.DisplayName
	}
	if err := checkText(field+".value", role.Value, maxName); err != nil {
		return err
	}
	if strings.ContainsFunc(role.Value, func(r rune) bool { return r <= ' ' || r > '~' }) || role.Value[0] == '.' {
		return &RuleError{Field: field + ".value", What: fmt.Sprintf("The app role value %q holds a space or a character that a token may not carry there.", role.Value), Advice: "Write it as Orders.Read: ASCII without spaces, not beginning with a dot."}
	}
	if err := checkText(field+".displayName", role.DisplayName, maxName); err != nil {
		return err
	}
	if err := checkText(field+".description", role.Description, 1000); err != nil {
		return err
	}
	return checkMembers(field+".members", role)
}

func checkMembers(field string, role *AppRole) error {
	if len(role.Members) == 0 {
		return &RuleError{Field: field, What: fmt.Sprintf("The app role %q does not say who may hold it.", role.Value), Advice: "List Application, User or both."}
	}
	for i, member := range role.Members {
		if member != MemberApplication && member != MemberUser {
			return &RuleError{Field: field, What: fmt.Sprintf("%q cannot hold the app role %q.", clip(string(member)), role.Value), Advice: "List Application, User or both."}
		}
		if slices.Contains(role.Members[:i], member) {
			return taken(field, fmt.Sprintf("%s is listed twice in the app role %q.", member, role.Value), "List it once.")
		}
	}
	return nil
}

func roleIDByValue(roles []AppRole, value string) RoleID {
	for _, role := range roles {
		if role.Value == value {
			return role.ID
		}
	}
	return ""
}

// Role returns the app role with that id or value.
func (a *Application) Role(ref string) (AppRole, bool) {
	for _, role := range a.AppRoles {
		if role.Value == ref || strings.EqualFold(string(role.ID), ref) {
			return role, true
		}
	}
	return AppRole{}, false
}

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
			return &RuleError{Field: "appRoles", What: fmt.Sprintf("The app role %q is enabled and cannot be removed.", role.Value), Advice: "Disable it first (enabled: false), then remove it."}
		}
		if err := e.assignments().dropRole(old, role); err != nil {
			return err
		}
	}
	return nil
}

func roleDetail(d *detail, old, next []AppRole) {
	for _, role := range next {
		i := slices.IndexFunc(old, func(r AppRole) bool { return r.ID == role.ID })
		switch {
		case i < 0:
			d.add("appRoles: +%s", role.Value)
		case old[i].Enabled != role.Enabled:
			d.add("appRoles: %s enabled: %v → %v", role.Value, old[i].Enabled, role.Enabled)
		case old[i].Value != role.Value:
			d.add("appRoles: %s → %s", old[i].Value, role.Value)
		case fmt.Sprint(old[i]) != fmt.Sprint(role):
			d.add("appRoles: ~%s", role.Value)
		}
	}
	for _, role := range old {
		if !slices.ContainsFunc(next, func(r AppRole) bool { return r.ID == role.ID }) {
			d.add("appRoles: -%s", role.Value)
		}
	}
}
