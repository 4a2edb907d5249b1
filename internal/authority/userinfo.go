package authority

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// userInfo tells who a token speaks for (OpenID Connect Core section 5.3).
func (a *Authority) userInfo(ctx context.Context, x *exchange) (answer, error) {
	tenant, err := a.tenantOf(ctx, x.tenant)
	if err != nil {
		return answer{}, err
	}
	scheme, raw, _ := strings.Cut(x.http.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return answer{}, aadsts.Bearer()
	}
	claims, err := a.readAccessToken(ctx, strings.TrimSpace(raw), tenant)
	if err != nil {
		return answer{}, aadsts.Bearer().Because(err)
	}
	if err := checkOnBehalf(claims, userInfoResource(), a.now()); err != nil {
		return answer{}, aadsts.Bearer().Because(err)
	}
	user, err := a.findUser(ctx, tenant, textClaim(claims, "oid"))
	if err != nil {
		return answer{}, aadsts.Bearer().Because(err)
	}
	return jsonAnswer(a.describeUser(claims, tenant.ID, user), neverCached)
}

// userInfoAnswer is the body of the userinfo endpoint. The subject is the one that the
// client knows from its id token.
type userInfoAnswer struct {
	Subject string `json:"sub"`
	Name    string `json:"name,omitempty"`
	Email   string `json:"email,omitempty"`
}

func (a *Authority) describeUser(claims token.Object, tenant directory.TenantID, user *directory.User) userInfoAnswer {
	client := directory.AppID(cmp.Or(textClaim(claims, "azp"), textClaim(claims, "appid")))
	info := userInfoAnswer{Subject: a.subject(tenant, client, user.ID)}
	scopes := strings.Fields(textClaim(claims, "scp"))
	if slices.Contains(scopes, "profile") {
		info.Name = user.DisplayName
	}
	if slices.Contains(scopes, "email") {
		info.Email = user.PrincipalName
	}
	return info
}
