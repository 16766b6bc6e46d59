package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func serverList(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the servers", Args: exactly(),
		Example: "  vpn server list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return listServers(ctx, p.printer(), c.Servers, serverTable)
			})
		},
	}
}

type serverLister interface {
	List(context.Context) ([]vpn.ServerInfo, error)
}

// listServers prints the servers in the form that show makes of them.
func listServers(ctx context.Context, out *printer, servers serverLister, show func([]vpn.ServerInfo) *table) error {
	list, err := servers.List(ctx)
	switch {
	case err != nil:
		return err
	case out.json:
		return out.JSON(list)
	case out.quiet:
		names := make([]string, 0, len(list))
		for _, s := range list {
			names = append(names, s.Name)
		}
		return out.lines(names)
	case len(list) == 0:
		out.note("there are no servers yet; make one: vpn server create")
		return nil
	}
	return out.table(show(list))
}
