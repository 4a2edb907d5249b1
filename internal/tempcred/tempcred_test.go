package tempcred_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/runas"
	"github.com/rolecall-auth/rolecall/internal/server"
	"github.com/rolecall-auth/rolecall/internal/tempcred"
)

const life = 10 * time.Minute

// newFolder returns a data folder with one application.
func newFolder(t *testing.T) (*server.Data, lookup.Actor) {
	t.Helper()
	data, err := server.OpenData(t.Context(), server.DataConfig{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := data.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err = data.Directory.Change(t.Context(), directory.Operator("test"), func(e *directory.Editor) error {
		tenant, err := e.Tenants().Create(directory.Tenant{Name: "contoso"})
		if err != nil {
			return err
		}
		app, err := e.Applications().Create(directory.Application{Tenant: tenant.ID, Name: "orders-client"})
		if err != nil {
			return err
		}
		_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{Tenant: tenant.ID, AppID: app.AppID, Name: app.Name})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	app, err := lookup.FindActor(t.Context(), data.Directory, "contoso", "orders-client")
	if err != nil {
		t.Fatal(err)
	}
	return data, app
}

// credentials counts those of the application now.
func credentials(t *testing.T, data *server.Data, app lookup.Actor) int {
	t.Helper()
	now, err := data.Directory.Instance(t.Context(), app.Tenant.ID, app.Application.AppID)
	if err != nil {
		t.Fatal(err)
	}
	return len(now.Application.Secrets) + len(now.Application.Certificates)
}

// A command that fails after it gave an application a credential leaves none behind.
func TestFailureLeavesNoCredential(t *testing.T) {
	t.Parallel()
	data, app := newFolder(t)
	answers := false // whether the server that checks credentials does
	issuer := tempcred.Issuer{Directory: data.Directory, Dir: data.Dir, Purpose: "test", Now: time.Now, Await: func(context.Context, int64) error {
		if !answers {
			return errors.New("nobody is there")
		}
		return nil
	}}
	if _, _, err := issuer.AddSecret(t.Context(), app.Application, life); err == nil {
		t.Error("the server that is gone has taken the secret in")
	}
	if n := credentials(t, data, app); n != 0 {
		t.Errorf("%d credentials are left after the server did not answer", n)
	}
	answers = true
	for _, via := range []string{runas.Secret, runas.Certificate} {
		lasting := runas.Lasting{
			Source: runas.Folder{Session: &server.Session{Data: data}}, App: app, Via: via, Life: life, Issuer: issuer,
			Gave: func(string, string, time.Time) {},
		}
		if _, err := lasting.Variables(t.Context()); err == nil {
			t.Errorf("%s: there is no CA bundle, and nobody minds", via)
		}
		if n := credentials(t, data, app); n != 0 {
			t.Errorf("%s: %d credentials are left", via, n)
		}
	}
	secret, _, err := issuer.AddSecret(t.Context(), app.Application, life)
	if err != nil {
		t.Fatal(err)
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 { // the second time it is gone
		if err := issuer.Remove(interrupted, app.Application, secret.ID); err != nil {
			t.Error(err)
		}
	}
	if n := credentials(t, data, app); n != 0 {
		t.Errorf("%d credentials are left after an interruption", n)
	}
}
