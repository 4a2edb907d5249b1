package guardbench

import (
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// envoySettings are those of an Envoy in front of the API, with one filter before the router.
const envoySettings = `
static_resources:
  listeners:
    - address: {socket_address: {address: 127.0.0.1, port_value: LISTEN_PORT}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: orders
                normalize_path: true
                merge_slashes: true
                path_with_escaped_slashes_action: REJECT_REQUEST
                common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}
                route_config:
                  virtual_hosts:
                    - {name: orders, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: orders}}]}
                http_filters:
                  - FILTER
                  - {name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
    - name: orders
      connect_timeout: 1s
      load_assignment: {cluster_name: orders, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: UPSTREAM_PORT}}}}]}]}
CLUSTERS`

// askGuard is the filter by which Envoy asks a guard, as docs/guard/envoy.yaml has it.
const askGuard = `{name: envoy.filters.http.ext_authz, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz, transport_api_version: V3, failure_mode_allow: false, encode_raw_headers: true, grpc_service: {envoy_grpc: {cluster_name: guard}, timeout: 3s}}}`

// guardCluster is where the guard is; its port is to be filled in.
const guardCluster = `
    - name: guard
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}
      load_assignment: {cluster_name: guard, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]}
`

// jwtAuthn is Envoy's own filter, with the keys at hand. Issuer, audience and keys are to be
// filled in. It looks at no role: that would be for another filter.
const jwtAuthn = `{name: envoy.filters.http.jwt_authn, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication, providers: {rolecall: {issuer: "%s", audiences: ["%s"], local_jwks: {inline_string: '%s'}}}, rules: [{match: {prefix: /}, requires: {provider_name: rolecall}}]}}`

// envoy returns where Envoy is; empty if it is not here.
func envoy() string {
	if at, err := exec.LookPath("envoy"); err == nil {
		return at
	}
	at, err := filepath.Abs("../../.cache/compat/envoy/bin/envoy")
	if err != nil {
		return ""
	}
	if at, err = exec.LookPath(at); err != nil {
		return ""
	}
	return at
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// keys returns the keys document of the authority.
func (w *world) keys(b *testing.B) string {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, w.api.Config().Authority+"/discovery/v2.0/keys", nil)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := w.login.HTTPClient().Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	document, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("the keys: %s, %v", resp.Status, err)
	}
	return string(document)
}
