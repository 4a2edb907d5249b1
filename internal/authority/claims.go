package authority

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// clockAllowance is how far before its issue a token becomes valid, for resource servers
// whose clock is behind.
const clockAllowance = 300 * time.Second

// claims is the payload of an access token for an application. Claims without a value
// are left out, never null; those of one version stay empty in the other.
type claims struct {
	Audience     string   `json:"aud"`
	Issuer       string   `json:"iss"`
	IssuedAt     int64    `json:"iat"`
	NotBefore    int64    `json:"nbf"`
	Expires      int64    `json:"exp"`
	AIO          string   `json:"aio"` // opaque
	AppID        string   `json:"appid,omitempty"`
	AppIDACR     string   `json:"appidacr,omitempty"`
	AZP          string   `json:"azp,omitempty"`
	AZPACR       string   `json:"azpacr,omitempty"`
	IDP          string   `json:"idp,omitempty"`
	IDType       string   `json:"idtyp"`
	ObjectID     string   `json:"oid"`
	RH           string   `json:"rh"` // opaque
	Roles        []string `json:"roles,omitempty"`
	Subject      string   `json:"sub"`
	TenantID     string   `json:"tid"`
	TokenID      string   `json:"uti"`
	Version      string   `json:"ver"`
	Capabilities []string `json:"xms_cc,omitempty"`
	Identity     string   `json:"xms_mirid,omitempty"` // the ARM id of a managed identity
}

// A grant is what a proven client gets: everything its token will say.
type grant struct {
	proof
	tenant     *directory.Tenant
	resource   *directory.Instance
	identifier string // of the resource, as asked
	roles      []string
	wishes     wishes
}

// claims describes a token for the grant.
func (a *Authority) claims(g grant, now time.Time, lifetime time.Duration) claims {
	appID, objectID := string(g.client.Principal.AppID), string(g.client.Principal.ID)
	from := g.wishes.from(now)
	c := claims{
		Audience: audience(g.resource.Application, g.identifier),
		IssuedAt: from, NotBefore: from, Expires: now.Add(lifetime).Unix(),
		AIO:      opaque(27),
		IDType:   "app",
		ObjectID: objectID, Subject: objectID,
		RH:       "1." + opaque(27) + ".",
		Roles:    g.roles,
		TenantID: string(g.tenant.ID),
		TokenID:  opaque(16),
	}
	if g.wishes.cp1 && hasClaim(g.resource.Application, "xms_cc", "") {
		c.Capabilities = []string{"CP1"}
	}
	if g.client.Application == nil {
		c.Identity = g.client.Principal.ResourceID
	}
	if tokenVersion(g.resource.Application) == 2 {
		c.Version, c.Issuer = "2.0", a.issuerV2(g.tenant.ID)
		c.AZP, c.AZPACR = appID, strength(g.credential)
		return c
	}
	c.Version, c.Issuer = "1.0", a.issuerV1(g.tenant.ID)
	c.AppID, c.AppIDACR = appID, strength(g.credential)
	c.IDP = c.Issuer
	return c
}

// strength is the value of appidacr and azpacr: "0" a public client, "1" a secret, "2" a
// signed assertion.
func strength(credential string) string {
	switch credential {
	case "":
		return "0"
	case credentialSecret:
		return "1"
	}
	return "2"
}

// wishes is what the "claims" parameter may ask of a token.
type wishes struct {
	notBefore int64 // Unix seconds; a resource that revoked older tokens says so in its challenge
	cp1       bool  // the client understands such challenges
}

// from is when the token starts to be valid: a little before its issue, unless the
// resource refuses tokens as old as that.
func (w wishes) from(now time.Time) int64 {
	return max(now.Add(-clockAllowance).Unix(), min(w.notBefore, now.Unix()))
}

// parseWishes reads the "claims" parameter (OpenID Connect Core section 5.5). Members it
// does not know are ignored.
func parseWishes(text string) (wishes, error) {
	if text == "" {
		return wishes{}, nil
	}
	var asked struct {
		AccessToken struct {
			NotBefore struct {
				Value json.RawMessage `json:"value"`
			} `json:"nbf"`
			Capabilities struct {
				Values []string `json:"values"`
			} `json:"xms_cc"`
		} `json:"access_token"`
	}
	malformed := aadsts.Malformed("The parameter 'claims' is not a claims request in JSON.")
	if err := json.Unmarshal([]byte(text), &asked); err != nil {
		return wishes{}, malformed
	}
	var w wishes
	for _, capability := range asked.AccessToken.Capabilities.Values {
		w.cp1 = w.cp1 || strings.EqualFold(capability, "CP1")
	}
	if value := strings.Trim(string(asked.AccessToken.NotBefore.Value), `"`); value != "" && value != "null" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return wishes{}, malformed
		}
		w.notBefore = seconds
	}
	return w, nil
}
