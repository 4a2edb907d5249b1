package publicnames

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Whatever a program names as a host, it gets to the gateway by one of the names alone, to no address
// of this machine, and offline to nothing else.
func FuzzTarget(f *testing.F) {
	for _, target := range []string{
		login + ":443", "LOGIN.microsoftonline.com.:443", login + ".evil.test:443", "evil-" + login + ":443", login + "..:443", "." + login + ":443",
		"127.0.0.1:443", "[::1]:443", "[::ffff:7f00:1]:80", "0:443", "localhost:80", "169.254.169.254:80", "[fe80::1%25lo]:443", "0x7f.1:443", "2130706433:443",
		login + ":443@evil.test:443", login + "\x00.evil.test:443", login + "%2eevil.test:443", "xn--login-1ua.microsoftonline.com:443", login + ":0443", login + ":+443", ":443", "", login,
	} {
		f.Add(target)
	}
	w := newWorld(f)
	ours := []string{login, sts}
	f.Fuzz(func(t *testing.T, target string) {
		name, port, err := net.SplitHostPort(target)
		if err != nil {
			return
		}
		bare := strings.ToLower(name)
		if answers := w.gateway.Answers(name); answers != slices.Contains(ours, strings.TrimSuffix(bare, ".")) {
			t.Errorf("%q: answered: %t", target, answers)
		}
		no := w.proxy.check(name, port)
		if no == nil {
			t.Fatalf("%q can be reached although nothing can", target)
		}
		if strings.ContainsAny(no.what, "\r\n\x1b") {
			t.Errorf("%q: the log would have %q", target, no.what)
		}
		address, err := netip.ParseAddr(bare)
		if err == nil && address.Unmap().IsLoopback() && strings.Contains(no.what, "--offline") {
			t.Errorf("%q is this machine, and would be reached online", target)
		}
		if u, err := url.Parse("https://" + target); err == nil && u.User == nil && u.Hostname() == name && w.gateway.Answers(u.Hostname()) != w.gateway.Answers(name) {
			t.Errorf("%q: a URL and a CONNECT differ", target)
		}
	})
}

// An entry of --allow admits the hosts that it names, and no other that ends or begins alike.
func FuzzAllow(f *testing.F) {
	for _, pair := range [][2]string{
		{"api.corp.test", "api.corp.test"}, {"*.corp.test", "api.corp.test"}, {"*.corp.test", "corp.test"}, {"*.corp.test", "evilcorp.test"},
		{"*", "evil.test"}, {"*.", "evil.test"}, {"", ""}, {".corp.test", "api.corp.test"}, {"CORP.test.", "corp.test"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, allowed, host string) {
		name := bareName(host)
		if !matches(allowed, name) {
			return
		}
		plain := bareName(allowed)
		if suffix, ok := strings.CutPrefix(plain, "*."); ok && strings.HasSuffix(name, "."+suffix) {
			return
		}
		if plain != name {
			t.Errorf("%q admits %q", allowed, host)
		}
	})
}
