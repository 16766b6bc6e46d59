package cli

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func monitorTop(p *program) *cobra.Command {
	var (
		since time.Time
		by    = string(vpn.ByUser)
		most  = 10
	)
	cmd := &cobra.Command{
		Use: "top", Short: "Show who moves most, now or since some time", Args: exactly(),
		Example: `  vpn monitor top
  vpn monitor top --since 24h -n 20
  vpn monitor top --by protocol --since 30d`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if since.IsZero() {
					return topNow(ctx, p.printer(), c, vpn.HistoryBy(by), most)
				}
				return topSince(ctx, p.printer(), c.Usage, vpn.HistoryQuery{Since: since, By: vpn.HistoryBy(by)}, most)
			})
		},
	}
	fs := cmd.Flags()
	fs.Var(sinceValue(&since, p.Now), "since", "by what was moved from then on: 24h, 7d, 2026-01-31; left out, by the present speed")
	byFlag(fs, &by, "who is told apart: user, server or protocol")
	fs.VarP(countValue(&most), "number", "n", "at most so many lines")
	return answers[[]mover](p, cmd)
}

// A mover is a line of a top list: who, and how much.
type mover struct {
	Of     string      `json:"of"`
	Rate   vpn.Rate    `json:"rate"`   // now; 0 in a list of what was moved
	Moved  vpn.Traffic `json:"moved"`  // since then; 0 in a list of the present
	Online int         `json:"online"` // connections now
}

// topNow shows who moves most in this second.
func topNow(ctx context.Context, out *printer, c *client.Client, by vpn.HistoryBy, most int) error {
	var movers []mover
	if by == vpn.ByUser {
		users, err := c.Users.ListFields(ctx, vpn.UserFilter{}, "name", "rate", "online")
		if err != nil {
			return err
		}
		for _, u := range users {
			movers = append(movers, mover{Of: u.Name, Rate: u.Rate, Online: u.Online})
		}
	} else {
		servers, err := c.Servers.List(ctx)
		if err != nil {
			return err
		}
		at := map[string]int{}
		for _, s := range servers {
			name := s.Name
			if by == vpn.ByProtocol {
				name = string(s.Protocol)
			}
			i, ok := at[name]
			if !ok {
				i = len(movers)
				at[name] = i
				movers = append(movers, mover{Of: name})
			}
			movers[i].Rate = movers[i].Rate.Add(s.Rate)
			movers[i].Online += s.Online
		}
	}
	idle := func(m mover) bool { return m.Online == 0 && m.Rate == vpn.Rate{} }
	movers = slices.DeleteFunc(movers, idle)
	slices.SortStableFunc(movers, func(a, b mover) int {
		return cmp.Or(cmp.Compare(b.Rate.Up+b.Rate.Down, a.Rate.Up+a.Rate.Down), cmp.Compare(b.Online, a.Online), strings.Compare(a.Of, b.Of))
	})
	t := &table{head: []string{strings.ToUpper(string(by)), ">UP", ">DOWN", ">ONLINE"}}
	movers = first(movers, most)
	for _, m := range movers {
		t.add(m.Of, nowCell(m.Rate.Up), nowCell(m.Rate.Down), strconv.Itoa(m.Online))
	}
	return showMovers(out, movers, t, "nobody is connected")
}

// topSince shows who has moved most since some time.
func topSince(ctx context.Context, out *printer, usage historian, q vpn.HistoryQuery, most int) error {
	h, err := usage.History(ctx, q)
	if err != nil {
		return err
	}
	movers := make([]mover, 0, len(h.Points))
	for _, p := range h.Points {
		if p.Traffic != (vpn.Traffic{}) {
			movers = append(movers, mover{Of: p.Of, Moved: p.Traffic})
		}
	}
	slices.SortStableFunc(movers, func(a, b mover) int {
		return cmp.Or(cmp.Compare(b.Moved.Total(), a.Moved.Total()), strings.Compare(a.Of, b.Of))
	})
	t := &table{head: []string{strings.ToUpper(string(q.By)), ">UP", ">DOWN", ">TOTAL", ">SHARE"}}
	movers = first(movers, most)
	for _, m := range movers {
		share := strconv.FormatFloat(100*float64(m.Moved.Total())/max(1, float64(h.Total.Total())), 'f', 1, 64) + " %"
		t.add(append(append([]any{m.Of}, trafficCells(m.Moved)...), share)...)
	}
	return showMovers(out, movers, t, "nothing was moved since "+formatTime(q.Since))
}

func showMovers(out *printer, movers []mover, t *table, none string) error {
	names := namesOf(movers, func(m mover) string { return m.Of })
	a := answer{data: movers, names: names, quiet: names, tables: []*table{t}, plain: t}
	if len(movers) == 0 {
		a.tables, a.next = nil, []string{none}
	}
	return out.show(a)
}

// first returns the first n movers; 0 is no limit.
func first(movers []mover, n int) []mover {
	if n > 0 && len(movers) > n {
		return movers[:n]
	}
	return movers
}
