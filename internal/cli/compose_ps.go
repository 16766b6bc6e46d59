package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/compose/containers"
)

func composePs(p *program) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "ps [SERVICE...]", Short: "List the project's containers",
		Example: `  vpn compose ps
  vpn compose ps -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return onContainers(p, dir, args, func(c *containers.Containers, services []string) error {
				all, err := c.List(cmd.Context())
				if err != nil {
					return err
				}
				if all, err = containers.Of(all, services...); err != nil {
					return err
				}
				a := answer{data: all, names: servicesOf(all), quiet: servicesOf(all), tables: []*table{containerTable(all)}}
				if len(all) == 0 {
					a.tables, a.next = nil, []string{"the project has no containers; start it: vpn compose up"}
				}
				return p.printer().show(a)
			})
		},
	}
	dirFlag(cmd, &dir)
	return answers[[]containers.Container](p, cmd)
}
