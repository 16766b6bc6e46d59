package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/client"
)

func serverRestart(p *program) *cobra.Command {
	return serverVerb(p, "restart", "Stop a server and start it; its connections end", "restarted",
		func(c *client.Client) serverChange { return c.Servers.Restart })
}
