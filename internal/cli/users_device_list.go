package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersDeviceList(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list NAME", Aliases: []string{"ls"}, Short: "List the devices of a user that have keys of their own",
		Example: "  vpn users device list alice",
	}
	return answers[[]vpn.Device](p, onUser(p, cmd, func(cmd *cobra.Command, name string) error {
		return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			return listDevices(ctx, p.printer(), c.Devices, name)
		})
	}))
}

type deviceLister interface {
	List(context.Context, string) ([]vpn.Device, error)
}

func listDevices(ctx context.Context, out *printer, devices deviceLister, user string) error {
	list, err := devices.List(ctx, user)
	if err != nil {
		return err
	}
	names := namesOf(list, func(d vpn.Device) string { return d.Name })
	t := &table{head: []string{"DEVICE", "SERVERS", "CREATED"}}
	for _, d := range list {
		t.add(d.Name, strings.Join(d.Servers, " "), timeCell(d.CreatedAt))
	}
	a := answer{data: list, names: names, quiet: names, plain: t, tables: []*table{t}}
	if len(list) == 0 {
		a.tables = nil
		a.next = []string{"no device of user " + printable(user) + " has keys of its own; give it some: vpn users device add " + printable(user) + " DEVICE"}
	}
	return out.show(a)
}
