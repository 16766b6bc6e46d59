package cli

import "github.com/spf13/cobra"

func usersDisable(p *program) *cobra.Command {
	return usersSwitch(p, "disable", "Keep a user out, and close its connections", false)
}
