// Package arm answers the questions that tools ask Azure Resource Manager before they start:
// the endpoints of this cloud, the caller's tenant, and the subscriptions, of which there are
// none.
//
// The Azure CLI asks these when a cloud is registered and when somebody signs in; nothing else
// here needs resources. So the package owns no state. It refuses to own who may call: package
// selfguard admits callers who have a token for [Resource] from a tenant of the directory. The
// endpoints are public. Any such caller may ask, because the answers say no more than the token
// does.
//
// Start at [Manager.Handler].
package arm
