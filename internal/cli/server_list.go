package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func serverList(p *program) *cobra.Command {
	return answers[[]vpn.ServerInfo](p, &cobra.Command{
		Use: "list", Aliases: []string{"ls", "ps"}, Short: "List the servers", Args: exactly(),
		Example: `  vpn server list
  vpn server list -o wide
  vpn server list --json name,state`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return listServers(ctx, p.printer(), c.Servers, serverTable)
			})
		},
	})
}

type serverLister interface {
	List(context.Context) ([]vpn.ServerInfo, error)
}

// listServers prints the servers in the form that show makes of them.
func listServers(ctx context.Context, out *printer, servers serverLister, show func(...vpn.ServerInfo) *table) error {
	list, err := servers.List(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		out.note("there are no servers yet; make one: vpn server create")
	}
	names := namesOf(list, func(s vpn.ServerInfo) string { return s.Name })
	return out.show(answer{data: list, names: names, quiet: names, tables: []*table{show(list...)}})
}
