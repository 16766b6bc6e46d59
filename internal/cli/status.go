package cli

import (
	"context"
	"fmt"
	"math"
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
			"expiring", endingCell(s.Expiring, "within 7 days", func(u vpn.EndingUser) string { return formatTime(u.ExpiresAt) }),
			"quota", endingCell(s.NearQuota, "at 90% or more", func(u vpn.EndingUser) string { return fmt.Sprintf("%.0f%%", math.Floor(u.QuotaPercent())) }),
			"online",
			cell{onlineText(s), strconv.Itoa(s.Online)},
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

// onlineText says how many connections there are, and whose.
func onlineText(s vpn.Status) string {
	text := formatOnline(s.Online, s.Rate)
	if s.UsersOnline == 0 {
		return text
	}
	head := many(s.Online, "connection")
	return head + " of " + many(s.UsersOnline, "user") + strings.TrimPrefix(text, head)
}

// endingCell says for how many something ends soon, and for whom first;
// nothing if there is nobody.
func endingCell(e vpn.Ending, when string, how func(vpn.EndingUser) string) cell {
	if e.Count == 0 {
		return cell{}
	}
	var first []string
	for _, u := range e.First {
		first = append(first, u.Name+" "+how(u))
	}
	if e.Count > len(e.First) {
		first = append(first, "…")
	}
	return cell{strconv.Itoa(e.Count) + " " + when + ": " + strings.Join(first, ", "), strconv.Itoa(e.Count)}
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
