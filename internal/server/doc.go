// Package server puts Rolecall's parts together: the data folder with its store,
// key-encryption key and certificate authority, the directory and signing keys on it, and
// the network surfaces of a running server.
//
// Start reading at [Start], which runs the server of a folder (there is at most one);
// surfaces.go has the table of what it serves. Commands use [OpenData] to read or change the
// directory (several processes may do so at the same time, next to a running server),
// [Find] to see whether there is a server, and [Connect] to work with one. By the admin
// socket they ask it for a binding ([Bind]) and for their changes to count ([Found.Sync]).
//
// The package owns how the parts fit together. It refuses to own rules and wire formats:
// those belong to the parts.
package server
