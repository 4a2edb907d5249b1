// Package managedidentity gives processes tokens of managed identities: it serves the local
// endpoints that Azure's platforms offer, so that Microsoft's client libraries need no credential
// and no change.
//
// Identities are assigned to an [Endpoint], which usually serves one process: it has a listener
// of its own on the loopback, a secret of its own where the platform has one, and an owner, the
// user whose processes may request tokens. A [Service] opens endpoints and caches their tokens,
// one for each identity and resource, for as long as a new token would say the same. The platform
// CLI, that of azd, also gives tokens of applications, and of a user on whose behalf a public
// client acts: those are the tokens that developer tools have.
//
// The package owns the wire formats of the platforms, and admission: a request that was
// forwarded, sent by a web page or made by another user gets no token. It refuses to own which
// roles anybody has and what tokens say; a [Minter], which is an authority, decides that.
//
// Start at Endpoint.serve, which handles every request, and at platform.go, the list of
// platforms. App Service is the one to which the environment can lead every client.
package managedidentity
