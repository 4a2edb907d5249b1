package noun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/review"
)

// User is `rolecall user`.
func User(c *command.Line) *cobra.Command {
	return nounCommand("user", "Manage users, who sign in during development", "rolecall user list",
		userListCommand(c), userShowCommand(c), userCreateCommand(c), userUpdateCommand(c), userDeleteCommand(c),
	)
}

// userRow is what people see of a user.
func userRow(found json.RawMessage) ([]string, error) {
	var u struct {
		ID            string `json:"id"`
		PrincipalName string `json:"userPrincipalName"`
		DisplayName   string `json:"displayName"`
		Enabled       bool   `json:"accountEnabled"`
	}
	err := json.Unmarshal(found, &u)
	return []string{u.PrincipalName, u.DisplayName, fmt.Sprint(u.Enabled), u.ID}, err
}

// userColumns are those of a list of users. Graph shows whether one is enabled only where asked.
func userColumns() output.Listing {
	return output.Listing{Columns: []string{"user principal name", "display name", "enabled", "object id"}, Spare: []int{3, 1}, Cut: []int{0}, Empty: "there are no users, or none match"}
}

const userMembers = "id,userPrincipalName,displayName,accountEnabled"

func userListCommand(c *command.Line) *cobra.Command {
	return listing(c, &cobra.Command{
		Use: "list", Short: "List users",
		Example: `  rolecall user list -o tsv`,
	}, "users", userColumns(), userRow, userMembers, "")
}

const whichUser = "one user, by the user principal name or object id"

// user finds a user, and calls Graph in the tenant.
func (m *manager) user(ctx context.Context, ref string) (*graphclient.Client, lookup.Principal, error) {
	found, err := m.place.FindPrincipal(ctx, ref)
	if err != nil {
		return nil, found, notThere(err, "user", ref)
	}
	if found.User == nil {
		return nil, found, command.NotFound("`rolecall sp` manages service principals", "%s is a service principal, and no user", found.Name())
	}
	return m.Graph(found.Tenant), found, nil
}

func userShowCommand(c *command.Line) *cobra.Command {
	return managing(c, &cobra.Command{
		Use: "show USER", Short: "Show a user",
		Example: `  rolecall user show dev@contoso.test`,
		Args:    command.Exactly(1, whichUser),
	}, false, func(ctx context.Context, m *manager, args []string) error {
		client, found, err := m.user(ctx, args[0])
		if err != nil {
			return err
		}
		return m.showUser(ctx, client, string(found.ID()))
	})
}

func (m *manager) showUser(ctx context.Context, client *graphclient.Client, id string) error {
	return m.show(ctx, client, "users/"+id+"?$select="+userMembers, userColumns(), userRow)
}

// A passwordFlag says where a password comes from: standard input, so that it stands in no
// list of processes.
func passwordFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("password-stdin", false, "read the password from standard input")
}

// password reads one from standard input.
func (m *manager) password() (string, error) {
	const most = 4096
	b, err := io.ReadAll(io.LimitReader(m.In, most))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	password := strings.TrimRight(string(b), "\r\n")
	if password == "" {
		return "", command.Failed("pipe it in: printf %s PASSWORD | rolecall user …", "there is no password on standard input")
	}
	return password, nil
}

func userCreateCommand(c *command.Line) *cobra.Command {
	var display string
	cmd := &cobra.Command{
		Use: "create USER", Short: "Create a user",
		Long: `Creates a user under a user principal name in one of the tenant's domains. The password comes
from standard input, so that it stands in no list of processes.`,
		Example: `  printf %s "correct horse battery" | rolecall user create ann@contoso.test --password-stdin`,
		Args:    command.Exactly(1, "one user principal name, such as ann@contoso.test"),
	}
	cmd.Flags().StringVar(&display, "display-name", "", "what people call the user")
	stdin := passwordFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, _, err := m.whole(ctx)
		if err != nil {
			return err
		}
		name, _, _ := strings.Cut(args[0], "@")
		if display == "" {
			display = name
		}
		if !*stdin {
			return command.UsageError(cmd, errors.New("--password-stdin is missing: a user signs in with a password"))
		}
		password, err := m.password()
		if err != nil {
			return err
		}
		made := member{}
		if err := client.Do(ctx, http.MethodPost, "users", member{
			"userPrincipalName": args[0], "displayName": display, "mailNickname": name, "accountEnabled": true,
			"passwordProfile": member{"password": password, "forceChangePasswordNextSignIn": false},
		}, &made); err != nil {
			return err
		}
		return m.showUser(ctx, client, memberText(made, "id"))
	})
}

