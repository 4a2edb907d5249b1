package main

import (
	"context"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// newSite returns a folder with one application, and a server of it that does not answer.
func newSite(t *testing.T) (*site, application) {
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
	s := &site{data: data, found: &server.Found{Dir: t.TempDir()}}
	_, err = data.Directory.Change(t.Context(), "test", func(e *directory.Editor) error {
		tenant, err := e.CreateTenant(directory.Tenant{Name: "contoso"})
		if err != nil {
			return err
		}
		app, err := e.CreateApplication(directory.Application{Tenant: tenant.ID, Name: "orders-client"})
		if err != nil {
			return err
		}
		_, err = e.CreateServicePrincipal(directory.ServicePrincipal{Tenant: tenant.ID, AppID: app.AppID, Name: app.Name})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	app, err := new(cli).findActor(t.Context(), data, "contoso", "orders-client")
	if err != nil {
		t.Fatal(err)
	}
	return s, app
}

// credentials counts those of the application now.
func (s *site) credentials(t *testing.T, app application) int {
	t.Helper()
	now, err := s.data.Directory.Client(t.Context(), app.tenant.ID, app.Application.AppID)
	if err != nil {
		t.Fatal(err)
	}
	return len(now.Application.Secrets) + len(now.Application.Certificates)
}

// A command that fails after it gave an application a credential leaves none behind.
func TestFailureLeavesNoCredential(t *testing.T) {
	s, app := newSite(t)
	if _, _, err := s.lend(t.Context(), app, "token", lentFor, time.Now()); err == nil {
		t.Error("the server that is gone has taken the secret in")
	}
	if n := s.credentials(t, app); n != 0 {
		t.Errorf("%d credentials are left after the server did not answer", n)
	}
	s.found = nil
	c := &cli{dir: s.data.Dir, err: io.Discard, now: time.Now}
	for _, via := range []string{"secret", "certificate"} {
		if _, err := c.variablesFor(t.Context(), s, app, via, lentFor); err == nil {
			t.Errorf("%s: there is no CA bundle, and nobody minds", via)
		}
		if n := s.credentials(t, app); n != 0 {
			t.Errorf("%s: %d credentials are left", via, n)
		}
	}
	secret, _, err := s.lend(t.Context(), app, "token", lentFor, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 { // the second time it is gone
		if err := s.takeBack(interrupted, app, "token", secret.ID); err != nil {
			t.Error(err)
		}
	}
	if n := s.credentials(t, app); n != 0 {
		t.Errorf("%d credentials are left after an interruption", n)
	}
}
