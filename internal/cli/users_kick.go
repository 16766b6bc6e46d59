package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersKick(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "kick NAME", Short: "Close a user's connections; it may come back at once",
		Example: `  vpn users kick alice
  vpn users kick alice --dry-run             how many there are`,
	}
	return changes[vpn.Kicked](p, onUser(p, cmd, func(cmd *cobra.Command, name string) error {
		return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			return kickUser(ctx, p.printer(), c.Users, name)
		})
	}))
}

type userKicker interface {
	Kick(context.Context, string) (vpn.Kicked, error)
}

func kickUser(ctx context.Context, out *printer, users userKicker, name string) error {
	kicked, err := users.Kick(ctx, name)
	if err != nil {
		return err
	}
	row := &table{}
	row.add(name, strconv.Itoa(kicked.Connections))
	return out.show(answer{
		data: kicked, names: []string{name}, plain: row,
		done: did(kicked.DryRun, "close", "closed", "%s of user %s", many(kicked.Connections, "connection"), name),
	})
}
