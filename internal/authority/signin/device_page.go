package signin

import (
	"context"
	"net/http"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/records"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// device is the page where a person types the code that a device shows.
func (h *Handler) device(ctx context.Context, x *exchange.Exchange) (exchange.Answer, error) {
	if x.Request.Method != http.MethodPost {
		return h.codePage(x, nil)
	}
	fields, err := h.forms.open(x, formCode, new(struct{}))
	if err != nil {
		return exchange.Answer{}, err
	}
	return h.takeUserCode(ctx, x, fields["user_code"])
}

// codePage asks for the code.
func (h *Handler) codePage(x *exchange.Exchange, p *aadsts.Problem) (exchange.Answer, error) {
	seal, err := h.forms.seal(x, formCode, struct{}{})
	if err != nil {
		return exchange.Answer{}, err
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
	response, err := h.pages.render("device", status, page)
	response.RetryAfter = wait
	return response, err
}

// takeUserCode looks a code up. Wrong ones are counted by source: there are few enough
// codes to make guessing worth a try.
func (h *Handler) takeUserCode(ctx context.Context, x *exchange.Exchange, typed string) (exchange.Answer, error) {
	const counted = directory.AppID("device codes")
	if seconds := h.failures.Wait(ctx, counted, x.Source); seconds > 0 {
		return h.codePage(x, aadsts.Throttled(seconds))
	}
	found, err := h.findUserCode(ctx, typed)
	switch {
	case err != nil:
		return exchange.Answer{}, err
	case found.Device == "":
		h.failures.Failed(ctx, counted, x.Source)
		return h.codePage(x, aadsts.DeviceUnknown())
	}
	return h.advance(ctx, x, found)
}

// findUserCode looks in every tenant: a code does not say which it is of.
func (h *Handler) findUserCode(ctx context.Context, typed string) (interaction, error) {
	code, ok := records.ReadUserCode(typed)
	if !ok {
		return interaction{}, nil
	}
	tenants, err := h.directory.Tenants(ctx)
	if err != nil {
		return interaction{}, err
	}
	for _, tenant := range tenants {
		if !tenant.Enabled {
			continue
		}
		id, err := h.records.PendingDevice(ctx, tenant.ID, code)
		if err != nil {
			return interaction{}, err
		}
		if id != "" {
			return interaction{DeviceTenant: tenant.ID, Device: id}, nil
		}
	}
	return interaction{}, nil
}
