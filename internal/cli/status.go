package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func statusCommand(p *program) *cobra.Command {
	return answers[vpn.Status](p, &cobra.Command{
		Use: "status", Short: "Show the state of the installation", Args: exactly(),
		Example: `  vpn status
  vpn status -o json
  vpn status --json synced,warnings`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return showStatus(ctx, p.printer(), c.System)
			})
		},
	})
}

type statusShower interface {
	Status(context.Context) (vpn.Status, error)
}

func showStatus(ctx context.Context, out *printer, system statusShower) error {
	s, err := system.Status(ctx)
	if err != nil {
		return err
	}
	daemon := "not running; start it: vpn up; as a service: sudo vpn service install"
	if s.Daemon {
		daemon = "running since " + formatTime(s.Since) + ", pid " + strconv.Itoa(s.PID)
	}
	total := 0
	for _, n := range s.Users {
		total += n
	}
	return out.show(answer{
		data:  s,
		names: namesOf(s.Servers, func(s vpn.ServerInfo) string { return s.Name }),
		fields: []any{
			"daemon",
			cell{daemon, strconv.FormatBool(s.Daemon)},
			"version", s.Version,
			"data", s.DataDir,
			"users",
			cell{formatUsers(s.Users), strconv.Itoa(total)},
			"online", onlineCell(s.Online, s.Rate),
			"confined", confinedWorkers(s.Servers),
		},
		warnings: s.Warnings,
		tables:   []*table{serverTable(s.Servers...)},
	})
}

// confinedWorkers says how many of the workers the kernel keeps from files
// that they do not need; nothing where there are none.
func confinedWorkers(servers []vpn.ServerInfo) string {
	workers, confined := 0, 0
	for _, s := range servers {
		if s.Worker == nil {
			continue
		}
		workers++
		if s.Worker.Confined {
			confined++
		}
	}
	if workers == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %s", confined, many(workers, "worker"))
}

// formatUsers sums up users by status: "5: 3 active, 2 expired".
func formatUsers(users map[vpn.UserStatus]int) string {
	total := 0
	var parts []string
	for _, status := range vpn.Statuses() {
		if n := users[status]; n > 0 {
			total += n
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(status), "_", " ")))
		}
	}
	if total == 0 {
		return "none"
	}
	return strconv.Itoa(total) + ": " + strings.Join(parts, ", ")
}
