package authority

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// An errand is what a browser came for: a client's authorization request, or a device
// whose code somebody typed. It travels with every page, sealed, and each page that was
// answered leaves its mark; everything else is looked at anew each time.
type errand struct {
	Tenant  string `json:"t,omitempty"` // as the path names it
	Version int    `json:"v,omitempty"` // of the endpoint
	Query   string `json:"q,omitempty"` // the authorization request

	DeviceTenant directory.TenantID `json:"dt,omitempty"`
	Device       string             `json:"d,omitempty"` // id of the device's ticket

	SignedIn  bool `json:"s,omitempty"` // for this errand
	Confirmed bool `json:"c,omitempty"` // the person started it
	Consented bool `json:"k,omitempty"`
}

// A matter is an errand as the directory has it now.
type matter struct {
	errand
	tenant  *directory.Tenant
	client  *directory.Instance
	ask     ask
	request *authorizeRequest      // nil for a device
	device  *deviceTicket          // nil for an authorization request
	ticket  *directory.TokenRecord // of the device
}

func (a *Authority) authorizeV1(ctx context.Context, x *exchange) (answer, error) {
	return a.authorizeEndpoint(ctx, x, 1)
}

func (a *Authority) authorizeV2(ctx context.Context, x *exchange) (answer, error) {
	return a.authorizeEndpoint(ctx, x, 2)
}

// authorizeEndpoint is where clients send browsers. A request in a form becomes one in
// the address line: cookies come along then, which a foreign form does not bring.
func (a *Authority) authorizeEndpoint(ctx context.Context, x *exchange, version int) (answer, error) {
	if x.http.Method == http.MethodPost {
		fields, err := readForm(x.writer, x.http)
		if err != nil {
			return answer{}, err
		}
		if !isTenantName(x.tenant) { // which must not become the host of an address
			return answer{}, aadsts.TenantName(x.tenant)
		}
		query := url.Values{}
		for name, value := range fields {
			query.Set(name, value)
		}
		path := map[int]string{1: "/oauth2/authorize", 2: "/oauth2/v2.0/authorize"}[version]
		return answer{status: http.StatusSeeOther, location: "/" + x.tenant + path + "?" + query.Encode()}, nil
	}
	return a.pursue(ctx, x, errand{Tenant: x.tenant, Version: version, Query: x.http.URL.RawQuery})
}

// pursue takes an errand as far as it goes: to a page that asks something, or to its end.
func (a *Authority) pursue(ctx context.Context, x *exchange, e errand) (answer, error) {
	if err := a.checkFresh(ctx); err != nil {
		return answer{}, err
	}
	who, err := a.visitor(ctx, x)
	if err != nil {
		return answer{}, err
	}
	return a.pursueAs(ctx, x, e, who)
}

// pursueAs goes on for a visitor.
func (a *Authority) pursueAs(ctx context.Context, x *exchange, e errand, who *visitor) (answer, error) {
	m, refused, err := a.understand(ctx, e, who)
	if err != nil {
		return answer{}, err
	}
	if refused != nil {
		return a.refuse(x, m.request, refused)
	}
	if a.mustSignIn(m, who) {
		if m.request != nil && m.request.prompts("none") {
			return a.refuse(x, m.request, aadsts.SignInNeeded())
		}
		return a.signInPage(x, m, who, nil, "")
	}
	if m.device != nil && !m.Confirmed {
		return a.confirmPage(x, m, who)
	}
	d, err := a.delegate(ctx, m.tenant, m.client, who.user, m.ask)
	switch {
	case err != nil && m.request != nil && mayTellClient(err):
		return a.refuse(x, m.request, err)
	case err != nil:
		return answer{}, err
	}
	if scopes := m.toConsent(d); len(scopes) > 0 {
		if m.request != nil && m.request.prompts("none") {
			return a.refuse(x, m.request, consentProblem(m.client, scopes))
		}
		return a.consentPage(x, m, who, d, "")
	}
	if m.device != nil {
		return a.finishDevice(ctx, x, m, who)
	}
	if m.mustConfirm() {
		if m.request.prompts("none") {
			return a.refuse(x, m.request, aadsts.ConfirmNeeded())
		}
		return a.confirmPage(x, m, who)
	}
	return a.finishRequest(ctx, x, m, who, d)
}

