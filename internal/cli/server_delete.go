package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func serverDelete(p *program) *cobra.Command {
	d := deed{verb: "delete", past: "deleted", change: func(c *client.Client) serverChange { return c.Servers.Delete }}
	cmd := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm", "remove", "uninstall"}, Short: "Delete a server with its keys; the links to it die",
		Example: `  vpn server delete main
  vpn server delete main --yes
  vpn server delete main --dry-run`,
	}
	return changes[vpn.ServerChange](p, onServer(p, cmd, func(cmd *cobra.Command, name string) error {
		if err := confirmServerDelete(cmd.Context(), p, name); err != nil {
			return err
		}
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return changeServer(ctx, p.printer(), c, name, d)
		})
	}))
}

// confirmServerDelete says what dies with the server. Whoever can be asked is
// told how much that is.
func confirmServerDelete(ctx context.Context, p *program, name string) error {
	question := fmt.Sprintf("Deleting server %s deletes its keys: no link to it works ever again.", name)
	if p.global.confirms() && p.prompter().able {
		err := p.read(ctx, func(ctx context.Context, c *client.Client) error {
			s, err := c.Servers.Show(ctx, name)
			question = fmt.Sprintf("Deleting server %s deletes its keys: the links of %s to it die, for good.", name, many(s.Users, "user"))
			if s.Online > 0 {
				question += fmt.Sprintf(" It closes %s.", many(s.Online, "connection"))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return p.confirmName(ctx, question, name)
}
