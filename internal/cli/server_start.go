package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/client"
)

func serverStart(p *program) *cobra.Command {
	return serverVerb(p, "start", "Start a server", "started",
		func(c *client.Client) serverChange { return c.Servers.Start })
}
