package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// canary listens on every local address and counts who connects.
func canary(tb testing.TB) (port string, visits *atomic.Int64) {
	tb.Helper()
	visits = new(atomic.Int64)
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			visits.Add(1)
			conn.Close()
		}
	}()
	tb.Cleanup(func() { listener.Close(); <-done })
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	return port, visits
}

// insideAddresses are addresses that a public issuer cannot have.
var insideAddresses = []string{
	"127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.0.0.1", "0.255.0.1",
	"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.254",
	"169.254.0.1", "169.254.170.2", "169.254.255.255", "100.64.0.1", "100.127.255.254", "100.100.100.200",
	"168.63.129.16", "192.0.0.1", "192.0.0.192", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255",
	"192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::2", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1",
	"64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::7f00:1", "100::1", "100:0:0:1::1", "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:20::1",
	"2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254",
	"fdff:ffff::1", "fe80::1", "fe80::a9fe:a9fe", "febf::1", "fec0::1", "ff00::1", "ff02::1", "ff0e::1", "4000::1", "e000::1",
}

// publicAddresses are examples of the opposite. Nothing connects to them here.
var publicAddresses = []string{
	"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1", "168.63.129.17",
	"172.15.255.255", "172.32.0.1", "192.0.1.1", "192.167.255.255", "192.169.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.255",
	"2001:200::1", "2001:4860:4860::8888", "2003::1", "2400:cb00::1", "2606:4700::1111", "2a00:1450::1", "3ffe::1",
}

// oddHosts are spellings of a local address, or of something that some parser takes for one.
var oddHosts = []string{
	"0", "1", "127.1", "127.0.1", "127.0.0.01", "127.0.0.001", "0127.0.0.1", "0177.0.0.1", "0177.0.0.01", "0177.0000.0000.0001", "0177.1", "017700000001",
	"0x7f.0.0.1", "0x7f.0x0.0x0.0x1", "0x7f.1", "0x7F000001", "0x7f000001", "0X7f.1", "2130706433", "02130706433", "017777777777", "3232235521", "4294967295", "4294967296",
	"0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "127.0.0.1.", "127.0.0.1..", "127.0.0.", "127.0..1", ".127.0.0.1", "127.0.0.1.0", "127.0.0.256", "127.0.0.-1", "+127.0.0.1", "127.0.0.1e0", "1e1",
	"localhost", "LOCALHOST", "localhost.", "local host", "localhost..", ".localhost", "ip6-localhost", "metadata", "kubernetes", "a", "A",
	"127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "１２７.0.0.1", "①②⑦.0.0.1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "ｌocalhost", "loc\u00adalhost", "localhost\u200b", "lоcalhost", "bücher.example", "example。com",
	"%31%32%37.0.0.1", "127%2e0%2e0%2e1", "%6cocalhost", "localhost%00", "localhost%2e", "%", "%zz", "127.0.0.1%20", "127.0.0.1%23.example.com", "127.0.0.1%2f.example.com",
	"user@127.0.0.1", "user:pass@127.0.0.1", "example.com@127.0.0.1", "127.0.0.1@example.com", "example.com:443@127.0.0.1", "@127.0.0.1", ":@127.0.0.1", "a@b@127.0.0.1", "example.com%40127.0.0.1",
	"example.com\\@127.0.0.1", "127.0.0.1\\.example.com", "127.0.0.1\\", "\\127.0.0.1", "example.com#@127.0.0.1", "127.0.0.1#.example.com", "127.0.0.1#",
	"127.0.0.1\t", "127.0.0.1\n", "127.0.0.1\r\nHost:x", "\t127.0.0.1", " 127.0.0.1", "127.0.0.1 ", "127.0.0.1\x00", "127.0.\x000.1", "local\nhost", "127.0.0.1,example.com", "127.0.0.1;example.com", "127.0.0.1&example.com", "127.0.0.1|x", "(127.0.0.1)", "{127.0.0.1}", "<127.0.0.1>", "'127.0.0.1'", "\"127.0.0.1\"", "`127.0.0.1`", "$127.0.0.1", "127.0.0.1*", "*", "*.example.com", "~", "!", "=",
	"[::1", "::1]", "::1", "[]", "[", "]", "[[::1]]", "[::1]]", "[::1].example.com", "[::1]example.com", "[0:0:0:0:0:0:0:1]", "[0000::1]", "[::01]", "[::0001]", "[0::1]", "[::0.0.0.1]", "[::127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:127.0.0.1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:0x7f.1]", "[::1%25lo]", "[::1%lo]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[v1.x]", "[127.0.0.1]", "[localhost]", "[::g]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]",
	"-a.example.com", "a-.example.com", "a_b.example.com", "a..example.com", ".example.com", "example.com.", "example.com..", "example.1", "example.0x1", "example.123", "1.2.3.4.5", strings.Repeat("a", 64) + ".example.com", strings.Repeat("a.", 130) + "com", "",
}

