package authoritytest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// Bad makes tokens that a guard must refuse. Each is good in every point but one, so a
// test that expects the refusal tests that point.
type Bad struct{ login *Authority }

// Bad returns the maker of bad tokens. All of its methods but those that say otherwise
// start from a good token for the named client and API with those roles.
func (a *Authority) Bad() Bad { return Bad{a} }

// With returns a token with claims that edit has changed, signed by the tenant's own key:
// whatever else a test needs. Numbers are [json.Number].
func (b Bad) With(client, api string, roles []string, edit func(claims map[string]any)) string {
	b.login.t.Helper()
	return b.signed(TenantID, b.edited(client, api, roles, edit))
}

// Expired returns a token whose time was over an hour ago.
func (b Bad) Expired(client, api string, roles ...string) string {
	b.login.t.Helper()
	return b.With(client, api, roles, b.lasting(-2*time.Hour, -time.Hour))
}

// NotYetValid returns a token whose time begins in an hour.
func (b Bad) NotYetValid(client, api string, roles ...string) string {
	b.login.t.Helper()
	return b.With(client, api, roles, b.lasting(time.Hour, 2*time.Hour))
}

// LongLived returns a token for ten years.
func (b Bad) LongLived(client, api string, roles ...string) string {
	b.login.t.Helper()
	return b.With(client, api, roles, b.lasting(0, 10*365*24*time.Hour))
}

// WrongAudience returns a token for another API of the tenant, with the roles.
func (b Bad) WrongAudience(client, api string, roles ...string) string {
	b.login.t.Helper()
	return b.login.Token(client, api+"-other", roles...)
}

// NoRole returns a token without any role. It takes none because it grants none.
func (b Bad) NoRole(client, api string) string {
	b.login.t.Helper()
	return b.With(client, api, nil, func(claims map[string]any) { delete(claims, "roles") })
}

// UserToken returns a token that speaks for a person and not for the application alone.
func (b Bad) UserToken(client, api string) string {
	b.login.t.Helper()
	return b.With(client, api, nil, asUser)
}

// UserTokenWithRole returns a token that speaks for a person who holds the roles.
func (b Bad) UserTokenWithRole(client, api string, roles ...string) string {
	b.login.t.Helper()
	return b.With(client, api, roles, asUser)
}

// OtherTenant returns a token that another tenant of the same authority has issued and signed.
func (b Bad) OtherTenant(client, api string, roles ...string) string {
	b.login.t.Helper()
	other := b.otherTenant()
	return b.signed(other, b.edited(client, api, roles, func(claims map[string]any) {
		for _, name := range []string{"iss", "idp", "tid"} {
			if text, ok := claims[name].(string); ok {
				claims[name] = strings.ReplaceAll(text, TenantID, other)
			}
		}
	}))
}

// WrongIssuer returns a token that names an issuer nobody has heard of.
func (b Bad) WrongIssuer(client, api string, roles ...string) string {
	b.login.t.Helper()
	return b.With(client, api, roles, func(claims map[string]any) {
		claims["iss"] = "https://login.elsewhere.test/" + TenantID + "/v2.0"
	})
}

// IDToken returns what a sign-in page gives to tell who signed in. Its audience fits when
// an API and a web application share a registration; it is no access token all the same.
func (b Bad) IDToken(client, api string) string {
	b.login.t.Helper()
	return b.With(client, api, nil, func(claims map[string]any) {
		for _, name := range []string{"appid", "appidacr", "azp", "azpacr", "idtyp", "roles"} {
			delete(claims, name)
		}
		claims["sub"], claims["nonce"], claims["name"] = "k3Zr0m2Hq7", "b1946ac9", "Dev"
	})
}

// UnknownKey returns a token signed by a key that the authority never published.
func (b Bad) UnknownKey(client, api string, roles ...string) string {
	b.login.t.Helper()
	return b.foreign("unknown-key", client, api, roles)
}

// WrongKey returns a token that claims the authority's key and is signed by another.
func (b Bad) WrongKey(client, api string, roles ...string) string {
	b.login.t.Helper()
	signer, err := b.login.keys.Signer(b.context(), TenantID)
	b.login.check("find the signing key", err)
	return b.foreign(signer.KeyID(), client, api, roles)
}

// Tampered returns a token to which a role was added after it was signed.
func (b Bad) Tampered(client, api string, roles ...string) string {
	b.login.t.Helper()
	header, rest, _ := strings.Cut(b.login.Token(client, api, roles...), ".")
	_, signature, _ := strings.Cut(rest, ".")
	payload := b.edited(client, api, roles, func(claims map[string]any) {
		claims["roles"] = append(append([]string{}, roles...), "Everything.Write")
	})
	return header + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + signature
}

