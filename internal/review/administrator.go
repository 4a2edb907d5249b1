package review

import (
	"errors"
	"slices"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// What makes an administrator: with either, all else can be given.
const (
	globalAdministrator = "Global Administrator"            // the directory role of a user
	givesRoles          = "AppRoleAssignment.ReadWrite.All" // the app role of an application
)

// IsLastAdministrator reports whether a user or service principal is the only one that can give
// itself every right in a tenant. With a role, it reports whether that role makes it so.
func IsLastAdministrator(v *directory.View, tenant directory.TenantID, who directory.ObjectID, role directory.RoleID) (bool, error) {
	all, by, err := administrators(v, tenant)
	if err != nil {
		return false, err
	}
	return len(all) == 1 && all[0] == who && (role == "" || role == by), nil
}

// administrators are the users and service principals that can give themselves every right, and
// the role that makes a service principal one.
func administrators(v *directory.View, tenant directory.TenantID) (all []directory.ObjectID, by directory.RoleID, err error) {
	users, err := v.Users().All(tenant)
	if err != nil {
		return nil, "", err
	}
	for _, u := range users {
		if u.Enabled && slices.Contains(u.DirectoryRoles, globalAdministrator) {
			all = append(all, u.ID)
		}
	}
	graph, err := v.Applications().FindAPI(tenant, string(directory.GraphAppID))
	if errors.Is(err, directory.ErrNotFound) {
		return all, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	role, offered := graph.Role(givesRoles)
	api, err := v.ServicePrincipals().FindAPI(tenant, graph.AppID)
	if err != nil || !offered {
		return all, "", err
	}
	assignments, err := v.Assignments().AllTo(tenant, api.ID)
	if err != nil {
		return nil, "", err
	}
	for _, a := range assignments {
		if a.Role == role.ID && !slices.Contains(all, a.Principal) {
			holder, err := present(v.ServicePrincipals().Get(tenant, a.Principal))
			if err != nil {
				return nil, "", err
			}
			if holder != nil && holder.Enabled {
				all = append(all, a.Principal)
			}
		}
	}
	return all, role.ID, nil
}
