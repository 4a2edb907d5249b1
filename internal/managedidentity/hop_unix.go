//go:build unix

package managedidentity

import (
	"errors"
	"syscall"
)

// oneHop lets what the listener sends die at the first router, so that only neighbours can
// hold a connection to it.
func oneHop(network, _ string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TTL, 1)
		if network == "tcp6" { // a socket that may speak both protocols
			failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS, 1)
		}
	})
	return errors.Join(err, failed)
}
