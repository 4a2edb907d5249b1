// Package manage is where a command manages a directory: in the data folder of this machine, or
// on a server elsewhere that it is signed in to.
//
// It owns that both look alike to a command: names are found, Graph is called, and what others
// have or did is asked in the same way. It refuses to own what a command does there.
//
// Start at [Open].
package manage
