package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"vpn/internal/compose"
)

func composeEnv(p *program) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "env [ENV]", Short: "List environments, or choose the one in force", Args: exactly("[ENV]"),
		Long: `Without ENV, list the environments; else put that one into force, for this
program and for every Compose program that is run in the project's directory.
Containers follow with the next "vpn compose up".`,
		Example: `  vpn compose env
  vpn compose env development`,
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := findComposed(p, dir)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return p.printer().show(environmentsAnswer(c))
			}
			if c.choice.Environment, err = compose.ParseEnvironment(args[0]); err != nil {
				return err
			}
			if !p.global.dryRun {
				if err := writeChoice(c.dir, c.choice); err != nil {
					return err
				}
			}
			a := environmentsAnswer(c)
			a.names, a.quiet, a.tables = []string{args[0]}, nil, nil
			a.done = did(p.global.dryRun, "put into force", "put into force:", "%s", args[0])
			if !p.global.dryRun {
				a.next = []string{"containers follow with: vpn compose up"}
			}
			return p.printer().show(a)
		},
	}
	dirFlag(cmd, &dir)
	return changes[[]environmentShown](p, cmd)
}

// environmentShown is one of what "compose env -o json" prints.
type environmentShown struct {
	Name    compose.Environment `json:"name"`
	InForce bool                `json:"in_force"`
	About   string              `json:"about"`
	File    string              `json:"file"`
}

func environmentsAnswer(c composed) answer {
	var list []environmentShown
	t := &table{head: []string{"ENVIRONMENT", "IN FORCE", "ABOUT", "+FILE"}}
	for _, e := range compose.Environments() {
		shown := environmentShown{e, e == c.choice.Environment, e.About(), filepath.Join(c.dir, e.FileName())}
		list = append(list, shown)
		t.add(string(e), yesNo(shown.InForce), shown.About, shown.File)
	}
	names := namesOf(list, func(e environmentShown) string { return string(e.Name) })
	return answer{data: list, names: names, quiet: names, tables: []*table{t}}
}
