package managedidentity

import (
	"errors"
	"syscall"
)

// ipv6UnicastHops is IPV6_UNICAST_HOPS, which package syscall lacks here.
const ipv6UnicastHops = 4

// oneHop limits what the listener sends to one hop, so that only neighbors can hold a connection
// to it.
func oneHop(network, _ string, conn syscall.RawConn) error {
	var failed error
	level, option := syscall.IPPROTO_IP, syscall.IP_TTL
	if network == "tcp6" {
		level, option = syscall.IPPROTO_IPV6, ipv6UnicastHops
	}
	err := conn.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(syscall.Handle(fd), level, option, 1) })
	return errors.Join(err, failed)
}
