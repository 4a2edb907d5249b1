package guardfile

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rolecall-auth/rolecall/guard"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// The members of the root, of an API and of a rule.
var (
	apiMembers      = []string{"upstream", "authority", "audience", "tenants", "caller", "origins", "resource", "credential", "rules"}
	listenerMembers = []string{"listen", "mode", "dialect", "trustedPeers", "clientCertificate", "tls", "caBundle", "identity", "forwardToken", "endStreams", "maxKeyAge", "stateDir", "revocation", "ops"}
	credMembers     = []string{"client", "secretFile", "certificateFile", "tokenFile"}
	tlsMembers      = []string{"cert", "key", "askClients"}
	ruleMembers     = []string{"path", "methods", "roles", "allRoles", "scopes", "clients", "principals", "tenants", "caller", "bound", "anonymous", "shadow"}
)

// document reads the root: a listener and one API, or several by host.
func (r *reader) document(f *File, root *yaml.Node) {
	members := r.members(root, slices.Concat(apiMembers, listenerMembers, []string{"apis"}))
	r.listener(f, members)
	several, ok := members["apis"]
	if !ok {
		f.APIs = []API{r.api(root, members)}
		return
	}
	for _, name := range apiMembers {
		if at, both := members[name]; both {
			r.problem(at, "%s stands beside apis: write it into each of them", name)
		}
	}
	hosts := map[string]bool{}
	for _, node := range r.items(several) {
		one := r.members(node, slices.Concat(apiMembers, []string{"host"}))
		api := r.api(node, one)
		switch api.Host = strings.ToLower(r.text(one["host"])); {
		case api.Host == "":
			r.problem(node, "host is missing: whose requests this is for")
		case strings.ContainsAny(api.Host, ":/@*? "):
			r.problem(one["host"], "host is a name such as orders.corp.test, without a port")
		case hosts[api.Host]:
			r.problem(one["host"], "this host is given twice")
		}
		hosts[api.Host] = true
		f.APIs = append(f.APIs, api)
	}
	if len(f.APIs) == 0 {
		r.problem(several, "apis is empty: one is needed at least")
	}
}

