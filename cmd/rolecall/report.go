package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/keyring"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/manage"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/review"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

func reportCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "report",
		Short:   "Report who can call what, what is unused, and what is open",
		Example: `  rolecall report open`,
		Args:    command.UnknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return command.UsageError(cmd, errors.New("say what to report: access, unused or open"))
		},
	}
	cmd.AddCommand(reportAccessCommand(c), reportUnusedCommand(c), reportOpenCommand(c))
	return cmd
}

// reporting completes a command that reports about one tenant or all.
func (c *cli) reporting(cmd *cobra.Command, report func(context.Context, *review.Reviewer) (output.Listing, error)) *cobra.Command {
	var tenant string
	cmd.Args = command.Exactly(0, "")
	cmd.Flags().StringVar(&tenant, "tenant", "", "only this tenant: its name, id or domain")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx := cmd.Context()
		data, err := c.OpenExisting(ctx)
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, data) }()
		r, err := c.reviewer(ctx, data, tenant)
		if err != nil {
			return err
		}
		l, err := report(ctx, r)
		if err != nil {
			return err
		}
		return c.Print(format, l)
	}
	return cmd
}

// reviewer looks over one tenant or all, with the sign-ins that a running server has not
// written yet.
func (c *cli) reviewer(ctx context.Context, data *server.Data, tenant string) (*review.Reviewer, error) {
	tenants, err := lookup.FindTenants(data.Directory.View(ctx), tenant)
	if err != nil {
		return nil, err
	}
	if _, err := c.NewestSignIns(ctx, data, directory.SignInFilter{Limit: 1}); err != nil {
		return nil, err
	}
	return &review.Reviewer{Directory: data.Directory, Tenants: tenants, Now: c.Now(), Passing: tempcred.IsTemporary}, nil
}

func reportAccessCommand(c *cli) *cobra.Command {
	return c.reporting(&cobra.Command{
		Use:   "access",
		Short: "Report who can call what",
		Long: `Reports every app role and scope that somebody has, API by API, and a row for each API
that any application of its tenant may call. What stands in no token for now is listed
with the reason.`,
		Example: `  rolecall report access -o tsv`,
	}, func(ctx context.Context, r *review.Reviewer) (output.Listing, error) {
		found := []review.Access{}
		err := r.Access(ctx, review.AccessFilter{Open: true}, func(a review.Access) error {
			found = append(found, a)
			return nil
		})
		l := accessListing(found)
		l.Empty = "nobody may call anything"
		return l, err
	})
}

func reportUnusedCommand(c *cli) *cobra.Command {
	var span string
	cmd := &cobra.Command{
		Use:   "unused",
		Short: "Report grants, credentials and identities that nothing used",
		Long: `Reports assignments, delegated grants, secrets, certificates, federated credentials and
managed identities that are older than --for and were not used since, by the sign-ins that
are kept. Where those do not reach back that far, a message says so: what was used before
them is in the report too.`,
		Example: `  rolecall report unused --for 90d`,
	}
	cmd.Flags().StringVar(&span, "for", "90d", "not used for so long: 36h or 90d")
	return c.reporting(cmd, func(ctx context.Context, r *review.Reviewer) (output.Listing, error) {
		long, err := command.ParseSpan(span)
		if err != nil {
			return output.Listing{}, command.UsageError(cmd, fmt.Errorf("--for: %w", err))
		}
		since := c.Now().Add(-long)
		report, err := r.Unused(ctx, since)
		if err != nil {
			return output.Listing{}, err
		}
		switch {
		case report.Known.IsZero():
			c.Say("warning: there are no sign-ins yet, so nothing counts as used")
		case report.Known.After(since):
			c.Say("warning: sign-ins are kept since %s only; what was last used before that counts as unused", command.ShortTime(report.Known))
		}
		return unusedListing(report), nil
	})
}

func unusedListing(report *review.UnusedReport) output.Listing {
	l := output.Listing{
		Columns: []string{"kind", "of", "name", "last used", "created", "tenant", "id"},
		Name:    2, Value: report, Spare: []int{6, 5, 4}, Cut: []int{2, 1}, Empty: "everything was used",
	}
	for _, u := range report.Unused {
		last := "never"
		if !u.LastUsed.IsZero() {
			last = command.ShortTime(u.LastUsed)
		}
		l.Rows = append(l.Rows, []string{u.Kind, u.Of, u.Name, last, command.ShortTime(u.Created), u.Tenant, u.ID})
	}
	return l
}

func reportOpenCommand(c *cli) *cobra.Command {
	return c.reporting(&cobra.Command{
		Use:   "open",
		Short: "Report APIs that any application may call",
		Long: `Reports the APIs for which any application of the tenant gets a token, because they demand
no assignment, and whose callers cannot be told apart, because nobody holds a role of
them. Only the API's own code can refuse anybody then.`,
		Example: `  rolecall report open`,
	}, func(ctx context.Context, r *review.Reviewer) (output.Listing, error) {
		open, err := r.Open(ctx)
		return openListing(open), err
	})
}

