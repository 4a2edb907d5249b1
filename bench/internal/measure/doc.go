// Package measure starts servers as processes of their own, asks them for tokens and reads
// what that cost them: the CPU time of a process is a steady figure even on a machine that
// is shared with other work, where elapsed time is not.
package measure
