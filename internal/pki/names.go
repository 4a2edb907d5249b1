package pki

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// names are host names and addresses, each sorted and without repetition.
type names struct {
	dns []string
	ips []netip.Addr
}

// builtin returns the names that every server answers to.
func builtin() names {
	return names{
		dns: []string{"localhost"},
		ips: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()},
	}
}

func (n names) union(other names) names {
	u := names{dns: slices.Concat(n.dns, other.dns), ips: slices.Concat(n.ips, other.ips)}
	slices.Sort(u.dns)
	slices.SortFunc(u.ips, netip.Addr.Compare)
	u.dns, u.ips = slices.Compact(u.dns), slices.Compact(u.ips)
	return u
}

func (n names) contains(other names) bool {
	u := n.union(other)
	return len(u.dns) == len(n.dns) && len(u.ips) == len(n.ips)
}

// without lists the names that others do not have.
func (n names) without(others names) []string {
	var lacking []string
	for _, name := range n.dns {
		if !slices.Contains(others.dns, name) {
			lacking = append(lacking, name)
		}
	}
	for _, ip := range n.ips {
		if !slices.Contains(others.ips, ip) {
			lacking = append(lacking, ip.String())
		}
	}
	return lacking
}

func (n names) addresses() []net.IP {
	var ips []net.IP
	for _, ip := range n.ips {
		ips = append(ips, ip.AsSlice())
	}
	return ips
}

// ranges returns a range for each address that holds this one address.
func (n names) ranges() []*net.IPNet {
	var ranges []*net.IPNet
	for _, ip := range n.ips {
		ranges = append(ranges, &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())})
	}
	return ranges
}

// permittedBy returns the names that a root certificate of ours may sign for.
func permittedBy(root *x509.Certificate) names {
	n := names{dns: root.PermittedDNSDomains}
	for _, r := range root.PermittedIPRanges {
		if ip, ok := netip.AddrFromSlice(r.IP); ok {
			n.ips = append(n.ips, ip.Unmap())
		}
	}
	return names{}.union(n)
}

// parseHosts reads the configured hosts.
func parseHosts(hosts []string) (names, error) {
	var n names
	for _, host := range hosts {
		if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && ip.Zone() == "" {
			n.ips = append(n.ips, ip.Unmap())
			continue
		}
		name := strings.ToLower(strings.TrimSuffix(host, "."))
		if err := checkName(name); err != nil {
			return names{}, fmt.Errorf("host %q: %w", host, err)
		}
		n.dns = append(n.dns, name)
	}
	return n, nil
}

// checkName refuses what is no DNS name, and names that break a client.
func checkName(name string) error {
	if strings.Contains(name, "token") {
		return fmt.Errorf(`it contains "token", and a widespread client library finds the sign-in page by replacing ` +
			`every "token" in the token endpoint's URL, so it would go to another host: give the server another name`)
	}
	if len(name) > 253 {
		return fmt.Errorf("it is longer than the 253 characters of a DNS name: give a shorter one")
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return fmt.Errorf("it is neither a DNS name nor an IP address: give the bare name, without scheme, port, path " +
				"or wildcard, such as login.corp.test; write other than Latin letters in their xn-- form")
		}
	}
	return nil
}

// validLabel reports whether a part of a name is made of letters, digits, hyphens and
// underscores, as names in actual use are.
func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(label, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}
