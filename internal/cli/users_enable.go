package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersEnable(p *program) *cobra.Command {
	return usersSwitch(p, "enable", "Let a user in again", true)
}

// usersSwitch is enable and disable.
func usersSwitch(p *program, verb, short string, on bool) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Args: exactly("NAME"),
		Example: "  vpn users " + verb + " alice",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
				return updateUser(ctx, p.printer(), c.Users, args[0], vpn.UserPatch{Enabled: &on}, verb+"d")
			})
		},
	}
}
