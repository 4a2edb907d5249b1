//go:build !linux

package managedidentity

import "net/netip"

const tellsOwners = false

// peer cannot tell on this system; secrets and listeners tell endpoints apart.
func peer(_, _ netip.AddrPort) (int, error) { return 0, errPeerUnknown }
