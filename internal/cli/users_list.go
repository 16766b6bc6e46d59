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
  vpn users list -o wide                     all limits
  vpn users list -o name | xargs -n 1 vpn users link
  vpn users list --json name,used,limits.quota
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
	return answers[[]vpn.UserInfo](p, cmd)
}

type userLister interface {
	List(context.Context) ([]vpn.UserInfo, error)
}

func listUsers(ctx context.Context, out *printer, users userLister) error {
	list, err := users.List(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		out.note("there are no users yet; make one: vpn users create NAME")
	}
	names := namesOf(list, func(u vpn.UserInfo) string { return u.Name })
	a := answer{data: list, names: names, quiet: names}
	if out.tabular() {
		a.tables = []*table{userTable(list...)} // which takes a while for ten thousand
	}
	return out.show(a)
}

func userTable(list ...vpn.UserInfo) *table {
	t := &table{head: []string{
		"NAME", "STATUS", ">USED", ">QUOTA", "EXPIRES", ">ONLINE", ">UP", ">DOWN",
		"+>DEVICES", "+>CONNECTIONS", "+>MAX UP", "+>MAX DOWN", "+CREATED", "+ID",
	}}
	for _, u := range list {
		l := u.Limits
		t.add(u.Name, string(u.Status), usedCell(u.Used), limitCell(l.Quota, vpn.FormatSize), expiryCell(u.ExpiresAt),
			strconv.Itoa(u.Online), nowCell(u.Rate.Up), nowCell(u.Rate.Down), countCell(l.Devices), countCell(l.Connections),
			limitCell(l.RateUp, vpn.FormatRate), limitCell(l.RateDown, vpn.FormatRate), timeCell(u.CreatedAt), string(u.ID))
	}
	return t
}
