//go:build !linux

package cli

import "github.com/spf13/cobra"

// workerCommand has no engines on this system.
func workerCommand(*program) *cobra.Command {
	return &cobra.Command{
		Use: "worker NAME", Hidden: true, Short: "Run one server; started by the daemon", Args: exactly("NAME"),
		RunE: func(*cobra.Command, []string) error { return servesHere() },
	}
}
