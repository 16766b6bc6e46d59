package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/config"
)

func configSet(p *program) *cobra.Command {
	return changes[configEdit](p, &cobra.Command{
		Use: "set KEY VALUE", Short: "Set a value in the configuration file", Args: exactly("[KEY]", "[VALUE]"),
		Long: `Set a value in the configuration file. It is checked first; everything else in
the file stays as it is, comments included. A running daemon takes it once it
is reloaded.`,
		Example: `  vpn config set public_host vpn.example.org
  vpn config set log_level debug`,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := configKey(p, cmd, args)
			if err != nil {
				return err
			}
			value, err := configNewValue(p, cmd, args, key)
			if err != nil {
				return err
			}
			path, changed, err := editConfig(p, func(path string, data []byte) ([]byte, error) {
				return config.Set(path, data, key, value)
			})
			if err != nil {
				return err
			}
			return configEdited(p, configEdit{Key: key, Value: value, File: path, Changed: changed}, "set")
		},
	})
}

// configEdited says what was done to the configuration file.
func configEdited(p *program, e configEdit, verb string) error {
	e.DryRun = p.global.dryRun
	a := answer{data: e, names: []string{e.Key}, plain: paths([]string{e.File})}
	if variable := "VPN_" + strings.ToUpper(e.Key); p.Getenv(variable) != "" {
		a.warnings = []string{variable + " is set, and rules over the file"}
	}
	switch {
	case !e.Changed && verb == "unset":
		a.done = e.Key + " is not set in " + e.File
	case !e.Changed:
		a.done = e.Key + " is that already in " + e.File
	case e.DryRun:
		a.done = "would " + verb + " " + e.Key + " in " + e.File
	default:
		a.done, a.next = verb+" "+e.Key+" in "+e.File, []string{applyConfig}
	}
	return p.printer().show(a)
}
