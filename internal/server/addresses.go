package server

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/loopback"
)

// defaultHost is the name of a server that was given none.
const defaultHost = "localhost"

// hosts are the names by which clients reach the public surfaces. The first one stands in
// issuers.
func (c *Config) hosts() []string {
	if len(c.Hosts) == 0 {
		return []string{defaultHost}
	}
	return c.Hosts
}

// originURL is the URL of what answers under a name at a port. The scheme's default port is
// left out (RFC 3986 section 6.2.3): libraries and resource servers compare issuers letter
// by letter, and most of them leave it out.
func originURL(scheme, host, port string) string {
	return scheme + "://" + authorityOf(scheme, host, port)
}

// authorityOf is host and port as they stand in a URL.
func authorityOf(scheme, host, port string) string {
	host = strings.Trim(host, "[]")
	if port == defaultPorts[scheme] {
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, port)
}

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// Dial is the address to connect to for a URL, with the scheme's default port where the URL
// has none.
func Dial(u *url.URL) string {
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), defaultPorts[u.Scheme]))
}

// parsePublicURL reads the URL under which a proxy in front of the server answers.
func parsePublicURL(raw string) (string, error) {
	const example = "give the bare origin, such as --public-url https://auth.corp.test"
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "":
		return "", refused(example, "--public-url %q is not a URL", raw)
	case u.Scheme != "https":
		return "", refused(example, "--public-url %q is not https, and client libraries refuse anything else", raw)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", refused(example, "--public-url %q has more than a host and a port: client libraries take the first segment of the path for the tenant", raw)
	}
	return originURL(u.Scheme, strings.ToLower(u.Hostname()), cmp.Or(u.Port(), defaultPorts[u.Scheme])), nil
}

// aliases are the hosts, with their port, under which the authority answers besides its own.
func (s *Server) aliases() []string {
	_, number, _ := net.SplitHostPort(s.address(authoritySurface).String()) // an address that net made
	var all []string
	for _, host := range s.cfg.hosts() {
		all = append(all, authorityOf("https", strings.ToLower(host), number))
	}
	return slices.DeleteFunc(all, func(host string) bool { return "https://"+host == s.endpoints.Authority })
}

// Unnamed reports whether other machines can reach the server and no name for them was given.
func (c *Config) Unnamed() bool {
	return c.Listen != "" && !loopback.Is(c.Listen) && len(c.Hosts) == 0 && c.PublicURL == ""
}