func openListing(open []review.Open) output.Listing {
	l := output.Listing{
		Columns: []string{"api", "app id", "roles", "tenant", "fix"}, Value: open, Spare: []int{3}, Cut: []int{4, 0}, Empty: "no API is open to every application",
	}
	for _, o := range open {
		l.Rows = append(l.Rows, []string{o.API, string(o.AppID), fmt.Sprint(o.Roles), o.Tenant, o.Fix})
	}
	return l
}

func expiringCommand(c *cli) *cobra.Command {
	var tenant, within string
	var exit bool
	cmd := &cobra.Command{
		Use:   "expiring",
		Short: "List secrets, certificates and keys that end soon",
		Long: `Lists what ends within a time, soonest first: secrets and certificates of applications, the
folder's certificate authority, certificates of hosts, and signing keys that are due to be
replaced. What has ended already is listed too, and when each was last used, as far as
sign-ins tell.`,
		Example: `  rolecall expiring --within 30d
  rolecall expiring --within 7d --exit-code -o json`,
		Args: command.Exactly(0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&within, "within", "30d", "how soon: 36h or 30d")
	flags.StringVar(&tenant, "tenant", "", "only this tenant: its name, id or domain")
	flags.BoolVar(&exit, "exit-code", false, "exit with 4 if something is listed that nothing renews by itself")
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		ctx := cmd.Context()
		span, err := command.ParseSpan(within)
		if err != nil {
			return command.UsageError(cmd, fmt.Errorf("--within: %w", err))
		}
		place, err := manage.Open(ctx, c.Line, "expiring", tenant)
		if err != nil {
			return err
		}
		defer func() { err = command.CloseAfter(err, place) }()
		found, err := c.ending(ctx, place, c.Now().Add(span))
		if err != nil {
			return err
		}
		if err := c.Print(format, endingListing(found, c.Now())); err != nil {
			return err
		}
		for _, e := range found {
			if exit && e.Renewed == "" {
				return command.Silently(command.ExitRefused)
			}
		}
		return nil
	}
	c.ServerFlag(cmd)
	return cmd
}

// ending finds what ends by a time: in the directory and, in a folder, also among the signing keys
// and on disk.
func (c *cli) ending(ctx context.Context, place manage.Place, by time.Time) ([]review.Ending, error) {
	found, err := place.Ending(ctx, by)
	folder, here := place.(*manage.Folder)
	if err != nil || !here {
		return found, err
	}
	tenants, err := folder.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := keysOf(ctx, folder.Management, tenants...)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if e, ends := keyEnding(key.KeyInfo); ends && !e.Ends.After(by) {
			e.Tenant, e.Of = key.Tenant, key.Cloud
			e.Ended = !c.Now().Before(e.Ends)
			found = append(found, e)
		}
	}
	onDisk, err := certificatesOnDisk(c.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range onDisk {
		if !e.Ends.After(by) {
			e.Ended = !c.Now().Before(e.Ends)
			found = append(found, e)
		}
	}
	review.SortEnding(found)
	return found, nil
}

// keyEnding is when a key signs no longer, or is published no longer.
func keyEnding(key keyring.KeyInfo) (e review.Ending, ends bool) {
	e = review.Ending{Kind: "signingKey", Name: string(key.State), ID: key.ID, Renewed: "a running server rotates it"}
	switch key.State {
	case keyring.Current:
		e.Ends = key.Activated.Add(keyring.DefaultRotateEvery)
	case keyring.Retired:
		e.Ends = key.RetainUntil
	default:
		return e, false
	}
	return e, true
}

// certificatesOnDisk are those that the folder's own authority is made of, and those of hosts.
func certificatesOnDisk(dir string) (all []review.Ending, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it went meanwhile
			return nil
		case err != nil:
			return err
		case entry.IsDir() || entry.Name() != "ca.pem":
			return nil
		}
		content, err := os.ReadFile(path) //nolint:gosec // a folder of ours alone, mode 0700
		if err != nil {
			return err
		}
		block, _ := pem.Decode(content)
		if block == nil {
			return nil
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		e := review.Ending{Kind: "certificateAuthority", Name: certificate.Subject.CommonName, ID: certificate.SerialNumber.Text(16), Ends: certificate.NotAfter}
		if folder := filepath.Dir(path); folder != filepath.Clean(dir) {
			e.Kind, e.Of, e.Renewed = "hostCertificate", filepath.Base(folder), "the server makes another when it starts"
		}
		all = append(all, e)
		return nil
	})
	return all, err
}

func endingListing(all []review.Ending, now time.Time) output.Listing {
	l := output.Listing{
		Columns: []string{"ends", "kind", "of", "name", "left", "last used", "renewed", "tenant", "id"},
		Name:    3, Value: all, Spare: []int{8, 7, 6, 5}, Cut: []int{3, 2}, Empty: "nothing ends that soon",
	}
	for _, e := range all {
		left := "ended"
		if !e.Ended {
			left = fmt.Sprintf("%dd", int(e.Ends.Sub(now).Hours()/24))
		}
		l.Rows = append(l.Rows, []string{command.ShortTime(e.Ends), e.Kind, cmp.Or(e.Of, "-"), e.Name, left, command.ShortTime(e.LastUsed), e.Renewed, e.Tenant, e.ID})
	}
	return l
}
