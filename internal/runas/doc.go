// Package runas is the environment in which a program runs as an application, a managed
// identity or a user: the credential or binding by which it proves that, and the variables,
// files, shims and network by which unmodified Azure libraries in it find the credential and
// trust this authority.
//
// It owns which of these a program gets, and that they are taken back when it has ended. It
// refuses to own how a process is started and what its variables look like (package launch),
// how credentials are made (package tempcred), and identities, which the server binds.
//
// Start at [Prepare], for a program that is run now, and [Lasting], for programs that are
// run later.
package runas
