package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func monitorHost(p *program) *cobra.Command {
	return answers[vpn.Host](p, &cobra.Command{
		Use: "host", Aliases: []string{"machine"}, Short: "Show how busy and how full the machine is", Args: exactly(),
		Long: `Show how busy and how full the machine is that the servers run on: processors,
memory, the disk of the data directory, and what passes the interfaces that lead
out of it, all traffic of the machine included.`,
		Example: `  vpn monitor host
  vpn monitor host --json cpu.percent,memory.free,disk.free`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return showHost(ctx, p.printer(), c.System)
			})
		},
	})
}

type hostShower interface {
	Host(context.Context) (vpn.Host, error)
}

func showHost(ctx context.Context, out *printer, system hostShower) error {
	h, err := system.Host(ctx)
	if err != nil {
		return err
	}
	fields := []any{"name", h.Name, "system", h.System, "kernel", h.Kernel}
	if h.Uptime > 0 {
		fields = append(fields, "up for", cell{formatUptime(h.Uptime), strconv.FormatInt(int64(h.Uptime), 10)})
	}
	if c := h.CPU; c != nil {
		fields = append(fields, "cpu", cell{formatPercent(c.Percent) + " of " + many(c.Cores, "core"), formatNumber(c.Percent)})
	}
	if l := h.Load; l != nil {
		fields = append(fields, "load", cell{
			fmt.Sprintf("%.2f, %.2f in five minutes, %.2f in fifteen", l.One, l.Five, l.Fifteen), formatNumber(l.One),
		})
	}
	for _, r := range []struct {
		name, where string
		room        *vpn.Room
	}{{"memory", "", h.Memory}, {"swap", "", h.Swap}} {
		if r.room != nil {
			fields = append(fields, r.name, roomCell(*r.room, r.where))
		}
	}
	if h.Disk != nil {
		fields = append(fields, "disk", roomCell(h.Disk.Room, " for "+h.Disk.Path))
	}
	if n := h.Network; n != nil {
		fields = append(fields,
			"in", cell{vpn.FormatRate(n.In) + ", " + vpn.FormatSize(n.TotalIn) + " since its start", strconv.FormatUint(n.In, 10)},
			"out", cell{vpn.FormatRate(n.Out) + ", " + vpn.FormatSize(n.TotalOut) + " since its start", strconv.FormatUint(n.Out, 10)},
			"interfaces", strings.Join(n.Interfaces, ", "))
	}
	return out.show(answer{data: h, names: []string{h.Name}, quiet: []string{h.Name}, fields: fields})
}

func roomCell(r vpn.Room, where string) cell {
	part := 0.0
	if r.Total > 0 {
		part = 100 * float64(r.Used) / float64(r.Total)
	}
	return cell{
		fmt.Sprintf("%s of %s used (%s), %s free%s", vpn.FormatSize(r.Used), vpn.FormatSize(r.Total), formatPercent(part), vpn.FormatSize(r.Free), where),
		strconv.FormatUint(r.Used, 10),
	}
}

func formatPercent(p float64) string { return strconv.FormatFloat(p, 'f', 1, 64) + " %" }

func formatNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func percentCell(p float64) cell { return cell{formatPercent(p), formatNumber(p)} }

func formatUptime(s vpn.Seconds) string {
	d := s.Duration().Round(time.Minute)
	days, hours, minutes := d/(24*time.Hour), d%(24*time.Hour)/time.Hour, d%time.Hour/time.Minute
	switch {
	case days > 0:
		return many(int(days), "day") + fmt.Sprintf(" %d h", hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	}
	return many(int(minutes), "minute")
}
