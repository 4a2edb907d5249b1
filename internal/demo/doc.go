// Package demo tells Rolecall's whole story in a few seconds, with the real parts over real
// HTTP: an authority in a temporary folder, an API behind the guard, and a client that gets
// its token in every way and calls the API; then everything that must be refused.
//
// What libraries read from the environment, managed identities above all, they read in
// processes of their own, which `rolecall run` starts.
//
// For the tokens of users somebody signs in, by the authority's own pages, or az counts as
// signed in.
//
// Nothing in a [Report] is assumed. The version, audience and roles are read from the token
// that came back, the endpoint from the request that the library made, the kind of
// credential from the authority's own record, the status and orders from the API's answer.
package demo
