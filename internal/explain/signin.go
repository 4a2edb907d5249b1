package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// SignIn explains what the authority answered to a token request.
func SignIn(ctx context.Context, dir *directory.Directory, row directory.SignIn) (*Report, error) {
	report := &Report{API: row.Resource, Client: row.Name}
	if report.Client == "" {
		report.Client = string(row.AppID)
	}
	if row.Code == 0 {
		report.Accepted = true
		detail := fmt.Sprintf("a version %s token was issued; roles: %s", row.Version, list(row.Roles))
		if row.User != "" {
			detail += fmt.Sprintf("; for %s, scopes: %s", row.User, list(row.Scopes))
		}
		report.add("token request", true, detail)
		return report, nil
	}
	report.Reason = fmt.Sprintf("AADSTS%d", row.Code)
	report.add("token request", false, row.Reason)
	report.Steps[0].Reason = report.Reason
	report.Mend = &Mend{What: fixOf(row.Code)}
	switch row.Code {
	case noAssignment, noConsent, notRequested:
		return report, mendPermission(ctx, dir, row, report)
	}
	return report, nil
}

// The refusals that a permission mends.
const (
	noAssignment = 501051 // of a client without any role of an API that demands one
	noConsent    = 65001  // of scopes that nobody consented to
	notRequested = 650057 // of all scopes of an API, none of which was asked for
)

// fixOf is what the table of refusals advises.
func fixOf(code int) string {
	for _, row := range authority.Problems() {
		if row.Code == code {
			return row.Fix
		}
	}
	return ""
}

func mendPermission(ctx context.Context, dir *directory.Directory, row directory.SignIn, report *Report) error {
	tenant, err := dir.Tenant(ctx, string(row.Tenant))
	if err != nil {
		return err
	}
	api, err := found(dir.Resource(ctx, row.Tenant, row.Resource))
	if err != nil || api == nil {
		return err
	}
	permission := lacking(api.Application, row)
	if permission == "" {
		return nil
	}
	client, err := dir.Client(ctx, row.Tenant, row.AppID)
	if errors.Is(err, directory.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if client.Application == nil { // only roles are a managed identity's to have
		if len(api.Application.AppRoles) > 0 {
			report.Mend.Command = GrantCommand(client.Principal.Name, api.Application.Name, api.Application.AppRoles[0].Value)
		}
		return nil
	}
	report.Mend.Command = Fragment(tenant.Name, client.Application.Name, fmt.Sprintf("permissions: [{api: %s, %s, consent: true}]",
		quote(api.Application.Name), permission))
	return nil
}

// lacking is the part of a permission that the client lacks: the API's first role, or the
// scopes that the refusal names, or else the first.
func lacking(api *directory.Application, row directory.SignIn) string {
	if row.Code == noAssignment {
		if len(api.AppRoles) == 0 {
			return ""
		}
		return "roles: [" + quote(api.AppRoles[0].Value) + "]"
	}
	if len(api.Scopes) == 0 {
		return ""
	}
	named := strings.FieldsFunc(row.Reason, func(r rune) bool { return r == ' ' || r == '\'' })
	var scopes []string
	for _, scope := range api.Scopes {
		if slices.Contains(named, scope.Value) {
			scopes = append(scopes, quote(scope.Value))
		}
	}
	if len(scopes) == 0 {
		scopes = []string{quote(api.Scopes[0].Value)}
	}
	return "scopes: [" + strings.Join(scopes, ", ") + "]"
}
