package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/compose/containers"
)

func composeRestart(p *program) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "restart [SERVICE...]", Short: "Restart the project's containers, or some of them",
		Long: `Restart containers, one after the other. A server's connections end with it; the
daemon's restart ends none. A server's name does for its service.`,
		Example: `  vpn compose restart main
  vpn compose restart control                only the daemon: no connection ends
  vpn compose restart --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return onContainers(p, dir, args, func(c *containers.Containers, services []string) error {
				return restartContainers(cmd.Context(), p, c, services)
			})
		},
	}
	dirFlag(cmd, &dir)
	return changes[composedRestart](p, cmd)
}

// composedRestart is what "compose restart -o json" prints.
type composedRestart struct {
	Restarted []string `json:"restarted"`
	DryRun    bool     `json:"dry_run,omitempty"`
}

func restartContainers(ctx context.Context, p *program, c *containers.Containers, services []string) error {
	all, err := c.List(ctx)
	if err != nil {
		return err
	}
	list, err := containers.Of(all, services...)
	if err != nil {
		return err
	}
	done := composedRestart{Restarted: servicesOf(list), DryRun: p.global.dryRun}
	servers := 0
	for _, one := range list {
		if one.Server != "" {
			servers++
		}
	}
	if servers > 0 {
		if err := p.confirm(ctx, fmt.Sprintf("Restart %s, and end their connections?", many(servers, "server"))); err != nil {
			return err
		}
	}
	if !done.DryRun {
		p.busy.begin("restarting")
		if err := c.Restart(ctx, list, func(string, string) {}); err != nil {
			return err
		}
	}
	return p.printer().show(answer{
		data: done, names: done.Restarted, plain: paths(done.Restarted),
		done: did(done.DryRun, "restart", "restarted", "%s", strings.Join(done.Restarted, ", ")),
	})
}
