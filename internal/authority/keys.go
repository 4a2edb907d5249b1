package authority

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// keysV1 serves the keys of a tenant. A key that stands in a tenant's own document names
// no issuer, as resource servers of version 1 know it.
func (a *Authority) keysV1(ctx context.Context, x *exchange) (answer, error) {
	if isShared(x.tenant) {
		return a.sharedDocument(ctx, 1)
	}
	keys, _, err := a.tenantKeys(ctx, x.tenant)
	if err != nil {
		return answer{}, err
	}
	return keysAnswer(keys)
}

// keysV2 serves the keys of a tenant, each with its issuer.
func (a *Authority) keysV2(ctx context.Context, x *exchange) (answer, error) {
	if isShared(x.tenant) {
		return a.sharedDocument(ctx, 2)
	}
	keys, tenant, err := a.tenantKeys(ctx, x.tenant)
	if err != nil {
		return answer{}, err
	}
	return keysAnswer(a.named(keys, a.issuerV2(tenant.ID)))
}

// tenantKeys gives the public keys of the tenant that a path names.
func (a *Authority) tenantKeys(ctx context.Context, ref string) ([]token.Key, *directory.Tenant, error) {
	tenant, err := a.tenantOf(ctx, ref)
	if err != nil {
		return nil, nil, discoveryProblem(err)
	}
	keys, err := a.keys.Published(ctx, string(tenant.ID))
	return keys, tenant, err
}

// named says in each key which issuer it belongs to.
func (a *Authority) named(keys []token.Key, issuer string) []token.Key {
	for i := range keys {
		keys[i].Issuer, keys[i].CloudInstance = issuer, hostname(a.host)
	}
	return keys
}

func keysAnswer(keys []token.Key) (answer, error) {
	body, err := token.KeysDocument(keys)
	return answer{body: body, cacheFor: keysCached}, err
}

func isShared(tenant string) bool {
	alias := strings.ToLower(tenant)
	return alias == aliasCommon || alias == aliasOrganizations
}

// sharedKeysAge is how long the keys of all tenants are kept ready: many tenants make a
// large document, and anybody may ask for it.
const sharedKeysAge = 10 * time.Second

// sharedKeys keeps the documents of /common, one for each version.
type sharedKeys struct {
	mu        sync.Mutex // held while a document is made, so that it is made once
	documents [3]struct {
		answer
		applied int64
		made    time.Time
	}
}

// sharedDocument serves the keys of all tenants, each with the one issuer it is good for:
// a key of one tenant must not verify tokens of another.
func (a *Authority) sharedDocument(ctx context.Context, version int) (answer, error) {
	a.shared.mu.Lock()
	defer a.shared.mu.Unlock()
	kept := &a.shared.documents[version]
	now, applied := a.now(), a.directory.Applied()
	if age := now.Sub(kept.made); kept.body != nil && kept.applied == applied && 0 <= age && age < sharedKeysAge {
		return kept.answer, nil
	}
	keys, err := a.allKeys(ctx, version)
	if err != nil {
		return answer{}, err
	}
	response, err := keysAnswer(keys)
	if err != nil {
		return answer{}, err
	}
	kept.answer, kept.applied, kept.made = response, applied, now
	return response, nil
}

// allKeys gives the keys of all enabled tenants.
func (a *Authority) allKeys(ctx context.Context, version int) ([]token.Key, error) {
	tenants, err := a.directory.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	var all []token.Key
	for _, tenant := range tenants {
		if !tenant.Enabled {
			continue
		}
		keys, err := a.keys.Published(ctx, string(tenant.ID))
		if err != nil {
			return nil, err
		}
		issuer := a.issuerV2(tenant.ID)
		if version == 1 {
			issuer = a.issuerV1(tenant.ID)
		}
		all = append(all, a.named(keys, issuer)...)
	}
	return all, nil
}
