package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

func serverShow(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a server: settings, worker, live connections", Args: exactly("NAME"),
		Example: "  vpn server show main",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return showServer(ctx, p.printer(), c.Servers, args[0])
			})
		},
	}
}

type serverShower interface {
	Show(context.Context, string) (vpn.ServerDetail, error)
}

func showServer(ctx context.Context, out *printer, servers serverShower, name string) error {
	s, err := servers.Show(ctx, name)
	if err != nil {
		return err
	}
	if out.json {
		return out.JSON(s)
	}
	if out.quiet {
		return out.lines([]string{s.Name})
	}
	if err := out.fields(serverFields(s.ServerInfo)...); err != nil {
		return err
	}
	return out.sections(sessionTable(s.Sessions, true))
}

func serverFields(s vpn.ServerInfo) []string {
	var allow []string
	for _, n := range s.Allow {
		allow = append(allow, n.String())
	}
	fields := []string{
		"name", s.Name,
		"state", string(s.State),
		"problem", s.Problem,
		"protocol", string(s.Protocol),
		"endpoint", s.Endpoint,
		"listens on", net.JoinHostPort(s.Listen.String(), strconv.Itoa(int(s.Port))),
		"allow", strings.Join(allow, ", "),
		"online", formatOnline(s.Online, s.Rate),
		"used", formatUsed(s.Used) + " (" + formatBothWays(s.Used) + ")",
	}
	fields = append(fields, settingFields(s)...)
	if w := s.Worker; w != nil {
		fields = append(fields,
			"worker", "pid "+strconv.Itoa(w.PID)+", uid "+strconv.Itoa(w.UID)+", since "+formatTime(w.StartedAt),
			"confined", formatConfined(w.Confined),
			"memory", vpn.FormatSize(w.Memory),
			"restarts", strconv.Itoa(w.Restarts),
		)
	}
	return append(fields, "created", formatTime(s.CreatedAt), "id", string(s.ID))
}

func formatConfined(confined bool) string {
	if confined {
		return "yes"
	}
	return "no: this kernel has no Landlock"
}

// settingFields are the settings that a person may give. What else there is
// (keys, measurements) is in the JSON.
func settingFields(s vpn.ServerInfo) []string {
	p, err := all.Protocols().Get(s.Protocol)
	if err != nil {
		return []string{"settings", string(s.Settings)}
	}
	var values map[string]any
	if json.Unmarshal(s.Settings, &values) != nil {
		return []string{"settings", string(s.Settings)}
	}
	var fields []string
	for _, f := range p.Fields() {
		text := fmt.Sprint(values[f.Key])
		if several, ok := values[f.Key].([]any); ok {
			text = strings.Trim(fmt.Sprint(several), "[]")
		}
		if values[f.Key] != nil {
			fields = append(fields, strings.ReplaceAll(f.Flag(), "-", " "), text)
		}
	}
	return fields
}
