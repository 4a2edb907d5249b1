package authority

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// userClaims is the payload of an access token or an id token of a user. Claims without
// a value are left out, never null; those of one version or kind stay empty in the others.
// That "scp" is there tells an access token of a user from one of an application.
type userClaims struct {
	Audience          string   `json:"aud"`
	Issuer            string   `json:"iss"`
	IssuedAt          int64    `json:"iat"`
	NotBefore         int64    `json:"nbf"`
	Expires           int64    `json:"exp"`
	ACR               string   `json:"acr,omitempty"`
	AIO               string   `json:"aio"` // opaque
	AMR               []string `json:"amr,omitempty"`
	AppID             string   `json:"appid,omitempty"`
	AppIDACR          string   `json:"appidacr,omitempty"`
	AuthTime          int64    `json:"auth_time,omitempty"`
	AZP               string   `json:"azp,omitempty"`
	AZPACR            string   `json:"azpacr,omitempty"`
	CodeHash          string   `json:"c_hash,omitempty"`
	Email             string   `json:"email,omitempty"`
	IDP               string   `json:"idp,omitempty"`
	IDType            string   `json:"idtyp,omitempty"`
	Address           string   `json:"ipaddr,omitempty"`
	Name              string   `json:"name,omitempty"`
	Nonce             string   `json:"nonce,omitempty"`
	ObjectID          string   `json:"oid"`
	PreferredUsername string   `json:"preferred_username,omitempty"`
	RH                string   `json:"rh"` // opaque
	Roles             []string `json:"roles,omitempty"`
	Scopes            string   `json:"scp,omitempty"`
	Session           string   `json:"sid,omitempty"`
	Subject           string   `json:"sub"` // pairwise
	TenantID          string   `json:"tid"`
	UniqueName        string   `json:"unique_name,omitempty"`
	UPN               string   `json:"upn,omitempty"`
	TokenID           string   `json:"uti"`
	Version           string   `json:"ver"`
	Capabilities      []string `json:"xms_cc,omitempty"`
}

// subject is the name of a user that one audience knows, and no two audiences can
// compare: it cannot be computed without a key of this authority.
func (a *Authority) subject(tenant directory.TenantID, audience directory.AppID, user directory.ObjectID) string {
	return base64.RawURLEncoding.EncodeToString(a.state.mac("subject", string(tenant), string(audience), string(user)))
}

// aboutUser fills in what both kinds of tokens say of a user, in one version.
func (a *Authority) aboutUser(x *exchange, g *userGrant, version int, now time.Time, lifetime time.Duration) userClaims {
	c := userClaims{
		IssuedAt: now.Add(-clockAllowance).Unix(), NotBefore: now.Add(-clockAllowance).Unix(), Expires: now.Add(lifetime).Unix(),
		AIO:      opaque(27),
		Name:     g.user.DisplayName,
		ObjectID: string(g.user.ID),
		RH:       "1." + opaque(27) + ".",
		Session:  g.session.ID,
		TenantID: string(g.tenant.ID),
		TokenID:  opaque(16),
	}
	if version == 2 {
		c.Version, c.Issuer = "2.0", a.issuerV2(g.tenant.ID)
		c.PreferredUsername = g.user.PrincipalName
		return c
	}
	c.Version, c.Issuer = "1.0", a.issuerV1(g.tenant.ID)
	c.AMR, c.Address = []string{"pwd"}, address(x.source)
	c.UniqueName, c.UPN = g.user.PrincipalName, g.user.PrincipalName
	return c
}

// halfHash is the value of c_hash (OpenID Connect Core section 3.3.2.11).
func halfHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// address is the source when it is one address, as "ipaddr" wants it.
func address(source string) string {
	if strings.Contains(source, "/") {
		return ""
	}
	return source
}

// accessClaims describes an access token: in the version that the resource takes, with
// the roles that the user, not the client, was given there.
func (a *Authority) accessClaims(x *exchange, g *userGrant, now time.Time, lifetime time.Duration) userClaims {
	api, appID := g.resource.Application, g.client.Principal.AppID
	version := tokenVersion(api)
	c := a.aboutUser(x, g, version, now, lifetime)
	from := g.wishes.from(now)
	c.IssuedAt, c.NotBefore = from, from
	c.Audience = audience(api, g.ask.Identifier)
	c.Roles, c.Scopes = g.roles, strings.Join(g.scopes, " ")
	c.Subject = a.subject(g.tenant.ID, api.AppID, g.user.ID)
	if hasClaim(api, "idtyp", "include_user_token") {
		c.IDType = "user"
	}
	if g.wishes.cp1 && hasClaim(api, "xms_cc", "") {
		c.Capabilities = []string{"CP1"}
	}
	if version == 2 {
		c.AZP, c.AZPACR = string(appID), strength(g.credential)
		return c
	}
	c.ACR = "1"
	c.AppID, c.AppIDACR = string(appID), strength(g.credential)
	c.IDP = c.Issuer
	return c
}

// idLifetime is that of id tokens, which tell a client who signed in and are looked at once.
const idLifetime = time.Hour

// idClaims describes an id token, in the version of the endpoint: for the client, and of
// no use to any API.
func (a *Authority) idClaims(x *exchange, g *userGrant, version int, now time.Time) userClaims {
	c := a.aboutUser(x, g, version, now, idLifetime)
	c.Audience = string(g.client.Principal.AppID)
	c.AuthTime, c.Nonce = g.session.At, g.nonce
	c.Subject = a.subject(g.tenant.ID, g.client.Principal.AppID, g.user.ID)
	if !g.ask.has("profile") {
		c.Name, c.PreferredUsername = "", ""
	}
	if g.ask.has("email") {
		c.Email = g.user.PrincipalName
	}
	return c
}

// signUser signs the claims of a user's token.
func (a *Authority) signUser(ctx context.Context, g *userGrant, c userClaims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	signer, err := a.keys.Signer(ctx, string(g.tenant.ID))
	if err != nil {
		return "", fmt.Errorf("signing key: %w", err)
	}
	return signer.Sign(payload, c.Version == "1.0")
}
