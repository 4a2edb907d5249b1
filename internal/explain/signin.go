package explain

import (
	"context"
	"fmt"

	"github.com/rolecall-auth/rolecall/authority"
	"github.com/rolecall-auth/rolecall/directory"
)

// SignIn explains what the authority answered to a token request.
func SignIn(ctx context.Context, dir *directory.Directory, row directory.SignIn) (*Report, error) {
	report := &Report{API: row.Resource, Client: row.Name}
	if report.Client == "" {
		report.Client = string(row.AppID)
	}
	if row.Code == 0 {
		report.Accepted = true
		report.add("token request", true, fmt.Sprintf("a version %s token was issued; roles: %s", row.Version, list(row.Roles)))
		return report, nil
	}
	report.Reason = fmt.Sprintf("AADSTS%d", row.Code)
	report.add("token request", false, row.Reason)
	report.Steps[0].Reason = report.Reason
	report.Mend = &Mend{What: fixOf(row.Code)}
	if row.Code == noAssignment {
		return report, mendAssignment(ctx, dir, row, report)
	}
	return report, nil
}

// noAssignment is the number of the refusal of a client that has no role of an API which
// demands one.
const noAssignment = 501051

// fixOf is what the table of refusals advises.
func fixOf(code int) string {
	for _, row := range authority.Problems() {
		if row.Code == code {
			return row.Fix
		}
	}
	return ""
}

func mendAssignment(ctx context.Context, dir *directory.Directory, row directory.SignIn, report *Report) error {
	tenant, err := dir.Tenant(ctx, string(row.Tenant))
	if err != nil {
		return err
	}
	api, err := found(dir.Resource(ctx, row.Tenant, row.Resource))
	if err != nil || api == nil || len(api.Application.AppRoles) == 0 {
		return err
	}
	client, err := found(dir.Client(ctx, row.Tenant, row.AppID))
	if err != nil || client == nil {
		return err
	}
	report.Mend.Command = fragment(tenant.Name, client.Application.Name, fmt.Sprintf("permissions: [{api: %s, roles: [%s], consent: true}]",
		quote(api.Application.Name), quote(api.Application.AppRoles[0].Value)))
	return nil
}
