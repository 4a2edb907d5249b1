package fetch

import (
	"fmt"
	"net/netip"
	"strings"
)

// An allowList holds what the operator permits beyond the public Internet.
type allowList struct {
	names    []allowedName
	networks []allowedNetwork
}

type allowedName struct {
	host   string // lower case
	suffix bool   // the host and what is under it: "*.corp.test" is stored as ".corp.test"
	port   uint16 // zero: any
}

type allowedNetwork struct {
	prefix netip.Prefix
	port   uint16 // zero: any
}

// parseAllow reads the entries of an allow list: "localhost", "localhost:8443",
// "*.corp.test", "127.0.0.1", "[::1]:8443", "10.0.0.0/8".
func parseAllow(entries []string) (allowList, error) {
	var list allowList
	for _, entry := range entries {
		if err := list.add(entry); err != nil {
			return allowList{}, fmt.Errorf("fetch: allow-list entry %q: %w; want a host, host:port, *.domain, address or network such as \"localhost:8443\" or \"10.0.0.0/8\"", entry, err)
		}
	}
	return list, nil
}

func (l *allowList) add(entry string) error {
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		l.networks = append(l.networks, allowedNetwork{prefix: prefix.Masked()})
		return nil
	}
	if addr, err := netip.ParseAddr(entry); err == nil {
		l.networks = append(l.networks, allowedNetwork{prefix: single(addr)})
		return nil
	}
	text, suffix := strings.CutPrefix(entry, "*.")
	t := target{secure: true}
	host, err := t.setPort(text)
	if err != nil {
		return err
	}
	if err := t.setHost(host); err != nil {
		return err
	}
	if host == text {
		t.port = 0
	}
	switch {
	case t.addr.IsValid() && suffix:
		return fmt.Errorf("an address has no subdomains")
	case t.addr.IsValid():
		l.networks = append(l.networks, allowedNetwork{single(t.addr), t.port})
	case suffix:
		l.names = append(l.names, allowedName{"." + t.host, true, t.port})
	default:
		l.names = append(l.names, allowedName{t.host, false, t.port})
	}
	return nil
}

func single(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addr.BitLen()) }

// hasHost reports whether the operator lists the target's host itself. Only then may it
// be reached without TLS.
func (l allowList) hasHost(t target) bool {
	if t.addr.IsValid() {
		return l.hasAddr(t.addr, t.port)
	}
	for _, n := range l.names {
		if n.port != 0 && n.port != t.port {
			continue
		}
		if t.host == n.host || n.suffix && strings.HasSuffix(t.host, n.host) {
			return true
		}
	}
	return false
}

func (l allowList) hasAddr(addr netip.Addr, port uint16) bool {
	for _, n := range l.networks {
		if (n.port == 0 || n.port == port) && n.prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// check decides whether an address that the target's host stands for may be dialled.
func (l allowList) check(t target, addr netip.Addr) error {
	reach := reachOf(addr)
	switch {
	case reach == public, l.hasAddr(addr, t.port), reach == named && l.hasHost(t):
		return nil
	case reach == named:
		return refuse("%s is at %s, which is not on the public Internet: add %q to the allow list if that is meant", t.host, addr, t.host)
	default:
		return refuse("%s is at %s, where no issuer should be: add %q to the allow list if that is meant", t.host, addr, addr)
	}
}
