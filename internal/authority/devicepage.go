package authority

import (
	"context"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// device is the page where a person types the code that a device shows.
func (a *Authority) device(ctx context.Context, x *exchange) (answer, error) {
	if x.http.Method != http.MethodPost {
		return a.codePage(x, nil)
	}
	fields, err := a.openForm(x, formCode, new(struct{}))
	if err != nil {
		return answer{}, err
	}
	return a.takeUserCode(ctx, x, fields["user_code"])
}

// codePage asks for the code.
func (a *Authority) codePage(x *exchange, p *aadsts.Problem) (answer, error) {
	seal, err := a.sealForm(x, formCode, struct{}{})
	if err != nil {
		return answer{}, err
	}
	page := struct{ Title, Form, Wrong string }{Title: "Connect a device", Form: seal}
	status, wait := http.StatusOK, 0
	if p != nil {
		status, wait = p.Status, p.RetryAfter
		page.Wrong = "There is no such code, or it has expired. Look at the device again, or let it show a new one."
		if p.Code == aadsts.CodeThrottled {
			page.Wrong = "Too many codes were wrong. Wait a minute, then try again."
		}
	}
	response, err := a.page("device", status, page)
	response.retryAfter = wait
	return response, err
}

// takeUserCode looks a code up. Wrong ones are counted by source: there are few enough
// codes to make guessing worth a try.
func (a *Authority) takeUserCode(ctx context.Context, x *exchange, typed string) (answer, error) {
	const counted = directory.AppID("device codes")
	if seconds := a.throttle.wait(counted, x.source); seconds > 0 {
		return a.codePage(x, aadsts.Throttled(seconds))
	}
	e, err := a.findUserCode(ctx, tidyUserCode(typed))
	switch {
	case err != nil:
		return answer{}, err
	case e.Device == "":
		a.throttle.failed(counted, x.source)
		return a.codePage(x, aadsts.DeviceUnknown())
	}
	return a.pursue(ctx, x, e)
}

// findUserCode looks in every tenant: a code does not say which it is of.
func (a *Authority) findUserCode(ctx context.Context, code string) (errand, error) {
	if len(code) != userCodeLength {
		return errand{}, nil
	}
	tenants, err := a.directory.Tenants(ctx)
	if err != nil {
		return errand{}, err
	}
	id := a.directory.TokenRecordID(ticketUser, code)
	for _, tenant := range tenants {
		if !tenant.Enabled {
			continue
		}
		var found userCode
		ticket, err := a.ticketNamed(ctx, tenant.ID, ticketUser, id, &found)
		if err != nil {
			return errand{}, err
		}
		var device deviceTicket
		if ticket == nil || a.now().Unix() >= found.Ends {
			continue
		}
		if ticket, err = a.ticketNamed(ctx, tenant.ID, ticketDevice, found.Device, &device); err != nil {
			return errand{}, err
		}
		if ticket != nil && device.State == devicePending {
			return errand{DeviceTenant: tenant.ID, Device: found.Device}, nil
		}
	}
	return errand{}, nil
}
