// Package keyring keeps the keys that sign a tenant's access tokens, and rotates them.
//
// A tenant's ring holds one current key, which signs, one next key, which is published
// but does not sign yet, and retired keys, which are published until every token they can
// have signed has expired. A rotation therefore never makes a valid token unverifiable:
// whoever cached the published keys already knows the key that comes next.
//
// A ring is stored as one document, sealed by a key-encryption key ([KEK]) that is not in
// the store. The package decides what is in the document; a [Store] keeps the bytes and
// refuses to overwrite a version that has moved on, which is all that several nodes need
// in order to rotate without a leader.
//
// Start with [Ring].
package keyring