// mayTellClient reports whether a refusal is the client's business. An outage is not, and
// that the user has no role at the application the user alone is told.
func mayTellClient(err error) bool {
	p := aadsts.Of(err)
	return !p.IsOutage() && p.Code != aadsts.CodeUserNotAssigned
}

// understand finds out what an errand is about. What is wrong with it is an error as long
// as only the person can be told, and a refusal once it is known where the client is.
func (a *Authority) understand(ctx context.Context, e errand, who *visitor) (m *matter, refused, err error) {
	m = &matter{errand: e}
	if e.Device != "" {
		return m, nil, a.understandDevice(ctx, m, who)
	}
	fields, err := parseForm(e.Query)
	if err != nil {
		return nil, nil, err
	}
	id := fields["client_id"]
	if id == "" {
		return nil, nil, aadsts.Missing("client_id")
	}
	if m.tenant, err = a.errandTenant(ctx, e, fields, who); err != nil {
		return nil, nil, err
	}
	m.client, err = fresh(ctx, a.directory, func() (*directory.Instance, error) { return a.findClient(ctx, m.tenant, id) })
	if err != nil {
		return nil, nil, err
	}
	if m.request, err = destination(fields, m.client); err != nil {
		return nil, nil, err
	}
	if err := m.request.read(fields, e.Version); err != nil {
		return m, err, nil
	}
	m.ask = m.request.ask
	return m, nil, nil
}

// errandTenant gives the tenant that a request is about. At an alias that is the user's,
// as soon as it is known who that is; until then one that has the client.
func (a *Authority) errandTenant(ctx context.Context, e errand, fields form, who *visitor) (*directory.Tenant, error) {
	if !isShared(e.Tenant) {
		return a.tenantOf(ctx, e.Tenant)
	}
	if hint := fields["login_hint"]; strings.Contains(hint, "@") && !e.SignedIn {
		if tenant, err := a.homeOf(ctx, hint); err == nil {
			return tenant, nil
		}
	}
	if who != nil {
		if _, err := a.findClient(ctx, who.tenant, fields["client_id"]); err == nil || e.SignedIn {
			return who.tenant, nil
		}
	}
	return a.deviceTenant(ctx, e.Tenant, fields)
}

// mustSignIn reports whether the visitor has to sign in, again or at all.
func (a *Authority) mustSignIn(m *matter, who *visitor) bool {
	switch {
	case who == nil || who.tenant.ID != m.tenant.ID:
		return true
	case m.request == nil || m.SignedIn:
		return false
	}
	r := m.request
	return r.prompts("login") || r.prompts("select_account") ||
		r.maxAge >= 0 && a.now().Unix()-who.At > r.maxAge ||
		r.hint != "" && !strings.EqualFold(r.hint, who.user.PrincipalName)
}

// toConsent gives the scopes that the user has to be asked about.
func (m *matter) toConsent(d delegation) []directory.Scope {
	if m.request == nil || !m.request.prompts("consent") || m.Consented || m.ask.Identifier == "" {
		return d.missing
	}
	all := slices.Clone(d.missing)
	for _, value := range d.scopes {
		if scope, ok := scopeNamed(d.resource.Application, value); ok {
			all = append(all, scope)
		}
	}
	return all
}

