package signin

import (
	"context"
	"net/http"
	"net/url"

	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/token"
)

// A signOutHandler ends the sessions of browsers.
type signOutHandler struct {
	resolver *resolve.Resolver
	issuer   *issuance.Issuer
	sessions sessions
	forms    forms
	pages    pages
}

// A signOut is a request to end the session of a browser (OpenID Connect RP-Initiated
// Logout).
type signOut struct {
	Next string `json:"n,omitempty"` // where to go afterwards, already checked
}

// logout ends the session of a browser. A client that shows the user's id token has a
// say; on anybody else's word the user is asked, because any page can send a browser here.
func (h signOutHandler) logout(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	fields, err := exchange.ParseForm(x.Request.URL.RawQuery)
	if err != nil {
		return exchange.Answer{}, err
	}
	session, err := h.sessions.current(ctx, x)
	if err != nil {
		return exchange.Answer{}, err
	}
	hint, hinted := h.readHint(ctx, x, fields["id_token_hint"])
	client := fields["client_id"]
	if hinted {
		client = issuance.TextClaim(hint, "aud")
	}
	out := signOut{Next: h.afterSignOut(ctx, x, session, client, fields)}
	if session == nil || hinted && issuance.TextClaim(hint, "oid") == string(session.user.ID) {
		return h.signOut(ctx, x, out)
	}
	seal, err := h.forms.seal(x, formSignOut, out)
	if err != nil {
		return exchange.Answer{}, err
	}
	response, err := h.pages.render("signout", http.StatusOK, struct{ Title, Form, User string }{"Sign out?", seal, session.user.PrincipalName})
	if out.Next != "" {
		response.FormTarget = formTarget(out.Next)
	}
	return response, err
}

// form takes the user's word.
func (h signOutHandler) form(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	var out signOut
	if _, err := h.forms.open(x, formSignOut, &out); err != nil {
		return exchange.Answer{}, err
	}
	return h.signOut(ctx, x, out)
}

func (h signOutHandler) signOut(ctx context.Context, x *exchange.Exchange, out signOut) (exchange.Answer, error) {
	if err := h.sessions.end(ctx, x); err != nil {
		return exchange.Answer{}, err
	}
	if out.Next != "" {
		return exchange.Answer{Status: http.StatusFound, Location: out.Next}, nil
	}
	return h.pages.message(message{Title: "You are signed out", Text: "This browser has no session here any more. You can close this window."})
}

// readHint reads an id token of this authority, which may have expired. An access token,
// which APIs get to see, is none: it has scopes.
func (h signOutHandler) readHint(ctx context.Context, x *exchange.Exchange, raw string) (token.Object, bool) {
	if raw == "" {
		return token.Object{}, false
	}
	parsed, err := token.Parse(raw, token.Limits{})
	if err != nil {
		return token.Object{}, false
	}
	if !resolve.IsShared(x.Tenant) {
		tenant, err := h.resolver.Tenant(ctx, x.Tenant)
		if err != nil || string(tenant.ID) != issuance.TextClaim(parsed.Claims, "tid") {
			return token.Object{}, false
		}
	}
	tenant, err := h.resolver.Tenant(ctx, issuance.TextClaim(parsed.Claims, "tid"))
	if err != nil {
		return token.Object{}, false
	}
	claims, err := h.issuer.ReadToken(ctx, x.Origin, raw, tenant)
	_, scoped := claims.Get("scp")
	return claims, err == nil && !scoped
}

// afterSignOut gives where the browser goes afterwards: to a redirect URI of the client,
// or nowhere.
func (h signOutHandler) afterSignOut(ctx context.Context, x *exchange.Exchange, session *browserSession, id string, fields exchange.Form) string {
	uri := fields["post_logout_redirect_uri"]
	if uri == "" || id == "" {
		return ""
	}
	tenant, err := h.resolver.Tenant(ctx, x.Tenant)
	if session != nil && resolve.IsShared(x.Tenant) {
		tenant, err = session.tenant, nil
	}
	if err != nil {
		return ""
	}
	client, err := h.resolver.ClientNow(ctx, tenant, id)
	if err != nil || client.Application == nil || !mayAnswerAt(client.Application, uri) {
		return ""
	}
	parameters := url.Values{}
	if state := fields["state"]; state != "" && len(state) <= maxState {
		parameters.Set("state", state)
		return redirectTo(uri, modeQuery, parameters)
	}
	return uri
}
