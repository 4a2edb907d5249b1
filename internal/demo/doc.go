// Package demo shows everything at work in a few seconds, with the real parts over real HTTP:
// an authority in a temporary folder, an API behind the guard, and a client that gets its token
// in every way and calls the API; then every call that must be refused.
//
// It owns the cases and their right results. It refuses to own a way of registering: what is
// registered is in the sample's rolecall.yaml and, on top of that, in fixtures.yaml. Libraries
// that read the environment, managed identities above all, run in processes of their own, which
// `rolecall run` starts. For users' tokens, a user signs in on the authority's own pages, or is
// signed in to az.
//
// Nothing in a [Report] is assumed. The version, audience and roles are read from the token,
// the endpoint from the library's request, the kind of credential from the authority's own
// record, the status and orders from the API's answer.
//
// Start at [Demo.Run].
package demo
