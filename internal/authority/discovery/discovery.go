// Package discovery tells client libraries and resource servers what there is: the
// discovery documents, the keys documents, and instance discovery.
//
// It owns the URLs
//
//	/{tenant}/.well-known/openid-configuration            metadata of version 1
//	/{tenant}/v2.0/.well-known/openid-configuration       metadata of version 2
//	/{tenant}/discovery/keys, /discovery/v2.0/keys        the tenant's public keys
//	/{tenant}/workload/…                                  the same of the workload issuer
//	/common/discovery/instance                            which hosts are this authority
//	/common/userrealm/{user}                              where a user signs in
//
// and, at /common and /organizations, the documents of all tenants, and at /consumers those of
// a tenant without keys. It refuses to own the
// keys, which package keyring rotates, and the issuers, which package origin names.
//
// Start reading at [Handler.Mount].
package discovery

import (
	"net/http"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/keyring"
)

// A Handler serves the documents. It is safe for concurrent use.
type Handler struct {
	directory *directory.Directory
	resolver  *resolve.Resolver
	keys      *keyring.Ring
	mutualTLS bool
	services  Services
	now       func() time.Time
	shared    sharedKeys
}

// New returns a handler. MutualTLS is whether clients are asked for certificates; services are
// what else the server has.
func New(d *directory.Directory, resolver *resolve.Resolver, keys *keyring.Ring, mutualTLS bool, services Services, now func() time.Time) *Handler {
	return &Handler{directory: d, resolver: resolver, keys: keys, mutualTLS: mutualTLS, services: services, now: now}
}

// Mount adds the URLs of the documents.
func (h *Handler) Mount(m *exchange.Mux) {
	m.Tenant("/.well-known/openid-configuration", exchange.Endpoint{Method: http.MethodGet, Serve: h.metadataV1})
	m.Tenant("/v2.0/.well-known/openid-configuration", exchange.Endpoint{Method: http.MethodGet, Serve: h.metadataV2})
	m.Tenant("/discovery/keys", exchange.Endpoint{Method: http.MethodGet, Serve: h.keysV1})
	m.Tenant("/discovery/v2.0/keys", exchange.Endpoint{Method: http.MethodGet, Serve: h.keysV2})
	m.Tenant("/workload/.well-known/openid-configuration", exchange.Endpoint{Method: http.MethodGet, Serve: h.workloadMetadata})
	m.Tenant("/workload/keys", exchange.Endpoint{Method: http.MethodGet, Serve: h.workloadKeys})
	m.Root(ServicesPath, exchange.Endpoint{Method: http.MethodGet, Serve: h.servicesDocument})
	m.Root("/common/discovery/instance", exchange.Endpoint{Method: http.MethodGet, Serve: h.instance})
	m.Below(userRealmPath, exchange.Endpoint{Method: http.MethodGet, Serve: h.userRealm})
}

// refusal words a refused tenant as the discovery endpoints do.
func refusal(err error) error {
	problem := *aadsts.Of(err)
	if problem.OAuth == aadsts.InvalidRequest {
		problem.OAuth = aadsts.InvalidTenant
	}
	return &problem
}
