//go:build linux

package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/container"
	"vpn/internal/docker"
)

// containerCommand is what the image's containers run. Nobody types it.
func containerCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: container.Command, Hidden: true, Short: "Run inside of a container; started by its engine"}
	o := container.Options{StateDir: docker.StateDir, RunDir: docker.RunDir, UID: docker.UID}
	run := &cobra.Command{
		Use: container.Run + " NAME", Short: "Become the worker of a server", Args: exactly("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			o.Name = args[0]
			return container.Main(o)
		},
	}
	run.Flags().StringVar(&o.Tunnel, "tunnel", "", "a TUN device to attach to")
	run.Flags().BoolVar(&o.Anywhere, "anywhere", false, "listen on every address")
	cmd.AddCommand(run,
		&cobra.Command{
			Use: container.HealthCheck, Short: "Say whether the container's worker answers", Args: exactly(),
			RunE: func(cmd *cobra.Command, _ []string) error { return container.Health(cmd.Context(), o) },
		},
		&cobra.Command{
			Use: container.Stream, Short: "Connect to the container's worker", Args: exactly(),
			RunE: func(cmd *cobra.Command, _ []string) error { return container.Dial(cmd.Context(), o, p.In, p.Out) },
		})
	return cmd
}
