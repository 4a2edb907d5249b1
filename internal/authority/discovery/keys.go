package discovery

import (
	"context"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// keysV1 serves the keys of a tenant. A key that stands in a tenant's own document names
// no issuer, as resource servers of version 1 know it.
func (h *Handler) keysV1(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	if resolve.IsShared(x.Tenant) {
		return h.sharedDocument(ctx, x.Origin, 1)
	}
	if resolve.IsConsumers(x.Tenant) {
		return keysAnswer(nil, exchange.KeysCached)
	}
	keys, tenant, err := h.tenantKeys(ctx, x)
	if err != nil {
		return exchange.Answer{}, err
	}
	return keysAnswer(keys, h.cacheFor(x.Origin, tenant.ID))
}

// keysV2 serves the keys of a tenant, each with its issuer.
func (h *Handler) keysV2(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	if resolve.IsShared(x.Tenant) {
		return h.sharedDocument(ctx, x.Origin, 2)
	}
	if resolve.IsConsumers(x.Tenant) {
		return keysAnswer(nil, exchange.KeysCached)
	}
	keys, tenant, err := h.tenantKeys(ctx, x)
	if err != nil {
		return exchange.Answer{}, err
	}
	return keysAnswer(named(x.Origin, keys, x.Origin.IssuerV2(tenant.ID)), h.cacheFor(x.Origin, tenant.ID))
}

// tenantKeys gives the public keys of the tenant that a path names.
func (h *Handler) tenantKeys(ctx context.Context, x *exchange.Exchange) ([]token.Key, *directory.Tenant, error) {
	tenant, err := h.resolver.Tenant(ctx, x.Tenant)
	if err != nil {
		return nil, nil, refusal(err)
	}
	keys, err := h.keys.Published(ctx, x.Origin.KeyRing(string(tenant.ID)))
	return keys, tenant, err
}

// named says in each key which issuer it belongs to.
func named(o origin.Origin, keys []token.Key, issuer string) []token.Key {
	for i := range keys {
		keys[i].Issuer, keys[i].CloudInstance = issuer, o.CloudInstance()
	}
	return keys
}

// keysAnswer has a tag, so that those who check tokens can ask often whether a key is gone.
func keysAnswer(keys []token.Key, cacheFor time.Duration) (exchange.Answer, error) {
	body, err := token.KeysDocument(keys)
	return exchange.Answer{Body: body, CacheFor: cacheFor, Tag: exchange.TagOf(body)}, err
}

// cacheFor is how long the keys of a tenant may be cached.
func (h *Handler) cacheFor(o origin.Origin, tenant directory.TenantID) time.Duration {
	if revoked := h.keys.LastRevoked(o.KeyRing(string(tenant))); !revoked.IsZero() && h.now().Sub(revoked) < exchange.DayCached {
		return exchange.RevokedCached
	}
	return exchange.KeysCached
}

// sharedKeysAge is how long the keys of all tenants are kept ready: many tenants make a
// large document, and anybody may ask for it.
const sharedKeysAge = 10 * time.Second

// sharedKeys keeps the documents of /common, one for each origin and version.
type sharedKeys struct {
	mu        sync.Mutex // held while a document is made, so that it is made once
	documents map[sharedKey]sharedDocument
}

type sharedKey struct {
	origin  origin.Origin
	version int
}

type sharedDocument struct {
	exchange.Answer
	applied int64
	made    time.Time
}

// sharedDocument serves the keys of all tenants, each with the one issuer it is good for:
// a key of one tenant must not verify tokens of another.
func (h *Handler) sharedDocument(ctx context.Context, o origin.Origin, version int) (exchange.Answer, error) {
	h.shared.mu.Lock()
	defer h.shared.mu.Unlock()
	kept := h.shared.documents[sharedKey{o, version}]
	now, applied := h.now(), h.directory.Applied()
	if age := now.Sub(kept.made); kept.Body != nil && kept.applied == applied && 0 <= age && age < sharedKeysAge {
		return kept.Answer, nil
	}
	keys, cacheFor, err := h.allKeys(ctx, o, version)
	if err != nil {
		return exchange.Answer{}, err
	}
	response, err := keysAnswer(keys, cacheFor)
	if err != nil {
		return exchange.Answer{}, err
	}
	if h.shared.documents == nil {
		h.shared.documents = map[sharedKey]sharedDocument{}
	}
	h.shared.documents[sharedKey{o, version}] = sharedDocument{response, applied, now}
	return response, nil
}

// allKeys gives the keys of all enabled tenants, and how long they may be cached.
func (h *Handler) allKeys(ctx context.Context, o origin.Origin, version int) (all []token.Key, cacheFor time.Duration, err error) {
	tenants, err := h.directory.Tenants(ctx)
	if err != nil {
		return nil, 0, err
	}
	cacheFor = exchange.KeysCached
	for _, tenant := range tenants {
		if !tenant.Enabled {
			continue
		}
		keys, err := h.publishedFor(ctx, o, tenant.ID)
		if err != nil {
			return nil, 0, err
		}
		cacheFor = min(cacheFor, h.cacheFor(o, tenant.ID))
		issuer := o.IssuerV2(tenant.ID)
		if version == 1 {
			issuer = o.IssuerV1(tenant.ID)
		}
		all = append(all, named(o, keys, issuer)...)
	}
	return all, cacheFor, nil
}

// publishedFor gives the keys of one tenant of all. Under Microsoft's names most tenants have
// none, and to ask for those of all must not make them.
func (h *Handler) publishedFor(ctx context.Context, o origin.Origin, tenant directory.TenantID) ([]token.Key, error) {
	ring := o.KeyRing(string(tenant))
	if o.Cloud() != "" {
		return h.keys.Present(ctx, ring)
	}
	return h.keys.Published(ctx, ring)
}
