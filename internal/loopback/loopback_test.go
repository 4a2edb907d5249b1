package loopback_test

import (
	"net"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/loopback"
)

func TestIs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host string
		want bool
	}{
		{"localhost", true},
		{"LocalHost", true},
		{"127.0.0.1", true},
		{"127.255.255.254", true},
		{"::1", true},
		{"0:0:0:0:0:0:0:1", true},
		{"::ffff:127.0.0.1", true},
		{"", false},
		{"localhost.", false},
		{"localhost.test", false},
		{"orders.localhost", false},
		{"127.0.0.1.test", false},
		{"127.1", false},
		{"2130706433", false},
		{"0x7f000001", false},
		{"0177.0.0.1", false},
		{"127.0.0.1:80", false},
		{"[::1]", false},
		{"::1%lo", false},
		{"0.0.0.0", false},
		{"::", false},
		{"10.0.0.1", false},
		{"128.0.0.1", false},
	} {
		if got := loopback.Is(tt.host); got != tt.want {
			t.Errorf("Is(%q) = %t", tt.host, got)
		}
	}
}

func TestIsAddr(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		address net.Addr
		want    bool
	}{
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, true},
		{&net.TCPAddr{IP: net.IPv6loopback}, true},
		{&net.TCPAddr{IP: net.IPv4zero}, false},
		{&net.TCPAddr{}, false},
		{&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, false},
		{&net.UnixAddr{Name: "127.0.0.1"}, false},
		{nil, false},
	} {
		if got := loopback.IsAddr(tt.address); got != tt.want {
			t.Errorf("IsAddr(%v) = %t", tt.address, got)
		}
	}
}

func FuzzIs(f *testing.F) {
	for _, seed := range []string{"localhost", "127.0.0.1", "::1", "::ffff:7f00:1", "::1%lo", "127.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if ip := net.ParseIP(host); loopback.Is(host) && len(host) != len("localhost") && (ip == nil || !ip.IsLoopback()) {
			t.Fatalf("%q is taken for the loopback", host)
		}
	})
}
