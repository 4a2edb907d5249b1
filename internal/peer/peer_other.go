//go:build !linux

package peer

import (
	"net/netip"
	"os"
)

const tells = false

// Find cannot tell on this system; secrets and listeners tell endpoints apart.
func Find(_, _ netip.AddrPort) (Socket, error) { return Socket{}, ErrUnknown }

// CheckDescendant cannot tell on this system.
func CheckDescendant(int, Socket) error { return ErrUnknown }

// Holds cannot tell on this system.
func Holds(int, Socket) bool { return false }

// AdoptOrphans does nothing on this system.
func AdoptOrphans() error { return nil }

// ReapOrphans waits until the channel is closed: there are none.
func ReapOrphans(ended <-chan os.Signal, _ int) {
	for range ended { //nolint:revive // nothing is to be done
	}
}
