// Package directory is the model of who exists and who may what: tenants, applications
// with their app roles and credentials, service principals, app-role assignments and
// users, with all the rules that hold between them.
//
// Every way of changing a directory (YAML, command line, Graph, portal) goes through
// [Directory.Change], so none can differ from another; each change and its audit row are
// one transaction. Reading goes through a bounded cache that follows the store's change
// feed, so issuing a token makes no query.
//
// It owns no wire format, no signing key and no HTTP. Start at [Open], [Directory.Change]
// and [Directory.Client].
package directory
