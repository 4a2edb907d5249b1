// Package guard decides who may call an API: applications that carry the
// right app role in an access token of Microsoft Entra ID or of Rolecall.
//
// It owns the whole way from the Authorization header to a verdict: reading
// the token strictly, finding the key of its issuer, checking signature,
// times, audience, tenant and kind of caller, comparing roles, and answering
// a refusal so that the client learns what to do and a stranger learns
// nothing. What no rule allows is refused, and so is whatever cannot be
// checked at the moment.
//
// It refuses to own sessions, sign-in pages and databases. It keeps only the
// public keys of the issuers and a bounded memory of tokens whose signature
// it has already seen; whether a caller may do something is decided again for
// every request.
//
// Keys are fetched in the background. Those that cannot be fetched anew count
// for a day ([Config].MaxKeyAge), and [Guard.Keys] says how old they are.
// Tokens that are bound to a key are taken with [SignedRequests] and [DPoP]. What the
// authority takes away before a token ends is followed with [Revocations].
//
// Start at [New] and [Guard.Require]. With several routes, [Guard.Handler]
// takes a list of [Rule] and denies every path that none of them names. The
// protected handler learns who calls from [CallerFrom].
//
// Both are thin: they make a [Request] of an HTTP request and have it decided.
// A proxy or an authorization endpoint does the same with
// [Policy.Decide] and sends [Decision.Answer]; interceptors for gRPC are in the module
// guard/grpcguard. [Guard.Check] decides on a token
// alone, and [Guard.Explain] tells how each of the same checks goes. The order
// of these checks is the table in verify.go.
package guard
