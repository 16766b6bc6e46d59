package cli

import (
	"github.com/spf13/cobra"
)

func configGet(p *program) *cobra.Command {
	return answers[configValue](p, &cobra.Command{
		Use: "get KEY", Short: "Print one value of the configuration", Args: exactly("[KEY]"),
		Example: "  vpn config get public_host",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := configKey(p, cmd, args)
			if err != nil {
				return err
			}
			c, err := p.config()
			if err != nil {
				return err
			}
			v, err := c.Get(key)
			if err != nil {
				return err
			}
			plain := &table{}
			plain.add(v.Value)
			return p.printer().show(answer{
				data: newConfigValue(v), names: []string{v.Key}, plain: plain, lines: []string{v.Value}, quiet: []string{v.Value},
			})
		},
	})
}
