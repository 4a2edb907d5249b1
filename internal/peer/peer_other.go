//go:build !linux

package peer

import "net/netip"

const tells = false

// Find cannot tell on this system; secrets and listeners tell endpoints apart.
func Find(_, _ netip.AddrPort) (Socket, error) { return Socket{}, ErrUnknown }
