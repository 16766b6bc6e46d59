package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/vpn"
)

func configGet(p *program) *cobra.Command {
	var daemon bool
	cmd := &cobra.Command{
		Use: "get KEY", Short: "Print one value of the configuration", Args: exactly("[KEY]"),
		Example: "  vpn config get public_host",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := configKey(p, cmd, args)
			if err != nil {
				return err
			}
			if daemon {
				return showDaemonConfig(cmd.Context(), p, func(c vpn.Configuration) error {
					for _, v := range c.Values {
						if v.Key == key {
							return showConfigValue(p.printer(), v)
						}
					}
					return vpn.Errorf(vpn.NotFound, "the daemon knows no key %q", key)
				})
			}
			if err := hasConfigFile(p); err != nil {
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
			return showConfigValue(p.printer(), v.Described())
		},
	}
	daemonFlag(cmd.Flags(), &daemon, "what the daemon has read")
	return answers[vpn.ConfigValue](p, cmd)
}

func showConfigValue(out *printer, v vpn.ConfigValue) error {
	plain := &table{}
	plain.add(v.Value)
	return out.show(answer{data: v, names: []string{v.Key}, plain: plain, lines: []string{v.Value}, quiet: []string{v.Value}})
}
