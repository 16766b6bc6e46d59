package cli

import (
	"os"

	"github.com/spf13/cobra"

	"vpn/internal/config"
	"vpn/internal/vpn"
)

func configPath(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "path", Short: "Print which configuration file is read", Args: exactly(),
		Example: "  vpn config path",
		RunE: func(*cobra.Command, []string) error {
			path := config.File(sources(p))
			if path == "" {
				return vpn.Errorf(vpn.Invalid, "there is no place for the configuration file: HOME is not set").
					WithHint("name one with --config")
			}
			_, err := os.Stat(path)
			out := p.printer()
			if out.json {
				return out.JSON(struct {
					Path   string `json:"path"`
					Exists bool   `json:"exists"`
				}{path, err == nil})
			}
			if err != nil {
				out.note("there is no such file yet; make it: vpn config set KEY VALUE")
			}
			return out.lines([]string{path})
		},
	}
}
