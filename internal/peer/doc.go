// Package peer tells whose the other end of a TCP connection is, when it is on this machine.
//
// It owns how the system is asked for the user and the socket. It refuses to own what follows
// from the answer, which those who admit callers decide.
//
// Start reading at [Find].
package peer
