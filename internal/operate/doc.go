// Package operate manages what Microsoft Graph has not: tenants, hosts and the managed
// identities that their programs have, managed identities themselves, signing keys, and tokens
// that were given out; and what must happen whole or not at all, where Graph has a request for
// each part: several roles of a principal, and an administrator.
//
// It owns which acts there are. It refuses to own the rules of the directory and of key rings,
// which are theirs, and what Graph has, which is changed through Graph's handlers. Like those
// it acts for an actor: the actor's rights are checked for every act, and its audit row names
// the actor. For commands on the server's machine that is the operator, by
// [directory.Operator]. There is no HTTP in between: whoever can open a data folder has
// everything already, so the calls need no credential, and no server needs to run.
//
// What a command changed, a running server learns from the store's change feed.
//
// Start at [API].
package operate
