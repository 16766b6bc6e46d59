package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/config"
)

func configShow(p *program) *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use: "show", Short: "Show the configuration that is in force", Args: exactly(),
		Long: `Show the configuration as a command sees it now: flags rule over VPN_*
variables, these over the file, that over the defaults. A running daemon has
what it read when it started or was reloaded.`,
		Example: `  vpn config show
  vpn config show --origin                   where each value comes from`,
		RunE: func(*cobra.Command, []string) error {
			c, err := p.config()
			if err != nil {
				return err
			}
			return showConfig(p.printer(), c.Values(), origin)
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	return answers[[]configValue](p, cmd)
}

// configValue is one value as JSON.
type configValue struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin struct {
		Layer string `json:"layer"` // default, file, environment or flag
		Where string `json:"where,omitempty"`
	} `json:"origin"`
}

func newConfigValue(v config.Value) configValue {
	out := configValue{Key: v.Key, Value: v.Value}
	out.Origin.Layer, out.Origin.Where = v.Origin.Layer, v.Origin.Where
	return out
}

func showConfig(out *printer, values []config.Value, origin bool) error {
	list := make([]configValue, 0, len(values))
	names := make([]string, 0, len(values))
	t := &table{head: []string{"KEY", "VALUE"}}
	if origin {
		t.head = append(t.head, "ORIGIN")
	}
	for _, v := range values {
		list, names = append(list, newConfigValue(v)), append(names, v.Key)
		row := []any{v.Key, v.Value}
		if origin {
			row = append(row, v.Origin.String())
		}
		t.add(row...)
	}
	return out.show(answer{data: list, names: names, quiet: names, tables: []*table{t}})
}
