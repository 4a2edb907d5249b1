package grants

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A userInfoEndpoint tells who a token speaks for (OpenID Connect Core section 5.3).
type userInfoEndpoint struct {
	resolver *resolve.Resolver
	issuer   *issuance.Issuer
}

func (e *userInfoEndpoint) serve(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	tenant, err := e.resolver.Tenant(ctx, x.Tenant)
	if err != nil {
		return exchange.Answer{}, err
	}
	scheme, raw, _ := strings.Cut(x.Request.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return exchange.Answer{}, aadsts.Bearer()
	}
	claims, err := e.issuer.ReadToken(ctx, x.Origin, strings.TrimSpace(raw), tenant)
	if err != nil {
		return exchange.Answer{}, aadsts.Bearer().Because(err)
	}
	if err := e.issuer.CheckUserInfo(claims); err != nil {
		return exchange.Answer{}, aadsts.Bearer().Because(err)
	}
	user, err := e.resolver.User(ctx, tenant, directory.ObjectID(issuance.TextClaim(claims, "oid")), func(user *directory.User) error {
		return e.issuer.CheckUser(claims, user)
	})
	if err != nil {
		return exchange.Answer{}, aadsts.Bearer().Because(err)
	}
	return exchange.JSON(e.describe(claims, tenant.ID, user), exchange.NeverCached)
}

// userInfoAnswer is the body of the userinfo endpoint. The subject is the one that the
// client knows from its id token.
type userInfoAnswer struct {
	Subject string `json:"sub"`
	Name    string `json:"name,omitempty"`
	Email   string `json:"email,omitempty"`
}

func (e *userInfoEndpoint) describe(claims token.Object, tenant directory.TenantID, user *directory.User) userInfoAnswer {
	client := directory.AppID(cmp.Or(issuance.TextClaim(claims, "azp"), issuance.TextClaim(claims, "appid")))
	info := userInfoAnswer{Subject: e.issuer.Subject(tenant, client, user.ID)}
	scopes := strings.Fields(issuance.TextClaim(claims, "scp"))
	if slices.Contains(scopes, "profile") {
		info.Name = user.DisplayName
	}
	if slices.Contains(scopes, "email") {
		info.Email = user.PrincipalName
	}
	return info
}
