package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersCreate(p *program) *cobra.Command {
	var limits limitFlags
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a user and print its links", Args: exactly("NAME"),
		Example: `  vpn users create alice
  vpn users create bob --quota 50GB --expires 30d --rate-down 20mbit --devices 2`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in := vpn.NewUser{Name: args[0], Limits: limits.limits, ExpiresAt: limits.expires}
			return p.change(cmd.Context(), orMakeStore, func(ctx context.Context, c *client.Client) (bool, error) {
				return createUser(ctx, p.printer(), c.Users, in)
			})
		},
	}
	limits.add(cmd.Flags(), p.Now)
	return cmd
}

type userCreator interface {
	Create(context.Context, vpn.NewUser) (vpn.UserChange, error)
}

func createUser(ctx context.Context, out *printer, users userCreator, in vpn.NewUser) (bool, error) {
	change, err := users.Create(ctx, in)
	if err != nil {
		return false, err
	}
	if out.json {
		return change.Synced, out.JSON(change)
	}
	out.note("created user %s", change.User.Name)
	if len(change.Access) == 0 {
		out.note("there is no server yet, and so no link; make one: vpn server create")
	}
	return change.Synced, out.lines(links(change.Access))
}
