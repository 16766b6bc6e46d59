package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersDeviceRemove(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove NAME DEVICE", Aliases: []string{"rm", "delete"}, Args: exactly("[NAME]", "[DEVICE]"),
		Short: "Take a device's keys away, and close its connections",
		Example: `  vpn users device remove alice phone
  vpn users device remove alice phone --yes`,
	}
	cmd.RunE = onDevice(p, func(cmd *cobra.Command, user string, args []string) (string, error) {
		if len(args) == 1 {
			return args[0], nil
		}
		return chooseA(p, cmd, deviceNoun(user), "DEVICE")
	}, func(cmd *cobra.Command, user, device string) error {
		question := fmt.Sprintf("Take device %s from user %s, and close its connections?", printable(device), printable(user))
		if err := p.confirm(cmd.Context(), question); err != nil {
			return err
		}
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return removeDevice(ctx, p.printer(), c.Devices, user, device)
		})
	})
	return changes[vpn.UserChange](p, cmd)
}

type deviceRemover interface {
	Remove(ctx context.Context, user, device string) (vpn.UserChange, error)
}

func removeDevice(ctx context.Context, out *printer, devices deviceRemover, user, device string) (bool, error) {
	change, err := devices.Remove(ctx, user, device)
	if err != nil {
		return false, err
	}
	return change.Synced, out.show(answer{
		data: change, names: []string{change.User.Name}, plain: userTable(change.User),
		done: did(change.DryRun, "remove", "removed", "device %s of user %s", device, change.User.Name) + closing(change.DryRun, change.Connections),
	})
}
