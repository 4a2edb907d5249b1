// Package lending is what a server elsewhere lends to the programs of this machine: temporary
// credentials of its applications, and tokens of its managed identities, at identity endpoints
// that this process serves.
//
// It owns that all of it goes through the server's Graph with the rights of whoever is signed in
// there, and what is said when those are not enough. It refuses to own the sign-in, the wire
// formats of endpoints (package managedidentity), and what a program is given of it (package
// runas).
//
// Start at [New].
package lending
