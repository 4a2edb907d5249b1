package main

import (
	"github.com/spf13/cobra"

	"github.com/rolecall-auth/rolecall/internal/launch"
)

// shimCommand is what the shims for az and azd call. It is not for people.
func shimCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: launch.ShimCommand + " FILE TOOL [ARGUMENT…]", Short: "Respond in place of az or azd", Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if code := launch.RunShim(cmd.Context(), args, c.out, c.err); code != exitOK {
				return silently(code)
			}
			return nil
		},
	}
}
