package app

import (
	"context"
	"slices"
	"time"

	"vpn/internal/vpn"
)

// Rates returns how fast things were moved in each of the last seconds.
func (u *Usage) Rates(ctx context.Context, q vpn.RatesQuery) (vpn.Rates, error) {
	if _, err := authorize(ctx, "usage.rates"); err != nil {
		return vpn.Rates{}, err
	}
	if !u.reconciler.Supervising() {
		return vpn.Rates{}, noDaemon()
	}
	if err := checkGrouping(q.By); err != nil {
		return vpn.Rates{}, err
	}
	if q.User != "" && (q.Server != "" || q.By == vpn.ByServer || q.By == vpn.ByProtocol) || q.Server != "" && q.By == vpn.ByUser {
		return vpn.Rates{}, vpn.Errorf(vpn.Invalid, "a user's speed is not kept by server").
			WithHint("ask for one of them, or in steps of five minutes: vpn monitor traffic")
	}
	var (
		user   vpn.UserID
		server vpn.ServerID
		of     func(Moved) string
	)
	err := u.Store.View(ctx, func(tx Tx) (err error) {
		if err := narrow(tx, q.User, q.Server, &user, &server); err != nil {
			return err
		}
		if q.By != vpn.ByUser {
			of, err = namer(tx, q.By)
		}
		return err
	})
	if err == nil && of == nil {
		of, err = u.reconciler.roster.namer(ctx)
	}
	if err != nil {
		return vpn.Rates{}, err
	}
	seconds, since := u.reconciler.speeds.after(q.Since)
	out := vpn.Rates{Since: later(since, q.Since), Until: q.Since, By: q.By, Points: []vpn.RatePoint{}}
	for _, s := range seconds {
		out.Until = s.at
		out.Points = append(out.Points, s.points(q.By, user, server, of)...)
		if len(out.Points) > mostPoints {
			return vpn.Rates{}, vpn.Errorf(vpn.Invalid, "that would be more than %d points", mostPoints).
				WithHint("ask for a shorter time, or one user or server")
		}
	}
	return out, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// points returns what a second has to say to a question.
func (s second) points(by vpn.HistoryBy, user vpn.UserID, server vpn.ServerID, of func(Moved) string) []vpn.RatePoint {
	var out []vpn.RatePoint
	add := func(name string, r vpn.Rate, online int) {
		// Of a protocol there may be several servers, next to each other or not.
		if i := slices.IndexFunc(out, func(p vpn.RatePoint) bool { return p.Of == name }); i >= 0 && by != vpn.ByUser {
			out[i].Rate, out[i].Online = out[i].Add(r), out[i].Online+online
			return
		}
		out = append(out, vpn.RatePoint{At: s.at, Of: name, Rate: r, Online: online})
	}
	switch {
	case user != "":
		if v, ok := s.user(user); ok {
			add(of(Moved{User: user}), v.Rate, v.online)
		}
	case by == vpn.ByUser:
		for _, v := range s.users {
			add(of(Moved{User: v.of}), v.Rate, v.online)
		}
	default:
		if by == vpn.ByNothing && server == "" {
			add("", vpn.Rate{}, 0) // without servers too
		}
		for _, v := range s.servers {
			if server == "" || v.of == server {
				add(of(Moved{Server: v.of}), v.Rate, v.online)
			}
		}
	}
	return out
}

// lately answers a history in steps of less than five minutes, of which the
// store knows nothing: by the speeds of the last minutes.
func (u *Usage) lately(ctx context.Context, q vpn.HistoryQuery) (vpn.History, error) {
	rates, err := u.Rates(ctx, vpn.RatesQuery{Since: q.Since, By: q.By, User: q.User, Server: q.Server})
	if err != nil {
		return vpn.History{}, err
	}
	out := newHistory(q, rates.Since)
	for _, p := range rates.Points {
		if !p.At.Before(q.Until) {
			continue
		}
		moved := vpn.Traffic(p.Rate) // in a second
		if moved == (vpn.Traffic{}) {
			continue
		}
		// What a sample tells of was moved in the second before it.
		out.Points = append(out.Points, vpn.HistoryPoint{At: p.At.Add(-time.Second).Truncate(q.Step).UTC(), Of: p.Of, Traffic: moved})
		out.Total = out.Total.Add(moved)
	}
	out.Points = merged(out.Points)
	return out, nil
}
