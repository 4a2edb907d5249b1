package issuance

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/origin"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// clockAllowance is how far before its issue a token becomes valid, for resource servers
// whose clock is behind.
const clockAllowance = 300 * time.Second

// Claims is the payload of a token: an access token of an application or of a user, or an
// id token. Claims without a value are left out, never null; those of one kind or version
// stay empty in the others. That "scp" is there tells an access token of a user from one of
// an application.
type Claims struct {
	Audience  string   `json:"aud"`
	Issuer    string   `json:"iss"`
	IssuedAt  int64    `json:"iat"`
	NotBefore int64    `json:"nbf"`
	Expires   int64    `json:"exp"`
	ACR       string   `json:"acr,omitempty"`
	AIO       string   `json:"aio"` // opaque
	AMR       []string `json:"amr,omitempty"`
	AppName   string   `json:"app_displayname,omitempty"` // of the client, for Microsoft Graph
	AppID     string   `json:"appid,omitempty"`
	AppIDACR  string   `json:"appidacr,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	AZP       string   `json:"azp,omitempty"`
	AZPACR    string   `json:"azpacr,omitempty"`
	CodeHash  string   `json:"c_hash,omitempty"`
	// Key is the client's key that the token is bound to; nil in a bearer token.
	Key               *Confirmation `json:"cnf,omitempty"`
	Email             string        `json:"email,omitempty"`
	IDP               string        `json:"idp,omitempty"`
	IDType            string        `json:"idtyp,omitempty"`
	Address           string        `json:"ipaddr,omitempty"`
	Name              string        `json:"name,omitempty"`
	Nonce             string        `json:"nonce,omitempty"`
	ObjectID          string        `json:"oid"`
	PreferredUsername string        `json:"preferred_username,omitempty"`
	RH                string        `json:"rh"` // opaque
	Roles             []string      `json:"roles,omitempty"`
	Scopes            string        `json:"scp,omitempty"`
	Session           string        `json:"sid,omitempty"`
	Subject           string        `json:"sub"` // of a user: pairwise
	TenantID          string        `json:"tid"`
	UniqueName        string        `json:"unique_name,omitempty"`
	UPN               string        `json:"upn,omitempty"`
	TokenID           string        `json:"uti"`
	Version           string        `json:"ver"`
	Capabilities      []string      `json:"xms_cc,omitempty"`
	Identity          string        `json:"xms_mirid,omitempty"` // the ARM id of a managed identity, for Microsoft's own resources
}

// stamp fills in what is new in each token: its times and the values that mean nothing.
func (c *Claims) stamp(request ClaimsRequest, now time.Time, lifetime time.Duration) {
	from := request.from(now)
	c.IssuedAt, c.NotBefore, c.Expires = from, from, now.Add(lifetime).Unix()
	c.AIO, c.RH, c.TokenID = opaque(opaqueSize), "1."+opaque(opaqueSize)+".", opaque(16)
}

// issue fills in who issues the token, in the version of it.
func (c *Claims) issue(o origin.Origin, tenant directory.TenantID, version int) {
	c.TenantID = string(tenant)
	if version == 2 {
		c.Version, c.Issuer = "2.0", o.IssuerV2(tenant)
		return
	}
	c.Version, c.Issuer = "1.0", o.IssuerV1(tenant)
}

// access fills in what every access token says about its client and API.
func (c *Claims) access(p clientauth.Proof, api *directory.Application, identifier string, request ClaimsRequest, binding Binding) {
	c.Key = binding.confirmation()
	c.Audience = audience(api, identifier)
	if request.cp1 && hasClaim(api, "xms_cc", "") {
		c.Capabilities = []string{"CP1"}
	}
	if string(api.AppID) == scope.GraphAppID {
		c.AppName = p.Client.Principal.Label() // by which CLI for Microsoft 365 knows who it is
	}
	appID := string(p.Client.Principal.AppID)
	if c.Version == "2.0" {
		c.AZP, c.AZPACR = appID, strength(p.Credential)
		return
	}
	c.AppID, c.AppIDACR, c.IDP = appID, strength(p.Credential), c.Issuer
}

// applicationClaims describes the access token of an application, in the version that the
// API takes.
func applicationClaims(o origin.Origin, a *Access) Claims {
	objectID := string(a.Client.Principal.ID)
	c := Claims{ObjectID: objectID, Subject: objectID, Roles: a.Roles}
	c.issue(o, a.Tenant.ID, tokenVersion(a.Resource.Application))
	c.access(a.Proof, a.Resource.Application, a.Identifier, a.Claims, a.Binding)
	// Tokens for Microsoft's own resources say more than those for anybody's API.
	if _, is := directory.FindBuiltin(string(a.Resource.Application.AppID)); is {
		c.IDType, c.Identity = "app", a.Client.Principal.ResourceID
	}
	if hasClaim(a.Resource.Application, "idtyp", "") {
		c.IDType = "app"
	}
	return c
}

// aboutUser describes a user, as both kinds of tokens do, in one version. The source is the
// network address of the client.
func aboutUser(o origin.Origin, source string, a *UserAccess, version int) Claims {
	c := Claims{Name: a.User.DisplayName, ObjectID: string(a.User.ID), Session: a.Session.ID}
	c.issue(o, a.Tenant.ID, version)
	if version == 2 {
		c.PreferredUsername = a.User.PrincipalName
		return c
	}
	c.AMR, c.Address = []string{"pwd"}, address(source)
	c.UniqueName, c.UPN = a.User.PrincipalName, a.User.PrincipalName
	return c
}

// userClaims describes the access token of a user: in the version that the API takes, with
// the roles that the user, not the client, was given there.
func (i *Issuer) userClaims(o origin.Origin, source string, a *UserAccess) Claims {
	api := a.Resource.Application
	c := aboutUser(o, source, a, tokenVersion(api))
	c.access(a.Proof, api, a.Scopes.Identifier, a.Claims, a.Binding)
	c.Roles, c.Scopes = a.Roles, strings.Join(a.Granted, " ")
	c.Subject = i.Subject(a.Tenant.ID, api.AppID, a.User.ID)
	if hasClaim(api, "idtyp", "include_user_token") {
		c.IDType = "user"
	}
	if c.Version == "1.0" {
		c.ACR = "1"
	}
	return c
}

// idClaims describes an id token, in the version of the endpoint: for the client, and of
// no use to any API.
func (i *Issuer) idClaims(o origin.Origin, source string, a *UserAccess, version int) Claims {
	c := aboutUser(o, source, a, version)
	c.Audience = string(a.Client.Principal.AppID)
	c.AuthTime, c.Nonce = a.Session.At, a.Nonce
	c.Subject = i.Subject(a.Tenant.ID, a.Client.Principal.AppID, a.User.ID)
	if !a.Scopes.Has("profile") {
		c.Name, c.PreferredUsername = "", ""
	}
	if a.Scopes.Has("email") {
		c.Email = a.User.PrincipalName
	}
	return c
}

// strength is the value of appidacr and azpacr: "0" a public client, "1" a secret, "2" a
// signed assertion.
func strength(credential string) string {
	switch credential {
	case "":
		return "0"
	case clientauth.BySecret:
		return "1"
	}
	return "2"
}

// halfHash is the value of c_hash (OpenID Connect Core section 3.3.2.11).
func halfHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// address is the source when it is a single address, as "ipaddr" requires it.
func address(source string) string {
	if strings.Contains(source, "/") {
		return ""
	}
	return source
}
