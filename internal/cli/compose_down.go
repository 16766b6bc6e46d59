package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vpn/internal/compose/containers"
)

func composeDown(p *program) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "down", Short: "Stop the project and remove its containers", Args: exactly(),
		Long: `Stop the project's servers, then its daemon, and remove their containers and
networks. Users, keys and counters stay in the data directory: start the project
again, or run the servers without containers with "vpn serve". The files of the
project and the image stay too.`,
		Example: `  vpn compose down
  vpn compose down --yes                     ask nothing: for scripts`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onContainers(p, dir, nil, func(c *containers.Containers, _ []string) error {
				return stopAll(cmd.Context(), p, c)
			})
		},
	}
	dirFlag(cmd, &dir)
	return changes[composedDown](p, cmd)
}

// composedDown is what "compose down -o json" prints.
type composedDown struct {
	Removed []string `json:"removed"`
	DryRun  bool     `json:"dry_run,omitempty"`
}

func stopAll(ctx context.Context, p *program, c *containers.Containers) error {
	all, err := c.List(ctx)
	if err != nil {
		return err
	}
	done := composedDown{Removed: servicesOf(all), DryRun: p.global.dryRun}
	a := answer{
		data: done, names: done.Removed, plain: paths(done.Removed),
		done: did(done.DryRun, "stop and remove", "stopped and removed", "%s", many(len(all), "container")),
	}
	if done.DryRun || len(all) == 0 {
		if len(all) == 0 {
			a.done = "the project has no containers"
		}
		return p.printer().show(a)
	}
	if err := p.confirm(ctx, fmt.Sprintf("Stop and remove %s, and end every connection?", many(len(all), "container"))); err != nil {
		return err
	}
	p.busy.begin("stopping the project")
	if err := c.Down(ctx, said(p)); err != nil {
		return err
	}
	a.next = []string{"users, keys and counters are kept; run the servers without containers: vpn serve"}
	return p.printer().show(a)
}
