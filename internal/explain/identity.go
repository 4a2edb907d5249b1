package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// recent is how many sign-ins of a client are searched for that of a token.
const recent = 500

// howChosen tells of a managed identity's token for which no identity was named, although there
// were several: the one that was meant may be another.
func (f *facts) howChosen(ctx context.Context, d *directory.Directory, signIns func(context.Context, directory.SignInFilter) ([]directory.SignIn, error)) ([]string, error) {
	if f.client == nil || f.client.Application != nil || f.claims.tokenID == "" {
		return nil, nil
	}
	rows, err := signIns(ctx, directory.SignInFilter{Tenant: f.tenant.ID, AppID: f.client.Principal.AppID, Limit: recent})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(rows, func(row directory.SignIn) bool { return row.TokenID == f.claims.tokenID })
	if i < 0 || rows[i].Presented == nil {
		return nil, nil
	}
	others := slices.DeleteFunc(slices.Clone(rows[i].Presented.Assigned), func(id directory.AppID) bool { return id == f.client.Principal.AppID })
	if len(others) == 0 {
		return nil, nil
	}
	named, err := identities(ctx, d, f.tenant.ID, others)
	return []string{fmt.Sprintf("The request named no identity, so %s was taken, the default there. Others are there: %s. To choose one, set AZURE_CLIENT_ID, or pass its client id to the credential.",
		f.client.Principal.Called(), named)}, err
}

// identities lists identities by name and client id.
func identities(ctx context.Context, d *directory.Directory, tenant directory.TenantID, ids []directory.AppID) (string, error) {
	var said []string
	for _, id := range ids {
		found, err := d.Instance(ctx, tenant, id)
		switch {
		case errors.Is(err, directory.ErrNotFound):
			said = append(said, string(id)+" (deleted)")
		case err != nil:
			return "", err
		default:
			said = append(said, fmt.Sprintf("%s (client id %s)", found.Principal.Called(), id))
		}
	}
	return strings.Join(said, ", "), nil
}

// diagnoseIdentity is about a refusal by an endpoint of managed identities.
func (s *signIn) diagnoseIdentity(ctx context.Context) error {
	sent := s.Presented
	s.report.Client = "the program"
	if s.tenant == nil {
		s.hint("The request came with a secret header that no program here has: the environment is that of a program that has ended, or of another server.")
		s.report.Fix = &Fix{What: "Run the program anew, so that it has the environment of its own: rolecall run --as NAME -- PROGRAM"}
		return nil
	}
	there, err := identities(ctx, s.dir, s.tenant.ID, sent.Assigned)
	if err != nil {
		return err
	}
	if there == "" {
		s.hint("No identity is assigned to the caller.")
		return nil
	}
	s.hint("The caller has %s.", there)
	if sent.Identity == "" {
		if len(sent.Assigned) > 1 {
			s.report.Fix = &Fix{What: "Name the one that is meant: set AZURE_CLIENT_ID to its client id, or pass that to ManagedIdentityCredential."}
		}
		return nil
	}
	return s.otherIdentity(ctx, sent.Selector, sent.Identity)
}

// otherIdentity says what an id is by which no identity of the caller was found.
func (s *signIn) otherIdentity(ctx context.Context, selector, id string) error {
	named, err := s.dir.Named(ctx, s.tenant.ID, id)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return err
	}
	if err != nil || named.Principal == nil {
		s.hint("The %s %s is that of nobody in the tenant %s.", selector, id, s.tenant.Name)
		s.report.Fix = &Fix{What: fmt.Sprintf("Correct or remove it: %s is AZURE_CLIENT_ID in the program's environment, or what was passed to ManagedIdentityCredential.", selector)}
		return nil
	}
	p := named.Principal
	kind := "client id"
	switch {
	case strings.EqualFold(id, string(p.ID)):
		kind = "object id"
	case p.HasResourceID(id):
		kind = "resource id"
	case !strings.EqualFold(id, string(p.AppID)):
		kind = "name"
	}
	s.hint("The %s %s is the %s of %s.", selector, id, kind, p.Called())
	switch {
	case slices.Contains(s.Presented.Assigned, p.AppID):
		s.report.Fix = &Fix{What: fmt.Sprintf("The client id of %s is %s: send client_id=%s.", p.Called(), p.AppID, p.AppID)}
	case named.Application != nil:
		s.report.Fix = &Fix{What: fmt.Sprintf("%s is an application, not a managed identity: remove AZURE_CLIENT_ID, which was left over from a run with a secret, or set it to the identity's.", p.Called())}
	default:
		s.report.Fix = &Fix{What: fmt.Sprintf("%s is not assigned to the caller: assign it (rolecall run --also %s, or identities of the host), or name another.", p.Called(), shellQuote(p.Called()))}
	}
	return nil
}
