package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/client"
)

func serverStop(p *program) *cobra.Command {
	return serverVerb(p, "Stop a server; its connections end", deed{
		verb: "stop", past: "stopped", change: func(c *client.Client) serverChange { return c.Servers.Stop }, interrupts: true,
	})
}
