// Package keyring keeps the keys that sign a tenant's access tokens, and rotates them.
//
// A tenant's ring has one current key, which signs, one next key, which is published but does
// not sign yet, and retired keys, which are published until every token that they signed has
// expired. A rotation therefore never makes a valid token unverifiable: a validator that cached
// the published keys already knows the next one.
//
// The package owns the keys, their states and the document in which they are stored, sealed by a
// key-encryption key ([KEK]) that is not in the store. It refuses to own the store: a [Store]
// keeps the bytes and refuses to overwrite a version that has changed, which is all that several
// nodes need to rotate without a leader. What is signed is the business of package authority.
//
// Start at [Ring]; a signing key is in signing_key.go.
package keyring
