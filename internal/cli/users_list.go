package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersList(p *program) *cobra.Command {
	var deleted bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the users", Args: exactly(),
		Example: `  vpn users list
  vpn users list -q | xargs -n 1 vpn users link
  vpn users list --deleted                   who can be restored`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if deleted {
					return listDeletedUsers(ctx, p.printer(), c.Users)
				}
				return listUsers(ctx, p.printer(), c.Users)
			})
		},
	}
	cmd.Flags().BoolVar(&deleted, "deleted", false, "those that were deleted within the last 24 hours, instead")
	return cmd
}

type userLister interface {
	List(context.Context) ([]vpn.UserInfo, error)
}

func listUsers(ctx context.Context, out *printer, users userLister) error {
	list, err := users.List(ctx)
	switch {
	case err != nil:
		return err
	case out.json:
		return out.JSON(list)
	case out.quiet:
		names := make([]string, 0, len(list))
		for _, u := range list {
			names = append(names, u.Name)
		}
		return out.lines(names)
	case len(list) == 0:
		out.note("there are no users yet; make one: vpn users create NAME")
		return nil
	}
	t := &table{head: []string{"NAME", "STATUS", ">USED", ">QUOTA", "EXPIRES", ">ONLINE", ">UP", ">DOWN"}}
	for _, u := range list {
		t.add(u.Name, string(u.Status), formatUsed(u.Used), formatLimit(u.Limits.Quota, vpn.FormatSize),
			formatExpiry(u.ExpiresAt), strconv.Itoa(u.Online), formatNow(u.Rate.Up), formatNow(u.Rate.Down))
	}
	return out.table(t)
}
