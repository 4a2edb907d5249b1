package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// SignIn explains the authority's answer to a token request.
func SignIn(ctx context.Context, dir *directory.Directory, row directory.SignIn) (*Report, error) {
	report := &Report{API: row.Resource, Client: row.Name}
	if report.Client == "" {
		report.Client = string(row.AppID)
	}
	if !row.Refused() {
		report.Accepted = true
		detail := fmt.Sprintf("a version %s token was issued; roles: %s", row.Version, list(row.Roles))
		if row.User != "" {
			detail += fmt.Sprintf("; for %s, scopes: %s", row.User, list(row.Scopes))
		}
		report.add("token request", true, detail)
		return report, nil
	}
	report.Reason = ReasonOf(row)
	report.add("token request", false, row.Reason)
	report.Steps[0].Reason = report.Reason
	report.Fix = &Fix{What: adviceOn(row)}
	switch row.Code {
	case noAssignment, noConsent, notRequested:
		return report, fixPermission(ctx, dir, row, report)
	}
	return report, nil
}

// The refusals that a permission fixes.
const (
	noAssignment = 501051 // the client has no role of an API that requires one
	noConsent    = 65001  // nobody consented to the scopes
	notRequested = 650057 // the client requested no scope of the API
)

// ReasonOf is the code of a refusal: "AADSTS7000215", or the word of one that has no number.
func ReasonOf(row directory.SignIn) string {
	if row.Code == 0 {
		return row.Refusal
	}
	return fmt.Sprintf("AADSTS%d", row.Code)
}

// adviceOn returns the advice that the answer gave; of a row of an older version, which has
// none, that of the table of errors, if it can be given without what was presented.
func adviceOn(row directory.SignIn) string {
	if row.Fix != "" {
		return row.Fix
	}
	for _, refusal := range aadsts.Table() {
		if refusal.Code == row.Code && !strings.Contains(refusal.Fix, "{") {
			return refusal.Fix
		}
	}
	return ""
}

// fixPermission adds the command that gives the client what it lacked.
func fixPermission(ctx context.Context, dir *directory.Directory, row directory.SignIn, report *Report) error {
	tenant, err := dir.Tenant(ctx, string(row.Tenant))
	if err != nil {
		return err
	}
	api, err := found(dir.Resource(ctx, row.Tenant, row.Resource))
	if err != nil || api == nil {
		return err
	}
	client, err := dir.Instance(ctx, row.Tenant, row.AppID)
	if errors.Is(err, directory.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case row.Code == noAssignment:
		if roles := api.Application.AppRoles; len(roles) > 0 {
			report.Fix.Command = grantCommand(nameOf(client, ""), api.Application.Name, roles[0].Value)
		}
	case client.Application != nil: // a managed identity has no scopes
		if scopes := missingScopes(api.Application, row); len(scopes) > 0 {
			report.Fix.Command = Fragment(tenant.Name, client.Application.Name, fmt.Sprintf("permissions: [{api: %s, scopes: [%s], consent: true}]",
				quote(api.Application.Name), strings.Join(scopes, ", ")))
		}
	}
	return nil
}

// missingScopes are the scopes that the refusal names, or else the first of the API's.
func missingScopes(api *directory.Application, row directory.SignIn) (scopes []string) {
	named := strings.FieldsFunc(row.Reason, func(r rune) bool { return r == ' ' || r == '\'' })
	for _, scope := range api.Scopes {
		if slices.Contains(named, scope.Value) {
			scopes = append(scopes, quote(scope.Value))
		}
	}
	if len(scopes) == 0 && len(api.Scopes) > 0 {
		scopes = []string{quote(api.Scopes[0].Value)}
	}
	return scopes
}
