package runas_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/fixture"
	"github.com/rolecall-auth/rolecall/internal/lookup"
	"github.com/rolecall-auth/rolecall/internal/runas"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// That a program is no longer somebody is worth a word only while it runs.
func TestNothingIsSaidOfABindingThatEndsWithItsProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	running, err := server.Start(t.Context(), server.Config{Dir: dir, NewKey: fixture.NewKeys(), Prepare: func(ctx context.Context, data *server.Data) error {
		_, err := data.Directory.Change(ctx, directory.Operator("test"), func(e *directory.Editor) error {
			tenant, err := e.Tenants().Create(directory.Tenant{Name: "contoso", Enabled: true})
			if err != nil {
				return err
			}
			_, err = e.ServicePrincipals().Create(directory.ServicePrincipal{
				Tenant: tenant.ID, Name: "orders-client-mi", Type: directory.PrincipalManagedIdentity, IdentityKind: directory.IdentitySystem,
			})
			return err
		})
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	s, err := server.Connect(t.Context(), server.SessionConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	actor, err := lookup.FindActor(t.Context(), s.Data.Directory, "", "orders-client-mi")
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	for range 40 {
		e, err := runas.Prepare(t.Context(), runas.Config{
			Source: runas.Folder{Session: s, Now: time.Now}, Actor: actor, Via: runas.AppService, Now: time.Now, Say: func(text string) { said.WriteString(text) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Cleanup(); err != nil {
			t.Fatal(err)
		}
	}
	if said.Len() > 0 {
		t.Errorf("it was said:\n%s", &said)
	}
}
