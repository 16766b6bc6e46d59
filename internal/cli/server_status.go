package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func serverStatus(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "status [NAME]", Short: "Show how the servers' workers are", Args: exactly("[NAME]"),
		Example: `  vpn server status
  vpn server status main`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if len(args) == 1 {
					return showServer(ctx, p.printer(), c.Servers, args[0])
				}
				return listServers(ctx, p.printer(), c.Servers, workerTable)
			})
		},
	}
}

func workerTable(list []vpn.ServerInfo) *table {
	t := &table{head: []string{"NAME", "STATE", ">PID", ">MEMORY", ">RESTARTS", "SINCE", "PROBLEM"}}
	for _, s := range list {
		if w := s.Worker; w != nil {
			t.add(s.Name, string(s.State), strconv.Itoa(w.PID), vpn.FormatSize(w.Memory), strconv.Itoa(w.Restarts),
				formatTime(w.StartedAt), s.Problem)
			continue
		}
		t.add(s.Name, string(s.State), "-", "-", "-", "-", s.Problem)
	}
	return t
}
