package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersDelete(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Delete a user, and close its connections", Args: exactly("NAME"),
		Example: `  vpn users delete alice
  vpn users delete alice --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.confirm(cmd.Context(), fmt.Sprintf("Delete user %s?", args[0])); err != nil {
				return err
			}
			return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
				return deleteUser(ctx, p.printer(), c.Users, args[0])
			})
		},
	}
}

type userDeleter interface {
	Delete(context.Context, string) (vpn.UserChange, error)
}

func deleteUser(ctx context.Context, out *printer, users userDeleter, name string) (bool, error) {
	change, err := users.Delete(ctx, name)
	if err != nil {
		return false, err
	}
	if out.json {
		return change.Synced, out.JSON(change)
	}
	out.note("deleted user %s", change.User.Name)
	return change.Synced, nil
}
