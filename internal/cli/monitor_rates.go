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

func monitorRates(p *program) *cobra.Command {
	var (
		q  vpn.RatesQuery
		by string
	)
	cmd := &cobra.Command{
		Use: "rates", Aliases: []string{"speeds"}, Short: "Show how fast things were moved in each of the last seconds", Args: exactly(),
		Long: `Show how fast things were moved in each of the last 150 seconds, and how many
connections there were. A daemon keeps that while it runs; for what was before,
see: vpn monitor traffic. Of a user there is a line for each second in which one
moved something.`,
		Example: `  vpn monitor rates
  vpn monitor rates --since 30s --by server
  vpn monitor rates --user alice -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.By = vpn.HistoryBy(by)
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return showRates(ctx, p.printer(), c.Usage, q)
			})
		},
	}
	fs := cmd.Flags()
	fs.Var(sinceValue(&q.Since, p.Now), "since", "from then on: 30s, 2m; left out, all that is known")
	byFlag(fs, &by, "whose speed is told apart: user, server or protocol")
	fs.StringVar(&q.User, "user", "", "only of the user `NAME`")
	fs.StringVar(&q.Server, "server", "", "only over the server `NAME`")
	return answers[vpn.Rates](p, cmd)
}

type rater interface {
	Rates(context.Context, vpn.RatesQuery) (vpn.Rates, error)
}

func showRates(ctx context.Context, out *printer, usage rater, q vpn.RatesQuery) error {
	r, err := usage.Rates(ctx, q)
	if err != nil {
		return err
	}
	t := &table{head: []string{"AT", ">UP", ">DOWN", ">ONLINE"}}
	if q.By != vpn.ByNothing {
		t.head = slices.Insert(t.head, 1, strings.ToUpper(string(q.By)))
	}
	var names []string
	for _, p := range r.Points {
		row, name := []any{momentCell(p.At, time.Second)}, rawTime(p.At)
		if q.By != vpn.ByNothing {
			row, name = append(row, p.Of), p.Of
		}
		t.add(append(row, nowCell(p.Up), nowCell(p.Down), strconv.Itoa(p.Online))...)
		names = append(names, name)
	}
	if q.By != vpn.ByNothing {
		slices.Sort(names)
		names = slices.Compact(names)
	}
	a := answer{data: r, names: names, quiet: names, plain: t, tables: []*table{t}}
	if len(r.Points) == 0 {
		a.tables, a.next = nil, []string{"no second is known since " + formatTime(r.Since)}
	}
	return out.show(a)
}
