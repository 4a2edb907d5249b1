package noun

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fix"
	"github.com/rolecall-auth/rolecall/internal/guid"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// misused is an error with the exit code of a wrong command line, where a value on it breaks a
// rule whatever else there is.
func misused(err error) error {
	if rule, ok := errors.AsType[*directory.RuleError](err); ok && rule.Cause == nil {
		return command.Fail(command.ExitUsage, err, "")
	}
	return err
}

// notThere says of a noun what nobody has: err is about any principal.
func notThere(err error, called, ref string) error {
	missing, ok := errors.AsType[*directory.NotFoundError](err)
	if !errors.Is(err, directory.ErrNotFound) || ok && missing.Kind == directory.KindTenant {
		return err
	}
	step := fix.Of(err)
	if !strings.HasPrefix(step, "Did you mean") {
		noun := map[string]string{"service principal": "sp", "managed identity": "identity"}[called]
		if noun == "" {
			noun = called
		}
		step = fmt.Sprintf("`rolecall %s list` lists them, and `rolecall %[1]s create` makes one", noun)
	}
	return command.NotFound(step, "there is no %s %q", called, text.Shown(ref))
}

// noApplication says what has a name in place of the application that was asked for; err stands
// where nothing has it.
func (m *manager) noApplication(ctx context.Context, err error, ref string) error {
	if !errors.Is(err, directory.ErrNotFound) {
		return err
	}
	found, findErr := m.place.FindPrincipal(ctx, ref)
	switch {
	case findErr != nil:
		return err
	case found.User != nil:
		return command.NotFound("`rolecall user` manages users", "%s is a user, and no application", found.Name())
	case found.Service.Type == directory.PrincipalManagedIdentity:
		return command.NotFound("`rolecall identity` manages managed identities, and `rolecall sp` their service principals", "%s is a managed identity, and no application", found.Name())
	}
	return err
}

// lacks says that something has no part of a name, with the names that it may have been, or else
// the command that lists them.
func lacks(of, part, ref string, there []string, listed string) error {
	step := directory.DidYouMean(directory.Nearest(there, ref))
	if step == "" {
		step = "`rolecall " + listed + "` lists them"
	}
	return command.NotFound(step, "%s has no %s %q", of, part, text.Shown(ref))
}

// notAnID refuses names that would be taken for ids.
func notAnID(name string) error {
	if _, is := guid.Parse(name); is {
		return command.Fail(command.ExitUsage, fmt.Errorf("the name %q looks like an id", name), "choose a name that is not a GUID")
	}
	return nil
}
