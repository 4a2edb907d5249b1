//go:build unix

package managedidentity

import (
	"net"
	"strings"
	"syscall"
	"testing"
)

// The option of the listener must apply to the connections that it accepts.
func TestAnswersDieAtTheFirstRouter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		address       string
		level, option int
	}{
		{"127.0.0.1:0", syscall.IPPROTO_IP, syscall.IP_TTL},
		{"[::1]:0", syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS},
	} {
		t.Run(tt.address, func(t *testing.T) {
			config := net.ListenConfig{Control: oneHop}
			listener, err := config.Listen(t.Context(), "tcp", tt.address)
			if err != nil && strings.HasPrefix(tt.address, "[") {
				t.Log("this machine does not speak IPv6") // nothing to check then
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			client, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			accepted, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
			raw, err := accepted.(*net.TCPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			hops := 0
			if controlErr := raw.Control(func(fd uintptr) { hops, err = syscall.GetsockoptInt(int(fd), tt.level, tt.option) }); controlErr != nil || err != nil {
				t.Fatal(controlErr, err)
			}
			if hops != 1 {
				t.Errorf("answers live for %d hops, want 1", hops)
			}
		})
	}
}
