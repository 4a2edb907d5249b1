// Package issuance decides what a proven client gets, and makes the token that says so.
//
// It owns the access of an application ([Access]) and of a client that acts for a user
// ([UserAccess]): the API that is asked for, the roles, the scopes, and what nobody consented
// to. It owns the claims of access tokens and id tokens in both versions (claims.go), their
// lifetime and signature, and tokens that this machine vouches for ([Minter]). It refuses to
// own who was given what, which package directory knows, who asks, which package clientauth
// proves, and the form of an answer, which packages grants and signin give it.
//
// Start reading at [Issuer.ResolveAccess] and [Issuer.ApplicationToken].
package issuance
