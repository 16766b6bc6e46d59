package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
)

func reloadCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "Make the daemon read its configuration again", Args: exactly(),
		Long: `Make the daemon read its configuration again. log_level, log_format, public_host
and worker_uids come into force at once, the last for servers that start from
then on; data_dir takes a restart. A configuration that is wrong is refused as
a whole, and the one before stays in force.`,
		Example: "  vpn reload",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				r, err := c.System.Reload(ctx)
				if err != nil {
					return err
				}
				out := p.printer()
				switch {
				case out.json:
					return out.JSON(r)
				case len(r.Changed) == 0:
					out.note("nothing has changed")
				case out.quiet:
					return out.lines(r.Changed)
				default:
					out.note("changed: %s", strings.Join(r.Changed, ", "))
				}
				return nil
			})
		},
	}
}
