package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/remote"
)

func loginCommand(c *cli) *cobra.Command {
	var l remote.Login
	var secretFile string
	cmd := &cobra.Command{
		Use:   "login URL",
		Short: "Sign in to a server on another machine",
		Long: `Signs in to a server and remembers it under a name. URL is that of its authority; a
tenant may follow. A user signs in with a device code, on a page of the server. An application
signs in with a secret, a certificate or a federated token. Commands with --server then work
there with the rights of whoever signed in; tokens are renewed until ` + "`rolecall logout`" + `.`,
		Example: `  rolecall login https://auth.corp.test --name team --ca-bundle ca-bundle.pem
  rolecall login https://auth.corp.test/contoso --name ci --client-id $ID --secret-file secret
  rolecall login https://auth.corp.test/contoso --name ops --client-id $ID --certificate ops.pem
  rolecall login https://auth.corp.test/contoso --name job --client-id $ID --federated-token-file token`,
		Args: command.Exactly(1, "the URL of a server, which `rolecall serve` prints there"),
	}
	flags := cmd.Flags()
	flags.StringVar(&l.Name, "name", "", "name to remember the server by (default: its host)")
	flags.StringVar(&l.Tenant, "tenant", "", "tenant by id, domain or name (default: the user's)")
	flags.StringVar(&l.CABundle, "ca-bundle", "", "PEM file of certificates to trust, which is copied: the server's ca-bundle.pem")
	flags.StringVar(&l.ClientID, "client-id", "", "sign in as the application with this app id")
	fromStdin := flags.Bool("secret-stdin", false, "read the application's secret from standard input")
	flags.StringVar(&secretFile, "secret-file", "", "read the application's secret from this file")
	flags.StringVar(&l.CertificateFile, "certificate", "", "PEM file of the application's certificate and its private key")
	flags.StringVar(&l.FederatedTokenFile, "federated-token-file", "", "file of a token that the application trusts, read for each sign-in")
	cmd.MarkFlagsMutuallyExclusive("secret-stdin", "secret-file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *fromStdin {
			secretFile = standardStream
		}
		if secretFile != "" {
			secret, err := c.ReadFile(secretFile)
			if err != nil {
				return fmt.Errorf("read the secret: %w", err)
			}
			if l.Secret = string(bytes.TrimRight(secret, "\r\n")); l.Secret == "" {
				return command.UsageError(cmd, errors.New("the secret is empty"))
			}
		}
		servers, err := c.Servers()
		if err != nil {
			return err
		}
		l.URL = args[0]
		l.Show = func(code remote.DeviceCode) {
			c.Say("To sign in, open %s in a browser and enter the code %s. Press Ctrl-C to give up.", code.Page, code.Code)
		}
		server, err := servers.Login(cmd.Context(), l)
		if err != nil {
			return err
		}
		defer server.Close()
		c.Say("%s is signed in at %s, tenant %s. Use it with `--server %s` or ROLECALL_SERVER=%s", server.Who, server.URL, server.Tenant, server.Name, server.Name)
		return nil
	}
	return cmd
}

// A serverEntry is what people see of a server.
type serverEntry struct {
	Name            string     `json:"name"`
	URL             string     `json:"url"`
	Graph           string     `json:"graph"`
	ResourceManager string     `json:"resourceManager,omitempty"`
	Tenant          string     `json:"tenant"`
	Who             string     `json:"who"`
	Kind            string     `json:"kind"` // user or application
	By              string     `json:"by"`
	SignedIn        time.Time  `json:"signedIn"`
	Renewed         time.Time  `json:"renewed"`
	Until           *time.Time `json:"until,omitempty"` // unless it is used before
	Ended           string     `json:"ended,omitempty"`
}

func newServerEntry(r remote.Record, now time.Time) serverEntry {
	e := serverEntry{
		Name: r.Name, URL: r.URL, Graph: r.Graph, ResourceManager: r.ResourceManager, Tenant: r.Tenant, Who: r.Who,
		Kind: "application", By: r.By, SignedIn: r.SignedIn, Renewed: r.Renewed, Ended: r.Ended,
	}
	if r.By == remote.ByDeviceCode {
		e.Kind = "user"
	}
	if until := r.Until(); !until.IsZero() {
		e.Until = &until
		if e.Ended == "" && now.After(until) {
			e.Ended = "nobody used it for too long"
		}
	}
	return e
}

// state says in a word or two whether the sign-in counts.
func (e *serverEntry) state() string {
	switch {
	case e.Ended != "":
		return "ended"
	case e.Until != nil:
		return "until " + e.Until.UTC().Format(time.DateOnly)
	}
	return "while its " + e.By + " counts"
}

func serversCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "servers",
		Short: "List the servers that you are signed in to",
		Long: `Lists the servers on other machines that ` + "`rolecall login`" + ` signed in to, who is signed in
there, and whether the sign-in still counts. No server is asked: a sign-in that ended on the
server is known here after the next command that uses it.`,
		Example: `  rolecall servers
  rolecall servers -o json --query '[?ended].name'`,
		Args: command.Exactly(0, "nothing"),
	}
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(*cobra.Command, []string) error {
		servers, err := c.Servers()
		if err != nil {
			return err
		}
		all, err := servers.List()
		if err != nil {
			return err
		}
		entries := make([]serverEntry, len(all))
		listing := output.Listing{
			Columns: []string{"name", "url", "tenant", "who", "kind", "sign-in"}, Spare: []int{2, 4}, Cut: []int{1, 3},
			Empty: "no servers yet: `rolecall login URL` signs in to one",
		}
		for i := range all {
			entries[i] = newServerEntry(all[i], c.Now())
			e := &entries[i]
			listing.Rows = append(listing.Rows, []string{e.Name, e.URL, e.Tenant, e.Who, e.Kind, e.state()})
		}
		listing.Value = entries
		return c.Print(format, listing)
	}
	return cmd
}

func logoutCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logout NAME",
		Short: "Sign out of a server and forget it",
		Long: `Removes everything that this machine keeps of a server: its address, the certificates to
trust, secrets and tokens, also in the system's keyring. The server is not told. To end all
sessions of a user there, an administrator sets a new password or disables the user.`,
		Example: `  rolecall logout team
  rolecall logout --all`,
		Args: command.AtMost(1, "the name of a server"),
	}
	all := cmd.Flags().Bool("all", false, "sign out of all servers")
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		servers, err := c.Servers()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names, _ := servers.Names() // none, if they cannot be read
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		servers, err := c.Servers()
		if err != nil {
			return err
		}
		if *all == (len(args) > 0) {
			return command.UsageError(cmd, errors.New("name a server, or all of them by --all"))
		}
		names := slices.Clone(args)
		if *all {
			if names, err = servers.Names(); err != nil {
				return err
			}
		}
		for _, name := range names {
			if err := servers.Remove(cmd.Context(), name); err != nil {
				return err
			}
			c.Say("signed out of %s: nothing of it is kept on this machine", name)
		}
		return nil
	}
	return cmd
}
