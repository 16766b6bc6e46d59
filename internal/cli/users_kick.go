package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersKick(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "kick NAME", Short: "Close a user's connections; it may come back at once", Args: exactly("NAME"),
		Example: "  vpn users kick alice",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return kickUser(ctx, p.printer(), c.Users, args[0])
			})
		},
	}
}

type userKicker interface {
	Kick(context.Context, string) (vpn.Kicked, error)
}

func kickUser(ctx context.Context, out *printer, users userKicker, name string) error {
	kicked, err := users.Kick(ctx, name)
	if err != nil {
		return err
	}
	if out.json {
		return out.JSON(kicked)
	}
	out.note("closed %s of user %s", formatOnline(kicked.Connections, vpn.Rate{}), name)
	return nil
}
