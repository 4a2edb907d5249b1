package clientauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/expression"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// verifyFederated checks a token that an issuer made for something that may act as the
// application. The platform presents one token many times, so there is no replay here.
func (v *assertionVerifier) verifyFederated(ctx context.Context, in assertionInput, parsed *token.Token, a assertionClaims) (Proof, error) {
	client, p := in.Lookup(ctx, directory.AppID(strings.ToLower(in.ClientID)))
	if p != nil {
		return Proof{}, p
	}
	workload := in.Origin.WorkloadTenantOf(a.issuer)
	own := in.Origin.TenantOf(a.issuer)
	if workload == "" && own != "" && !IsAppOnly(parsed.Claims) {
		return Proof{}, aadsts.FederatedUser()
	}
	var credentialID string
	if v.runs(ctx, client, workload, a, parsed.Claims) {
		credentialID = credentialWorkload
	} else if credential, p := v.trusted(ctx, in.Origin, client, a, parsed.Claims); p != nil {
		return Proof{}, p
	} else {
		credentialID = credential.ID
	}
	alg, p := algorithm(parsed.Header, "RS256")
	if p != nil {
		return Proof{}, p
	}
	if p := a.checkTimes(v.now(), false); p != nil {
		return Proof{}, p
	}
	if workload == "" && in.Origin.TenantOf(a.issuer) == "" { // our own live as long as we made them
		if p := a.checkLife(v.now()); p != nil {
			return Proof{}, p
		}
	}
	key, p := v.issuerKey(ctx, in.Origin, parsed, a.issuer)
	if p != nil {
		return Proof{}, p
	}
	if err := parsed.Verify(alg, key.Public); err != nil {
		return Proof{}, aadsts.FederatedSignature(a.issuer, key.ID).Because(err)
	}
	if workload == "" && own != "" {
		if p := v.atHome(ctx, own, client, a); p != nil {
			return Proof{}, p
		}
		if p := v.ownPrincipal(ctx, own, a); p != nil {
			return Proof{}, p
		}
	}
	if _, bound := parsed.Claims.Get("cnf"); bound {
		return Proof{}, aadsts.FederatedBound()
	}
	return Proof{Client: client, Credential: ByFederation, CredentialID: credentialID}, nil
}

// credentialWorkload stands in the place of a credential's id for a workload that runs.
const credentialWorkload = "workload"

// atHome requires the application in the tenant that issued a token of this authority. One that
// is registered in several tenants by one app id is at home in each of them.
func (v *assertionVerifier) atHome(ctx context.Context, own directory.TenantID, client *directory.Instance, a assertionClaims) error {
	if own == client.Principal.Tenant {
		return nil
	}
	_, err := v.own.Directory.Instance(ctx, own, client.Principal.AppID)
	if errors.Is(err, directory.ErrNotFound) {
		return aadsts.FederatedTenant(a.issuer)
	}
	return err
}

// ownPrincipal requires the application or managed identity that a token of this authority
// was issued to: there, enabled, and the one it was then.
func (v *assertionVerifier) ownPrincipal(ctx context.Context, tenant directory.TenantID, a assertionClaims) error {
	found, err := v.own.Directory.Named(ctx, tenant, a.subject)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return aadsts.FederatedGone(a.subject)
	case err != nil:
		return err
	}
	p := found.Principal
	if p == nil || string(p.ID) != a.subject || !p.Enabled || !a.issuedAt.IsZero() && a.issuedAt.Add(assertionSkew).Before(p.Created.Truncate(time.Second)) {
		return aadsts.FederatedGone(a.subject)
	}
	return nil
}

// expected returns the issuer and the subject of a credential, also where it names a managed
// identity.
func expected(o origin.Origin, client *directory.Instance, c *directory.FederatedCredential) (issuer, subject string) {
	if c.Identity != "" {
		return o.IssuerV2(client.Principal.Tenant), string(c.Identity)
	}
	return c.Issuer, c.Subject
}

// hasAudience reports whether a token is for the audience of a credential. Tokens of this
// authority name the token exchange by its app id, and credentials by its URI: the two are
// one, and there the URI alone will do.
func (v *assertionVerifier) hasAudience(ctx context.Context, own directory.TenantID, a assertionClaims, c *directory.FederatedCredential) bool {
	if slices.Contains(a.audience, c.Audience) {
		return own == "" || c.Audience == directory.ExchangeAudience
	}
	if own == "" || c.Audience != directory.ExchangeAudience {
		return false
	}
	exchange, err := v.own.Directory.Resource(ctx, own, directory.ExchangeAudience) // it may be registered under another id
	return err == nil && slices.Contains(a.audience, string(exchange.Application.AppID))
}

