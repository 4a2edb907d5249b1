package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/output"
)

// A build is version information.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// thisBuild reads what the Go toolchain wrote into the program.
func thisBuild() build {
	b := build{Version: "development", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			b.Revision = setting.Value
		}
	}
	return b
}

func versionCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print version information",
		Example: "  rolecall version -o json",
		Args:    command.Exactly(0, ""),
	}
	format := c.OutputFlag(cmd, "", output.Lists()...)
	cmd.RunE = func(*cobra.Command, []string) error {
		b := thisBuild()
		return c.Print(format, output.Listing{
			Columns: []string{"version", "revision", "go", "platform"},
			Rows:    [][]string{{b.Version, b.Revision, b.Go, b.Platform}},
			Value:   b,
		})
	}
	return cmd
}
