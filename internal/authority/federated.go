package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// verifyFederated checks a token that an issuer made for something that may act as the
// application. The platform presents one token many times, so there is no replay here.
func (v *assertionVerifier) verifyFederated(ctx context.Context, in assertionInput, parsed *token.Token, a assertionClaims) (proof, error) {
	client, p := in.Lookup(ctx, directory.AppID(strings.ToLower(in.ClientID)))
	if p != nil {
		return proof{}, p
	}
	workload := v.own.workload(a.issuer)
	var credentialID string
	if v.workloads.run(client, workload, a, parsed.Claims) {
		credentialID = credentialWorkload
	} else if credential, p := trusted(client, a); p != nil {
		return proof{}, p
	} else {
		credentialID = credential.ID
	}
	alg, p := algorithm(parsed.Header, "RS256")
	if p != nil {
		return proof{}, p
	}
	if p := a.checkTimes(v.now(), false); p != nil {
		return proof{}, p
	}
	key, p := v.issuerKey(ctx, parsed, a.issuer)
	if p != nil {
		return proof{}, p
	}
	if err := parsed.Verify(alg, key.Public); err != nil {
		return proof{}, aadsts.FederatedSignature(a.issuer, key.ID).Because(err)
	}
	if v.own.made(a.issuer) && workload == "" && !isAppOnly(parsed.Claims) {
		return proof{}, aadsts.FederatedUser()
	}
	return proof{client: client, credential: credentialFederated, credentialID: credentialID}, nil
}

// credentialWorkload stands in the place of a credential's id for a workload that runs.
const credentialWorkload = "workload"

// trusted finds the credential that names exactly this issuer, audience and subject, and
// reports the first of them that does not fit. Nothing is normalised: to a platform,
// subjects that differ by case are different workloads.
func trusted(client *directory.Instance, a assertionClaims) (*directory.FederatedCredential, error) {
	known := false
	var audiences []*directory.FederatedCredential
	federated := client.Federated()
	for i := range federated {
		c := &federated[i]
		if c.Issuer != a.issuer || c.Issuer == "" {
			continue
		}
		known = true
		if slices.Contains(a.audience, c.Audience) {
			audiences = append(audiences, c)
		}
	}
	switch {
	case !known:
		return nil, aadsts.FederatedIssuer(a.issuer, string(client.Principal.AppID))
	case len(audiences) == 0:
		return nil, aadsts.FederatedAudience(strings.Join(a.audience, " "))
	}
	for _, c := range audiences {
		if c.Subject == a.subject {
			return c, nil
		}
	}
	for _, c := range audiences {
		if strings.EqualFold(c.Subject, a.subject) {
			return nil, aadsts.FederatedCase(a.subject)
		}
	}
	return nil, aadsts.FederatedSubject(a.subject, a.issuer)
}

// issuerKey finds the key of the issuer that the token's header names.
func (v *assertionVerifier) issuerKey(ctx context.Context, parsed *token.Token, issuer string) (token.Key, error) {
	value, present := parsed.Header.Get("kid")
	kid, ok := value.String()
	if present && !ok {
		return token.Key{}, aadsts.AssertionUnreadable("its header's 'kid' is not a string")
	}
	find := v.foreign.key
	switch {
	case v.own.workload(issuer) != "":
		find = v.own.workloadKey
	case v.own.made(issuer):
		find = v.own.key
	}
	key, err := find(ctx, issuer, kid)
	switch {
	case errors.Is(err, errNoSuchKey):
		return token.Key{}, aadsts.FederatedSignature(issuer, kid).Because(err)
	case err != nil:
		return token.Key{}, aadsts.FederatedUnreachable(issuer, int(failedEvery/time.Second)).Because(err)
	}
	return key, nil
}

// errNoSuchKey says that an issuer has no key of that name.
var errNoSuchKey = errors.New("the issuer has no such key")

// isAppOnly reports whether a token of this authority was issued to an application, as
// opposed to a user: such a token has no scopes, and its subject is the principal itself.
func isAppOnly(claims token.Object) bool {
	if _, scoped := claims.Get("scp"); scoped {
		return false
	}
	if value, present := claims.Get("idtyp"); present {
		kind, _ := value.String()
		return kind == "app"
	}
	object, _ := claims.Get("oid")
	subject, _ := claims.Get("sub")
	oid, ok := object.String()
	sub, _ := subject.String()
	return ok && oid != "" && oid == sub
}

// ownIssuers are the tenants of this authority as issuers: a managed identity's token
// may stand in for a secret. Their keys need no fetching.
type ownIssuers struct {
	directory *directory.Directory
	keys      *keyring.Ring
	base      string // of version 2.0 issuers
	v1        string // template of version 1.0 issuers
}

// made reports whether an issuer is a tenant of this authority, by the look of it.
func (o ownIssuers) made(issuer string) bool { return o.tenant(issuer) != "" }

// tenant gives the tenant's id in an issuer of this authority.
func (o ownIssuers) tenant(issuer string) directory.TenantID {
	for _, template := range []string{o.base + "/" + tenantPlaceholder + "/v2.0", o.v1} {
		before, after, found := strings.Cut(template, tenantPlaceholder)
		id, prefixed := strings.CutPrefix(issuer, before)
		id, suffixed := strings.CutSuffix(id, after)
		if found && prefixed && suffixed && guid.Is(id) && id == strings.ToLower(id) {
			return directory.TenantID(id)
		}
	}
	return ""
}

// key finds a signing key of a tenant.
func (o ownIssuers) key(ctx context.Context, issuer, kid string) (token.Key, error) {
	return o.keyOf(ctx, o.tenant(issuer), string(o.tenant(issuer)), kid)
}

// keyOf finds a key in one of a tenant's rings.
func (o ownIssuers) keyOf(ctx context.Context, id directory.TenantID, ring, kid string) (token.Key, error) {
	tenant, err := o.directory.Tenant(ctx, string(id))
	if err != nil {
		return token.Key{}, fmt.Errorf("tenant %s, an issuer: %w", id, err)
	}
	if !tenant.Enabled {
		return token.Key{}, fmt.Errorf("tenant %s is disabled", tenant.ID)
	}
	keys, err := o.keys.Published(ctx, ring)
	if err != nil {
		return token.Key{}, err
	}
	return pick(keys, kid)
}
