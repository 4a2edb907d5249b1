// Package directory is the model of who exists and who may what: tenants, applications
// with their app roles, scopes and credentials, service principals, managed identities and
// the hosts they are assigned to, users, app-role assignments and delegated grants, with
// all the rules that hold between them. It also keeps, outside the model, what is
// short-lived (see [TokenRecord]).
//
// Every way of changing a directory (YAML, command line, Graph, portal) goes through
// [Directory.Change], so none can differ from another: an [Actor] with rights, an [Editor]
// with a type for each noun, and each change with its audit row in one transaction.
//
// There are two ways to read. A [View] gets, finds and lists every noun, and words what is
// not there. What issuing a token asks ([Directory.Instance], Resource, Roles, UserRoles,
// GrantedScopes, CheckSecret …) is answered from a bounded cache that follows the store's
// change feed, so that a token makes no query.
//
// It owns no wire format, no signing key and no HTTP. Start at [Open], [Directory.Change]
// and [Directory.View]; a noun of the model is one file (application.go, user.go …).
package directory
