package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/client"
)

func serverRestart(p *program) *cobra.Command {
	return serverVerb(p, "Stop a server and start it; its connections end", deed{
		verb: "restart", past: "restarted", change: func(c *client.Client) serverChange { return c.Servers.Restart }, interrupts: true,
	})
}