func TestInsideIsNotReached(t *testing.T) {
	t.Parallel()
	port, visits := canary(t)
	client := New(Config{Timeout: 2 * time.Second, Resolver: names{}})
	cases := 0
	try := func(raw string) {
		cases++
		if _, _, err := client.Get(t.Context(), raw, 0); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: got %v, want ErrRefused", raw, err)
		}
	}
	for _, text := range insideAddresses {
		addr := netip.MustParseAddr(text)
		try("https://" + netip.AddrPortFrom(addr, 443).String() + "/")
		try("https://" + strings.TrimSuffix(netip.AddrPortFrom(addr, 1).String(), "1") + port + "/")
	}
	for _, odd := range oddHosts {
		try("https://" + odd + "/")
		try("https://" + odd + ":" + port + "/")
	}
	for _, raw := range []string{
		"", "/", "//127.0.0.1/", "127.0.0.1", "https:", "https:/", "https://", "https:///", "https:127.0.0.1", "https:/127.0.0.1", "https:///127.0.0.1/",
		"http://example.com/", "HTTP://example.com/", "ftp://127.0.0.1/", "file:///etc/passwd", "file://127.0.0.1/x", "gopher://127.0.0.1:70/", "dict://127.0.0.1/", "unix:///tmp/x", "javascript:1", "data:,x", "jar:https://x!/", "ldap://127.0.0.1", "netdoc:///x", "ws://127.0.0.1", "httpss://x.test", "https\x00://x.test",
		"https://example.com:0/", "https://example.com:/", "https://example.com:65536/", "https://example.com:00443/", "https://example.com:+443/", "https://example.com:-1/", "https://example.com:443:443/", "https://example.com:4 43/", "https://example.com:https/", "https://example.com:443x/", "https://example.com:١/",
		"https://example.com/\x7f", "https://example.com/a b", "https://example.com/é", "https://example.com/#x", "https://example.com/?a#", "https://example.com\\.test/", "https:\\\\example.com", "https://exa\tmple.com", "\thttps://example.com", "https://example.com/" + strings.Repeat("a", 2048), "URL:https://example.com", "view-source:https://example.com",
	} {
		try(raw)
	}
	t.Logf("%d spellings", cases)
	if visits.Load() != 0 {
		t.Errorf("the canary saw %d connections, want none", visits.Load())
	}
}

// A name is judged by what it resolves to, at the time of the connection.
func TestNamesThatLeadInside(t *testing.T) {
	t.Parallel()
	port, visits := canary(t)
	for _, text := range insideAddresses {
		resolver := names{
			"only.test":  {text},
			"first.test": {"8.8.8.8", text},
			"last.test":  {text, "8.8.8.8"},
			"mixed.test": {"2606:4700::1111", "8.8.8.8", text},
		}
		if text == "::ffff:8.8.8.8" {
			continue // as an answer of a resolver this is 8.8.8.8
		}
		client := New(Config{Resolver: resolver, Timeout: 2 * time.Second})
		for name := range resolver {
			if _, _, err := client.Get(t.Context(), "https://"+name+":"+port+"/", 0); !errors.Is(err, ErrRefused) {
				t.Errorf("%s at %s: got %v, want ErrRefused", name, text, err)
			}
		}
	}
	if visits.Load() != 0 {
		t.Errorf("the canary saw %d connections, want none", visits.Load())
	}
}

// turning answers a public address when asked first and loopback from then on.
type turning struct{ asked atomic.Int64 }

