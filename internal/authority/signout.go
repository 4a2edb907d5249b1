package authority

import (
	"context"
	"net/http"
	"net/url"

	"github.com/rolecall-auth/rolecall/internal/token"
)

// A signOut is a request to end the session of a browser (OpenID Connect RP-Initiated
// Logout).
type signOut struct {
	Next string `json:"n,omitempty"` // where to go afterwards, already checked
}

// logout ends the session of a browser. A client that shows the user's id token has a
// say; on anybody else's word the user is asked, because any page can send a browser here.
func (a *Authority) logout(ctx context.Context, x *exchange) (answer, error) {
	fields, err := parseForm(x.http.URL.RawQuery)
	if err != nil {
		return answer{}, err
	}
	who, err := a.visitor(ctx, x)
	if err != nil {
		return answer{}, err
	}
	hint, hinted := a.readHint(ctx, fields["id_token_hint"], x.tenant)
	client := fields["client_id"]
	if hinted {
		client = textClaim(hint, "aud")
	}
	out := signOut{Next: a.afterSignOut(ctx, x, who, client, fields)}
	if who == nil || hinted && textClaim(hint, "oid") == string(who.user.ID) {
		return a.signOut(ctx, x, out)
	}
	seal, err := a.sealForm(x, formSignOut, out)
	if err != nil {
		return answer{}, err
	}
	response, err := a.page("signout", http.StatusOK, struct{ Title, Form, User string }{"Sign out?", seal, who.user.PrincipalName})
	if out.Next != "" {
		response.formTarget = formTarget(out.Next)
	}
	return response, err
}

// signOutForm takes the user's word.
func (a *Authority) signOutForm(ctx context.Context, x *exchange) (answer, error) {
	var out signOut
	if _, err := a.openForm(x, formSignOut, &out); err != nil {
		return answer{}, err
	}
	return a.signOut(ctx, x, out)
}

func (a *Authority) signOut(ctx context.Context, x *exchange, out signOut) (answer, error) {
	if err := a.farewell(ctx, x); err != nil {
		return answer{}, err
	}
	if out.Next != "" {
		return answer{status: http.StatusFound, location: out.Next}, nil
	}
	return a.messagePage(x, message{Title: "You are signed out", Text: "This browser has no session here any more. You can close this window."})
}

// readHint reads an id token of this authority, which may have expired. An access token,
// which APIs get to see, is none: it has scopes.
func (a *Authority) readHint(ctx context.Context, raw, ref string) (token.Object, bool) {
	if raw == "" {
		return token.Object{}, false
	}
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return token.Object{}, false
	}
	if !isShared(ref) {
		tenant, err := a.tenantOf(ctx, ref)
		if err != nil || string(tenant.ID) != textClaim(parsed.Claims, "tid") {
			return token.Object{}, false
		}
	}
	tenant, err := a.tenantOf(ctx, textClaim(parsed.Claims, "tid"))
	if err != nil {
		return token.Object{}, false
	}
	claims, err := a.readAccessToken(ctx, raw, tenant)
	_, scoped := claims.Get("scp")
	return claims, err == nil && !scoped
}

// afterSignOut gives where the browser goes afterwards: to a redirect URI of the client,
// or nowhere.
func (a *Authority) afterSignOut(ctx context.Context, x *exchange, who *visitor, id string, fields form) string {
	uri := fields["post_logout_redirect_uri"]
	if uri == "" || id == "" {
		return ""
	}
	tenant, err := a.tenantOf(ctx, x.tenant)
	if who != nil && isShared(x.tenant) {
		tenant, err = who.tenant, nil
	}
	if err != nil {
		return ""
	}
	client, err := a.findClient(ctx, tenant, id)
	if err != nil || client.Application == nil || !matchesRedirect(client.Application.RedirectURIs, uri, client.Application.Public) {
		return ""
	}
	parameters := url.Values{}
	if state := fields["state"]; state != "" && len(state) <= maxState {
		parameters.Set("state", state)
		return redirectTo(uri, modeQuery, parameters)
	}
	return uri
}
