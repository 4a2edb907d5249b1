package manifest

import (
	"context"
	"errors"

	"github.com/rolecall-auth/rolecall/internal/directory"
)

// Prepare makes the slow hashes that Apply will need for the file's secrets and passwords.
// It is for before the transaction, in which others would wait for them; Apply makes those
// that are missing.
func (f *File) Prepare(ctx context.Context, dir *directory.Directory) error {
	view := dir.View(ctx)
	for _, t := range f.tenants {
		p := &preparation{ctx: ctx, dir: dir, view: view}
		for _, ref := range refs(t.id, t.name) {
			found, err := view.Tenants().Find(ref)
			if err == nil {
				p.tenant = found.ID
				break
			}
			if !errors.Is(err, directory.ErrNotFound) {
				return err
			}
		}
		if err := p.prepare(t); err != nil {
			return err
		}
	}
	return nil
}

// A preparation is that of one tenant, which may not be there yet.
type preparation struct {
	ctx    context.Context // of the one Prepare
	dir    *directory.Directory
	view   *directory.View
	tenant directory.TenantID
}

func (p *preparation) prepare(t *tenant) error {
	for _, a := range t.applications {
		if err := p.secrets(a); err != nil {
			return err
		}
		if err := p.principalSecrets(a); err != nil {
			return err
		}
	}
	for _, u := range t.users {
		if err := p.password(u); err != nil {
			return err
		}
	}
	return nil
}

func (p *preparation) secrets(a *application) error {
	if len(a.secrets) == 0 {
		return nil
	}
	app, err := first(refs(a.appID, a.id, a.name), func(ref string) (*directory.Application, error) {
		return p.view.Applications().Find(p.tenant, ref)
	})
	if err != nil {
		return err
	}
	var kept []directory.Secret
	if app != nil {
		kept = app.Secrets
	}
	return p.prepareAll(a.secrets, kept)
}

// principalSecrets are those that the service principal has of its own.
func (p *preparation) principalSecrets(a *application) error {
	if len(a.principal.secrets) == 0 {
		return nil
	}
	found, err := first(refs(a.principal.id, a.appID, a.name), func(ref string) (*directory.ServicePrincipal, error) {
		return p.view.ServicePrincipals().Find(p.tenant, ref)
	})
	if err != nil {
		return err
	}
	var kept []directory.Secret
	if found != nil {
		kept = found.Secrets
	}
	return p.prepareAll(a.principal.secrets, kept)
}

func (p *preparation) prepareAll(wanted []*secret, kept []directory.Secret) error {
	for _, s := range wanted {
		if s.generate {
			continue
		}
		var present []directory.Secret
		for _, one := range kept {
			if one.Name == s.name && one.Expires.Equal(s.expires) {
				present = append(present, one)
			}
		}
		if err := p.dir.Prepare(p.ctx, s.chosen(), present...); err != nil {
			return err
		}
	}
	return nil
}

func (p *preparation) password(u *user) error {
	if u.password == nil {
		return nil
	}
	found, err := first(refs(u.id, u.principalName), func(ref string) (*directory.User, error) {
		return p.view.Users().Find(p.tenant, ref)
	})
	if err != nil {
		return err
	}
	var present []directory.Secret
	if found != nil && found.Password != nil {
		present = append(present, *found.Password)
	}
	return p.dir.Prepare(p.ctx, u.password.chosen(), present...)
}

// first is match without a condition.
func first[T any](refs []string, find func(ref string) (*T, error)) (*T, error) {
	return match(refs, find, nil)
}
