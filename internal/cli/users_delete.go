package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersDelete(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm", "remove"}, Short: "Delete a user, and close its connections",
		Example: `  vpn users delete alice
  vpn users delete alice --yes
  vpn users delete alice --dry-run`,
	}
	return changes[vpn.UserChange](p, onUser(p, cmd, func(cmd *cobra.Command, name string) error {
		if err := confirmDelete(cmd.Context(), p, name); err != nil {
			return err
		}
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return deleteUser(ctx, p.printer(), c.Users, name)
		})
	}))
}

func confirmDelete(ctx context.Context, p *program, name string) error {
	question := fmt.Sprintf("Delete user %s?", name)
	if p.global.confirms() && p.prompter().able {
		err := p.read(ctx, func(ctx context.Context, c *client.Client) error {
			u, err := c.Users.Show(ctx, name) // whoever asks about somebody unknown wastes a person's answer
			if u.Online > 0 {
				question = fmt.Sprintf("Delete user %s, and close %s?", name, many(u.Online, "connection"))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return p.confirm(ctx, question)
}

type userDeleter interface {
	Delete(context.Context, string) (vpn.UserChange, error)
}

func deleteUser(ctx context.Context, out *printer, users userDeleter, name string) (bool, error) {
	change, err := users.Delete(ctx, name)
	if err != nil {
		return false, err
	}
	return change.Synced, out.show(answer{
		data: change, names: []string{change.User.Name}, plain: userTable(change.User),
		done: did(change.DryRun, "delete", "deleted", "user %s", change.User.Name) + closing(change.DryRun, change.Connections),
	})
}
