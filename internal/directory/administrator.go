package directory

import "slices"

// consentRoles are the directory roles whose holders may consent to anything, for themselves
// and for everyone.
func consentRoles() []string {
	return []string{"Global Administrator", "Privileged Role Administrator", "Application Administrator", "Cloud Application Administrator"}
}

// IsConsentAdmin reports whether the user may consent for everyone, and to scopes that are for
// administrators.
func (u *User) IsConsentAdmin() bool {
	return slices.ContainsFunc(u.DirectoryRoles, func(role string) bool { return slices.Contains(consentRoles(), role) })
}

// Consenter is a user who agrees that an application acts for them or, if they may, for
// everyone.
func Consenter(user *User) Actor {
	return Actor{ActorUser, user.PrincipalName, To(Create, DelegatedGrants)}
}
