package authority

import (
	"context"
	"crypto/rand"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// deviceInterval is how often a client may ask whether the user is done. A second is
// forgiven: clocks of clients are no metronomes.
const (
	deviceInterval  = 5 * time.Second
	deviceTolerance = time.Second
)

// What a user may have made of a device's request.
const (
	devicePending  = ""
	deviceApproved = "approved"
	deviceDeclined = "declined"
)

// A deviceTicket is what a device code stands for. Its ticket outlives it, so that a
// client that comes too late is told so.
type deviceTicket struct {
	lease
	Version int                `json:"version"` // of the endpoint
	Ends    int64              `json:"ends"`    // Unix seconds
	State   string             `json:"state,omitempty"`
	Home    directory.TenantID `json:"home,omitempty"`   // of the user who approved
	Source  string             `json:"source,omitempty"` // who asked for it, as the throttle knows them
}

// A userCode is what the user types, and leads to the device's ticket.
type userCode struct {
	Device string `json:"device"` // id of the ticket
	Ends   int64  `json:"ends"`
}

// redeemDevice answers a client that asks whether the user is done (RFC 8628 section 3.4).
func (a *Authority) redeemDevice(ctx context.Context, x *exchange, g userGrant, req *request) (userGrant, error) {
	device, ticket, err := a.deviceOf(ctx, req)
	switch {
	case err != nil:
		return g, err
	case device.Client != g.client.Principal.AppID:
		return g, aadsts.GrantClient("device_code")
	case device.Home != "" && device.Home != g.tenant.ID, device.Home == "" && ticket.Tenant != g.tenant.ID:
		return g, aadsts.GrantTenant()
	}
	if err := a.settled(device, ticket); err != nil {
		return g, err
	}
	g.session = device.Session
	if err := a.entrust(ctx, x, &g, device.Ask); err != nil {
		return g, err
	}
	mine, err := a.take(ctx, ticket)
	switch {
	case err != nil:
		return g, err
	case !mine:
		return g, aadsts.DeviceUnknown()
	}
	return g, a.found(ctx, &g)
}

// deviceOf finds the ticket of a request's device code.
func (a *Authority) deviceOf(ctx context.Context, req *request) (*deviceTicket, *directory.TokenRecord, error) {
	v, err := req.artifact(ticketDevice, "device_code", nil)
	switch {
	case err != nil && req.deviceCode != "":
		return nil, nil, aadsts.DeviceUnknown()
	case err != nil:
		return nil, nil, err
	}
	device := new(deviceTicket)
	ticket, err := a.ticket(ctx, v, device)
	switch {
	case err != nil:
		return nil, nil, err
	case ticket == nil:
		return nil, nil, aadsts.DeviceUnknown()
	}
	return device, ticket, nil
}

// settled refuses as long as, and if, the user has not approved.
func (a *Authority) settled(device *deviceTicket, ticket *directory.TokenRecord) error {
	now := a.now()
	switch {
	case now.Unix() >= device.Ends:
		return aadsts.DeviceExpired()
	case device.State == deviceDeclined:
		return aadsts.DeviceDeclined()
	case device.State == devicePending && a.polls.tooFast(ticket.ID, now):
		return aadsts.DeviceTooFast()
	case device.State == devicePending:
		return aadsts.DevicePending()
	}
	return nil
}

// polls remembers when clients last asked about which device code. It is of this process
// alone: a client that asks two of them is no great burden.
type polls struct {
	mu   sync.Mutex // guards last
	last map[string]time.Time
}

const maxPolls = 10_000

// tooFast notes that a client asks, and reports whether it does so too soon after the
// last time.
func (p *polls) tooFast(id string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil || len(p.last) >= maxPolls {
		p.last = map[string]time.Time{}
	}
	before, known := p.last[id]
	p.last[id] = now
	return known && now.Sub(before) < deviceInterval-deviceTolerance
}

// deviceAnswer is the body of the device code endpoint. Each version names the page its
// own way; both names are always there.
type deviceAnswer[N int | string] struct {
	UserCode        string `json:"user_code"`
	DeviceCode      string `json:"device_code"`
	VerificationURI string `json:"verification_uri"`
	VerificationURL string `json:"verification_url"`
	ExpiresIn       N      `json:"expires_in"`
	Interval        N      `json:"interval"`
	Message         string `json:"message"`
}

func (a *Authority) deviceV1(ctx context.Context, x *exchange) (answer, error) {
	device, user, err := a.deviceCode(ctx, x, 1)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(newDeviceAnswer(a, device, user, "900", "5"), neverCached)
}

func (a *Authority) deviceV2(ctx context.Context, x *exchange) (answer, error) {
	device, user, err := a.deviceCode(ctx, x, 2)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(newDeviceAnswer(a, device, user, 900, 5), neverCached)
}

func newDeviceAnswer[N int | string](a *Authority, device, user string, life, interval N) deviceAnswer[N] {
	page := a.base + devicePath
	return deviceAnswer[N]{
		UserCode: user, DeviceCode: device, VerificationURI: page, VerificationURL: page,
		ExpiresIn: life, Interval: interval,
		Message: "To sign in, open " + page + " in a browser and enter the code " + user + ".",
	}
}

// deviceCode starts the device flow (RFC 8628 section 3.1) and gives the two codes.
func (a *Authority) deviceCode(ctx context.Context, x *exchange, version int) (device, user string, err error) {
	parameters, unreadable := readForm(x.writer, x.http)
	a.noteCorrelation(x, parameters)
	if err := a.checkFresh(ctx); err != nil {
		return "", "", err
	}
	tenant, err := a.deviceTenant(ctx, x.tenant, parameters)
	if err != nil {
		return "", "", err
	}
	x.signIn.Tenant = tenant.ID
	if unreadable != nil {
		return "", "", unreadable
	}
	if _, named := parameters["grant_type"]; !named {
		parameters["grant_type"] = grantDevice
	}
	req, err := parse(parameters, x.http.Header, version)
	if err != nil {
		return "", "", err
	}
	x.signIn.Library = req.library
	proven, err := a.authenticate(ctx, x, tenant, req)
	if err != nil {
		return "", "", err
	}
	if proven.client.Application == nil { // a managed identity acts for itself alone
		return "", "", aadsts.GrantType(req.grant)
	}
	w, err := parseAsk(version, req.scope, req.resource)
	if err != nil {
		return "", "", err
	}
	x.signIn.Resource = text.Line(w.Identifier, aadsts.MaxNoted)
	body := deviceTicket{lease: lease{Client: proven.client.Principal.AppID, Ask: w}, Version: version, Source: x.source}
	if seconds := a.devices.spend(body.Client, body.Source); seconds > 0 {
		return "", "", aadsts.DeviceThrottled(seconds)
	}
	device, user, err = a.startDevice(ctx, tenant, proven.client, body, isShared(x.tenant))
	if err != nil {
		a.devices.restore(body.Client, body.Source)
	}
	return device, user, err
}

// startDevice keeps the tickets of a device's request.
func (a *Authority) startDevice(ctx context.Context, tenant *directory.Tenant, client *directory.Instance, body deviceTicket, shared bool) (device, user string, err error) {
	v := newArtifact(ticketDevice, tenant.ID)
	holder := client.Principal.ID
	if shared { // the user may be of another tenant than the one that keeps the ticket
		holder = ""
	}
	body.Ends = a.now().Add(deviceLife).Unix()
	if err := a.keep(ctx, v, holder, "", 2*deviceLife, body); err != nil {
		return "", "", err
	}
	user = newUserCode()
	code, err := a.newTicket(v, holder, "", deviceLife, userCode{Device: a.directory.TokenRecordID(v.kind, v.String()), Ends: body.Ends})
	if err != nil {
		return "", "", err
	}
	code.Kind, code.ID = ticketUser, a.directory.TokenRecordID(ticketUser, user)
	return v.String(), user, a.directory.PutTokenRecord(ctx, code)
}

// deviceTenant gives the tenant that a device's request is kept in: that of the path, or
// at an alias one that has the client. Which one the user is of, comes out later.
func (a *Authority) deviceTenant(ctx context.Context, ref string, parameters form) (*directory.Tenant, error) {
	if !isShared(ref) {
		return a.tenantOf(ctx, ref)
	}
	tenants, err := a.directory.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	id := parameters["client_id"]
	for _, tenant := range tenants {
		if !tenant.Enabled {
			continue
		}
		if _, err := a.findClient(ctx, tenant, id); err == nil {
			return tenant, nil
		}
	}
	if id == "" {
		return nil, aadsts.Missing("client_id")
	}
	return nil, aadsts.ClientUnknown(id, ref)
}

// userCodeAlphabet leaves out vowels, which make words, and what looks like something else.
const (
	userCodeAlphabet = "BCDFGHJKLMNPQRSTVWXZ23456789"
	userCodeLength   = 9
)

func newUserCode() string {
	var b strings.Builder
	limit := big.NewInt(int64(len(userCodeAlphabet)))
	for range userCodeLength {
		n, err := rand.Int(rand.Reader, limit)
		if err != nil {
			panic("authority: no randomness: " + err.Error()) // crypto/rand never fails
		}
		b.WriteByte(userCodeAlphabet[n.Int64()])
	}
	return b.String()
}

// tidyUserCode takes what a person typed for what was meant.
func tidyUserCode(typed string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, strings.ToUpper(typed))
}
