package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersUpdate(p *program) *cobra.Command {
	var (
		limits limitFlags
		name   string
	)
	cmd := &cobra.Command{
		Use: "update NAME", Short: "Change a user's limits or name", Args: exactly("NAME"),
		Example: `  vpn users update alice --quota 100GB --expires never
  vpn users update alice --name alice.work`,
		RunE: func(cmd *cobra.Command, args []string) error {
			patch := limits.patch(cmd.Flags())
			if cmd.Flags().Changed("name") {
				patch.Name = &name
			}
			if patch == (vpn.UserPatch{}) {
				return vpn.Errorf(vpn.Invalid, "there is nothing to change").
					WithHint("say what: vpn users update %s --quota 100GB", printable(args[0]))
			}
			return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
				return updateUser(ctx, p.printer(), c.Users, args[0], patch, "updated")
			})
		},
	}
	limits.add(cmd.Flags(), p.Now)
	cmd.Flags().StringVar(&name, "name", "", "the `NAME` from now on")
	return cmd
}

type userUpdater interface {
	Update(context.Context, string, vpn.UserPatch) (vpn.UserChange, error)
}

// updateUser changes a user; did is the word for it.
func updateUser(ctx context.Context, out *printer, users userUpdater, name string, patch vpn.UserPatch, did string) (bool, error) {
	change, err := users.Update(ctx, name, patch)
	if err != nil {
		return false, err
	}
	if out.json {
		return change.Synced, out.JSON(change)
	}
	u := change.User
	switch u.Status {
	case vpn.Expired, vpn.Limited:
		out.note("%s user %s, who is kept out all the same: %s", did, u.Name, u.Status)
	default:
		out.note("%s user %s", did, u.Name)
	}
	return change.Synced, nil
}