// Unsigned returns a token with the algorithm "none".
func (b Bad) Unsigned(client, api string, roles ...string) string {
	b.login.t.Helper()
	// A signature of one byte, so that it is the algorithm that is wrong and not the shape.
	return encode(`{"typ":"JWT","alg":"none"}`) + "." + base64.RawURLEncoding.EncodeToString(b.edited(client, api, roles, nothing)) + ".AA"
}

// SymmetricKey returns a token signed with the public key as if that were a shared
// secret (HS256): a verifier that lets the token choose the algorithm takes it.
func (b Bad) SymmetricKey(client, api string, roles ...string) string {
	b.login.t.Helper()
	published, err := b.login.keys.Published(b.context(), TenantID)
	b.login.check("find the public keys", err)
	der, err := x509.MarshalPKIXPublicKey(published[0].Public)
	b.login.check("encode the public key", err)
	signed := encode(`{"typ":"JWT","alg":"HS256","kid":"`+published[0].ID+`"}`) + "." +
		base64.RawURLEncoding.EncodeToString(b.edited(client, api, roles, nothing))
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func nothing(map[string]any) {}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// asUser makes of an application's claims those of a person who signed in.
func asUser(claims map[string]any) {
	delete(claims, "idtyp")
	claims["oid"], claims["sub"] = "0b1ec703-1111-4222-8333-000000000003", "b7Yw1pB9Qx0aB6sQ2mWnF3cJ8eK5tR4uV7zL1oHdGiE"
	claims["scp"], claims["name"] = "user_impersonation", "Dev"
}

// lasting sets a token's time, from and until being measured from now.
func (b Bad) lasting(from, until time.Duration) func(map[string]any) {
	now := b.login.clock.Now()
	return func(claims map[string]any) {
		claims["iat"], claims["nbf"], claims["exp"] = now.Add(from).Unix(), now.Add(from).Unix(), now.Add(until).Unix()
	}
}

// edited returns the claims of a good token after edit.
func (b Bad) edited(client, api string, roles []string, edit func(map[string]any)) []byte {
	b.login.t.Helper()
	parsed, err := token.Parse(b.login.Token(client, api, roles...), token.Limits{})
	b.login.check("read a good token", err)
	decoder := json.NewDecoder(strings.NewReader(parsed.Claims.Raw()))
	decoder.UseNumber() // times stay integers
	claims := map[string]any{}
	b.login.check("read a good token's claims", decoder.Decode(&claims))
	edit(claims)
	payload, err := json.Marshal(claims)
	b.login.check("encode claims", err)
	return payload
}

// signed signs with the key of a tenant.
func (b Bad) signed(tenant string, payload []byte) string {
	b.login.t.Helper()
	signer, err := b.login.keys.Signer(b.context(), tenant)
	b.login.check("find the signing key", err)
	raw, err := signer.Sign(payload, true)
	b.login.check("sign a token", err)
	return raw
}

// foreign signs with a key that is not the authority's, under the given key id.
func (b Bad) foreign(keyID, client, api string, roles []string) string {
	b.login.t.Helper()
	raw, err := token.Sign("RS256", keyID, nil, b.edited(client, api, roles, nothing), b.foreignKey())
	b.login.check("sign a token", err)
	return raw
}

// foreignKey returns a key that is none of the authority's. Tests share their keys, so the
// next one may well be.
func (b Bad) foreignKey() *rsa.PrivateKey {
	b.login.t.Helper()
	published, err := b.login.keys.Published(b.context(), TenantID)
	b.login.check("find the public keys", err)
	for range poolSize {
		key, err := keys.next()
		b.login.check("make a key", err)
		if !slices.ContainsFunc(published, func(own token.Key) bool { return key.PublicKey.Equal(own.Public) }) {
			return key
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048) // the others all went to tests at the same time
	b.login.check("make a key", err)
	return key
}

// otherTenant returns a second tenant of the authority.
func (b Bad) otherTenant() string {
	b.login.t.Helper()
	const name = "elsewhere"
	if tenant, err := b.login.directory.Tenant(b.context(), name); err == nil {
		return string(tenant.ID)
	}
	var id string
	b.login.change("create another tenant", func(e *directory.Editor) error {
		tenant, err := e.Tenants().Create(directory.Tenant{Name: name, Enabled: true})
		if err == nil {
			id = string(tenant.ID)
		}
		return err
	})
	return id
}

func (b Bad) context() context.Context { return context.WithoutCancel(b.login.t.Context()) }
