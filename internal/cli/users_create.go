package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersCreate(p *program) *cobra.Command {
	var (
		flags   userFlags
		tags    []string
		servers allowFlags
	)
	cmd := &cobra.Command{
		Use: "create NAME", Aliases: []string{"add"}, Short: "Create a user and print its links", Args: exactly("[NAME]"),
		Example: `  vpn users create alice
  vpn users create bob --quota 50GB --expires 30d --rate-down 20mbit --devices 2
  vpn users create eve --server main --server wg
  vpn users create carol --valid-for 30d     30 days from the first use on
  vpn users create dan --quota 50GB --quota-period month --resets-on 15 --time-zone Europe/Berlin
  vpn users create eve --quota 50GB --after-quota throttle:1mbit --tag family
  vpn users create bob --dry-run             see whether it would work`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := newName(p, cmd, args, "user")
			if err != nil {
				return err
			}
			in := flags.create(name, tags)
			in.Servers = servers.given(cmd.Flags())
			return p.change(cmd.Context(), orMakeStore, func(ctx context.Context, c *client.Client) (bool, error) {
				return createUser(ctx, p.printer(), c.Users, in)
			})
		},
	}
	flags.add(cmd.Flags(), p.Now)
	cmd.Flags().Var(&list[string]{to: &tags, parse: parseTag, kind: "TAG"}, "tag", "a word to find the user by; may be given several times")
	servers.add(cmd.Flags(), "the only server, by `NAME`, that lets the user in; may be given several times")
	return changes[vpn.UserChange](p, cmd)
}

type userCreator interface {
	Create(context.Context, vpn.NewUser) (vpn.UserChange, error)
}

func createUser(ctx context.Context, out *printer, users userCreator, in vpn.NewUser) (bool, error) {
	change, err := users.Create(ctx, in)
	if err != nil {
		return false, err
	}
	a := answer{
		data: change, names: []string{change.User.Name}, plain: accessTable(change.Access),
		done:  did(change.DryRun, "create", "created", "user %s", change.User.Name),
		lines: linesOf(change.Access), quiet: links(change.Access),
	}
	if len(change.Access) == 0 && in.Servers == nil {
		a.next = []string{"there is no server yet, and so no link; make one: vpn server create"}
	}
	return change.Synced, out.show(a)
}
