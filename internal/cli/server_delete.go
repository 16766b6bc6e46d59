package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vpn/internal/client"
)

func serverDelete(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Delete a server with its keys; the links to it die", Args: exactly("NAME"),
		Example: `  vpn server delete main
  vpn server delete main --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			question := fmt.Sprintf("Deleting server %s deletes its keys: no link to it works ever again.", args[0])
			if err := p.confirmName(cmd.Context(), question, args[0]); err != nil {
				return err
			}
			return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
				return changeServer(ctx, p.printer(), c.Servers.Delete, args[0], "deleted")
			})
		},
	}
}
