// Package userauth finds out which user signs in, by name and password.
//
// It owns how often a password may be wrong, and that guesses sent all at once are counted
// one by one. It refuses to own passwords, which package directory checks, and sessions,
// which package signin keeps.
//
// Start reading at [Authenticator.CheckPassword].
package userauth

import (
	"context"
	"errors"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/authority/aadsts"
	"github.com/rolecall-auth/rolecall/internal/authority/coordination"
	"github.com/rolecall-auth/rolecall/internal/authority/exchange"
	"github.com/rolecall-auth/rolecall/internal/authority/resolve"
	"github.com/rolecall-auth/rolecall/internal/directory"
)

// An Authenticator checks the passwords of users. It is safe for concurrent use.
type Authenticator struct {
	directory *directory.Directory
	failures  coordination.Failures
	turns     coordination.Turns
}

// New returns an authenticator.
func New(d *directory.Directory, failures coordination.Failures, turns coordination.Turns) *Authenticator {
	return &Authenticator{directory: d, failures: failures, turns: turns}
}

// CheckPassword returns the user of a name and password. Refused attempts are counted by
// user and source, and by user for all sources from which nobody signed in lately: a guesser
// waits, wherever from, and the user goes on where they were.
func (a *Authenticator) CheckPassword(ctx context.Context, source string, tenant *directory.Tenant, name, password string) (*directory.User, error) {
	counted := a.countedAs(ctx, tenant, name)
	defer a.turns.Take(ctx, string(counted)+" "+source)()
	guess, wait, _ := a.failures.Guess(ctx, counted, source, coordination.UserPace())
	if wait > 0 {
		return nil, aadsts.Throttled(wait)
	}
	asker := directory.Asker{Source: source, Known: guess.Known()}
	user, err := resolve.Fresh(ctx, a.directory, func() (*directory.User, error) {
		return a.prove(ctx, asker, tenant, name, password)
	})
	switch {
	case err == nil:
		guess.Right()
	case !aadsts.Of(err).IsOutage() && aadsts.Of(err).Code != aadsts.CodeThrottled:
		guess.Wrong()
	default:
		guess.Unknown()
	}
	return user, err
}

// countedAs names the budget of failures of a user: there is one, whichever of the user's
// names is tried. A name that nobody has gets a budget of its own.
func (a *Authenticator) countedAs(ctx context.Context, tenant *directory.Tenant, name string) directory.AppID {
	who := strings.ToLower(exchange.Noted(name))
	if user, err := a.directory.User(ctx, tenant.ID, name); err == nil {
		who = string(user.ID)
	}
	return directory.AppID("user " + string(tenant.ID) + " " + who)
}

// prove takes as long for users who do not exist.
func (a *Authenticator) prove(ctx context.Context, asker directory.Asker, tenant *directory.Tenant, name, password string) (*directory.User, error) {
	user, err := a.directory.User(ctx, tenant.ID, name)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return nil, err
	}
	switch wrong := a.directory.CheckPasswordFor(ctx, asker, user, password); {
	case errors.Is(wrong, directory.ErrBusy):
		return nil, aadsts.Busy()
	case errors.Is(wrong, directory.ErrWrongPassword) && user == nil:
		return nil, aadsts.UserUnknown(name)
	case errors.Is(wrong, directory.ErrWrongPassword):
		return nil, aadsts.WrongPassword()
	case wrong != nil:
		return nil, wrong
	case !user.Enabled:
		return nil, aadsts.UserDisabled(user.PrincipalName)
	}
	return user, nil
}
