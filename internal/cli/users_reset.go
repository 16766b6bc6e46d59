package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersReset(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "reset NAME", Short: "Count a user's traffic from nothing again", Args: exactly("NAME"),
		Long: `Set what counts against a user's quota back to nothing. A user whose quota was
used up is let in again at once. The totals per server, as "vpn users show"
lists them, stay.`,
		Example: "  vpn users reset alice",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
				return resetUser(ctx, p.printer(), c.Users, args[0])
			})
		},
	}
}

type userResetter interface {
	Reset(context.Context, string) (vpn.UserChange, error)
}

func resetUser(ctx context.Context, out *printer, users userResetter, name string) (bool, error) {
	change, err := users.Reset(ctx, name)
	if err != nil {
		return false, err
	}
	if out.json {
		return change.Synced, out.JSON(change)
	}
	switch u := change.User; u.Status {
	case vpn.Expired, vpn.Disabled:
		out.note("reset the usage of user %s, who is kept out all the same: %s", u.Name, u.Status)
	default:
		out.note("reset the usage of user %s", u.Name)
	}
	return change.Synced, nil
}
