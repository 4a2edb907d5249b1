package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rolecall-auth/rolecall/internal/server"
)

// That a program is no longer somebody is worth a word only while it runs.
func TestNothingIsSaidOfABindingThatEndsWithItsProgram(t *testing.T) {
	var said bytes.Buffer
	c := &cli{lookup: noEnvironment(t), err: &said, now: time.Now, dir: t.TempDir()}
	config := filepath.Join(t.TempDir(), "rolecall.yaml")
	if err := os.WriteFile(config, []byte("tenants: [{name: contoso, managedIdentities: [{name: orders-client-mi, type: system}]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wanted, err := c.readManifest(config)
	if err != nil {
		t.Fatal(err)
	}
	running, err := server.Start(t.Context(), server.Config{Dir: c.dir, Prepare: func(ctx context.Context, data *server.Data) error {
		return c.applyAtStart(ctx, data, wanted)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	s, err := c.site(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	who, err := c.findActor(t.Context(), s.data, "", "orders-client-mi")
	if err != nil {
		t.Fatal(err)
	}
	said.Reset()
	for range 100 {
		g, err := c.dress(t.Context(), s, who, runRequest{via: viaAppService})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.undress(); err != nil {
			t.Fatal(err)
		}
	}
	if said.Len() > 0 {
		t.Errorf("it was said:\n%s", &said)
	}
}
