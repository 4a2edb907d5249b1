// Package arm answers in place of Azure Resource Manager: the endpoints of this cloud, the
// caller's tenant, the tenant's subscription with its resource groups, and the managed identities
// in them with their federated credentials.
//
// It owns the paths, the bodies and the codes of Resource Manager, and who may change something.
// It refuses to own state: an identity is a service principal of the directory, the same that
// rolecall.yaml and the commands name. It refuses to own who calls: package selfguard admits
// callers who have a token for [Resource] from a tenant of the directory. There are no other
// resources, no role assignments and no deployments, and docs/resource-manager.md says what takes
// their place.
//
// Start at [Manager.Handler], and at the table in route.go.
package arm
