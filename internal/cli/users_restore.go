package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersRestore(p *program) *cobra.Command {
	var in vpn.UserRestore
	cmd := &cobra.Command{
		Use: "restore NAME|ID", Short: "Bring a deleted user back, within 24 hours; its links work again", Args: exactly("NAME|ID"),
		Long: `Undo the deletion of a user, within 24 hours: it has its limits, its usage and
its keys again, and so the links that it was given work again. Of several
deleted users of one name, the last is meant; an ID names each of them.`,
		Example: `  vpn users restore alice
  vpn users list --deleted                   who can be restored
  vpn users restore alice --as alice.old     if another has the name now`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
				return restoreUser(ctx, p.printer(), c.Users, args[0], in)
			})
		},
	}
	cmd.Flags().StringVar(&in.As, "as", "", "the `NAME` from now on")
	return cmd
}

type userRestorer interface {
	Restore(context.Context, string, vpn.UserRestore) (vpn.UserChange, error)
}

func restoreUser(ctx context.Context, out *printer, users userRestorer, name string, in vpn.UserRestore) (bool, error) {
	change, err := users.Restore(ctx, name, in)
	if err != nil {
		return false, err
	}
	if out.json {
		return change.Synced, out.JSON(change)
	}
	switch u := change.User; u.Status {
	case vpn.Active:
		out.note("restored user %s", u.Name)
	default:
		out.note("restored user %s, who is kept out all the same: %s", u.Name, u.Status)
	}
	return change.Synced, out.lines(links(change.Access))
}
