package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func monitorTraffic(p *program) *cobra.Command {
	var (
		q  vpn.HistoryQuery
		by string
	)
	cmd := &cobra.Command{
		Use: "traffic", Aliases: []string{"usage"}, Short: "Show what was moved over time, and how many were connected", Args: exactly(),
		Long: `Show what was moved over time. It is kept in steps of five minutes for two days, of
an hour for sixty days, and of a day for three years; times are UTC. Of the last
minutes a daemon knows every second: --since 2m is told in steps of ten.

ONLINE is how many connections there were on average while a daemon ran, which
counts them each second; where none ran it is not known, and - is shown. What was
moved when none ran is counted all the same. Of steps below five minutes, see:
vpn monitor rates.`,
		Example: `  vpn monitor traffic
  vpn monitor traffic --since 2m
  vpn monitor traffic --since 7d --step 1d --by server
  vpn monitor traffic --user alice --since 30d
  vpn monitor traffic --since 2026-11-01 --by user -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.By = vpn.HistoryBy(by)
			if q.Since.IsZero() {
				q.Since = p.Now().Add(-24 * time.Hour)
			}
			if q.Step == 0 {
				q.Step = usualStep(p.Now().Sub(q.Since))
				if q.Step < time.Minute && (q.User != "" && (q.Server != "" || by != "" && q.By != vpn.ByUser) || q.Server != "" && q.By == vpn.ByUser) {
					q.Step = 5 * time.Minute // a user's seconds are not kept by server
				}
			}
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return showTraffic(ctx, p.printer(), c.Usage, q)
			})
		},
	}
	fs := cmd.Flags()
	fs.Var(sinceValue(&q.Since, p.Now), "since", "from then on: 2m, 30m, 24h, 7d, 2026-01-31 (24h)")
	fs.Var(sinceValue(&q.Until, p.Now), "until", "until then; left out, until now")
	fs.Var(stepValue(&q.Step), "step", "what is told together: 10s, 5m, 1h, 1d; left out, what fits")
	byFlag(fs, &by, "whose traffic is told apart: user, server or protocol")
	fs.StringVar(&q.User, "user", "", "only of the user `NAME`")
	fs.StringVar(&q.Server, "server", "", "only over the server `NAME`")
	return answers[vpn.History](p, cmd)
}

// usualStep is how finely so much time is told: in some thirty lines.
func usualStep(over time.Duration) time.Duration {
	switch {
	case over <= vpn.RatesSpan:
		return 10 * time.Second
	case over <= 3*time.Hour:
		return 5 * time.Minute
	case over <= 2*24*time.Hour:
		return time.Hour
	}
	return 24 * time.Hour
}

type historian interface {
	History(context.Context, vpn.HistoryQuery) (vpn.History, error)
}

func showTraffic(ctx context.Context, out *printer, usage historian, q vpn.HistoryQuery) error {
	h, err := usage.History(ctx, q)
	if err != nil {
		return err
	}
	var names []string
	t := &table{head: []string{"FROM", ">UP", ">DOWN", ">TOTAL", ">ONLINE"}}
	if q.By != vpn.ByNothing {
		t.head = append(t.head[:1:1], append([]string{strings.ToUpper(string(q.By))}, t.head[1:]...)...)
	}
	for _, p := range h.Points {
		row := []any{momentCell(p.At, q.Step)}
		if q.By != vpn.ByNothing {
			row = append(row, p.Of)
		}
		t.add(append(append(row, trafficCells(p.Traffic)...), averageCell(h, p))...)
		name := p.Of
		if q.By == vpn.ByNothing {
			name = rawTime(p.At)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	a := answer{data: h, names: names, quiet: names, plain: t, tables: []*table{t}}
	if len(h.Points) == 0 {
		a.tables = nil
		a.next = []string{"nothing was moved since " + formatTime(h.Since)}
	} else {
		a.next = []string{"in all " + vpn.FormatSize(h.Total.Total()) + ": " + vpn.FormatSize(h.Total.Up) + " up, " + vpn.FormatSize(h.Total.Down) + " down"}
	}
	return out.show(a)
}

// averageCell is how many connections there were on average, if it is known.
func averageCell(h vpn.History, p vpn.HistoryPoint) any {
	for _, w := range h.Watched { // a table has some thirty lines, and as many steps
		if w.At.Equal(p.At) && w.Seconds > 0 {
			return strconv.FormatFloat(p.Online, 'f', 1, 64)
		}
	}
	return "-"
}
