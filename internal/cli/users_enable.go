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
	cmd := &cobra.Command{Use: verb + " NAME", Short: short, Example: "  vpn users " + verb + " alice"}
	return changes[vpn.UserChange](p, onUser(p, cmd, func(cmd *cobra.Command, name string) error {
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return updateUser(ctx, p.printer(), c.Users, name, vpn.UserPatch{Enabled: &on}, verb)
		})
	}))
}
