package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// An application is a registration, or managed identity, that a command acts as, in its tenant.
type application struct {
	tenant *directory.Tenant
	*directory.Instance
	user *directory.User // whom it acts for; nil: itself
}

// findActor finds an application or managed identity by name or id: in the given tenant, or
// in whichever has it.
func (c *cli) findActor(ctx context.Context, data *server.Data, tenant, ref string) (application, error) {
	found, tenants, err := findClients(ctx, data, tenant, ref)
	if err != nil {
		return application{}, err
	}
	return onlyOne(ctx, data, found, tenants, "application", ref)
}

// isIdentity reports whether it is a managed identity, which has no registration.
func (a application) isIdentity() bool { return a.Application == nil }

// findClients returns all that the reference may mean, and the tenants it looked in.
func findClients(ctx context.Context, data *server.Data, tenant, ref string) (found []application, tenants []*directory.Tenant, err error) {
	tenants, err = findTenants(ctx, data, tenant)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range tenants {
		client, err := data.Directory.Named(ctx, t.ID, ref)
		if errors.Is(err, directory.ErrNotFound) {
			client, err = data.Directory.Identity(ctx, t.ID, ref)
		}
		switch {
		case errors.Is(err, directory.ErrNotFound):
		case err != nil:
			return nil, nil, err
		case client.Principal == nil:
			return nil, nil, failed("`rolecall apply` with the application in its file makes one", "the application %q has no service principal in tenant %s, so it gets no tokens there", ref, t.Name)
		default:
			found = append(found, application{tenant: t, Instance: client})
		}
	}
	return found, tenants, nil
}

func onlyOne(ctx context.Context, data *server.Data, found []application, tenants []*directory.Tenant, what, ref string) (application, error) {
	switch len(found) {
	case 0:
		return application{}, notFound("`rolecall apply -f rolecall.yaml` registers applications", "no %s is named %q%s", what, ref, applicationsThere(ctx, data, tenants))
	case 1:
		return found[0], nil
	default:
		return application{}, &failure{exitUsage, fmt.Errorf("applications named %q are in %d tenants", ref, len(found)), "say which tenant with --tenant"}
	}
}

// applicationsThere says what there is instead, when that is little enough to read.
func applicationsThere(ctx context.Context, data *server.Data, tenants []*directory.Tenant) string {
	const readable = 10
	var names []string
	for _, t := range tenants {
		clients, err := data.Directory.Applications(ctx, t.ID)
		if err != nil || len(clients) > readable {
			return ""
		}
		for _, client := range clients {
			names = append(names, client.Application.Name)
		}
	}
	if len(names) == 0 {
		return "; there are none"
	}
	if len(names) > readable {
		return ""
	}
	return "; there are " + strings.Join(names, ", ")
}

// findTenants returns the tenant that ref names, or all when it is empty.
func findTenants(ctx context.Context, data *server.Data, ref string) ([]*directory.Tenant, error) {
	if ref == "" {
		return data.Directory.Tenants(ctx)
	}
	tenant, err := data.Directory.Tenant(ctx, ref)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, notFound("`rolecall keys list -o tsv` names the tenants there are", "no tenant is named %q", ref)
	}
	if err != nil {
		return nil, err
	}
	return []*directory.Tenant{tenant}, nil
}

// lentPrefix begins the names of the credentials that commands make for themselves. The
// ones that have expired are removed whenever another is made.
const lentPrefix = "rolecall "

// lend gives the application a secret for a while.
func (s *site) lend(ctx context.Context, app application, name string, life time.Duration, now time.Time) (directory.Secret, string, error) {
	var secret directory.Secret
	var value string
	err := s.change(ctx, "cli:"+name, func(e *directory.Editor) error {
		err := removeLent(e, app, expiredAt(now))
		if err != nil {
			return err
		}
		secret, value, err = e.AddSecret(app.tenant.ID, app.Application.ID, lentPrefix+name, now.Add(life))
		return err
	})
	if err != nil && secret.ID != "" { // it may be there, though nobody said so
		err = errors.Join(err, s.takeBack(ctx, app, name, secret.ID))
	}
	return secret, value, err
}

// takeBack removes a lent credential if it is still there. It does so even when the command
// was interrupted.
func (s *site) takeBack(ctx context.Context, app application, name, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := s.data.Directory.Change(ctx, "cli:"+name, func(e *directory.Editor) error {
		return e.RemoveCredential(app.tenant.ID, app.Application.ID, id)
	})
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return fmt.Errorf("remove the credential made for this command (it expires by itself): %w", err)
	}
	return nil
}

// A lent is a credential that a command has made.
type lent struct {
	name    string
	expires time.Time
}

// expiredAt keeps what is of no use any more, whichever command made it.
func expiredAt(now time.Time) func(lent) bool {
	return func(l lent) bool { return !l.expires.IsZero() && l.expires.Before(now) }
}

// removeLent removes those credentials that commands have made for the application and
// that which keeps. It looks at the application as it is in the transaction, for another
// command may be doing the same.
func removeLent(e *directory.Editor, app application, which func(lent) bool) error {
	now, err := e.Application(app.tenant.ID, string(app.Application.ID))
	if err != nil {
		return err
	}
	var ids []string
	note := func(id string, l lent) {
		if strings.HasPrefix(l.name, lentPrefix) && which(l) {
			ids = append(ids, id)
		}
	}
	for _, s := range now.Secrets {
		note(s.ID, lent{s.Name, s.Expires})
	}
	for _, c := range now.Certificates {
		note(c.ID, lent{c.Name, c.ValidUntil})
	}
	for _, id := range ids {
		if err := e.RemoveCredential(now.Tenant, now.ID, id); err != nil {
			return err
		}
	}
	return nil
}
