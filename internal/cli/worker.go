//go:build linux

package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/engine/all"
	"vpn/internal/logging"
	"vpn/internal/worker"
)

// workerCommand is what the control plane starts for each server. The name is
// for whoever lists processes.
func workerCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use: worker.Command + " NAME", Hidden: true, Short: "Run one server; started by the daemon", Args: exactly("NAME"),
		RunE: func(*cobra.Command, []string) error {
			log, err := logging.New(p.Err, logging.Options{})
			if err != nil {
				return err
			}
			p.stay = func(ctx context.Context) error {
				return worker.Main(ctx, worker.Options{Engines: all.Engines(), Version: buildInfo().Version, Log: log})
			}
			return nil
		},
	}
}
