package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/vpn"
)

func configShow(p *program) *cobra.Command {
	var origin, daemon bool
	cmd := &cobra.Command{
		Use: "show", Short: "Show the configuration that is in force", Args: exactly(),
		Long: `Show the configuration as a command sees it now: flags rule over VPN_*
variables, these over the file, that over the defaults. A running daemon has
what it read when it started or was reloaded: --daemon shows that.`,
		Example: `  vpn config show
  vpn config show --origin                   where each value comes from
  vpn config show --daemon                   what the daemon has`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if daemon {
				return showDaemonConfig(cmd.Context(), p, func(c vpn.Configuration) error {
					return showConfig(p.printer(), c.Values, origin)
				})
			}
			if err := hasConfigFile(p); err != nil {
				return err
			}
			c, err := p.config()
			if err != nil {
				return err
			}
			values := c.Values()
			list := make([]vpn.ConfigValue, 0, len(values))
			for _, v := range values {
				list = append(list, v.Described())
			}
			return showConfig(p.printer(), list, origin)
		},
	}
	daemonFlag(cmd.Flags(), &daemon, "what the daemon has read, and what a reload would change")
	cmd.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	return answers[[]vpn.ConfigValue](p, cmd)
}

func showConfig(out *printer, values []vpn.ConfigValue, origin bool) error {
	names := make([]string, 0, len(values))
	t := &table{head: []string{"KEY", "VALUE"}}
	if origin {
		t.head = append(t.head, "ORIGIN")
	}
	pending := slices.ContainsFunc(values, func(v vpn.ConfigValue) bool { return v.Pending != nil })
	if pending {
		t.head = append(t.head, "AFTER A RELOAD")
	}
	for _, v := range values {
		names = append(names, v.Key)
		row := []any{v.Key, v.Value}
		if origin {
			row = append(row, strings.TrimSpace(v.Origin.Layer+" "+v.Origin.Where))
		}
		if pending {
			then := ""
			if v.Pending != nil {
				then = *v.Pending
			}
			row = append(row, then)
		}
		t.add(row...)
	}
	return out.show(answer{data: values, names: names, quiet: names, tables: []*table{t}})
}
