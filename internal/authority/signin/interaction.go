package signin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/issuance"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// An interaction is what a browser is in the middle of: a client's authorization request, or
// the request of a device whose code somebody typed. It travels with every page, sealed, and
// each page that was answered leaves its mark; everything else is looked up again each time.
type interaction struct {
	Tenant  string `json:"t,omitempty"` // as the path names it
	Version int    `json:"v,omitempty"` // of the endpoint
	Query   string `json:"q,omitempty"` // the authorization request

	DeviceTenant directory.TenantID `json:"dt,omitempty"`
	Device       string             `json:"d,omitempty"` // id of the device's record

	SignedIn  bool `json:"s,omitempty"` // for this interaction
	Confirmed bool `json:"c,omitempty"` // the person started it
	Consented bool `json:"k,omitempty"`
}

// A resolvedRequest is the request of an interaction as the directory has it now.
type resolvedRequest struct {
	interaction
	tenant  *directory.Tenant
	client  *directory.Instance
	scopes  scope.Requested
	request *authorizationRequest  // nil for a device
	device  *records.DeviceRecord  // nil for an authorization request
	record  *directory.TokenRecord // of the device
}

func (h *Handler) authorizeV1(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	return h.authorize(ctx, x, 1)
}

func (h *Handler) authorizeV2(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	return h.authorize(ctx, x, 2)
}

// authorize is where clients send browsers. A request in a form becomes one in the address
// line: cookies come along then, which a foreign form does not bring.
func (h *Handler) authorize(ctx context.Context, x *exchange.Exchange, version int) (exchange.Answer, error) {
	if x.Request.Method == http.MethodPost {
		fields, err := x.Form()
		if err != nil {
			return exchange.Answer{}, err
		}
		if !resolve.IsTenantName(x.Tenant) { // which must not become the host of an address
			return exchange.Answer{}, aadsts.TenantName(x.Tenant)
		}
		query := url.Values{}
		for name, value := range fields {
			query.Set(name, value)
		}
		path := map[int]string{1: "/oauth2/authorize", 2: "/oauth2/v2.0/authorize"}[version]
		return exchange.Answer{Status: http.StatusSeeOther, Location: "/" + x.Tenant + path + "?" + query.Encode()}, nil
	}
	return h.advance(ctx, x, interaction{Tenant: x.Tenant, Version: version, Query: x.Request.URL.RawQuery})
}

// advance takes an interaction as far as it goes: to a page that asks something, or to its
// end.
func (h *Handler) advance(ctx context.Context, x *exchange.Exchange, i interaction) (exchange.Answer, error) {
	if err := h.resolver.CheckFresh(ctx); err != nil {
		return exchange.Answer{}, err
	}
	session, err := h.sessions.current(ctx, x)
	if err != nil {
		return exchange.Answer{}, err
	}
	return h.advanceAs(ctx, x, i, session)
}

// advanceAs goes on for a browser session, which is nil when nobody is signed in.
func (h *Handler) advanceAs(ctx context.Context, x *exchange.Exchange, i interaction, session *browserSession) (exchange.Answer, error) {
	r, refused, err := h.resolve(ctx, i, session)
	if err != nil {
		return exchange.Answer{}, err
	}
	if refused != nil {
		return h.refuse(x, r.request, refused)
	}
	if h.mustSignIn(r, session) {
		if r.request != nil && r.request.prompts("none") {
			return h.refuse(x, r.request, aadsts.SignInNeeded())
		}
		return h.signInPage(x, r, session, nil, "")
	}
	if r.device != nil && !r.Confirmed {
		return h.confirmPage(x, r, session)
	}
	d, err := h.issuer.Delegate(ctx, r.tenant, r.client, session.user, r.scopes)
	switch {
	case err != nil && r.request != nil && mayTellClient(err):
		return h.refuse(x, r.request, err)
	case err != nil:
		return exchange.Answer{}, err
	}
	if scopes := r.toConsent(d); len(scopes) > 0 {
		if r.request != nil && r.request.prompts("none") {
			return h.refuse(x, r.request, issuance.ConsentRequired(r.client, scopes))
		}
		return h.consentPage(x, r, session, d, "")
	}
	if r.device != nil {
		return h.finishDevice(ctx, r, session)
	}
	if r.mustConfirm() {
		if r.request.prompts("none") {
			return h.refuse(x, r.request, aadsts.ConfirmNeeded())
		}
		return h.confirmPage(x, r, session)
	}
	return h.finishRequest(ctx, x, r, session, d)
}

// mayTellClient reports whether a refusal is the client's business. An outage is not, and
// that the user has no role at the application only the user is told.
func mayTellClient(err error) bool {
	p := aadsts.Of(err)
	return !p.IsOutage() && p.Code != aadsts.CodeUserNotAssigned
}

// resolve finds out what an interaction is about. What is wrong with it is an error as long
// as only the person can be told, and a refusal once it is known where the client is.
func (h *Handler) resolve(ctx context.Context, i interaction, session *browserSession) (r *resolvedRequest, refused, err error) {
	r = &resolvedRequest{interaction: i}
	if i.Device != "" {
		return r, nil, h.resolveDevice(ctx, r, session)
	}
	fields, err := exchange.ParseForm(i.Query)
	if err != nil {
		return nil, nil, err
	}
	id := fields["client_id"]
	if id == "" {
		return nil, nil, aadsts.Missing("client_id")
	}
	if r.tenant, err = h.requestTenant(ctx, i, fields, session); err != nil {
		return nil, nil, err
	}
	if r.client, err = h.resolver.Client(ctx, r.tenant, id); err != nil {
		return nil, nil, err
	}
	if r.request, err = destination(fields, r.client); err != nil {
		return nil, nil, err
	}
	if refused := r.request.read(fields, i.Version); refused != nil {
		return r, refused, nil
	}
	r.scopes = r.request.scopes
	return r, nil, nil
}