// finishRequest sends the browser back to the client with what it asked for.
func (a *Authority) finishRequest(ctx context.Context, x *exchange, m *matter, who *visitor, d delegation) (answer, error) {
	r := m.request
	parameters := url.Values{}
	g := &userGrant{
		proof: proof{client: m.client}, delegation: d, tenant: m.tenant, user: who.user,
		session: who.session, ask: m.ask, nonce: r.nonce,
	}
	if r.code {
		code, err := a.newCode(ctx, m, who)
		if err != nil {
			return answer{}, err
		}
		parameters.Set("code", code)
		if r.clientInfo {
			info, err := clientInfo(g)
			if err != nil {
				return answer{}, err
			}
			parameters.Set("client_info", info)
		}
	}
	if r.idToken {
		c := a.idClaims(x, g, m.Version, a.issueTime(ctx))
		if r.code {
			c.CodeHash = halfHash(parameters.Get("code"))
		}
		raw, err := a.signUser(ctx, g, c)
		if err != nil {
			return answer{}, err
		}
		parameters.Set("id_token", raw)
	}
	parameters.Set("session_state", who.ID)
	return a.reply(x, r, parameters)
}

// newCode makes an authorization code for what the user agreed to.
func (a *Authority) newCode(ctx context.Context, m *matter, who *visitor) (string, error) {
	v := newArtifact(ticketCode, m.tenant.ID)
	l := lease{Session: who.session, Client: m.client.Principal.AppID, Ask: m.ask}
	if err := a.keepFamily(ctx, v, m.client.Principal.ID, who.user.ID, codeLife, l); err != nil {
		return "", err
	}
	r := m.request
	code := codeTicket{lease: l, RedirectURI: r.redirectURI, Challenge: r.challenge, Method: r.method, Nonce: r.nonce}
	if err := a.keep(ctx, v, m.client.Principal.ID, who.user.ID, codeLife, code); err != nil {
		return "", err
	}
	return v.String(), nil
}

// understandDevice finds the device's request that a code led to. Its client is looked up
// where the user is, as soon as that is known.
func (a *Authority) understandDevice(ctx context.Context, m *matter, who *visitor) (err error) {
	m.device = new(deviceTicket)
	m.ticket, err = a.ticketNamed(ctx, m.DeviceTenant, ticketDevice, m.Device, m.device)
	switch {
	case err != nil:
		return err
	case m.ticket == nil || m.device.State != devicePending || a.now().Unix() >= m.device.Ends:
		return aadsts.DeviceExpired()
	}
	shared := m.ticket.Client == ""
	home := string(m.DeviceTenant)
	if shared && who != nil {
		home = string(who.tenant.ID)
	}
	if m.tenant, err = a.tenantOf(ctx, home); err != nil {
		return err
	}
	m.client, err = fresh(ctx, a.directory, func() (*directory.Instance, error) {
		return a.findClient(ctx, m.tenant, string(m.device.Client))
	})
	m.ask, m.Version = m.device.Ask, m.device.Version
	if m.Tenant = home; shared {
		m.Tenant = aliasOrganizations
	}
	return err
}

// finishDevice lets the device have what it asked for.
func (a *Authority) finishDevice(ctx context.Context, x *exchange, m *matter, who *visitor) (answer, error) {
	m.device.State, m.device.Home, m.device.Session = deviceApproved, m.tenant.ID, who.session
	if err := a.settleDevice(ctx, m); err != nil {
		return answer{}, err
	}
	return a.messagePage(x, message{
		Title: "You are signed in", Text: m.client.Principal.Name + " on your device goes on by itself now. You can close this window.",
	})
}

// settleDevice keeps what the user made of a device's request.
func (a *Authority) settleDevice(ctx context.Context, m *matter) error {
	body, err := encodeBody(m.device)
	if err != nil {
		return err
	}
	m.ticket.Body = body
	if m.device.Home == m.ticket.Tenant {
		m.ticket.User = m.device.Session.User
	}
	err = a.directory.UpdateTokenRecord(ctx, m.ticket)
	if errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrConflict) {
		return aadsts.DeviceExpired().Because(err)
	}
	if err == nil {
		a.devices.restore(m.device.Client, m.device.Source)
	}
	return err
}
