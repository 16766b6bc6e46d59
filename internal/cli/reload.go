package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func reloadCommand(p *program) *cobra.Command {
	return changes[vpn.Reload](p, &cobra.Command{
		Use: "reload", Short: "Make the daemon read its configuration again", Args: exactly(),
		Long: `Make the daemon read its configuration again. log_level and log_format, of the daemon
and of all servers, public_host, runtime and worker_uids come into force at once, the
last for servers that start from then on; data_dir takes a restart. A configuration that is wrong is refused as
a whole, and the one before stays in force.`,
		Example: `  vpn reload
  vpn reload --dry-run                       see whether it would be taken, and what would change`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := c.System.Reload(ctx)
				if err != nil {
					return err
				}
				done := "nothing has changed"
				switch changed := strings.Join(r.Changed, ", "); {
				case changed != "" && r.DryRun:
					done = "would change: " + changed
				case changed != "":
					done = "changed: " + changed
				case r.DryRun:
					done = "the configuration is good; nothing would change"
				}
				return p.printer().show(answer{data: r, names: r.Changed, plain: paths(r.Changed), done: done, quiet: r.Changed})
			})
		},
	})
}