// trusted finds the credential that names exactly this issuer, audience and subject, or whose
// expression matches the claims of a token of this issuer and audience, and
// reports the first of them that does not fit. Nothing is normalised: to a platform,
// subjects that differ by case are different workloads.
func (v *assertionVerifier) trusted(ctx context.Context, o origin.Origin, client *directory.Instance, a assertionClaims, claims token.Object) (*directory.FederatedCredential, error) {
	own := o.TenantOf(a.issuer)
	known, named := false, 0 // named: how many are for this subject of the tenant, by either issuer
	var audiences []*directory.FederatedCredential
	federated := client.Federated()
	for i := range federated {
		c := &federated[i]
		issuer, subject := expected(o, client, c)
		if own != "" && o.TenantOf(issuer) == own && subject == a.subject {
			named++
		}
		if issuer != a.issuer || issuer == "" {
			continue
		}
		known = true
		if own != "" && subject == a.subject && c.Audience != directory.ExchangeAudience {
			return nil, aadsts.FederatedExchange(c.Audience)
		}
		if v.hasAudience(ctx, own, a, c) {
			audiences = append(audiences, c)
		}
	}
	if known && named > 1 {
		return nil, aadsts.FederatedTwice(a.subject)
	}
	switch {
	case !known:
		return nil, aadsts.FederatedIssuer(a.issuer, string(client.Principal.AppID))
	case own == "" && isOtherCloud(a.issuer):
		return nil, aadsts.FederatedCloud(a.issuer)
	case len(audiences) == 0:
		return nil, aadsts.FederatedAudience(strings.Join(a.audience, " "))
	}
	for _, c := range audiences {
		if c.Expression != "" { // of others alone: this authority's own tokens are told apart by principal
			if own == "" && isMeant(c, claims) {
				return c, nil
			}
			continue
		}
		if _, subject := expected(o, client, c); subject == a.subject {
			return c, nil
		}
	}
	for _, c := range audiences {
		if _, subject := expected(o, client, c); strings.EqualFold(subject, a.subject) {
			return nil, aadsts.FederatedCase(a.subject)
		}
	}
	return nil, aadsts.FederatedSubject(a.subject, a.issuer)
}

// isOtherCloud reports whether an issuer is that of a tenant in one of Microsoft's national
// clouds. Applications of the public cloud, which this authority stands for, cannot trust them.
func isOtherCloud(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil {
		return false
	}
	switch strings.ToLower(u.Hostname()) {
	case "login.microsoftonline.us", "login.usgovcloudapi.net", "login.partner.microsoftonline.cn", "login.chinacloudapi.cn", "sts.chinacloudapi.cn", "login.microsoftonline.de":
		return true
	}
	return false
}

// isMeant reports whether a flexible credential is for a token with these claims. A claim that is
// not a string matches nothing.
func isMeant(c *directory.FederatedCredential, claims token.Object) bool {
	e, err := expression.Parse(c.Expression)
	return err == nil && e.Match(func(name string) (string, bool) {
		value, there := claims.Get(name)
		if !there {
			return "", false
		}
		return value.String()
	})
}

// issuerKey finds the key of the issuer that the token's header names.
func (v *assertionVerifier) issuerKey(ctx context.Context, o origin.Origin, parsed *token.Token, issuer string) (token.Key, error) {
	value, present := parsed.Header.Get("kid")
	kid, ok := value.String()
	if present && !ok {
		return token.Key{}, aadsts.AssertionUnreadable("its header's 'kid' is not a string")
	}
	key, err := v.findKey(ctx, o, issuer, kid)
	switch {
	case errors.Is(err, errNoSuchKey):
		return token.Key{}, aadsts.FederatedSignature(issuer, kid).Because(err)
	case err != nil:
		return token.Key{}, aadsts.FederatedUnreachable(issuer, int(failedEvery/time.Second)).Because(err)
	}
	return key, nil
}

func (v *assertionVerifier) findKey(ctx context.Context, o origin.Origin, issuer, kid string) (token.Key, error) {
	if tenant := o.WorkloadTenantOf(issuer); tenant != "" {
		return v.own.find(ctx, tenant, o.WorkloadRing(string(tenant)), kid)
	}
	if tenant := o.TenantOf(issuer); tenant != "" {
		return v.own.Key(ctx, o, tenant, kid)
	}
	return v.foreign.key(ctx, issuer, kid)
}

// errNoSuchKey says that an issuer has no key of that name.
var errNoSuchKey = errors.New("the issuer has no such key")

// IsAppOnly reports whether a token of this authority was issued to an application, as
// opposed to a user: such a token has no scopes, and its subject is the principal itself.
func IsAppOnly(claims token.Object) bool {
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

// OwnKeys are the signing keys of this authority's tenants. They need no fetching: the token
// of a managed identity may stand in for a secret.
type OwnKeys struct {
	Directory *directory.Directory
	Keys      *keyring.Ring
}

// Key finds a key that signs under an origin for a tenant that is enabled.
func (o OwnKeys) Key(ctx context.Context, at origin.Origin, tenant directory.TenantID, kid string) (token.Key, error) {
	return o.find(ctx, tenant, at.KeyRing(string(tenant)), kid)
}

// find finds a key in one of a tenant's rings.
func (o OwnKeys) find(ctx context.Context, id directory.TenantID, ring, kid string) (token.Key, error) {
	tenant, err := o.Directory.Tenant(ctx, string(id))
	if err != nil {
		return token.Key{}, fmt.Errorf("tenant %s, an issuer: %w", id, err)
	}
	if !tenant.Enabled {
		return token.Key{}, fmt.Errorf("tenant %s is disabled", tenant.ID)
	}
	keys, err := o.Keys.Published(ctx, ring)
	if err != nil {
		return token.Key{}, err
	}
	return pick(keys, kid)
}
