package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/config"
)

func configSet(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "set KEY VALUE", Short: "Set a value in the configuration file", Args: exactly("KEY", "VALUE"),
		Long: `Set a value in the configuration file. It is checked first; everything else in
the file stays as it is, comments included. A running daemon takes it once it
is reloaded.`,
		Example: `  vpn config set public_host vpn.example.org
  vpn config set log_level debug
  systemctl reload vpn`,
		RunE: func(_ *cobra.Command, args []string) error {
			key, value := args[0], args[1]
			path, changed, err := editConfig(p, func(path string, data []byte) ([]byte, error) {
				return config.Set(path, data, key, value)
			})
			if err != nil {
				return err
			}
			return configEdited(p, configEdit{Key: key, Value: value, File: path, Changed: changed}, "set")
		},
	}
}

// configEdited says what was done to the configuration file.
func configEdited(p *program, e configEdit, did string) error {
	out := p.printer()
	if variable := "VPN_" + strings.ToUpper(e.Key); p.Getenv(variable) != "" {
		out.warn(variable + " is set, and rules over the file")
	}
	if out.json {
		return out.JSON(e)
	}
	if !e.Changed {
		out.note("%s is that already in %s", e.Key, e.File)
		return nil
	}
	out.note("%s %s in %s", did, e.Key, e.File)
	out.note(applyConfig)
	return nil
}
