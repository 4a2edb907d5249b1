package launch

import (
	_ "embed"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// nodeProxy makes Node take a proxy where it does not do so by itself.
//
//go:embed node-proxy.cjs
var nodeProxy []byte

const nodeOptions = "NODE_OPTIONS"

// ProxyVariables are those by which a program of each runtime takes a proxy. The folder gets what
// Node needs. Entries of an inherited NO_PROXY that would lead one of the hosts past the proxy are
// left out, and returned. Direct are hosts that are reached without the proxy, besides this machine.
//
// .NET and curl read the lower-case names first, others the upper-case ones. Java reads none of them,
// and Node since 22.21 and 24.5, if it is told to.
func ProxyVariables(folder string, inherited []string, address string, hosts []string, direct ...string) (variables []Variable, lost []string, err error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, nil, fmt.Errorf("read the proxy's URL: %w", err)
	}
	kept, lost := exceptionsFor(inherited, hosts)
	for _, host := range direct {
		if !contains(strings.Split(kept, ","), host) {
			kept += "," + host
		}
	}
	for name, value := range map[string]string{"HTTPS_PROXY": address, "HTTP_PROXY": address, "NO_PROXY": kept} {
		variables = append(variables, Variable{name, value}, Variable{strings.ToLower(name), value})
	}
	script, err := filepath.Abs(filepath.Join(folder, "node-proxy.cjs"))
	if err != nil {
		return nil, nil, err
	}
	if err := ReplaceFile(script, nodeProxy, 0o600); err != nil {
		return nil, nil, err
	}
	for _, name := range springClients() {
		if valueOf(inherited, name) == "" {
			variables = append(variables, Variable{name, "jdk"})
		}
	}
	return append(variables,
		Variable{"NODE_USE_ENV_PROXY", "1"}, Variable{nodeOptions, `--require="` + strings.ReplaceAll(script, `\`, `\\`) + `"`},
		Variable{javaOptions, javaProxy(at, kept)},
	), lost, nil
}

// springClients are the variables by which Spring Boot chooses what its RestTemplate and RestClient
// send requests with, since 3.4 and since 4.0. By itself it takes what it finds among the program's
// libraries, such as Reactor Netty, which does not read Java's properties; Java's own client does.
func springClients() []string {
	return []string{"SPRING_HTTP_CLIENT_FACTORY", "SPRING_HTTP_CLIENTS_IMPERATIVE_FACTORY"}
}

// javaProxy is the proxy as Java's system properties say it. Java cannot send a credential for a
// tunnel unless a program does so itself.
func javaProxy(at *url.URL, exceptions string) string {
	var hosts []string
	for exception := range strings.SplitSeq(exceptions, ",") {
		if suffix, ok := strings.CutPrefix(exception, "."); ok {
			exception = "*." + suffix
		}
		hosts = append(hosts, exception)
	}
	var options []string
	for _, scheme := range []string{"http", "https"} {
		options = append(options, "-D"+scheme+".proxyHost="+at.Hostname(), "-D"+scheme+".proxyPort="+at.Port())
	}
	return strings.Join(append(options, javaQuote("-Dhttp.nonProxyHosts="+strings.Join(append(hosts, "127.*"), "|"))), " ")
}

// exceptionsFor completes the exceptions of an environment, without those that would lead to one of
// the hosts directly.
func exceptionsFor(inherited, hosts []string) (kept string, lost []string) {
	var all []string
	for _, name := range []string{"no_proxy", "NO_PROXY"} {
		for exception := range strings.SplitSeq(valueOf(inherited, name), ",") {
			exception = strings.TrimSpace(exception)
			switch {
			case exception == "" || contains(all, exception) || contains(lost, exception):
			case leadsPast(exception, hosts):
				lost = append(lost, exception)
			default:
				all = append(all, exception)
			}
		}
	}
	for exception := range strings.SplitSeq(thisMachine, ",") {
		if !contains(all, exception) {
			all = append(all, exception)
		}
	}
	return strings.Join(all, ","), lost
}

func contains(list []string, text string) bool {
	for _, entry := range list {
		if strings.EqualFold(entry, text) {
			return true
		}
	}
	return false
}

// leadsPast reports whether an exception stands for one of the hosts, to any of the runtimes: some
// take a bare name for all names below it, too.
func leadsPast(exception string, hosts []string) bool {
	name := strings.ToLower(exception)
	if before, port, found := strings.Cut(name, ":"); found && strings.Trim(port, "0123456789") == "" {
		name = before
	}
	if strings.Trim(name, "*.") == "" {
		return true
	}
	name = strings.TrimLeft(name, "*.")
	for _, host := range hosts {
		if host == name || strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return false
}

// Upstream is the proxy that an environment names for other hosts, as a function of their URLs.
func Upstream(inherited []string) func(*url.URL) (*url.URL, error) {
	named := func(names ...string) string {
		for _, name := range names {
			if value := valueOf(inherited, name); value != "" {
				return value
			}
		}
		return ""
	}
	return (&httpproxy.Config{
		HTTPProxy:  named("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
		HTTPSProxy: named("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
		NoProxy:    named("no_proxy", "NO_PROXY"),
	}).ProxyFunc()
}
