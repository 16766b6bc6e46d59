package cli

import (
	"context"
	"reflect"
	"strconv"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func serverStatus(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "status [NAME]", Short: "Show how the servers' workers are", Args: exactly("[NAME]"),
		Example: `  vpn server status
  vpn server status main`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if len(args) == 1 {
					return showServer(ctx, p.printer(), c.Servers, args[0])
				}
				return listServers(ctx, p.printer(), c.Servers, workerTable, noServers)
			})
		},
	}
	p.shapes[cmd] = func(args []string) reflect.Type {
		if len(args) == 1 {
			return reflect.TypeFor[vpn.ServerDetail]()
		}
		return reflect.TypeFor[[]vpn.ServerInfo]()
	}
	return cmd
}

func workerTable(list ...vpn.ServerInfo) *table {
	t := &table{head: []string{"NAME", "STATE", ">PID", ">MEMORY", ">RESTARTS", "CONFINED", "SINCE", "PROBLEM", "+>UID", "+VERSION", "+CARRIED BY", "+>CPU"}}
	for _, s := range list {
		none := cell{"-", ""}
		if w := s.Worker; w != nil {
			cpu := none
			if w.CPU != nil {
				cpu = percentCell(*w.CPU)
			}
			t.add(s.Name, string(s.State), strconv.Itoa(w.PID), sizeCell(w.Memory), strconv.Itoa(w.Restarts), yesNo(w.Confined),
				timeCell(w.StartedAt), s.Problem, strconv.Itoa(w.UID), w.Version, orDash(w.Carrier), cpu)
			continue
		}
		t.add(s.Name, string(s.State), none, none, none, none, none, s.Problem, none, none, none, none)
	}
	return t
}
