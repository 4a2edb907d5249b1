// Package scope reads what a client asks for: the parameters scope and resource.
//
// It owns their syntax at both versions of the endpoints, and what each value of them means:
// an API and its scopes, all that was granted ("/.default"), or a scope of OpenID Connect. It
// refuses to own whether that API and those scopes exist and were granted, which package
// issuance finds out.
//
// Start reading at [Resource], for applications that ask for themselves, and at [Parse], for
// clients that ask on behalf of a user.
package scope
