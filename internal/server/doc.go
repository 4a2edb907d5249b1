// Package server puts Rolecall's parts together: the data folder with its store,
// key-encryption key and certificate authority, the directory and signing keys on it, and
// the network surfaces of a running server.
//
// Two doors lead in. [OpenData] opens a folder for a command that reads or changes the
// directory; several processes may do so at the same time, next to a running server.
// [Start] runs the server of a folder; there is at most one. [Find] tells a command
// whether there is one, and where.
//
// The package owns no rule and no wire format; those are the parts' own.
package server
