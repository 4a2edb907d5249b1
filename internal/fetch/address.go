package fetch

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ErrRefused says that the client will not go to an address, whatever is there.
var ErrRefused = errors.New("refused to fetch")

// A target is the origin of a URL that passed the checks of parseTarget.
type target struct {
	url    *url.URL
	host   string     // lower case; an address without brackets
	addr   netip.Addr // if the host is an address
	port   uint16
	secure bool
}

// origin is what a redirect may not leave.
func (t target) origin() string {
	return t.url.Scheme + "://" + net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// maxURL bounds what is parsed at all.
const maxURL = 2048

// parseTarget accepts a URL whose host has one reading only. The many other spellings of
// an address (octal, hexadecimal, short, escaped, with other dots, with user names in
// front) serve to get past checks like this one, so they are refused and not normalised.
func parseTarget(raw string) (target, error) {
	if len(raw) > maxURL {
		return target{}, refuse("the URL is longer than %d bytes", maxURL)
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return target{}, refuse("the URL holds the byte %#x: write it in plain ASCII, escaped where needed", c)
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return target{}, refuse("not a URL")
	}
	t := target{url: u, secure: u.Scheme == "https"}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return target{}, refuse("the scheme is %.20q, want https", u.Scheme)
	case u.User != nil:
		return target{}, refuse("the URL holds a user name")
	case u.Opaque != "" || u.Host == "":
		return target{}, refuse("the URL has no host")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return target{}, refuse("the URL holds a fragment")
	case !strings.HasPrefix(raw[len(u.Scheme):], "://"+u.Host):
		return target{}, refuse("the host is written in an unusual way")
	}
	host, err := t.setPort(u.Host)
	if err != nil {
		return target{}, err
	}
	if err := t.setHost(host); err != nil {
		return target{}, err
	}
	return t, nil
}

// setPort splits the port off and returns the rest.
func (t *target) setPort(hostport string) (host string, err error) {
	host, port := hostport, ""
	if i := strings.LastIndexByte(hostport, ':'); i > strings.LastIndexByte(hostport, ']') {
		host, port = hostport[:i], hostport[i+1:]
		if port == "" {
			return "", refuse("the port is empty")
		}
	}
	switch {
	case port == "" && t.secure:
		port = "443"
	case port == "":
		port = "80"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", refuse("the port is not a number from 1 to 65535")
	}
	t.port = uint16(n)
	return host, nil
}

func (t *target) setHost(host string) error {
	if bare, ok := strings.CutPrefix(host, "["); ok {
		bare, ok = strings.CutSuffix(bare, "]")
		addr, err := netip.ParseAddr(bare)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" || addr.String() != strings.ToLower(bare) {
			return refuse("the host %.60q is not an IPv6 address in its usual spelling", host)
		}
		t.host, t.addr = addr.String(), addr
		return nil
	}
	host = strings.ToLower(host)
	if addr, err := netip.ParseAddr(host); err == nil {
		if !addr.Is4() || addr.String() != host {
			return refuse("the host %.60q is not an IPv4 address in its usual spelling", host)
		}
		t.host, t.addr = host, addr
		return nil
	}
	if err := checkName(host); err != nil {
		return err
	}
	t.host = host
	return nil
}

// checkName accepts a DNS host name that nobody can read as an address.
func checkName(host string) error {
	if len(host) > 253 {
		return refuse("the host name is longer than 253 bytes")
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, letters) != "" {
			return refuse("the host %.60q is not a host name: want labels of letters, digits and hyphens, without a dot at the end", host)
		}
	}
	// Resolvers of the C library read 127.1, 0x7f000001 and 2130706433 as addresses. No
	// top-level domain begins with a digit.
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' {
		return refuse("the host %.60q can be read as a number", host)
	}
	return nil
}

// letters are those of a host name. Underscores occur in names of services, not of hosts.
const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"

// inside are the networks that are not the public Internet, from the IANA registries of
// special-purpose addresses. An operator who lists a host by its name may reach them.
var inside = prefixes(
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", // private
	"127.0.0.0/8",                                       // loopback
	"100.64.0.0/10",                                     // shared by carriers
	"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", // documentation
	"198.18.0.0/15",              // benchmarks
	"::1/128",                    // loopback
	"fc00::/7",                   // unique local
	"2001:db8::/32", "3fff::/20", // documentation
)

// never are the networks that only an explicit address or network in the allow list
// opens. A name that leads there is not enough: cloud platforms answer on them with
// credentials of the machine.
var never = prefixes(
	"0.0.0.0/8",          // this host
	"169.254.0.0/16",     // link-local, metadata of most clouds
	"168.63.129.16/32",   // Azure's wire server
	"100.100.100.200/32", // Alibaba Cloud's metadata
	"192.0.0.0/24",       // protocol assignments, Oracle Cloud's metadata
	"192.88.99.0/24",     // 6to4 relays
	"224.0.0.0/4",        // multicast
	"240.0.0.0/4",        // reserved, broadcast
	"fd00:ec2::/32",      // metadata of Amazon
	"fd20:ce::/32",       // metadata of Google
	"2001::/23",          // Teredo, ORCHID and other protocol assignments
	"2002::/16",          // 6to4: an IPv4 address in disguise
)

// globalUnicast holds every public IPv6 address. What lies outside and is not listed as
// inside (mapped, NAT64, link-local, site-local, multicast, unassigned) is never reached.
var globalUnicast = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

func contains(list []netip.Prefix, addr netip.Addr) bool {
	for _, p := range list {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// A reach says what may be fetched from an address.
type reach int

const (
	public    reach = iota // everyone
	named                  // hosts that the operator lists, by name or otherwise
	addressed              // addresses that the operator lists as such
)

// reachOf judges an address in its plain form.
func reachOf(addr netip.Addr) reach {
	switch {
	case !addr.IsValid() || addr.Zone() != "" || addr.Is4In6() || contains(never, addr):
		return addressed
	case contains(inside, addr):
		return named
	case addr.Is6() && !globalUnicast.Contains(addr):
		return addressed
	default:
		return public
	}
}
