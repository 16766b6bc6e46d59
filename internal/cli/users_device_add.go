package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersDeviceAdd(p *program) *cobra.Command {
	var servers []string
	cmd := &cobra.Command{
		Use: "add NAME DEVICE", Aliases: []string{"create"}, Args: exactly("[NAME]", "[DEVICE]"),
		Short: "Give a device of a user keys of its own, and print its links",
		Long: `Give a device of a user keys of its own, on every server that lets the user in or
on those that are named. It can be taken away without the others; WireGuard wants
each device to have its own. The user's limits hold for all of them together.`,
		Example: `  vpn users device add alice phone
  vpn users device add alice laptop --server wg`,
	}
	cmd.Flags().StringSliceVar(&servers, "server", nil, "only on the server `NAME`; may be given several times")
	cmd.RunE = onDevice(p, func(cmd *cobra.Command, _ string, args []string) (string, error) {
		if len(args) == 0 && !p.prompter().able {
			return "", missing(cmd, "DEVICE")
		}
		return newName(p, cmd, args, "device")
	}, func(cmd *cobra.Command, user, device string) error {
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return addDevice(ctx, p.printer(), c.Devices, user, vpn.NewDevice{Name: device, Servers: servers})
		})
	})
	return changes[vpn.UserChange](p, cmd)
}

type deviceAdder interface {
	Add(context.Context, string, vpn.NewDevice) (vpn.UserChange, error)
}

func addDevice(ctx context.Context, out *printer, devices deviceAdder, user string, in vpn.NewDevice) (bool, error) {
	change, err := devices.Add(ctx, user, in)
	if err != nil {
		return false, err
	}
	return change.Synced, out.show(answer{
		data: change, names: []string{change.User.Name}, plain: accessTable(change.Access),
		done:  did(change.DryRun, "add", "added", "device %s of user %s", in.Name, change.User.Name),
		lines: linesOf(change.Access), quiet: links(change.Access),
	})
}
