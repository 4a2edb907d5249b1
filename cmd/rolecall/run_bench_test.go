package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/launch"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// BenchmarkRunStart measures what `rolecall run` adds to the start of a program that does
// nothing: with a running server, and with one of its own, on a folder that it makes. The
// program here is the tests', which starts slower than ours.
func BenchmarkRunStart(b *testing.B) {
	if _, err := exec.LookPath("true"); err != nil {
		b.Skip("there is no program that does nothing")
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	program, err := launch.Named(b.TempDir(), self)
	if err != nil {
		b.Fatal(err)
	}
	config := filepath.Join(b.TempDir(), "rolecall.yaml")
	content := "tenants:\n  - name: contoso\n    applications: [{name: orders-client}]\n    managedIdentities: [{name: orders-client-mi, type: system}]\n"
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		b.Fatal(err)
	}
	bench := func(name string, args ...string) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.CommandContext(b.Context(), program, append(append([]string{"run"}, args...), "--", "true")...)
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
			}
		})
	}
	c := newCLI(command.Streams{Lookup: os.LookupEnv, Err: b.Output()})
	c.Dir = b.TempDir()
	wanted, err := applier{c}.readManifest(config)
	if err != nil {
		b.Fatal(err)
	}
	running, err := server.Start(b.Context(), server.Config{Dir: c.Dir, Prepare: func(ctx context.Context, data *server.Data) error {
		return applier{c}.applyAtStart(ctx, data, wanted)
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer running.Close()
	bench("identity", "--data", c.Dir, "--as", "orders-client-mi")
	bench("application", "--data", c.Dir, "--as", "orders-client")
	bench("application by public names", "--data", c.Dir, "--public-names", "--as", "orders-client")
	bench("own", "--config", config, "--as", "orders-client-mi")
}
