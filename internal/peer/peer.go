package peer

import (
	"errors"
	"net"
	"net/netip"
)

// Errors of Find and CheckDescendant.
var (
	ErrUnknown       = errors.New("this system does not tell which user owns a connection")
	ErrNotDescendant = errors.New("the connection is that of a process outside")
	ErrNoSocket      = errors.New("the connection's other end is not on this machine, or not in this network namespace")
)

// A Socket is one end of a connection.
type Socket struct {
	UID   int    // of the user who opened it
	Inode uint64 // which names it among the open files of processes
}

// Tells reports whether this system tells whose a connection is.
func Tells() bool { return tells }

// Address is the address and port of an end of a TCP connection; an IPv4 address in its own form.
// It is not valid for other connections.
func Address(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
