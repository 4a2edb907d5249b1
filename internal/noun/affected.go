package noun

import (
	"context"
	"fmt"
	"time"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/manage"
	"github.com/rolecall-auth/rolecall/internal/review"
)

// recently is how long ago the last use of something counts as a use of today.
const recently = review.Recently

// uses are the sign-ins within the last week that a filter chooses. Whoever may not read sign-ins
// finds none, and is told so by lastUsed.
func (m *manager) uses(ctx context.Context, filter directory.SignInFilter) ([]directory.SignIn, error) {
	filter.Since, filter.Limit = m.Now().Add(-recently), maxUses
	rows, err := m.place.SignIns(ctx, filter)
	if graphclient.Forbidden(err) {
		m.blind, err = true, nil
	}
	return rows, err
}

// maxUses is how many sign-ins are read for one answer.
const maxUses = 100_000

// lastUsed says when something was used last.
func (m *manager) lastUsed(last time.Time) string {
	if m.blind {
		return "sign-ins, which tell its last use, may not be read"
	}
	return command.LastUsed(last)
}

// holders are those who hold something of an application, with what, since when they have not
// used it, but for itself. A value chooses one role.
func (m *manager) holders(ctx context.Context, app lookup.API, value string) (who []string, err error) {
	rows, err := m.uses(ctx, directory.SignInFilter{Tenant: app.Tenant.ID})
	if err != nil {
		return nil, err
	}
	err = m.place.Access(ctx, app.Tenant, review.AccessFilter{API: app.Application}, func(a review.Access) error {
		if value != "" && a.Role != value {
			return nil
		}
		name := a.Principal
		if a.Client != "" {
			name = a.Client + " for " + name
		}
		last := review.LastUse(rows, func(row directory.SignIn) bool {
			return (row.Name == a.Principal || a.Client != "" && row.Name == a.Client) && review.IsFor(row, app.Application) && review.Carries(row, a.Role+a.Scope)
		})
		what := a.Permission()
		if value != "" {
			what = "it"
			if !a.Since.IsZero() {
				what += " since " + command.ShortTime(a.Since)
			}
		}
		who = append(who, fmt.Sprintf("%s, which holds %s (%s)", name, what, m.lastUsed(last)))
		return nil
	})
	return who, err
}

// lastAdministrator says that a tenant loses its last administrator, if it does, as far as the
// folder of this machine tells: Graph does not say what roles users have.
func (m *manager) lastAdministrator(ctx context.Context, who lookup.Principal) ([]string, error) {
	folder, here := m.place.(*manage.Folder)
	if !here {
		return nil, nil
	}
	last, err := review.IsLastAdministrator(folder.Data.Directory.View(ctx), who.Tenant.ID, who.ID(), "")
	if err != nil || !last {
		return nil, err
	}
	return []string{"the tenant " + who.Tenant.Name + ", whose last administrator it is"}, nil
}
