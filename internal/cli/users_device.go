package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersDevice(p *program) *cobra.Command {
	cmd := group("device", "Give a user's devices keys of their own", `  vpn users device add alice phone
  vpn users device list alice
  vpn users device remove alice phone`,
		usersDeviceAdd(p), usersDeviceList(p), usersDeviceRemove(p),
	)
	cmd.Aliases = []string{"devices"}
	return cmd
}

// deviceNoun is a device of the user of that name.
func deviceNoun(user string) noun {
	return noun{"device", "devices", "vpn users device add " + printable(user) + " DEVICE", func(ctx context.Context, c *client.Client) ([]option, error) {
		devices, err := c.Devices.List(ctx, user)
		return words(namesOf(devices, func(d vpn.Device) string { return d.Name })), err
	}}
}

// deviceNames completes the DEVICE after a user's NAME.
func deviceNames(p *program) completer {
	return func(ctx context.Context, before []string) []string {
		return live(p, func(ctx context.Context, c *client.Client) ([]string, error) {
			devices, err := c.Devices.List(ctx, before[0])
			return namesOf(devices, func(d vpn.Device) string { return d.Name }), err
		})(ctx, before)
	}
}
