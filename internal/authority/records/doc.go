// Package records keeps what outlives a request: authorization codes, device codes, refresh
// tokens and browser sessions.
//
// It owns the opaque tokens that clients and browsers carry ([OpaqueToken]), the grant
// records that they stand for ([GrantRecord]), the token families that let all tokens of a
// sign-in be revoked at once, the proof keys of codes (PKCE), and the sealed state that pages
// carry ([Sealer]). It refuses to own where records are kept, which package directory does,
// and who may have or redeem them. Packages signin, which makes codes and sessions, and
// grants, which redeems them, meet here and nowhere else.
//
// Start reading at [OpaqueToken] and [Records.Put].
package records
