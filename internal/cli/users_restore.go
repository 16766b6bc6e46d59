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
		Use: "restore NAME|ID", Short: "Bring a deleted user back, within 24 hours; its links work again",
		Long: `Undo the deletion of a user, within 24 hours: it has its limits, its usage and
its keys again, and so the links that it was given work again. Of several
deleted users of one name, the last is meant; an ID names each of them. Who can
be restored: vpn users list --deleted`,
		Example: `  vpn users restore alice
  vpn users restore alice --as alice.old     if another has the name now`,
	}
	cmd.Flags().StringVar(&in.As, "as", "", "the `NAME` from now on")
	return changes[vpn.UserChange](p, onA(p, deletedNoun(), cmd, func(cmd *cobra.Command, name string) error {
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return restoreUser(ctx, p.printer(), c.Users, name, in)
		})
	}))
}

// deletedNoun is a user who can be restored.
func deletedNoun() noun {
	return noun{"deleted user", "deleted users", "vpn users delete NAME", func(ctx context.Context, c *client.Client) ([]option, error) {
		users, err := c.Users.Deleted(ctx)
		out := make([]option, 0, len(users))
		for _, u := range users {
			out = append(out, option{u.Name, "deleted " + formatTime(u.DeletedAt)})
		}
		return out, err
	}}
}

type userRestorer interface {
	Restore(context.Context, string, vpn.UserRestore) (vpn.UserChange, error)
}

func restoreUser(ctx context.Context, out *printer, users userRestorer, name string, in vpn.UserRestore) (bool, error) {
	change, err := users.Restore(ctx, name, in)
	if err != nil {
		return false, err
	}
	u := change.User
	done := did(change.DryRun, "restore", "restored", "user %s", u.Name)
	if u.Status != vpn.Active {
		done += ", who is kept out all the same: " + string(u.Status)
	}
	return change.Synced, out.show(answer{
		data: change, names: []string{u.Name}, plain: accessTable(change.Access), done: done,
		lines: linesOf(change.Access), quiet: links(change.Access),
	})
}
