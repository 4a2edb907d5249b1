package noun

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/review"
)

// hostFlags are what create and update take of a host.
type hostFlags struct {
	cmd                             *cobra.Command
	listen, via, user, node, rename string
	identities, names, from         []string
}

func addHostFlags(cmd *cobra.Command) *hostFlags {
	f := &hostFlags{cmd: cmd}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "", "address and port of its endpoint")
	flags.StringVar(&f.via, "via", string(directory.PlatformAppService), "platform whose endpoint it offers")
	flags.StringArrayVar(&f.identities, "identity", nil, "managed identity that its programs have; may be given several times")
	flags.StringArrayVar(&f.names, "name", nil, "further host name by which programs call the endpoint")
	flags.StringArrayVar(&f.from, "from", nil, "network whose programs may call it, such as 172.18.0.0/16")
	flags.StringVar(&f.user, "user", "", "user of the operating system whose processes may call it")
	flags.StringVar(&f.node, "node", "", "machine of the server that listens for it, where several servers share a database")
	return f
}

// some reports whether anything of a host is given.
func (f *hostFlags) some() bool {
	return slices.ContainsFunc([]string{"listen", "via", "identity", "name", "from", "user", "node", "rename"}, f.cmd.Flags().Changed)
}

// given finds the identities that are named.
func (f *hostFlags) given(v *directory.View, tenant *directory.Tenant) ([]directory.ObjectID, error) {
	var all []directory.ObjectID
	for _, ref := range nonEmpty(f.identities) {
		identity, err := lookup.FindIdentity(v, string(tenant.ID), ref)
		if err != nil {
			return nil, err
		}
		all = append(all, identity.ID())
	}
	return all, nil
}

// nonEmpty is a list as flags give one: one empty value stands for an empty list.
func nonEmpty(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "" })
}

// set changes what is given of a host, and leaves the rest.
func (f *hostFlags) set(h *directory.Host, identities []directory.ObjectID) {
	for name, set := range map[string]func(){
		"listen":   func() { h.Listen = f.listen },
		"via":      func() { h.Platform = directory.Platform(f.via) },
		"identity": func() { h.Identities = identities },
		"name":     func() { h.Names = nonEmpty(f.names) },
		"from":     func() { h.From = nonEmpty(f.from) },
		"user":     func() { h.User = f.user },
		"node":     func() { h.Node = f.node },
		"rename":   func() { h.Name = f.rename },
	} {
		if f.cmd.Flags().Changed(name) {
			set()
		}
	}
}

func hostCreateCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a host",
		Long: `Creates a host: a place, such as a container, at which a running server answers programs
that ask for tokens of managed identities. "rolecall env --on NAME" prints what they need
to know.`,
		Example: `  rolecall host create worker --listen 127.0.0.1:8461 --identity orders-client-mi2`,
		Args:    command.Exactly(1, "one name"),
	}
	given := addHostFlags(cmd)
	return managingHere(c, cmd, true, func(ctx context.Context, m *local, args []string) error {
		if given.listen == "" {
			return command.UsageError(cmd, errors.New("--listen is missing: where the host's programs ask"))
		}
		_, tenant, err := m.whole(ctx)
		if err != nil {
			return err
		}
		identities, err := given.given(m.Data.Directory.View(ctx), tenant)
		if err != nil {
			return err
		}
		host := directory.Host{Tenant: tenant.ID, Name: args[0], Platform: directory.Platform(given.via)}
		given.set(&host, identities)
		made, err := m.Local.CreateHost(ctx, host)
		if err != nil {
			return err
		}
		return m.printHost(ctx, tenant, made)
	})
}

func hostUpdateCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "update HOST", Short: "Change a host",
		Long: `Changes what is given and leaves the rest. A list takes the place of the one there is, and an
empty value clears it. If programs with managed identities there would have to ask in another
way, or would have fewer identities, that is said, and --yes is needed.`,
		Example: `  rolecall host update agent --identity orders-client-mi --identity spare`,
		Args:    command.Exactly(1, whichHost),
	}
	given := addHostFlags(cmd)
	cmd.Flags().StringVar(&given.rename, "rename", "", "another name")
	command.YesFlag(cmd)
	return managingHere(c, cmd, true, func(ctx context.Context, m *local, args []string) error {
		if !given.some() {
			return command.UsageError(cmd, errors.New("say what to change"))
		}
		tenant, host, err := m.host(ctx, args[0])
		if err != nil {
			return err
		}
		identities, err := given.given(m.Data.Directory.View(ctx), tenant)
		if err != nil {
			return err
		}
		next := *host
		given.set(&next, identities)
		if err := m.Affects("changing the host "+host.Name, m.programs(ctx, tenant, losing(host, &next))); err != nil {
			return err
		}
		changed, err := m.Local.EditHost(ctx, tenant.ID, host.ID, func(next *directory.Host) error {
			given.set(next, identities)
			return nil
		})
		if err != nil {
			return err
		}
		return m.printHost(ctx, tenant, changed)
	})
}

// losing are the identities of a host that its programs, as they are, do not get from the next
// one: all of them if they have to ask elsewhere, in another way or as somebody else.
func losing(host, next *directory.Host) []directory.ObjectID {
	if host.Listen == "" { // they get none as it is
		return nil
	}
	if next.Listen != host.Listen || next.Platform != host.Platform || next.User != host.User || next.Node != host.Node || len(next.From) > 0 && !slices.Equal(next.From, host.From) {
		return host.Identities
	}
	return slices.DeleteFunc(slices.Clone(host.Identities), func(id directory.ObjectID) bool { return slices.Contains(next.Identities, id) })
}

// programs are those of a host that act as the identities.
func (m *local) programs(ctx context.Context, tenant *directory.Tenant, identities []directory.ObjectID) (who []string) {
	for _, id := range identities {
		if identity, err := m.Data.Directory.View(ctx).Identities().Get(tenant.ID, id); err == nil {
			rows, err := m.uses(ctx, directory.SignInFilter{Tenant: tenant.ID, AppID: identity.AppID})
			last := review.LastUse(rows, func(directory.SignIn) bool { return true })
			said := "its programs, which act as " + identity.Label()
			if err == nil {
				said += " (" + m.lastUsed(last) + ")"
			}
			who = append(who, said)
		}
	}
	return who
}
