package grants

import (
	"context"
	"time"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// deviceInterval is how often a client may ask whether the user is done. A second is
// forgiven: clocks of clients are no metronomes.
const (
	deviceInterval  = 5 * time.Second
	deviceTolerance = time.Second
)

// redeemDevice answers a client that asks whether the user is done (RFC 8628 section 3.4).
func (e *tokenEndpoint) redeemDevice(ctx context.Context, x *exchange.Exchange, r *redemption, req *tokenRequest) error {
	device, record, err := e.findDevice(ctx, req)
	switch {
	case err != nil:
		return err
	case device.Client != r.Client.Principal.AppID:
		return aadsts.GrantClient("device_code")
	case device.Home != "" && device.Home != r.Tenant.ID, device.Home == "" && record.Tenant != r.Tenant.ID:
		return aadsts.GrantTenant()
	}
	if err := e.checkApproved(ctx, device, record); err != nil {
		return err
	}
	r.Session = device.Session
	if err := e.issuer.ResolveUserAccess(ctx, &x.SignIn, &r.UserAccess, device.Scopes); err != nil {
		return err
	}
	mine, err := e.records.Take(ctx, record)
	switch {
	case err != nil:
		return err
	case !mine:
		return aadsts.DeviceUnknown()
	}
	return e.startFamily(ctx, r)
}

// findDevice returns the record of a request's device code.
func (e *tokenEndpoint) findDevice(ctx context.Context, req *tokenRequest) (*records.DeviceRecord, *directory.TokenRecord, error) {
	t, err := req.opaqueToken(records.KindDevice, "device_code", nil)
	switch {
	case err != nil && req.deviceCode != "":
		return nil, nil, aadsts.DeviceUnknown()
	case err != nil:
		return nil, nil, err
	}
	device := new(records.DeviceRecord)
	record, err := e.records.Find(ctx, t, device)
	switch {
	case err != nil:
		return nil, nil, err
	case record == nil:
		return nil, nil, aadsts.DeviceUnknown()
	}
	return device, record, nil
}

// checkApproved refuses as long as, and if, the user has not approved.
func (e *tokenEndpoint) checkApproved(ctx context.Context, device *records.DeviceRecord, record *directory.TokenRecord) error {
	now := e.now()
	switch {
	case device.IsOver(now):
		return aadsts.DeviceExpired()
	case device.State == records.DeviceDeclined:
		return aadsts.DeviceDeclined()
	case device.State == records.DevicePending && e.polls.TooFast(ctx, record.ID, now, deviceInterval-deviceTolerance):
		return aadsts.DeviceTooFast()
	case device.State == records.DevicePending:
		return aadsts.DevicePending()
	}
	return nil
}
