package cli

import (
	"context"
	"strconv"
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
	keys, next := credentialTable(u)
	return out.show(answer{
		data: u, names: []string{u.Name}, quiet: []string{u.Name}, fields: userFields(u.UserInfo),
		tables: []*table{servers, keys, sessionTable(u.Sessions, false), resetTable(u.Resets)}, next: next,
	})
}

// credentialTable lists a user's keys where there is more to tell than that
// each server has one: devices with keys of their own, and old ones that still
// work. What ends these comes with it.
func credentialTable(u vpn.UserDetail) (t *table, next []string) {
	t = &table{head: []string{"KEYS TO", "DEVICE", "MADE", "WORK UNTIL", ">ONLINE", "+ID"}}
	several, old := false, false
	for _, c := range u.Credentials {
		old = old || !c.EndsAt.IsZero()
		several = several || old || c.Device != ""
		t.add(c.Server, orDash(c.Device), timeCell(c.CreatedAt), cell{orDash(formatTime(c.EndsAt)).text, rawTime(c.EndsAt)}, strconv.Itoa(c.Online), string(c.ID))
	}
	switch {
	case !several:
		return &table{}, nil
	case old:
		next = []string{"some keys are old, and work beside the new ones; to end them now: vpn users rotate " + u.Name + " --end-old"}
	}
	return t, next
}

func orDash(s string) cell {
	if s == "" {
		return cell{"-", ""}
	}
	return cellOf(s)
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
		"period", u.Limits.Period.String(),
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
