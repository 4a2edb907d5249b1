package tempcred

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/graphclient"
	"github.com/rolecall-auth/rolecall/internal/library"
)

// A Remote issuer gives credentials to applications of a server elsewhere, through its Graph and
// with the rights of whoever is signed in there. All of its fields but Holder are required.
type Remote struct {
	Client *graphclient.Client
	Server string // as people name it
	// Machine tells the credentials that are made here from those that others make. It stands in
	// their names.
	Machine string
	Dir     string // of this machine, for private keys
	Purpose string // see Issuer
	Now     func() time.Time
	Holder  *Holder // see Issuer
}

// files is what an issuer keeps on this machine.
func (r Remote) files() Issuer {
	return Issuer{Dir: r.Dir, Purpose: r.Purpose, Now: r.Now, Holder: r.Holder}
}

// credentialName is what a credential is called in the directory.
func (r Remote) credentialName() string {
	if r.Holder == nil {
		return prefix + r.Purpose + " at " + r.Machine
	}
	return r.files().credentialName()
}

// A remoteCredential is a secret or a certificate as Graph has it.
type remoteCredential struct {
	ID    string    `json:"keyId"`
	Name  string    `json:"displayName"`
	From  time.Time `json:"startDateTime"`
	End   time.Time `json:"endDateTime"`
	Value string    `json:"secretText,omitempty"`
	Key   string    `json:"key,omitempty"`
	Type  string    `json:"type,omitempty"`
	Usage string    `json:"usage,omitempty"`
}

// A keychain is what an application has.
type keychain struct {
	Secrets      []remoteCredential `json:"passwordCredentials"`
	Certificates []remoteCredential `json:"keyCredentials"`
}

func path(app *directory.Application) string { return "applications/" + string(app.ID) }

func (r Remote) keychain(ctx context.Context, app *directory.Application) (k keychain, err error) {
	return k, r.Client.Get(ctx, path(app)+"?$select=passwordCredentials,keyCredentials", &k)
}

// AddSecret gives an application a secret.
func (r Remote) AddSecret(ctx context.Context, app *directory.Application, life time.Duration) (directory.Secret, string, error) {
	left, err := r.files().abandoned()
	if err != nil {
		return directory.Secret{}, "", err
	}
	if _, err := r.removeThose(ctx, app, r.files().useless(left)); err != nil {
		return directory.Secret{}, "", err
	}
	var made remoteCredential
	body := map[string]any{"passwordCredential": map[string]any{"displayName": r.credentialName(), "endDateTime": r.Now().Add(life).UTC()}}
	if err := r.Client.Do(ctx, http.MethodPost, path(app)+"/addPassword", body, &made); err != nil {
		return directory.Secret{}, "", fmt.Errorf("give %s a temporary secret: %w", app.Called(), err)
	}
	if made.ID == "" || made.Value == "" {
		return directory.Secret{}, "", fmt.Errorf("give %s a temporary secret: the server answered without one", app.Called())
	}
	return directory.Secret{ID: made.ID, Name: made.Name, Expires: made.End}, made.Value, r.files().forget(left)
}

// ExtendSecret lets a secret live on.
func (r Remote) ExtendSecret(ctx context.Context, app *directory.Application, id string, life time.Duration) error {
	return r.Client.ExtendPassword(ctx, string(app.ID), id, r.Now().Add(life))
}

// AddCertificate gives an application a certificate, and returns the file with it and its
// private key.
func (r Remote) AddCertificate(ctx context.Context, app *directory.Application, life time.Duration) (file string, kept directory.Certificate, err error) {
	certificate, err := library.NewCertificate(app.Called(), r.Now(), life)
	if err != nil {
		return "", kept, err
	}
	content, err := encode(certificate)
	if err != nil {
		return "", kept, err
	}
	left, err := r.files().abandoned()
	if err != nil {
		return "", kept, err
	}
	if _, err := r.removeThose(ctx, app, r.files().useless(left)); err != nil {
		return "", kept, err
	}
	file, err = writeKey(r.Dir, r.files().stem(app), content, r.Now())
	if err != nil {
		return "", kept, err
	}
	kept, err = r.keep(ctx, app, certificate.Chain[0].Raw)
	if err != nil {
		return "", directory.Certificate{}, errors.Join(fmt.Errorf("give %s a temporary certificate: %w", app.Called(), err), os.Remove(file))
	}
	return file, kept, r.files().forget(left)
}

