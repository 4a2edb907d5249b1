// Package loopback tells what is this machine's own network.
//
// It owns which names and addresses mean this machine and nothing else. It refuses to own
// what is allowed there: whether an address may be fetched is decided in package fetch, and
// who is admitted to an endpoint is decided by the endpoint.
//
// Start at [Is].
package loopback

import (
	"net"
	"net/netip"
	"strings"
)

// Is reports whether a host, without a port or brackets, is this machine's loopback: the name
// localhost, or an address in one of its usual forms. Other names that resolve there are not,
// because anybody can make one.
func Is(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Zone() == "" && address.IsLoopback()
}

// IsAddr reports whether the address of a listener or of a connection's end is on the
// loopback.
func IsAddr(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
