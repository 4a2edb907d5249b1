// Package token is the wire format of an access token: how one is read,
// signed and verified, and how the keys that verify it are published.
//
// It owns the compact JWS of RFC 7515, the JSON inside it, and the keys
// document of RFC 7517 in the shape Microsoft Entra ID gives it. Reading is
// strict: one meaning for every byte or a refusal, because a token that two
// readers understand differently is an attack on one of them.
//
// It refuses to own policy. Which issuer, audience, lifetime or role is
// acceptable is the business of package guard; which claims a token carries
// is the business of package authority. Nothing here fetches anything.
//
// Start at [Parse] and [Token.Verify] for the reading side, at [Signer] for
// the writing side, and at [ParseKeys] and [KeysDocument] for keys.
package token
