package cli

import (
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"vpn/internal/compose"
)

func composeConfig(p *program) *cobra.Command {
	var dir, env string
	cmd := &cobra.Command{
		Use: "config", Short: "Print the project as it is in force", Args: exactly(),
		Long: `Print the project with everything laid over it that is in force, or would be in
another environment.`,
		Example: `  vpn compose config
  vpn compose config --env staging`,
		RunE: func(*cobra.Command, []string) error {
			c, err := findComposed(p, dir)
			if err != nil {
				return err
			}
			if env != "" {
				if c.choice.Environment, err = compose.ParseEnvironment(env); err != nil {
					return err
				}
			}
			project, err := c.project()
			if err != nil {
				return err
			}
			text, err := project.Text()
			if err != nil {
				return err
			}
			out := p.printer()
			if out.tabular() || out.quiet {
				return out.print(string(text)) // as it is: YAML has no other characters than printable ones
			}
			var data map[string]any
			if err := yaml.Unmarshal(text, &data); err != nil {
				return err
			}
			return out.show(answer{data: data, names: project.Names()})
		},
	}
	dirFlag(cmd, &dir)
	environmentFlag(cmd, &env)
	return answers[map[string]any](p, cmd)
}
