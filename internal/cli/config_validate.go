package cli

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"vpn/internal/config"
)

func configValidate(p *program) *cobra.Command {
	return &cobra.Command{
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
			if _, err := p.config(); err != nil {
				return err
			}
			path := config.File(sources(p))
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				path = ""
			}
			return configIsGood(p, path)
		},
	}
}

func configIsGood(p *program, path string) error {
	out := p.printer()
	if out.json {
		return out.JSON(struct {
			File  string `json:"file,omitempty"` // none: there are defaults and variables only
			Valid bool   `json:"valid"`
		}{path, true})
	}
	if path == "" {
		out.note("the configuration is good; there is no file, so the defaults hold")
		return nil
	}
	out.note("the configuration is good: %s", path)
	return nil
}
