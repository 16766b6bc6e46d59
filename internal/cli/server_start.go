package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/client"
)

func serverStart(p *program) *cobra.Command {
	return serverVerb(p, "Start a server", deed{
		verb: "start", past: "started", change: func(c *client.Client) serverChange { return c.Servers.Start },
	})
}
