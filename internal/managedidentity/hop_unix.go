//go:build unix

package managedidentity

import (
	"errors"
	"syscall"
)

// oneHop limits what the listener sends to one hop, so that only neighbors can hold a connection
// to it.
func oneHop(network, _ string, conn syscall.RawConn) error {
	var failed error
	level, option := syscall.IPPROTO_IP, syscall.IP_TTL
	if network == "tcp6" {
		level, option = syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS
	}
	err := conn.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), level, option, 1) })
	return errors.Join(err, failed)
}