// requestTenant returns the tenant that a request is about. At an alias that is the user's,
// as soon as it is known who that is; until then one that has the client.
func (h *Handler) requestTenant(ctx context.Context, i interaction, fields exchange.Form, session *browserSession) (*directory.Tenant, error) {
	if !resolve.IsShared(i.Tenant) {
		return h.resolver.Tenant(ctx, i.Tenant)
	}
	if hint := fields["login_hint"]; strings.Contains(hint, "@") && !i.SignedIn {
		if tenant, err := h.resolver.Home(ctx, hint); err == nil {
			return tenant, nil
		}
	}
	if session != nil {
		if _, err := h.resolver.ClientNow(ctx, session.tenant, fields["client_id"]); err == nil || i.SignedIn {
			return session.tenant, nil
		}
	}
	return h.resolver.TenantOfClient(ctx, i.Tenant, fields["client_id"])
}

// mustSignIn reports whether the person has to sign in, again or at all.
func (h *Handler) mustSignIn(r *resolvedRequest, session *browserSession) bool {
	switch {
	case session == nil || session.tenant.ID != r.tenant.ID:
		return true
	case r.request == nil || r.SignedIn:
		return false
	}
	q := r.request
	return q.prompts("login") || q.prompts("select_account") ||
		q.maxAge >= 0 && h.now().Unix()-session.At > q.maxAge ||
		q.hint != "" && !strings.EqualFold(q.hint, session.user.PrincipalName)
}

// finishRequest sends the browser back to the client with what it asked for.
func (h *Handler) finishRequest(ctx context.Context, x *exchange.Exchange, r *resolvedRequest, session *browserSession, d issuance.Delegation) (exchange.Answer, error) {
	q, parameters := r.request, url.Values{}
	access := &issuance.UserAccess{
		Delegation: d, Tenant: r.tenant, User: session.user,
		Session: session.Session, Scopes: r.scopes, Nonce: q.nonce,
	}
	access.Client = r.client
	code := ""
	if q.code {
		t, err := h.records.PutCode(ctx, r.tenant.ID, r.client.Principal.ID, session.user.ID, records.CodeRecord{
			GrantRecord: records.GrantRecord{Session: session.Session, Client: r.client.Principal.AppID, Scopes: r.scopes, Key: q.key},
			RedirectURI: q.redirectURI, Challenge: q.challenge, Method: q.method, Nonce: q.nonce,
		})
		if err != nil {
			return exchange.Answer{}, err
		}
		code = t.String()
		parameters.Set("code", code)
		if q.clientInfo {
			info, err := access.ClientInfo()
			if err != nil {
				return exchange.Answer{}, err
			}
			parameters.Set("client_info", info)
		}
	}
	if q.idToken {
		raw, err := h.issuer.IDToken(ctx, x, access, r.Version, code)
		if err != nil {
			return exchange.Answer{}, err
		}
		parameters.Set("id_token", raw)
	}
	parameters.Set("session_state", session.ID)
	return h.reply(q, parameters)
}

// resolveDevice finds the device's request that a code led to. Its client is looked up where
// the user is, as soon as that is known.
func (h *Handler) resolveDevice(ctx context.Context, r *resolvedRequest, session *browserSession) (err error) {
	r.device, r.record, err = h.records.Device(ctx, r.DeviceTenant, r.Device)
	switch {
	case err != nil:
		return err
	case r.record == nil || r.device.State != records.DevicePending || r.device.IsOver(h.now()):
		return aadsts.DeviceExpired()
	}
	shared := r.record.Client == ""
	home := string(r.DeviceTenant)
	if shared && session != nil {
		home = string(session.tenant.ID)
	}
	if r.tenant, err = h.resolver.Tenant(ctx, home); err != nil {
		return err
	}
	r.client, err = h.resolver.Client(ctx, r.tenant, string(r.device.Client))
	r.scopes, r.Version = r.device.Scopes, r.device.Version
	if r.Tenant = home; shared {
		r.Tenant = resolve.AliasOrganizations
	}
	return err
}

// finishDevice lets the device have what it asked for.
func (h *Handler) finishDevice(ctx context.Context, r *resolvedRequest, session *browserSession) (exchange.Answer, error) {
	r.device.State, r.device.Home, r.device.Session = records.DeviceApproved, r.tenant.ID, session.Session
	if err := h.saveDecision(ctx, r); err != nil {
		return exchange.Answer{}, err
	}
	return h.pages.message(message{
		Title: "You are signed in", Text: r.client.Principal.Label() + " on your device goes on by itself now. You can close this window.",
	})
}

// saveDecision keeps what the user made of a device's request.
func (h *Handler) saveDecision(ctx context.Context, r *resolvedRequest) error {
	if r.device.Home == r.record.Tenant {
		r.record.User = r.device.Session.User
	}
	err := h.records.Change(ctx, r.record, r.device)
	if errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrConflict) {
		return aadsts.DeviceExpired().Because(err)
	}
	if err == nil {
		h.devices.Restore(ctx, r.device.Client, r.device.Source)
	}
	return err
}
