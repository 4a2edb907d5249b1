package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/rolecall-auth/rolecall/internal/guid"
)

// ErrWrongPassword is what CheckPassword answers besides success.
var ErrWrongPassword = errors.New("the password is not the user's")

const (
	minPassword = 8
	maxPassword = 256
)

// CheckPassword is CheckPasswordFor the operator, who waits in no queue of strangers.
func (d *Directory) CheckPassword(ctx context.Context, user *User, presented string) error {
	return d.CheckPasswordFor(ctx, operator(), user, presented)
}

// CheckPasswordFor reports whether the presented text is the user's password; if not, the
// error is ErrWrongPassword, or ErrBusy when there is no room to wait for a slow hash. It works as hard for a user without a password, and for nil,
// so that the time it takes does not tell who exists: ask it also about users who do not.
// Whether the user may sign in at all is for the caller to see (User.Enabled), afterwards.
func (d *Directory) CheckPasswordFor(ctx context.Context, asker Asker, user *User, presented string) error {
	if presented == "" || len(presented) > maxPassword {
		return ErrWrongPassword
	}
	password := d.secrets.nobodys
	if user != nil && user.Password != nil {
		password = user.Password
	}
	switch matches, err := d.secrets.is(ctx, asker, password, presented); {
	case err != nil:
		return fmt.Errorf("check a password: %w", err)
	case !matches:
		return ErrWrongPassword
	}
	return nil
}

// noPassword is one that no text matches: its digest is that of nothing.
func (s *secrets) noPassword() *Secret {
	secret := &Secret{Digest: make([]byte, digestSize)}
	s.prepare(secret)
	rand.Read(secret.Digest) // never fails
	return secret
}

// SetPassword replaces a user's password and ends the sessions that began with another.
// Setting the one there is changes nothing.
func (e UserEditor) SetPassword(tenant TenantID, id ObjectID, password *Chosen) error {
	return e.act(Update, Passwords, func() error {
		old, err := e.get(tenant, id)
		if err != nil {
			return err
		}
		next := *old.value
		if next.Password != nil && len(password.text) <= maxPassword {
			same, err := e.d.secrets.same(e.ctx, next.Password, password)
			if err != nil {
				return err
			}
			if same {
				e.note("none", next.target(), "")
				return nil
			}
		}
		if next.Password, err = e.newPassword(password); err != nil {
			return err
		}
		if err := e.endSessions(&next); err != nil {
			return err
		}
		return update(e.editor, old, &next, "password set")
	})
}

func (e UserEditor) newPassword(password *Chosen) (*Secret, error) {
	if len(password.text) < minPassword || len(password.text) > maxPassword {
		return nil, &RuleError{Field: "password", What: "The password is too short or too long.", Advice: fmt.Sprintf("Give it %d to %d bytes.", minPassword, maxPassword)}
	}
	secret := &Secret{ID: guid.New(), Name: "password", Created: e.now}
	if err := e.d.secrets.keep(e.ctx, secret, password); err != nil {
		return nil, err
	}
	return secret, nil
}
