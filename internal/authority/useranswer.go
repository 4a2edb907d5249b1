package authority

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// userToken answers a grant that speaks for a user.
func (a *Authority) userToken(ctx context.Context, x *exchange, g userGrant, req *request) (answer, error) {
	lifetime, now := a.lifetimeNow(), a.issueTime(ctx)
	c, access, err := a.sealUser(ctx, x, &g, lifetime)
	if err != nil {
		return answer{}, err
	}
	granted := userTokens{Scope: g.ask.scopeText(g.scopes), AccessToken: access, RefreshToken: g.refresh}
	if g.ask.has("openid") {
		if granted.IDToken, err = a.signUser(ctx, &g, a.idClaims(x, &g, req.version, now)); err != nil {
			return answer{}, err
		}
	}
	if req.clientInfo {
		if granted.ClientInfo, err = clientInfo(&g); err != nil {
			return answer{}, err
		}
	}
	if req.version == 1 {
		return jsonAnswer(newUserAnswerV1(c, g.ask.Identifier, lifetime, granted), neverCached)
	}
	return jsonAnswer(newUserAnswerV2(lifetime, granted), neverCached)
}

// sealUser makes an access token of a user and notes what it says.
func (a *Authority) sealUser(ctx context.Context, x *exchange, g *userGrant, lifetime time.Duration) (userClaims, string, error) {
	c := a.accessClaims(x, g, a.issueTime(ctx), lifetime)
	raw, err := a.signUser(ctx, g, c)
	if err != nil {
		return userClaims{}, "", err
	}
	x.signIn.Roles, x.signIn.Scopes, x.signIn.Version, x.signIn.TokenID = c.Roles, g.scopes, c.Version, c.TokenID
	return c, raw, nil
}

// clientInfo tells a client library how to name a user: by ids of user and home tenant.
// MSAL for Go cannot read it with padding.
func clientInfo(g *userGrant) (string, error) {
	encoded, err := json.Marshal(struct {
		User   string `json:"uid"`
		Tenant string `json:"utid"`
	}{string(g.user.ID), string(g.tenant.ID)})
	if err != nil {
		return "", fmt.Errorf("encode client_info: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(encoded), nil
}

// userTokens is what answers of both versions say in the same way.
type userTokens struct {
	Scope        string `json:"scope"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	ClientInfo   string `json:"client_info,omitempty"`
}

type userAnswerV2 struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	ExtExpiresIn int64  `json:"ext_expires_in"`
	userTokens
}

func newUserAnswerV2(lifetime time.Duration, granted userTokens) userAnswerV2 {
	seconds := int64(lifetime / time.Second)
	return userAnswerV2{TokenType: "Bearer", ExpiresIn: seconds, ExtExpiresIn: seconds, userTokens: granted}
}

type userAnswerV1 struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    string `json:"expires_in"`
	ExtExpiresIn string `json:"ext_expires_in"`
	ExpiresOn    string `json:"expires_on"`
	NotBefore    string `json:"not_before"`
	Resource     string `json:"resource,omitempty"`
	userTokens
}

// newUserAnswerV1 makes the body of the v1 endpoint, whose scopes stand without resource.
func newUserAnswerV1(c userClaims, resource string, lifetime time.Duration, granted userTokens) userAnswerV1 {
	seconds := strconv.FormatInt(int64(lifetime/time.Second), 10)
	granted.Scope = c.Scopes
	return userAnswerV1{
		TokenType: "Bearer", ExpiresIn: seconds, ExtExpiresIn: seconds,
		ExpiresOn: strconv.FormatInt(c.Expires, 10), NotBefore: strconv.FormatInt(c.NotBefore, 10),
		Resource: resource, userTokens: granted,
	}
}
