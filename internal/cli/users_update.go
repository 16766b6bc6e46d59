package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersUpdate(p *program) *cobra.Command {
	var (
		flags     userFlags
		servers   allowFlags
		all       bool
		name      string
		add, drop []string
	)
	cmd := &cobra.Command{
		Use: "update NAME", Aliases: []string{"edit"}, Short: "Change a user's limits or name",
		Example: `  vpn users update alice --quota 100GB --expires never
  vpn users update alice --name alice.work
  vpn users update alice --valid-for 30d     from the next use on
  vpn users update alice --quota-period none --after-quota cut
  vpn users update alice --add-tag paid --remove-tag trial --note ""
  vpn users update alice --server main       only there, from now on
  vpn users update alice --all-servers`,
	}
	flags.add(cmd.Flags(), p.Now)
	cmd.Flags().Var(&list[string]{to: &add, parse: parseTag, kind: "TAG"}, "add-tag", "a word to find the user by; may be given several times")
	cmd.Flags().Var(&list[string]{to: &drop, parse: parseTag, kind: "TAG"}, "remove-tag", "one that the user has")
	cmd.Flags().StringVar(&name, "name", "", "the `NAME` from now on")
	servers.add(cmd.Flags(), "the only server, by `NAME`, that lets the user in; may be given several times, or none")
	cmd.Flags().BoolVar(&all, "all-servers", false, "every server lets the user in, new ones too")
	return changes[vpn.UserChange](p, onUser(p, cmd, func(cmd *cobra.Command, user string) error {
		patch, given := flags.patch(cmd.Flags())
		if cmd.Flags().Changed("name") {
			patch.Name, given = &name, true
		}
		patch.Servers, patch.AllServers = servers.given(cmd.Flags()), all
		patch.AddTags, patch.RemoveTags = add, drop
		if !given && patch.Servers == nil && !all && len(add)+len(drop) == 0 {
			return vpn.Errorf(vpn.Invalid, "there is nothing to change").
				WithHint("say what: vpn users update %s --quota 100GB", printable(user))
		}
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return updateUser(ctx, p.printer(), c.Users, user, patch, "update")
		})
	}))
}

type userUpdater interface {
	Update(context.Context, string, vpn.UserPatch) (vpn.UserChange, error)
}

// updateUser changes a user; verb is the word for it.
func updateUser(ctx context.Context, out *printer, users userUpdater, name string, patch vpn.UserPatch, verb string) (bool, error) {
	change, err := users.Update(ctx, name, patch)
	if err != nil {
		return false, err
	}
	u := change.User
	done := did(change.DryRun, verb, verb+"d", "user %s", renamed(change.DryRun, name, u.Name, patch.Name))
	done += closing(change.DryRun, change.Connections)
	if u.Status != vpn.Disabled { // which is what was asked for, or known
		done += keptOut(u)
	}
	return change.Synced, out.show(answer{data: change, names: []string{u.Name}, plain: userTable(u), done: done})
}

// renamed is how what is changed is called: as it was until now and, if that
// changes, as it will be. Said is the name, or the ID, that the command was given.
func renamed(dryRun bool, said, now string, name *string) string {
	switch {
	case name == nil || said == now:
		return now
	case dryRun:
		return said + ", named " + now + " from then on"
	}
	return said + ", named " + now + " from now on"
}