// listener reads what is not about one API.
func (r *reader) listener(f *File, m map[string]*yaml.Node) {
	if at := m["listen"]; at != nil {
		f.Listen = r.address(at, true)
	}
	f.Ops = r.address(m["ops"], false)
	f.Mode = choice(r, m["mode"], "mode", f.Mode, ModeProxy, ModeForwardAuth, ModeExtAuthz)
	f.Dialect = choice(r, m["dialect"], "dialect", "", DialectNginx, DialectTraefik, DialectCaddy, DialectGRPC, DialectHTTP)
	f.Identity = choice(r, m["identity"], "identity", f.Identity, IdentityEasyAuth, IdentitySigned, IdentityNone)
	f.ForwardToken = r.truth(m["forwardToken"])
	f.KeepStreams = m["endStreams"] != nil && !r.truth(m["endStreams"])
	f.CABundle, f.StateDir = r.path(m["caBundle"]), r.path(m["stateDir"])
	if at := m["tls"]; at != nil {
		one := r.members(at, tlsMembers)
		if f.TLS = (&TLS{r.path(one["cert"]), r.path(one["key"]), r.truth(one["askClients"])}); f.TLS.Cert == "" || f.TLS.Key == "" {
			r.problem(at, "tls needs both, cert and key: PEM files")
		}
	}
	for _, item := range r.items(m["trustedPeers"]) {
		if network, err := network(r.text(item)); err != nil {
			r.problem(item, "an address or a network is expected here, such as 127.0.0.1/32")
		} else {
			f.TrustedPeers = append(f.TrustedPeers, network)
		}
	}
	if at := m["maxKeyAge"]; at != nil {
		age, err := time.ParseDuration(r.text(at))
		if err != nil || age < minKeyAge {
			r.problem(at, "maxKeyAge is a duration of ten minutes and more, such as 24h")
		}
		f.MaxKeyAge = age
	}
	f.Revocation = choice(r, m["revocation"], "revocation", "off", "off", "follow")
	if f.ClientCertificate = r.text(m["clientCertificate"]); f.ClientCertificate != "" && strings.Trim(f.ClientCertificate, letters+"-") != "" {
		r.problem(m["clientCertificate"], "the name of a header is expected here, such as X-SSL-Client-Cert")
	}
	r.fits(f, m)
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// minKeyAge is the least that package guard takes.
const minKeyAge = 10 * time.Minute

// fits reports members that mean nothing in the mode that is set.
func (r *reader) fits(f *File, m map[string]*yaml.Node) {
	if at := m["endStreams"]; at != nil && f.Mode != ModeProxy {
		r.problem(at, "endStreams is for the mode proxy: the streams of others do not go through the guard")
	}
	asks := []Dialect{DialectNginx, DialectTraefik, DialectCaddy}
	switch f.Mode {
	case ModeForwardAuth:
		if !slices.Contains(asks, f.Dialect) {
			r.problem(cmp.Or(m["dialect"], m["mode"]), "the mode forward-auth needs a dialect: one of nginx, traefik and caddy, as the proxy that asks")
		}
	case ModeExtAuthz:
		if f.Dialect = cmp.Or(f.Dialect, DialectGRPC); slices.Contains(asks, f.Dialect) {
			r.problem(m["dialect"], "the mode ext-authz has the dialects grpc and http")
		}
	case ModeProxy:
		if at := m["clientCertificate"]; at != nil && len(f.TrustedPeers) == 0 {
			r.problem(at, "clientCertificate is believed from trustedPeers alone, and there are none")
		}
		if at := m["dialect"]; at != nil {
			r.problem(at, "dialect is for the modes forward-auth and ext-authz")
		}
	}
}

func (r *reader) api(at *yaml.Node, members map[string]*yaml.Node) API {
	api := API{
		Upstream: r.upstream(members["upstream"]), Authority: r.text(members["authority"]), Audience: r.texts(members["audience"]),
		Tenants: r.texts(members["tenants"]), Caller: r.caller(members["caller"]), Origins: r.origins(members["origins"]), Resource: r.text(members["resource"]),
	}
	api.Credential = r.credential(members["credential"], api.Audience)
	if api.Authority == "" {
		r.problem(at, "authority is missing: the URL of the tenant that issues tokens")
	}
	if len(api.Audience) == 0 {
		r.problem(at, "audience is missing: the API's application id and its identifier URIs")
	}
	for _, node := range r.items(members["rules"]) {
		api.Rules = append(api.Rules, r.rule(node))
		api.Places = append(api.Places, Place{node.Line, node.Column})
	}
	if len(api.Rules) == 0 {
		r.problem(at, "rules are missing: without one, nobody is let in")
	}
	return api
}

// credential reads how the API proves itself. Its application is the one among its audience,
// unless another place is meant.
func (r *reader) credential(node *yaml.Node, audience []string) *Credential {
	if node == nil {
		return nil
	}
	m := r.members(node, credMembers)
	c := &Credential{r.text(m["client"]), r.path(m["secretFile"]), r.path(m["certificateFile"]), r.path(m["tokenFile"])}
	given := 0
	for _, file := range []string{c.SecretFile, c.CertificateFile, c.TokenFile} {
		if file != "" {
			given++
		}
	}
	if given != 1 {
		r.problem(node, "credential has one of secretFile, certificateFile and tokenFile: the names of files")
	}
	if i := slices.IndexFunc(audience, guid.Is); c.Client == "" && i >= 0 {
		c.Client = audience[i]
	}
	if !guid.Is(c.Client) {
		r.problem(node, "credential needs client, the application id of the API, where the audience has none")
	}
	return c
}

// origins reads scheme and host by which clients call an API.
func (r *reader) origins(node *yaml.Node) (all []string) {
	for _, item := range r.items(node) {
		origin := r.text(item)
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			r.problem(item, "an origin is scheme and host, such as https://orders.corp.test")
			continue
		}
		all = append(all, u.Scheme+"://"+u.Host)
	}
	return all
}

func (r *reader) rule(node *yaml.Node) guard.Rule {
	m := r.members(node, ruleMembers)
	rule := guard.Rule{
		Path: r.text(m["path"]), Methods: r.texts(m["methods"]), Roles: r.texts(m["roles"]), AllRoles: r.texts(m["allRoles"]), Scopes: r.texts(m["scopes"]),
		Clients: r.texts(m["clients"]), Principals: r.texts(m["principals"]), Tenants: r.texts(m["tenants"]), Caller: r.caller(m["caller"]),
		Bound: r.truth(m["bound"]), Anonymous: r.truth(m["anonymous"]), Shadow: r.truth(m["shadow"]),
	}
	if rule.Path == "" {
		r.problem(node, "path is missing: what the rule is for")
	}
	return rule
}

