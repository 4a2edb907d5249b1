// Package tempcred gives applications credentials for a while: a secret for one token, a
// secret or certificate for as long as a program runs, or for a day.
//
// It owns what such credentials are called in the directory, which of them are removed and
// when, and the files in the data folder with their private keys. It refuses to own the
// rules on credentials, which are those of package directory, and who gets to use them.
//
// Start at [Issuer].
package tempcred

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/credential"
	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/library"
)

// prefix begins the names of temporary credentials. The ones that have expired are removed
// whenever another is made.
const prefix = "rolecall "

// removeLimit is how long removing a credential may take, even for an interrupted command.
const removeLimit = 10 * time.Second

// An Issuer gives credentials to applications. All of its fields but Holder are required.
type Issuer struct {
	Directory *directory.Directory
	// Await returns once whoever checks credentials acts on a change of the directory.
	Await func(ctx context.Context, sequence int64) error
	Dir   string // data folder, for private keys
	// Purpose stands in the credentials' names and in the audit trail: the command that they
	// are for, such as "env".
	Purpose string
	Now     func() time.Time
	// Holder is the process with which the credentials end. Nil means that they do not end
	// with one.
	Holder *Holder
}

func (i Issuer) actor() string { return "cli:" + i.Purpose }

// AddSecret gives an application a secret.
func (i Issuer) AddSecret(ctx context.Context, app *directory.Application, life time.Duration) (directory.Secret, string, error) {
	var secret directory.Secret
	var value string
	left, err := i.abandoned()
	if err != nil {
		return secret, "", err
	}
	err = i.change(ctx, func(e *directory.Editor) error {
		err := remove(e, app, i.useless(left))
		if err != nil {
			return err
		}
		secret, value, err = e.Credentials().AddSecret(app.Tenant, app.ID, i.credentialName(), i.Now().Add(life))
		return err
	})
	if rule, ok := errors.AsType[*directory.RuleError](err); ok && rule.Field == "secrets" {
		full := *rule
		full.Advice = fmt.Sprintf("Remove one first: `rolecall env --as %s --remove` removes those of `rolecall env`, and of programs that were killed.", app.Called())
		return directory.Secret{}, "", &full
	}
	if err != nil && secret.ID != "" { // it may be there, though nobody said so
		err = errors.Join(err, i.Remove(ctx, app, secret.ID))
	}
	if err == nil {
		err = i.forget(left)
	}
	return secret, value, err
}

// ExtendSecret lets a secret live on.
func (i Issuer) ExtendSecret(ctx context.Context, app *directory.Application, id string, life time.Duration) error {
	return i.change(ctx, func(e *directory.Editor) error {
		return e.Credentials().ExtendSecret(app.Tenant, app.ID, id, i.Now().Add(life))
	})
}

// AddCertificate gives an application a certificate, and returns the file with it and its
// private key.
func (i Issuer) AddCertificate(ctx context.Context, app *directory.Application, life time.Duration) (file string, kept directory.Certificate, err error) {
	certificate, err := library.NewCertificate(app.Called(), i.Now(), life)
	if err != nil {
		return "", kept, err
	}
	content, err := encode(certificate)
	if err != nil {
		return "", kept, err
	}
	left, err := i.abandoned()
	if err != nil {
		return "", kept, err
	}
	file, err = writeKey(i.Dir, i.stem(app), content, i.Now())
	if err != nil {
		return "", kept, err
	}
	err = i.change(ctx, func(e *directory.Editor) error {
		err := remove(e, app, i.useless(left))
		if err != nil {
			return err
		}
		kept, err = e.Credentials().AddCertificate(app.Tenant, app.ID, i.credentialName(), certificate.Chain[0].Raw)
		return err
	})
	if err != nil {
		return "", kept, errors.Join(err, os.Remove(file))
	}
	return file, kept, i.forget(left)
}

func (i Issuer) change(ctx context.Context, f func(*directory.Editor) error) error {
	sequence, err := i.Directory.Change(ctx, directory.Operator(i.actor()), f)
	if err != nil {
		return err
	}
	return i.Await(ctx, sequence)
}

// Remove removes a credential if it is still there. It does so even when the command was
// interrupted.
func (i Issuer) Remove(ctx context.Context, app *directory.Application, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeLimit)
	defer cancel()
	_, err := i.Directory.Change(ctx, directory.Operator(i.actor()), func(e *directory.Editor) error {
		return e.Credentials().Remove(app.Tenant, app.ID, id)
	})
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return fmt.Errorf("remove the credential made for this command (it expires by itself): %w", err)
	}
	return nil
}

// RemoveAll removes every credential that was made for the application with this purpose,
// its files included, and those of processes that were killed. It returns how many there were.
func (i Issuer) RemoveAll(ctx context.Context, app *directory.Application) (removed int, err error) {
	left, err := i.abandoned()
	if err != nil {
		return 0, err
	}
	err = i.change(ctx, func(e *directory.Editor) error {
		removed = 0
		return remove(e, app, func(c temporary) bool {
			if c.name != prefix+i.Purpose && !ofHolder(left)(c) {
				return false
			}
			removed++
			return true
		})
	})
	if err != nil {
		return 0, err
	}
	if err := i.forget(left); err != nil {
		return 0, err
	}
	return removed, removeFiles(i.Dir, i.stem(app))
}

// ToolsFolder makes the folder in which shims are kept that sign in with a credential of
// the application.
func (i Issuer) ToolsFolder(app *directory.Application) (string, error) {
	return makeFolder(i.Dir, i.stem(app)+toolsEnding)
}

// stem begins the names of files with an application's credentials.
func (i Issuer) stem(app *directory.Application) string {
	stem := string(app.AppID) + "-" + i.Purpose
	if i.Holder != nil {
		stem += "-" + i.Holder.name
	}
	return stem
}

// A temporary is a credential that a command has made.
type temporary struct {
	name    string
	expires time.Time
}

// useless selects what has expired or belongs to one of the holders, whichever command made it.
func (i Issuer) useless(holders []string) func(temporary) bool {
	now, theirs := i.Now(), ofHolder(holders)
	return func(c temporary) bool { return !c.expires.IsZero() && c.expires.Before(now) || theirs(c) }
}

// remove removes the temporary credentials of the application that which selects. It looks
// at the application as it is in the transaction, for another command may be doing the same.
func remove(e *directory.Editor, app *directory.Application, which func(temporary) bool) error {
	now, err := e.Applications().Find(app.Tenant, string(app.ID))
	if err != nil {
		return err
	}
	var ids []string
	note := func(id string, c temporary) {
		if strings.HasPrefix(c.name, prefix) && which(c) {
			ids = append(ids, id)
		}
	}
	for _, s := range now.Secrets {
		note(s.ID, temporary{s.Name, s.Expires})
	}
	for _, c := range now.Certificates {
		note(c.ID, temporary{c.Name, c.ValidUntil})
	}
	for _, id := range ids {
		if err := e.Credentials().Remove(now.Tenant, now.ID, id); err != nil {
			return err
		}
	}
	return nil
}

// encode returns a certificate and its key as one PEM file.
func encode(certificate credential.Certificate) ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(certificate.Key)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	both := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return append(both, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Chain[0].Raw})...), nil
}

// IsTemporary reports whether a credential of that name is one for a while.
func IsTemporary(name string) bool { return strings.HasPrefix(name, prefix) }
