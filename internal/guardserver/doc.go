// Package guardserver puts a guard in front of APIs of any language: as a reverse proxy, as the
// server that nginx, Traefik or Caddy ask about each request (forward-auth), or as the one that
// Envoy asks (ext_authz).
//
// It owns the way of a request to and from a decision: who may say which request is judged, what
// the upstream learns of the caller, what is removed from what a client sent, the addresses,
// and the settings, which are read again when they change. It refuses to own the decision, which
// is that of guard.Policy in all three forms alike, and how settings are written, which is
// package guardfile's.
//
// Start at [New]; a form is proxy.go, forward_auth.go, ext_authz.go or ext_authz_grpc.go.
package guardserver
