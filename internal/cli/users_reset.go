package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersReset(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "reset NAME", Short: "Count a user's traffic from nothing again",
		Long: `Set what counts against a user's quota back to nothing. A user whose quota was
used up is let in again at once. The totals per server, as "vpn users show"
lists them, stay, and so does what was used until now, in its list of resets.`,
		Example: "  vpn users reset alice",
	}
	return changes[vpn.UserChange](p, onUser(p, cmd, func(cmd *cobra.Command, name string) error {
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return resetUser(ctx, p.printer(), c.Users, name)
		})
	}))
}

type userResetter interface {
	Reset(context.Context, string) (vpn.UserChange, error)
}

func resetUser(ctx context.Context, out *printer, users userResetter, name string) (bool, error) {
	change, err := users.Reset(ctx, name)
	if err != nil {
		return false, err
	}
	u := change.User
	done := did(change.DryRun, "reset", "reset", "the usage of user %s", u.Name) + keptOut(u)
	return change.Synced, out.show(answer{data: change, names: []string{u.Name}, plain: userTable(u), done: done})
}
