package coordination

import "net/netip"

// canonical names a source by what counts as one: a network of 64 bits for IPv6, because
// whoever has one address there has all of them, and this machine by one address, for it has
// sixteen million.
func canonical(source string) string {
	const loopback = "127.0.0.1"
	p, ok := prefixOf(source)
	switch {
	case !ok:
		return source
	case p.Addr().IsLoopback(), p.Contains(netip.IPv6Loopback()):
		return loopback
	case p.Addr().Is4():
		return p.Addr().String()
	}
	return p.String()
}

func prefixOf(source string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(source); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(source)
	if err != nil {
		return netip.Prefix{}, false
	}
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}

// networks gives a canonical source and the networks around it that providers hand out as a
// whole: a customer with an IPv6 network of 48 bits has 65,536 sources.
func networks(source string) []string {
	p, err := netip.ParsePrefix(source)
	if err != nil || !p.Addr().Is6() || p.Bits() < 64 {
		return []string{source}
	}
	all := []string{source}
	for _, bits := range []int{56, 48} {
		if wider, err := p.Addr().Prefix(bits); err == nil {
			all = append(all, wider.String())
		}
	}
	return all
}
