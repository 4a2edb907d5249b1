// Package directory is the model of who exists and who may what: tenants, applications
// with their app roles, scopes and credentials, service principals, managed identities and
// the hosts they are assigned to, users, app-role assignments and delegated grants, with
// all the rules that hold between them. It also keeps, outside the model, what is
// short-lived (see [TokenRecord]).
//
// Every way of changing a directory (YAML, command line, Graph, portal) goes through
// [Directory.Change], so none can differ from another; each change and its audit row are
// one transaction. Reading goes through a bounded cache that follows the store's change
// feed, so issuing a token makes no query.
//
// It owns no wire format, no signing key and no HTTP. Start at [Open], [Directory.Change]
// and [Directory.Client].
package directory
