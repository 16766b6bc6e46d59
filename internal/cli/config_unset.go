package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/config"
	"vpn/internal/vpn"
)

func configUnset(p *program) *cobra.Command {
	var daemon bool
	cmd := &cobra.Command{
		Use: "unset KEY", Short: "Take a value out of the configuration file: its default holds", Args: exactly("[KEY]"),
		Example: "  vpn config unset log_level",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := configKey(p, cmd, args)
			if err != nil {
				return err
			}
			if daemon {
				return changeDaemonConfig(cmd.Context(), p, "unset", key, "", vpn.ConfigPatch{Unset: []string{key}})
			}
			before, _ := p.config()
			path, changed, err := editConfig(p, func(path string, data []byte) ([]byte, error) {
				edited, _, err := config.Unset(path, data, key)
				return edited, err
			})
			if err != nil {
				return err
			}
			return configEdited(p, configEdit{Key: key, File: path, Changed: changed}, "unset", before)
		},
	}
	daemonFlag(cmd.Flags(), &daemon, "have the daemon change its file")
	return changes[configEdit](p, cmd)
}
