// Package namespace gives a program a network of its own, on Linux: a loopback interface that leads
// where it is told, names that resolve to it, and the trust of one run laid over the system's.
//
// The network has no way outside. What the program reaches besides itself is handed over connection
// by connection, and what it listens at can be published. Files that the program finds in place of
// the machine's are mounted for it alone, so nothing of the machine's own files is touched, and
// nothing is left however the program or this one ends. Root needs no more; others need a system
// that allows user namespaces.
//
// It owns how that is made, in a process that becomes the program. It refuses to own who the program
// is and what answers it.
//
// Start reading at [Config] and [Namespace.Start]; what happens in the new process is in [Enter].
package namespace