func (r *turning) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	if r.asked.Add(1) == 1 {
		return []netip.Addr{netip.MustParseAddr("2606:4700::1111")}, nil
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

func TestRebindingIsRefused(t *testing.T) {
	t.Parallel()
	port, visits := canary(t)
	resolver := new(turning)
	client := New(Config{Resolver: resolver, Timeout: 2 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the first answer is checked and nothing connects
	if _, err := client.dial(ctx, "tcp", "turn.test:"+port); err == nil {
		t.Fatal("connected with an ended context")
	}
	if n := resolver.asked.Load(); n != 1 {
		t.Errorf("resolved %d times for one connection, want 1", n)
	}
	if _, err := client.dial(t.Context(), "tcp", "turn.test:"+port); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
	if err := client.verify(target{host: "turn.test"}, "127.0.0.1:443"); !errors.Is(err, ErrRefused) {
		t.Errorf("the last look before connecting: %v, want ErrRefused", err)
	}
	if visits.Load() != 0 {
		t.Errorf("the canary saw %d connections, want none", visits.Load())
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	for _, text := range publicAddresses {
		if reachOf(netip.MustParseAddr(text)) != public {
			t.Errorf("%s is not public", text)
		}
	}
	for _, text := range insideAddresses {
		if reachOf(netip.MustParseAddr(text)) == public {
			t.Errorf("%s is public", text)
		}
	}
	if reachOf(netip.Addr{}) == public || reachOf(netip.MustParseAddr("2606:4700::1%eth0")) == public {
		t.Error("an address that is none, or has a zone, is public")
	}
}

func TestAllowList(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		allow string
		url   string
		at    string // what the host resolves to
		want  bool
	}{
		{"host at loopback", "localhost", "https://localhost:8443", "127.0.0.1", true},
		{"host in capitals", "Localhost", "https://LOCALHOST:8443", "::1", true},
		{"host without TLS", "localhost", "http://localhost:8080", "127.0.0.1", true},
		{"host and port", "localhost:8443", "https://localhost:8443", "127.0.0.1", true},
		{"host and default port", "issuer.test:443", "https://issuer.test", "10.0.0.1", true},
		{"host and other port", "localhost:8443", "https://localhost:8444", "127.0.0.1", false},
		{"other host", "issuer.test", "https://other.test", "10.0.0.1", false},
		{"host below", "issuer.test", "https://a.issuer.test", "10.0.0.1", false},
		{"domain", "*.corp.test", "https://a.b.corp.test", "10.0.0.1", true},
		{"domain itself", "*.corp.test", "https://corp.test", "10.0.0.1", false},
		{"domain look-alike", "*.corp.test", "https://evilcorp.test", "10.0.0.1", false},
		{"domain and port", "*.corp.test:8443", "https://a.corp.test:8443", "10.0.0.1", true},
		{"address", "127.0.0.1", "https://127.0.0.1:9", "", true},
		{"address and port", "127.0.0.1:9", "https://127.0.0.1:9", "", true},
		{"address and other port", "127.0.0.1:9", "https://127.0.0.1:10", "", false},
		{"address of six", "[::1]:9", "https://[::1]:9", "", true},
		{"address without TLS", "127.0.0.1:9", "http://127.0.0.1:9", "", true},
		{"network", "10.0.0.0/8", "https://issuer.test", "10.1.2.3", true},
		{"network, address", "10.0.0.0/8", "https://10.1.2.3", "", true},
		{"network, outside", "10.0.0.0/8", "https://issuer.test", "192.168.0.1", false},
		{"network, name without TLS", "10.0.0.0/8", "http://issuer.test", "10.1.2.3", false},
		{"host at a link-local address", "issuer.test", "https://issuer.test", "169.254.1.1", false},
		{"host at the wire server", "issuer.test", "https://issuer.test", "168.63.129.16", false},
		{"host at no address", "issuer.test", "https://issuer.test", "0.0.0.0", false},
		{"link-local address", "169.254.1.1", "https://issuer.test", "169.254.1.1", true},
		{"public", "", "https://issuer.test", "8.8.8.8", true},
		{"public, without TLS", "", "http://issuer.test", "8.8.8.8", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var allow []string
			if tt.allow != "" {
				allow = []string{tt.allow}
			}
			c := New(Config{Allow: allow})
			if c.invalid != nil {
				t.Fatal(c.invalid)
			}
			target, err := c.target(tt.url)
			if err == nil && tt.at != "" {
				err = c.allow.check(target, netip.MustParseAddr(tt.at))
			}
			if (err == nil) != tt.want {
				t.Errorf("got %v, want allowed %v", err, tt.want)
			}
		})
	}
}

// What is accepted must have one reading: ours, net/url's and a resolver's.
func FuzzAddress(f *testing.F) {
	for _, odd := range oddHosts {
		f.Add("https://" + odd + "/keys")
	}
	for _, text := range append(insideAddresses, publicAddresses...) {
		f.Add(fmt.Sprintf("https://%s/", netip.AddrPortFrom(netip.MustParseAddr(text), 443)))
	}
	f.Add("https://issuer.example.com:8443/a/b?c=d")
	client := New(Config{})
	f.Fuzz(func(t *testing.T, raw string) {
		target, err := client.target(raw)
		if err != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || u.User != nil || strings.ToLower(u.Hostname()) != target.host {
			t.Fatalf("%q was read as %q", raw, target.host)
		}
		if again, err := parseTarget(target.origin()); err != nil || again.origin() != target.origin() {
			t.Fatalf("%q: origin %q is not read back: %v", raw, target.origin(), err)
		}
		if addr, err := netip.ParseAddr(target.host); err == nil {
			if !target.addr.IsValid() || reachOf(addr) != public || addr.IsPrivate() || addr.IsLoopback() || !addr.IsGlobalUnicast() {
				t.Fatalf("%q leads inside", raw)
			}
			return
		}
		if !strings.Contains(target.host, ".") || strings.HasSuffix(target.host, ".") || strings.Trim(target.host, letters+".") != "" {
			t.Fatalf("%q is not a plain host name", target.host)
		}
	})
}
