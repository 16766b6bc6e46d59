package cli

import (
	"context"
	"strings"

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
				return listServers(ctx, p.printer(), c.Servers, serverTable, noServers)
			})
		},
	})
}

type serverLister interface {
	List(context.Context) ([]vpn.ServerInfo, error)
}

// noServers is said when there are none.
const noServers = "there are no servers yet; make one: vpn server create"

// listServers prints the servers in the form that show makes of them, and why
// those do not run that are to.
func listServers(ctx context.Context, out *printer, servers serverLister, show func(...vpn.ServerInfo) *table, none string) error {
	list, err := servers.List(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		out.note("%s", none)
	}
	names := namesOf(list, func(s vpn.ServerInfo) string { return s.Name })
	a := answer{data: list, names: names, quiet: names, tables: []*table{show(list...)}}
	if out.forPeople() && !out.quiet {
		a.warnings = whyNot(list)
	}
	return out.show(a)
}

// whyNot says why servers do not run that are to. Those that nobody starts are
// told together.
func whyNot(list []vpn.ServerInfo) (out []string) {
	var waiting []string
	for _, s := range list {
		out = append(out, problem(s)...)
		if s.State == vpn.Stopped && s.Problem != "" {
			waiting = append(waiting, s.Name)
		}
	}
	if len(waiting) > 0 {
		out = append(out, "no daemon is running, and so these do not that are to: "+strings.Join(waiting, ", ")+"; start it: vpn up; as a service: sudo vpn service install")
	}
	return out
}
