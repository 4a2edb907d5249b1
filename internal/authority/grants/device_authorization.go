package grants

import (
	"context"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/clientauth"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/authority/scope"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// A deviceEndpoint starts the device flow (RFC 8628 section 3.1).
type deviceEndpoint struct {
	resolver *resolve.Resolver
	clients  *clientauth.Authenticator
	records  *records.Records
	budget   coordination.Budget // of codes that nobody has answered
}

// deviceAnswer is the body of the device authorization endpoint. Each version names the page
// its own way; both names are always there.
type deviceAnswer[N int | string] struct {
	UserCode        string `json:"user_code"`
	DeviceCode      string `json:"device_code"`
	VerificationURI string `json:"verification_uri"`
	VerificationURL string `json:"verification_url"`
	ExpiresIn       N      `json:"expires_in"`
	Interval        N      `json:"interval"`
	Message         string `json:"message"`
}

// serve starts the device flow.
func (e *deviceEndpoint) serve(ctx context.Context, x *exchange.Exchange, version int) (exchange.Answer, error) {
	device, user, err := e.start(ctx, x, version)
	if err != nil {
		return exchange.Answer{}, err
	}
	page := x.Origin.BaseURL + records.DevicePage
	if version == 1 {
		return exchange.JSON(newDeviceAnswer(page, device, user, "900", "5"), exchange.NeverCached)
	}
	return exchange.JSON(newDeviceAnswer(page, device, user, 900, 5), exchange.NeverCached)
}

func newDeviceAnswer[N int | string](page, device, user string, life, interval N) deviceAnswer[N] {
	return deviceAnswer[N]{
		UserCode: user, DeviceCode: device, VerificationURI: page, VerificationURL: page,
		ExpiresIn: life, Interval: interval,
		Message: "To sign in, open " + page + " in a browser and enter the code " + user + ".",
	}
}

// start keeps the request of a device and returns its two codes.
func (e *deviceEndpoint) start(ctx context.Context, x *exchange.Exchange, version int) (device, user string, err error) {
	form, unreadable := x.Form()
	x.NoteCorrelation(form)
	if err := e.resolver.CheckFresh(ctx); err != nil {
		return "", "", err
	}
	tenant, err := e.tenant(ctx, x.Tenant, form)
	if err != nil {
		return "", "", err
	}
	x.SignIn.Tenant = tenant.ID
	if unreadable != nil {
		return "", "", unreadable
	}
	if _, named := form["grant_type"]; !named {
		form["grant_type"] = grantDevice
	}
	req, err := parse(form, x.Request.Header, certificateOf(x.Request), version)
	if err != nil {
		return "", "", err
	}
	x.SignIn.Library = x.Library(form)
	proof, err := e.clients.Authenticate(ctx, x, tenant, req.credential)
	if err != nil {
		return "", "", err
	}
	if proof.Client.Application == nil { // a managed identity acts for itself alone
		return "", "", aadsts.GrantType(req.grant)
	}
	requested, err := scope.Parse(version, req.scope, req.resource)
	if err != nil {
		return "", "", err
	}
	x.SignIn.Resource = exchange.Noted(requested.Identifier)
	return e.put(ctx, x, tenant, proof.Client, records.DeviceRecord{
		GrantRecord: records.GrantRecord{Client: proof.Client.Principal.AppID, Scopes: requested}, Version: version, Source: x.Source,
	})
}

// put keeps the request of a device, unless its source has asked for too many.
func (e *deviceEndpoint) put(ctx context.Context, x *exchange.Exchange, tenant *directory.Tenant, client *directory.Instance, d records.DeviceRecord) (device, user string, err error) {
	if seconds := e.budget.Spend(ctx, d.Client, d.Source); seconds > 0 {
		return "", "", aadsts.DeviceThrottled(seconds)
	}
	holder := client.Principal.ID
	if resolve.IsShared(x.Tenant) { // the user may be of another tenant than the one that keeps the record
		holder = ""
	}
	device, user, err = e.records.PutDevice(ctx, tenant.ID, holder, d)
	if err != nil {
		e.budget.Restore(ctx, d.Client, d.Source)
	}
	return device, user, err
}

// tenant returns the tenant that keeps a device's request: that of the path, or at an alias
// one that has the client. Which tenant the user is of, comes out later.
func (e *deviceEndpoint) tenant(ctx context.Context, ref string, form exchange.Form) (*directory.Tenant, error) {
	if resolve.IsShared(ref) {
		return e.resolver.TenantOfClient(ctx, ref, form["client_id"])
	}
	return e.resolver.Tenant(ctx, ref)
}
