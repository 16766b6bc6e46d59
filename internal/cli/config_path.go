package cli

import (
	"os"

	"github.com/spf13/cobra"

	"vpn/internal/config"
	"vpn/internal/vpn"
)

func configPath(p *program) *cobra.Command {
	return answers[configPlace](p, &cobra.Command{
		Use: "path", Short: "Print which configuration file is read", Args: exactly(),
		Example: "  vpn config path",
		RunE: func(*cobra.Command, []string) error {
			if err := hasConfigFile(p); err != nil {
				return err
			}
			path := config.File(sources(p))
			if path == "" {
				return vpn.Errorf(vpn.Invalid, "there is no place for the configuration file: HOME is not set").
					WithHint("name one with --config")
			}
			_, err := os.Stat(path)
			a := answer{
				data: configPlace{path, err == nil}, names: []string{path}, plain: paths([]string{path}),
				lines: []string{path}, quiet: []string{path},
			}
			if err != nil {
				a.next = []string{"there is no such file yet; make it: vpn config set KEY VALUE"}
				if _, err := config.FileToChange(sources(p)); vpn.KindOf(err) == vpn.Denied {
					a.next = []string{"there is no such file; the system's installation is configured in " + config.SystemFile +
						": sudo vpn config set KEY VALUE"}
				}
			}
			return p.printer().show(a)
		},
	})
}

// configPlace is what "config path -o json" prints.
type configPlace struct {
	Path   string `json:"path"`
	Exists bool   `json:"exists"`
}
