package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

func serverShow(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a server: settings, worker, live connections",
		Example: `  vpn server show main
  vpn server show main --json state,worker.pid`,
	}
	return answers[vpn.ServerDetail](p, onServer(p, cmd, func(cmd *cobra.Command, name string) error {
		return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			return showServer(ctx, p.printer(), c.Servers, name)
		})
	}))
}

type serverShower interface {
	Show(context.Context, string) (vpn.ServerDetail, error)
}

func showServer(ctx context.Context, out *printer, servers serverShower, name string) error {
	s, err := servers.Show(ctx, name)
	if err != nil {
		return err
	}
	return out.show(answer{
		data: s, names: []string{s.Name}, quiet: []string{s.Name},
		fields: serverFields(s), warnings: s.Warnings, tables: []*table{sessionTable(s.Sessions, true)},
	})
}

func serverFields(s vpn.ServerDetail) []any {
	var allow []string
	for _, n := range s.Allow {
		allow = append(allow, n.String())
	}
	var ports []string
	for _, port := range s.Ports {
		ports = append(ports, strconv.Itoa(int(port)))
	}
	fields := []any{
		"name", s.Name,
		"state",
		cell{stateText(s.ServerInfo), string(s.State)},
		"problem", s.Problem,
		"protocol", string(s.Protocol),
		"endpoint", s.Endpoint,
		"listens on", listens(s.ServerInfo),
		"network", networksOf(s.ServerInfo),
		"ports", strings.Join(ports, " "),
		"users", strconv.Itoa(s.Users),
		"allow", strings.Join(allow, ", "),
		"online", onlineCell(s.Online, s.Rate),
		"used", bothWaysCell(s.Used),
	}
	fields = append(fields, settingFields(s.ServerInfo)...)
	fields = append(fields, homeFields(s.ServerInfo)...)
	if w := s.Worker; w != nil {
		var cpu cell
		if w.CPU != nil {
			cpu = percentCell(*w.CPU)
			cpu.text += " of all cores"
		}
		fields = append(fields,
			"worker", cell{"pid " + strconv.Itoa(w.PID) + ", uid " + strconv.Itoa(w.UID) + ", since " + formatTime(w.StartedAt), strconv.Itoa(w.PID)},
			"confined", cell{confinement(w.Confined), yesNo(w.Confined)},
			"carried by", carrying(w),
			"cpu", cpu,
			"memory", sizeCell(w.Memory),
			"restarts", strconv.Itoa(w.Restarts),
		)
		if e := w.Before; e != nil {
			fields = append(fields, "the last", cell{formatTime(e.At) + ", " + e.Why, e.Why})
		}
	}
	return append(fields, "created", timeCell(s.CreatedAt), "id", string(s.ID))
}

// stateText is the state and, where it is known, since when.
func stateText(s vpn.ServerInfo) string {
	if s.Since.IsZero() {
		return string(s.State)
	}
	return string(s.State) + " since " + formatTime(s.Since)
}

// networksOf returns those on which a server listens, for whoever opens a firewall.
func networksOf(s vpn.ServerInfo) string {
	p, err := all.Protocols().Get(s.Protocol)
	if err != nil {
		return ""
	}
	return strings.Join(p.Networks(), ", ")
}

// carrying says which way packets go.
func carrying(w *vpn.Worker) cell {
	if w.Why == "" {
		return cell{w.Carrier, w.Carrier}
	}
	return cell{w.Carrier + ": " + w.Why, w.Carrier}
}

func confinement(confined bool) string {
	if confined {
		return "yes: the kernel keeps it from other files"
	}
	return "no: the kernel has no Landlock, or it is switched off"
}

// settingFields are the settings that a person may give. What else there is
// (keys, measurements) is in the JSON.
func settingFields(s vpn.ServerInfo) []any {
	p, err := all.Protocols().Get(s.Protocol)
	if err != nil {
		return []any{"settings", string(s.Settings)}
	}
	var values map[string]any
	if json.Unmarshal(s.Settings, &values) != nil {
		return []any{"settings", string(s.Settings)}
	}
	var fields []any
	for _, f := range p.Fields() {
		text := fmt.Sprint(values[f.Key])
		if several, ok := values[f.Key].([]any); ok {
			text = strings.Trim(fmt.Sprint(several), "[]")
		}
		if f.File {
			continue
		}
		if values[f.Key] != nil {
			fields = append(fields, strings.ReplaceAll(f.Flag(), "-", " "), text)
		}
	}
	return fields
}
