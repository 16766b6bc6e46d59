package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func monitorConnections(p *program) *cobra.Command {
	var f vpn.SessionFilter
	cmd := &cobra.Command{
		Use: "connections", Aliases: []string{"sessions", "conns"}, Short: "List the live connections of all servers", Args: exactly(),
		Example: `  vpn monitor connections
  vpn monitor connections --user alice
  vpn monitor connections --server main -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return listConnections(ctx, p.printer(), c.Usage, f)
			})
		},
	}
	cmd.Flags().StringVar(&f.User, "user", "", "only of the user `NAME`")
	cmd.Flags().StringVar(&f.Server, "server", "", "only on the server `NAME`")
	return answers[[]vpn.Session](p, cmd)
}

type sessionLister interface {
	Sessions(context.Context, vpn.SessionFilter) ([]vpn.Session, error)
}

func listConnections(ctx context.Context, out *printer, usage sessionLister, f vpn.SessionFilter) error {
	list, err := usage.Sessions(ctx, f)
	if err != nil {
		return err
	}
	t := &table{head: []string{"FROM", "USER", "SERVER", "PROTOCOL", "NETWORK", "SINCE", ">UP", ">DOWN"}}
	for _, s := range list {
		t.add(s.Source.String(), s.UserName, s.Server, string(s.Protocol), s.Network, timeCell(s.Since), sizeCell(s.Up), sizeCell(s.Down))
	}
	names := namesOf(list, func(s vpn.Session) string { return s.UserName })
	a := answer{data: list, names: names, quiet: names, tables: []*table{t}, plain: t}
	if len(list) == 0 {
		a.tables, a.next = nil, []string{"nobody is connected"}
	}
	return out.show(a)
}
