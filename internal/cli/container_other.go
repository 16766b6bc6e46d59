//go:build !linux

package cli

import "github.com/spf13/cobra"

// containerCommand has no containers on this system.
func containerCommand(*program) *cobra.Command {
	return &cobra.Command{
		Use: "container", Hidden: true, Short: "Run inside of a container; started by its engine",
		RunE: func(*cobra.Command, []string) error { return servesHere() },
	}
}
