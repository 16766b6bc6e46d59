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
	return &cobra.Command{
		Use: "status", Short: "Show the state of the installation", Args: exactly(),
		Example: `  vpn status
  vpn status -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return showStatus(ctx, p.printer(), c.System)
			})
		},
	}
}

type statusShower interface {
	Status(context.Context) (vpn.Status, error)
}

func showStatus(ctx context.Context, out *printer, system statusShower) error {
	s, err := system.Status(ctx)
	if err != nil {
		return err
	}
	if out.json {
		return out.JSON(s)
	}
	daemon := "not running; start it: vpn up, or systemctl start vpn"
	if s.Daemon {
		daemon = "running since " + formatTime(s.Since) + ", pid " + strconv.Itoa(s.PID)
	}
	err = out.fields(
		"daemon", daemon,
		"version", s.Version,
		"data", s.DataDir,
		"users", formatUsers(s.Users),
		"online", formatOnline(s.Online, s.Rate),
	)
	if err != nil {
		return err
	}
	out.warn(s.Warnings...)
	return out.sections(serverTable(s.Servers))
}

// formatUsers sums up users by status: "5: 3 active, 2 expired".
func formatUsers(users map[vpn.UserStatus]int) string {
	total := 0
	var parts []string
	for _, status := range []vpn.UserStatus{vpn.Active, vpn.Limited, vpn.Expired, vpn.Disabled} {
		if n := users[status]; n > 0 {
			total += n
			parts = append(parts, fmt.Sprintf("%d %s", n, status))
		}
	}
	if total == 0 {
		return "none"
	}
	return strconv.Itoa(total) + ": " + strings.Join(parts, ", ")
}
