package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/client"
)

func serverStop(p *program) *cobra.Command {
	return serverVerb(p, "stop", "Stop a server; its connections end", "stopped",
		func(c *client.Client) serverChange { return c.Servers.Stop })
}
