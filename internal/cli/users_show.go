package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersShow(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a user: limits, traffic, live connections", Args: exactly("NAME"),
		Example: "  vpn users show alice",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return showUser(ctx, p.printer(), c.Users, args[0])
			})
		},
	}
}

type userShower interface {
	Show(context.Context, string) (vpn.UserDetail, error)
}

func showUser(ctx context.Context, out *printer, users userShower, name string) error {
	u, err := users.Show(ctx, name)
	if err != nil {
		return err
	}
	if out.json {
		return out.JSON(u)
	}
	if out.quiet {
		return out.lines([]string{u.Name})
	}
	err = out.fields(
		"name", u.Name,
		"status", string(u.Status),
		"used", formatUsed(u.Used)+" ("+formatBothWays(u.Used)+")",
		"quota", formatLimit(u.Limits.Quota, vpn.FormatSize),
		"expires", formatExpiry(u.ExpiresAt),
		"rate up", formatLimit(u.Limits.RateUp, vpn.FormatRate),
		"rate down", formatLimit(u.Limits.RateDown, vpn.FormatRate),
		"devices", formatCount(u.Limits.Devices),
		"connections", formatCount(u.Limits.Connections),
		"online", formatOnline(u.Online, u.Rate),
		"created", formatTime(u.CreatedAt),
		"id", string(u.ID),
	)
	if err != nil {
		return err
	}
	servers := &table{head: []string{"SERVER", "PROTOCOL", ">USED"}}
	for _, s := range u.Servers {
		servers.add(s.Server, string(s.Protocol), formatUsed(s.Used))
	}
	return out.sections(servers, sessionTable(u.Sessions, false))
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
		t.add(s.Source.String(), of, s.Network, formatTime(s.Since), vpn.FormatSize(s.Up), vpn.FormatSize(s.Down))
	}
	return t
}