// members returns the members of a mapping by name, and reports those that are not known.
func (r *reader) members(node *yaml.Node, known []string) map[string]*yaml.Node {
	all := map[string]*yaml.Node{}
	if node.Kind != yaml.MappingNode {
		r.problem(node, "members are expected here: %s", strings.Join(known, ", "))
		return all
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := key.Value
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, name):
			r.problem(key, "there is no member %q here: there are %s", text.Shown(name), strings.Join(known, ", "))
		case all[name] != nil:
			r.problem(key, "%s is given twice", name)
		default:
			all[name] = value
		}
	}
	return all
}

// items returns the elements of a list; a node that is not there has none.
func (r *reader) items(node *yaml.Node) []*yaml.Node {
	switch {
	case node == nil:
		return nil
	case node.Kind != yaml.SequenceNode:
		r.problem(node, "a list is expected here")
		return nil
	}
	return node.Content
}

func (r *reader) texts(node *yaml.Node) (all []string) {
	for _, item := range r.items(node) {
		if s := r.text(item); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// text reads a text; a node that is not there is an empty one.
func (r *reader) text(node *yaml.Node) string {
	switch {
	case node == nil:
		return ""
	case node.Kind != yaml.ScalarNode || node.Tag == "!!null" || node.Tag == "!!bool":
		r.problem(node, "a text is expected here")
	case strings.TrimSpace(node.Value) == "":
		r.problem(node, "the text is empty")
	default:
		return node.Value
	}
	return ""
}

// path reads the name of a file or folder, which is relative to the folder of the guard.yaml.
func (r *reader) path(node *yaml.Node) string { return r.within(r.text(node)) }

func (r *reader) within(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.folder, name)
}

// address reads where to listen.
func (r *reader) address(node *yaml.Node, socket bool) string {
	address := r.text(node)
	if path, ok := strings.CutPrefix(address, "unix:"); ok && socket {
		if path == "" {
			r.problem(node, "unix: is followed by the path of a socket, such as unix:/run/rolecall/guard.sock")
		}
		return "unix:" + r.within(path)
	}
	if address == "" {
		return ""
	}
	if host, port, ok := cutPort(address); !ok || host == "" && !strings.HasPrefix(address, ":") || !isPort(port) {
		r.problem(node, "an address with a port is expected here, such as 127.0.0.1:8080")
	}
	return address
}

func cutPort(address string) (host, port string, ok bool) {
	i := strings.LastIndexByte(address, ':')
	if i < 0 || strings.Contains(address[:i], ":") && !strings.HasPrefix(address, "[") || strings.ContainsAny(address, "/ ") {
		return "", "", false
	}
	return address[:i], address[i+1:], true
}

func isPort(port string) bool {
	n := 0
	for _, c := range port {
		if c < '0' || c > '9' || n > 65535 {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return port != "" && n <= 65535
}

// upstream reads where requests go that were let in.
func (r *reader) upstream(node *yaml.Node) string {
	address := r.text(node)
	if address == "" {
		return ""
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok && path != "" {
		return "unix:" + r.within(path)
	}
	if err := CheckUpstream(address); err != nil {
		r.problem(node, "%v", err)
	}
	return address
}

// CheckUpstream says what is wrong with the address of an upstream.
func CheckUpstream(address string) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok && path != "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || !slices.Contains([]string{"http", "https", "h2c"}, u.Scheme) || u.Hostname() == "" || u.User != nil ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.Port() != "" && !isPort(u.Port()) {
		return fmt.Errorf("the upstream is not http://HOST:PORT, https://HOST:PORT, h2c://HOST:PORT (HTTP/2 without TLS) or unix:PATH, without a path of requests")
	}
	return nil
}

func (r *reader) truth(node *yaml.Node) bool {
	if node == nil {
		return false
	}
	if node.Kind != yaml.ScalarNode || node.Value != "true" && node.Value != "false" {
		r.problem(node, "true or false is expected here")
	}
	return node.Value == "true"
}

func (r *reader) caller(node *yaml.Node) guard.CallerKind {
	return choice(r, node, "caller", "", guard.CallerApplication, guard.CallerUser, guard.CallerAny)
}

// choice reads one of several words; a node that is not there is the fallback.
func choice[T ~string](r *reader, node *yaml.Node, name string, fallback T, known ...T) T {
	if node == nil {
		return fallback
	}
	value := T(r.text(node))
	if value != "" && !slices.Contains(known, value) {
		words := make([]string, len(known))
		for i, word := range known {
			words[i] = string(word)
		}
		last := len(words) - 1
		r.problem(node, "%s is one of %s and %s", name, strings.Join(words[:last], ", "), words[last])
		return fallback
	}
	return value
}

// network reads an address or a network.
func network(s string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

func trimYAML(err error) string { return strings.TrimPrefix(err.Error(), "yaml: ") }
