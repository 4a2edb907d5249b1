package namespace

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// setUpLoopback brings up the interface and gives it further addresses, to which no other machine
// answers.
func setUpLoopback(addresses []string) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket) //nolint:errcheck // nothing was written
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, up); err != nil {
		return err
	}
	for i, address := range addresses {
		if err := addAddress(socket, fmt.Sprintf("lo:%d", i), net.ParseIP(address)); err != nil {
			return err
		}
	}
	return nil
}

// addAddress gives the interface a further address under a name of its own.
func addAddress(socket int, name string, address net.IP) error {
	for _, step := range []struct {
		request uint
		address net.IP
	}{
		{unix.SIOCSIFADDR, address},
		{unix.SIOCSIFNETMASK, net.IPv4bcast},
	} {
		set, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		if err := set.SetInet4Addr(step.address.To4()); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(socket, step.request, set); err != nil {
			return err
		}
	}
	return nil
}
