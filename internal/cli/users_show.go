package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersShow(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a user: limits, traffic, live connections",
		Example: `  vpn users show alice
  vpn users show alice --json status,used`,
	}
	return answers[vpn.UserDetail](p, onUser(p, cmd, func(cmd *cobra.Command, name string) error {
		return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			return showUser(ctx, p.printer(), c.Users, name)
		})
	}))
}

type userShower interface {
	Show(context.Context, string) (vpn.UserDetail, error)
}

func showUser(ctx context.Context, out *printer, users userShower, name string) error {
	u, err := users.Show(ctx, name)
	if err != nil {
		return err
	}
	servers := &table{head: []string{"SERVER", "PROTOCOL", "ALLOWED", ">USED"}}
	for _, s := range u.Servers {
		servers.add(s.Server, string(s.Protocol), allowedCell(s), usedCell(s.Used))
	}
	return out.show(answer{
		data: u, names: []string{u.Name}, quiet: []string{u.Name}, fields: userFields(u.UserInfo),
		tables: []*table{servers, sessionTable(u.Sessions, false), resetTable(u.Resets)},
	})
}

// shownResets is how many resets a person is shown: those of a year, if they
// come by the month. JSON has all.
const shownResets = 12

func resetTable(resets []vpn.Reset) *table {
	t := &table{head: []string{"RESET", "BY", "SINCE", ">USED"}}
	for _, r := range resets[:min(len(resets), shownResets)] {
		t.add(timeCell(r.At), r.Actor, timeCell(r.Since), usedCell(r.Used))
	}
	return t
}

func userFields(u vpn.UserInfo) []any {
	return []any{
		"name", u.Name,
		"status", userStatusCell(u),
		"used", bothWaysCell(u.Used),
		"quota", limitCell(u.Limits.Quota, vpn.FormatSize),
		"period", periodText(u.Limits.Period),
		"resets", timeCell(u.ResetsAt),
		"after quota", afterCell(u.Limits),
		"expires", endCell(u),
		"first used", timeCell(u.FirstUsedAt),
		"rate up", limitCell(u.Limits.RateUp, vpn.FormatRate),
		"rate down", limitCell(u.Limits.RateDown, vpn.FormatRate),
		"devices", countCell(u.Limits.Devices),
		"connections", countCell(u.Limits.Connections),
		"online", onlineCell(u.Online, u.Rate),
		"tags", strings.Join(u.Tags, ", "),
		"email", u.Email,
		"note", u.Note,
		"created", timeCell(u.CreatedAt),
		"id", string(u.ID),
	}
}

// sessionTable lists live sessions, with their users or without.
func sessionTable(sessions []vpn.Session, users bool) *table {
	t := &table{head: []string{"SESSION FROM", "SERVER", "NETWORK", "SINCE", ">UP", ">DOWN"}}
	if users {
		t.head[1] = "USER"
	}
	for _, s := range sessions {
		of := s.Server
		if users {
			of = s.UserName
		}
		t.add(s.Source.String(), of, s.Network, timeCell(s.Since), sizeCell(s.Up), sizeCell(s.Down))
	}
	return t
}