func userUpdateCommand(c *command.Line) *cobra.Command {
	var display string
	var enabled bool
	cmd := &cobra.Command{
		Use: "update USER", Short: "Change a user",
		Long: `Changes what is given and leaves the rest. A new password, and disabling the user, end the
user's sessions. If a user who is to be disabled signed in within the last week or has a role
in the directory, that is said, and --yes is needed.`,
		Example: `  rolecall user update dev@contoso.test --account-enabled=false --yes`,
		Args:    command.Exactly(1, whichUser),
	}
	cmd.Flags().StringVar(&display, "display-name", "", "what people call the user")
	cmd.Flags().BoolVar(&enabled, "account-enabled", true, "whether the user can sign in")
	stdin := passwordFlag(cmd)
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, found, err := m.user(ctx, args[0])
		if err != nil {
			return err
		}
		members := member{}
		if cmd.Flags().Changed("display-name") {
			members["displayName"] = display
		}
		if cmd.Flags().Changed("account-enabled") {
			members["accountEnabled"] = enabled
		}
		if *stdin {
			password, err := m.password()
			if err != nil {
				return err
			}
			members["passwordProfile"] = member{"password": password, "forceChangePasswordNextSignIn": false}
		}
		if len(members) == 0 {
			return command.UsageError(cmd, errors.New("say what to change"))
		}
		if !enabled && found.User.Enabled {
			if err := m.userInUse(ctx, "disabling", found); err != nil {
				return err
			}
		}
		if err := client.Do(ctx, http.MethodPatch, "users/"+string(found.ID()), members, nil); err != nil {
			return err
		}
		return m.showUser(ctx, client, string(found.ID()))
	})
}

func userDeleteCommand(c *command.Line) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete USER", Short: "Delete a user",
		Long: `Deletes a user, with the sessions, assignments and grants. If the user signed in within the
last week or has a role in the directory, that is said, and --yes is needed.`,
		Example: `  rolecall user delete eve@contoso.test`,
		Args:    command.Exactly(1, whichUser),
	}
	command.YesFlag(cmd)
	return managing(c, cmd, true, func(ctx context.Context, m *manager, args []string) error {
		client, found, err := m.user(ctx, args[0])
		if err != nil {
			return err
		}
		if err := m.userInUse(ctx, "deleting", found); err != nil {
			return err
		}
		if err := client.Do(ctx, http.MethodDelete, "users/"+string(found.ID()), nil, nil); err != nil {
			return err
		}
		m.done("deleted %s, object id %s", found.Name(), found.ID())
		return nil
	})
}

// userInUse refuses to take away a user who would be missed, unless that is confirmed.
func (m *manager) userInUse(ctx context.Context, doing string, found lookup.Principal) error {
	rows, err := m.uses(ctx, directory.SignInFilter{Tenant: found.Tenant.ID, User: found.User.PrincipalName})
	if err != nil {
		return err
	}
	var who []string
	if last := review.LastUse(rows, func(directory.SignIn) bool { return true }); !last.IsZero() {
		who = append(who, fmt.Sprintf("%s, who signed in at %s", found.Name(), command.ShortTime(last)))
	}
	for _, role := range found.User.DirectoryRoles {
		who = append(who, "what the user does as "+role)
	}
	last, err := m.lastAdministrator(ctx, found)
	if err != nil {
		return err
	}
	who = append(who, last...)
	return m.Affects(doing+" "+found.Name(), who)
}
