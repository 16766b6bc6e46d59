//go:build linux

package cli

import (
	"context"
	"log/slog"

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
			log, control, err := logging.NewBounded(p.Err, slog.LevelInfo, "")
			if err != nil {
				return err
			}
			p.stay = func(ctx context.Context) error {
				return worker.Main(ctx, worker.Options{
					Engines: all.Engines(), Version: buildInfo().Version, Log: log, Adjust: control.Adjust,
				})
			}
			return nil
		},
	}
}
