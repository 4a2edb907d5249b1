package manage

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/internal/audit"
	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/operate"
	"github.com/rolecall-auth/rolecall/internal/review"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

// A Folder is the data folder of this machine, managed as the operator of the machine.
type Folder struct {
	lookup.Folder
	*command.Management
	Data *server.Data

	line *command.Line
}

var _ Place = (*Folder)(nil)

// OpenFolder opens the data folder. Changes are recorded under the words of the command.
func OpenFolder(ctx context.Context, line *command.Line, words, tenant string) (*Folder, error) {
	data, err := line.OpenExisting(ctx)
	if err != nil {
		return nil, err
	}
	management, err := line.Manage(data, words)
	if err != nil {
		return nil, errors.Join(err, data.Close())
	}
	return &Folder{lookup.Folder{Directory: data.Directory, Tenant: tenant}, management, data, line}, nil
}

// Close ends the work on the folder.
func (f *Folder) Close() error {
	f.Management.Close()
	return f.Data.Close()
}

// Within finds in one tenant alone.
func (f *Folder) Within(tenant *directory.Tenant) lookup.Finder {
	return lookup.Folder{Directory: f.Data.Directory, Tenant: string(tenant.ID)}
}

// Access lets each see who may call what in a tenant.
func (f *Folder) Access(ctx context.Context, tenant *directory.Tenant, filter review.AccessFilter, each func(review.Access) error) error {
	r := &review.Reviewer{Directory: f.Data.Directory, Tenants: []*directory.Tenant{tenant}, Now: f.line.Now()}
	return r.Access(ctx, filter, each)
}

// Ending finds the credentials that end by a time.
func (f *Folder) Ending(ctx context.Context, by time.Time) ([]review.Ending, error) {
	tenants, err := f.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := f.SignIns(ctx, directory.SignInFilter{Limit: 1}); err != nil { // a running server writes what it has
		return nil, err
	}
	r := &review.Reviewer{Directory: f.Data.Directory, Tenants: tenants, Now: f.line.Now(), Passing: tempcred.IsTemporary}
	return r.Ending(ctx, by)
}

// Tenants are the one that was chosen, or all there are.
func (f *Folder) Tenants(ctx context.Context) ([]*directory.Tenant, error) {
	return lookup.FindTenants(f.Data.Directory.View(ctx), f.Tenant)
}

// LastUses are the last times at which an application got a token.
func (f *Folder) LastUses(ctx context.Context, app lookup.API, span time.Duration) (map[string]time.Time, error) {
	rows, err := f.SignIns(ctx, directory.SignInFilter{
		Tenant: app.Tenant.ID, AppID: app.AppID, Since: f.line.Now().Add(-span), Limit: math.MaxInt32,
	})
	if err != nil {
		return nil, err
	}
	return lastUses(rows), nil
}

func lastUses(rows []directory.SignIn) map[string]time.Time {
	used := map[string]time.Time{}
	for _, row := range rows {
		for _, key := range []string{"", row.CredentialID} {
			if !row.Refused() && row.Time.After(used[key]) {
				used[key] = row.Time
			}
		}
	}
	return used
}

// SignIns reads sign-ins, those included that a running server has not written yet.
func (f *Folder) SignIns(ctx context.Context, filter directory.SignInFilter) ([]directory.SignIn, error) {
	return f.line.NewestSignIns(ctx, f.Data, filter)
}

// auditPage is how many rows are read at once.
const auditPage = 1000

// Changes reads rows of the audit log.
func (f *Folder) Changes(ctx context.Context, since time.Time, limit int, kept func(audit.Row) bool) ([]audit.Row, error) {
	var found []audit.Row
	for after := int64(0); ; {
		rows, err := f.Data.Directory.AuditRows(ctx, after, auditPage)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			after = row.Sequence
			if !row.Time.Before(since) && kept(row) {
				found = append(found, row)
			}
		}
		found = found[max(0, len(found)-limit):]
		if len(rows) < auditPage {
			slices.Reverse(found)
			return found, nil
		}
	}
}

// Assign gives a principal roles.
func (f *Folder) Assign(ctx context.Context, who lookup.Principal, roles ...operate.Role) ([]bool, error) {
	return f.Local.Assign(ctx, who.Tenant.ID, who.ID(), roles...)
}

// Unassign takes roles from a principal.
func (f *Folder) Unassign(ctx context.Context, who lookup.Principal, roles ...operate.Role) ([]bool, error) {
	return f.Local.Unassign(ctx, who.Tenant.ID, who.ID(), roles...)
}

// Await lets a running server act on the change.
func (f *Folder) Await(ctx context.Context) error { return f.line.AwaitServer(ctx, f.Data) }
