// Package resolve finds what a request names in the directory: its tenant, client, API and
// user.
//
// It owns which names are accepted, the aliases that stand in a tenant's place, the refusal
// of whatever is absent or disabled, and how old a view of the directory may be: no refusal
// rests on a stale view ([Fresh]), and no token on one that is older than the authority's
// limit ([Resolver.CheckFresh]). It refuses to own whether a client proves itself, which
// package clientauth checks, and what it gets, which package issuance decides.
//
// Start reading at [Resolver.Tenant].
package resolve
