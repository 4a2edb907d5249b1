package issuance

import (
	"encoding/base64"
	"strconv"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// What a user's access token says in "rh" and "aio" means nothing to anyone else. Here it
// binds the token to the API and the user as they were when it was made: an identifier URI
// may be another application's by now, an object may have been deleted and created again
// with the same id, and the user's sessions may have been ended. The claims that others read
// tell none of this, and "iat" lies before the issue.

// boundToResource is the value of "rh".
func (i *Issuer) boundToResource(tenant directory.TenantID, api *directory.ServicePrincipal, tokenID string) string {
	return "1." + i.bound("resource", string(tenant), string(api.ID), string(api.AppID), micros(api.Created), tokenID) + "."
}

// boundToUser is the value of "aio".
func (i *Issuer) boundToUser(user *directory.User, tokenID string) string {
	return i.bound("user", string(user.Tenant), string(user.ID), micros(user.Created), micros(user.SessionsFrom), tokenID)
}

// bound is as long as what stands in those claims of other tokens.
func (i *Issuer) bound(texts ...string) string {
	return base64.RawURLEncoding.EncodeToString(i.sealer.MAC(texts...)[:opaqueSize])
}

func micros(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// isBound reports whether a token was made for the application itself.
func (i *Issuer) isBound(claims token.Object, application *directory.Instance) bool {
	tenant := directory.TenantID(TextClaim(claims, "tid"))
	return TextClaim(claims, "rh") == i.boundToResource(tenant, application.Principal, TextClaim(claims, "uti"))
}

// CheckUser requires claims of [Issuer.ReadToken] to be those of a token that was made for the
// user, whose sessions were not ended since.
func (i *Issuer) CheckUser(claims token.Object, user *directory.User) error {
	if TextClaim(claims, "aio") != i.boundToUser(user, TextClaim(claims, "uti")) {
		return aadsts.Revoked()
	}
	return nil
}
