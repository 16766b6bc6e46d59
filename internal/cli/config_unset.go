package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/config"
)

func configUnset(p *program) *cobra.Command {
	return changes[configEdit](p, &cobra.Command{
		Use: "unset KEY", Short: "Take a value out of the configuration file: its default holds", Args: exactly("KEY"),
		Example: "  vpn config unset log_level",
		RunE: func(_ *cobra.Command, args []string) error {
			before, _ := p.config()
			path, changed, err := editConfig(p, func(path string, data []byte) ([]byte, error) {
				edited, _, err := config.Unset(path, data, args[0])
				return edited, err
			})
			if err != nil {
				return err
			}
			return configEdited(p, configEdit{Key: args[0], File: path, Changed: changed}, "unset", before)
		},
	})
}
