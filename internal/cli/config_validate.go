package cli

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"vpn/internal/config"
)

func configValidate(p *program) *cobra.Command {
	return answers[configVerdict](p, &cobra.Command{
		Use: "validate [FILE]", Short: "Check the configuration, or a file before it is put in place", Args: exactly("[FILE]"),
		Example: `  vpn config validate
  vpn config validate new.yaml`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := config.Check(args[0]); err != nil {
					return err
				}
				return configIsGood(p, args[0])
			}
			if err := hasConfigFile(p); err != nil {
				return err
			}
			if _, err := p.config(); err != nil {
				return err
			}
			path := config.File(sources(p))
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				path = ""
			}
			return configIsGood(p, path)
		},
	})
}

// configVerdict is what "config validate -o json" prints.
type configVerdict struct {
	File  string `json:"file,omitempty"` // none: there are defaults and variables only
	Valid bool   `json:"valid"`
}

func configIsGood(p *program, path string) error {
	a := answer{data: configVerdict{path, true}, plain: &table{}, done: "the configuration is good; there is no file, so the defaults hold"}
	if path != "" {
		a.names, a.plain, a.done = []string{path}, paths([]string{path}), "the configuration is good: "+path
	}
	return p.printer().show(a)
}