// keep adds a certificate to those of an application. Graph takes all of them at once, and keeps
// those that come without their bytes.
func (r Remote) keep(ctx context.Context, app *directory.Application, der []byte) (directory.Certificate, error) {
	before, err := r.keychain(ctx, app)
	if err != nil {
		return directory.Certificate{}, err
	}
	name := r.credentialName()
	all := append(before.Certificates, remoteCredential{Name: name, Type: "AsymmetricX509Cert", Usage: string(directory.CertificateVerify), Key: base64.StdEncoding.EncodeToString(der)})
	if err := r.Client.Do(ctx, http.MethodPatch, path(app), map[string]any{"keyCredentials": keyBodies(all)}, nil); err != nil {
		return directory.Certificate{}, err
	}
	after, err := r.keychain(ctx, app)
	if err != nil {
		return directory.Certificate{}, err
	}
	for _, c := range after.Certificates {
		if c.Name == name && !slices.ContainsFunc(before.Certificates, func(old remoteCredential) bool { return old.ID == c.ID }) {
			return directory.Certificate{ID: c.ID, Name: c.Name, ValidUntil: c.End}, nil
		}
	}
	return directory.Certificate{}, errors.New("the server answered that it is added, and has none")
}

// keyBodies are certificates as Graph takes them: new ones with their bytes, others by their ids.
func keyBodies(all []remoteCredential) []map[string]any {
	bodies := []map[string]any{}
	for _, one := range all {
		body := map[string]any{"displayName": one.Name, "type": one.Type, "usage": one.Usage}
		if one.Key != "" {
			body["key"] = one.Key
		} else {
			body["keyId"] = one.ID
		}
		bodies = append(bodies, body)
	}
	return bodies
}

// Remove removes a credential if it is still there. It does so even when the command was
// interrupted.
func (r Remote) Remove(ctx context.Context, app *directory.Application, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeLimit)
	defer cancel()
	err := r.removeSecret(ctx, app, id)
	if graphclient.Invalid(err) { // there is no such secret: it is a certificate, or has gone
		_, err = r.removeCertificates(ctx, app, func(c remoteCredential) bool { return c.ID == id })
	}
	if err != nil && !graphclient.NotFound(err) {
		return fmt.Errorf("remove the credential %s, made for this command, from %s at %s (it expires by itself): %w", id, app.Called(), r.Server, err)
	}
	return nil
}

func (r Remote) removeSecret(ctx context.Context, app *directory.Application, id string) error {
	return r.Client.Do(ctx, http.MethodPost, path(app)+"/removePassword", map[string]any{"keyId": id}, nil)
}

// removeCertificates removes those of an application that which selects.
func (r Remote) removeCertificates(ctx context.Context, app *directory.Application, which func(remoteCredential) bool) (int, error) {
	all, err := r.keychain(ctx, app)
	if err != nil {
		return 0, err
	}
	rest := slices.DeleteFunc(slices.Clone(all.Certificates), which)
	removed := len(all.Certificates) - len(rest)
	if removed == 0 {
		return 0, nil
	}
	return removed, r.Client.Do(ctx, http.MethodPatch, path(app), map[string]any{"keyCredentials": keyBodies(rest)}, nil)
}

// RemoveAll removes every credential that was made on this machine for the application with this
// purpose, its files included, and those of processes that were killed.
func (r Remote) RemoveAll(ctx context.Context, app *directory.Application) (int, error) {
	left, err := r.files().abandoned()
	if err != nil {
		return 0, err
	}
	removed, err := r.removeThose(ctx, app, func(c temporary) bool { return c.name == r.credentialName() || ofHolder(left)(c) })
	if err != nil {
		return 0, err
	}
	if err := r.files().forget(left); err != nil {
		return 0, err
	}
	return removed, removeFiles(r.Dir, r.files().stem(app))
}

// removeThose removes the temporary credentials of the application that which selects.
func (r Remote) removeThose(ctx context.Context, app *directory.Application, which func(temporary) bool) (int, error) {
	selected := func(c remoteCredential) bool { return IsTemporary(c.Name) && which(temporary{c.Name, c.End}) }
	all, err := r.keychain(ctx, app)
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, secret := range all.Secrets {
		if !selected(secret) {
			continue
		}
		err := r.removeSecret(ctx, app, secret.ID)
		if err != nil && !graphclient.Invalid(err) && !graphclient.NotFound(err) { // another command may do the same
			return removed, fmt.Errorf("remove the temporary secret %s of %s: %w", secret.ID, app.Called(), err)
		}
		removed++
	}
	if !slices.ContainsFunc(all.Certificates, selected) {
		return removed, nil
	}
	certificates, err := r.removeCertificates(ctx, app, selected)
	return removed + certificates, err
}

// ToolsFolder makes the folder of this machine in which shims are kept that sign in with a
// credential of the application.
func (r Remote) ToolsFolder(app *directory.Application) (string, error) {
	return r.files().ToolsFolder(app)
}
