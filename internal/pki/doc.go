// Package pki is Rolecall's own certificate authority: the root that clients are asked to
// trust and the server certificate behind every HTTPS surface, both made on first start.
//
// The root may sign for nothing but the server's names. Its file ends up in trust stores,
// so it carries name constraints (RFC 5280 section 4.2.1.10) for localhost, 127.0.0.1,
// ::1 and the configured hosts: whoever steals ca.key can impersonate those names and no
// others. The price is that a host added later changes ca.pem. [Open] then issues it again
// with the same key for the old and the new names, [CA.Renewed] says so, and clients that
// keep a copy of the file need the new one; a host that is no longer configured stays
// permitted, so taking one away invalidates nothing.
//
// The server certificate and its key live in memory alone: making one costs less than
// reading one, it never outlives the process, and there is one private key less on disk.
//
// The package owns no signing key of tokens and knows no HTTP. Start at [Open].
package pki
