package noun

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
)

// A rotation puts a new secret in the place of another, while the application runs.
type rotation struct {
	*manager
	client *graphclient.Client
	app    lookup.API
	old    member
	next   string // id of the new secret
}

func appCredentialRotateCommand(c *command.Line) *cobra.Command {
	var secret newSecret
	var next, wait string
	cmd := &cobra.Command{
		Use: "rotate APP [SECRET]", Short: "Replace a secret while the application runs",
		Long: `Makes a new secret beside the old one, shows it this once, waits until the application has
signed in with it, and removes the old one. Both count meanwhile; Ctrl-C leaves both, and
--to goes on later. SECRET is the id or name of the old one, where there are several.`,
		Example: `  rolecall app credential rotate orders-client --file client.secret --wait 1h
  rolecall app credential rotate orders-client --wait 0s`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return command.UsageError(cmd, errors.New("give "+whichApp+", and the secret to replace where there are several"))
			}
			return nil
		},
	}
	secret.flags(cmd)
	cmd.Flags().StringVar(&next, "to", "", "go on with this new secret, by its id, instead of making one")
	cmd.Flags().StringVar(&wait, "wait", "1h", "how long to wait for the new secret to be used; 0s: not at all")
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		span, err := command.ParseSpan(wait)
		if err != nil {
			return command.UsageError(cmd, fmt.Errorf("--wait: %w", err))
		}
		r := &rotation{manager: m, next: next}
		if r.client, r.app, err = m.application(ctx, args[0]); err != nil {
			return err
		}
		if err := r.choose(ctx, args[1:]); err != nil {
			return err
		}
		if r.next == "" {
			if secret.name == "" {
				secret.name = memberText(r.old, "displayName")
			}
			if r.next, err = secret.add(ctx, cmd, m, r.client, r.app); err != nil || m.DryRuns() {
				return err
			}
		}
		return r.finish(ctx, span)
	})
}

// choose finds the secret that is to go, and the new one where that was made before.
func (r *rotation) choose(ctx context.Context, named []string) error {
	all, err := r.members(ctx, r.client, r.app, "passwordCredentials")
	if err != nil {
		return err
	}
	if r.next != "" && !slices.ContainsFunc(all, func(one member) bool { return memberText(one, "keyId") == r.next }) {
		return command.NotFound("`rolecall app credential list "+lookup.Word(r.app.Called())+"` lists its secrets", "%s has no secret with the id %q", r.app.Label(), r.next)
	}
	candidates := slices.DeleteFunc(all, func(one member) bool {
		id, name := memberText(one, "keyId"), memberText(one, "displayName")
		return id == r.next || len(named) > 0 && id != named[0] && name != named[0]
	})
	switch len(candidates) {
	case 1:
		r.old = candidates[0]
		return nil
	case 0:
		return command.NotFound("`rolecall app credential add "+lookup.Word(r.app.Called())+"` makes one", "%s has no such secret to replace", r.app.Label())
	}
	return command.Fail(command.ExitUsage, fmt.Errorf("%s has %d secrets that it could be", r.app.Label(), len(candidates)), "name the one to replace by its id")
}

// polled is how often sign-ins are looked for.
const polled = time.Second

// finish removes the old secret once the new one was used.
func (r *rotation) finish(ctx context.Context, span time.Duration) error {
	goOn := fmt.Sprintf("rolecall app credential rotate %s %s --to %s", lookup.Word(r.app.Called()), memberText(r.old, "keyId"), r.next)
	if span == 0 {
		r.Say("both secrets count; when the new one is in use: %s", goOn)
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, span)
	defer stop()
	r.Say("waiting for a sign-in of %s with the new secret", r.app.Label())
	for {
		used, err := r.used(ctx)
		switch {
		case used:
			return r.removeOld(ctx)
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("both secrets count, and the old one stays: %w", err)
		}
		select {
		case <-ctx.Done():
			return command.Failed(goOn, "nobody signed in with the new secret meanwhile; both secrets count")
		case <-time.After(polled):
		}
	}
}

// used reports whether the application got a token by the new secret.
func (r *rotation) used(ctx context.Context) (bool, error) {
	last, err := r.place.LastUses(ctx, lookup.API{Application: &directory.Application{AppID: r.app.AppID}, Tenant: r.app.Tenant}, recently)
	return !last[r.next].IsZero(), err
}

func (r *rotation) removeOld(ctx context.Context) error {
	body := member{"keyId": memberText(r.old, "keyId")}
	if err := r.client.Do(ctx, http.MethodPost, "applications/"+string(r.app.ID)+"/removePassword", body, nil); err != nil {
		return err
	}
	r.done("%s signed in with the new secret; removed the old one, %q", r.app.Label(), memberText(r.old, "displayName"))
	return nil
}
