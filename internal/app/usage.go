package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// Usage are the use cases about what is and was moved.
type Usage struct{ *core }

const coarseStep = 5 * time.Minute

// mostPoints bounds an answer: 10,000 users over a day of hours fit.
const mostPoints = 250_000

// History returns what was moved over time. What workers have counted until
// now is in it.
func (u *Usage) History(ctx context.Context, q vpn.HistoryQuery) (vpn.History, error) {
	if _, err := authorize(ctx, "usage.history"); err != nil {
		return vpn.History{}, err
	}
	if err := u.checkQuery(&q); err != nil {
		return vpn.History{}, err
	}
	if q.Step%coarseStep != 0 {
		return u.lately(ctx, q)
	}
	if u.reconciler.Supervising() {
		// On a full disk the last seconds are missing, and status says why.
		u.reconciler.measure(ctx)
		_ = u.reconciler.books.commitAll(ctx)
	}
	out := newHistory(q, q.Since)
	watched := map[int64]int64{}
	err := u.Store.View(ctx, func(tx Tx) error {
		r := HistoryRange{
			Since: q.Since, Until: q.Until, Step: q.Step,
			ByUser: q.By == vpn.ByUser, ByServer: q.By == vpn.ByServer || q.By == vpn.ByProtocol,
		}
		if err := narrow(tx, q.User, q.Server, &r.User, &r.Server); err != nil {
			return err
		}
		steps, err := tx.History.Watched(r)
		if err != nil {
			return err
		}
		for _, w := range steps {
			watched[w.At.Unix()] = w.Seconds
			out.Watched = append(out.Watched, vpn.WatchedStep{At: w.At, Seconds: w.Seconds})
		}
		rows, err := tx.History.List(r)
		if err != nil {
			return err
		}
		of, err := namer(tx, q.By)
		if err != nil {
			return err
		}
		for _, row := range rows {
			out.Total = out.Total.Add(row.Traffic)
			p := vpn.HistoryPoint{At: row.At, Of: of(row), Traffic: row.Traffic}
			if n := watched[row.At.Unix()]; n > 0 {
				p.Online = float64(row.Connected) / float64(n)
			}
			out.Points = append(out.Points, p)
		}
		return nil
	})
	if err != nil {
		return vpn.History{}, err
	}
	out.Points = merged(out.Points)
	if len(out.Points) > mostPoints {
		return vpn.History{}, vpn.Errorf(vpn.Invalid, "that would be %d lines", len(out.Points)).
			WithHint("ask for a shorter time, longer steps, or one user or server")
	}
	return out, nil
}

// newHistory returns the answer to q as long as nothing is known.
func newHistory(q vpn.HistoryQuery, since time.Time) vpn.History {
	return vpn.History{
		Since: since, Until: q.Until, Step: int64(q.Step / time.Second), By: q.By,
		Points: []vpn.HistoryPoint{}, Watched: []vpn.WatchedStep{},
	}
}

// checkQuery checks q, and fills in the end.
func (u *Usage) checkQuery(q *vpn.HistoryQuery) error {
	now := u.Now()
	if q.Until.IsZero() || q.Until.After(now) {
		q.Until = now.Add(time.Second) // this second is in it
	}
	switch {
	case !q.Since.Before(q.Until):
		return vpn.Errorf(vpn.Invalid, "the time asked for ends before it begins").WithHint("since is before until, and not in the future")
	case q.Step < 0 || q.Step%coarseStep != 0 && (q.Step > coarseStep || q.Step%time.Second != 0) || q.Step > 366*24*time.Hour:
		return vpn.Errorf(vpn.Invalid, "the step has to be of whole five minutes, or of seconds below that").WithHint("write it like 5m, 1h or 1d; of the last minutes like 1s or 10s")
	case q.Step%coarseStep != 0 && q.Since.Before(now.Add(-vpn.RatesSpan-time.Minute)):
		return vpn.Errorf(vpn.Invalid, "steps below five minutes are known of the last %s only", vpn.RatesSpan).WithHint("ask for a shorter time, or longer steps: 5m")
	}
	return checkGrouping(q.By)
}

func checkGrouping(by vpn.HistoryBy) error {
	known := []string{string(vpn.ByUser), string(vpn.ByServer), string(vpn.ByProtocol)}
	if by != vpn.ByNothing && !slices.Contains(known, string(by)) {
		return vpn.Unknown("grouping", string(by), known)
	}
	return nil
}

// narrow finds the user and the server that were named, if they were.
func narrow(tx Tx, user, server string, u *vpn.UserID, s *vpn.ServerID) error {
	if user != "" {
		usr, err := findUser(tx, user)
		if err != nil {
			return err
		}
		*u = usr.ID
	}
	if server != "" {
		srv, err := findServer(tx, server)
		if err != nil {
			return err
		}
		*s = srv.ID
	}
	return nil
}

// gone is what is shown in the place of a name that nothing has any more.
const gone = "(deleted)"

// namer returns what tells of whom a row is.
func namer(tx Tx, by vpn.HistoryBy) (func(Moved) string, error) {
	names := map[string]string{}
	switch by {
	case vpn.ByUser:
		all, err := tx.Users.Brief(vpn.UserFilter{Deleted: true})
		if err != nil {
			return nil, err
		}
		for _, usr := range all {
			names[string(usr.ID)] = usr.Name
			if !usr.DeletedAt.IsZero() {
				names[string(usr.ID)] = usr.Name + " " + gone
			}
		}
	case vpn.ByServer, vpn.ByProtocol:
		all, err := tx.Servers.List()
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			names[string(s.ID)] = s.Name
			if by == vpn.ByProtocol {
				names[string(s.ID)] = string(s.Protocol)
			}
		}
	default:
		return func(Moved) string { return "" }, nil
	}
	return func(m Moved) string {
		if name, ok := names[string(m.User)+string(m.Server)]; ok {
			return name
		}
		return gone
	}, nil
}

// merged adds up points of one time and one name, of which a protocol has one
// for each server, and puts them in order.
func merged(points []vpn.HistoryPoint) []vpn.HistoryPoint {
	slices.SortStableFunc(points, func(a, b vpn.HistoryPoint) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.Of, b.Of)
	})
	out := points[:0]
	for _, p := range points {
		if n := len(out); n > 0 && out[n-1].At.Equal(p.At) && out[n-1].Of == p.Of {
			out[n-1].Traffic, out[n-1].Online = out[n-1].Add(p.Traffic), out[n-1].Online+p.Online
			continue
		}
		out = append(out, p)
	}
	return out
}

// Sessions returns the live sessions of every server, the oldest first.
func (u *Usage) Sessions(ctx context.Context, f vpn.SessionFilter) ([]vpn.Session, error) {
	if _, err := authorize(ctx, "usage.sessions"); err != nil {
		return nil, err
	}
	var (
		user    vpn.UserID
		server  vpn.ServerID
		servers []vpn.Server
		names   = map[vpn.UserID]string{}
	)
	err := u.Store.View(ctx, func(tx Tx) (err error) {
		if err := narrow(tx, f.User, f.Server, &user, &server); err != nil {
			return err
		}
		if servers, err = tx.Servers.List(); err != nil {
			return err
		}
		users, err := tx.Users.Brief(vpn.UserFilter{Deleted: true})
		for _, usr := range users {
			names[usr.ID] = usr.Name
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := []vpn.Session{}
	for _, s := range servers {
		if server != "" && s.ID != server {
			continue
		}
		for _, x := range u.reconciler.sessions(ctx, s) {
			if user != "" && x.User != user {
				continue
			}
			x.UserName, x.Server, x.Protocol = names[x.User], s.Name, s.Protocol
			out = append(out, x)
		}
	}
	slices.SortStableFunc(out, func(a, b vpn.Session) int { return a.Since.Compare(b.Since) })
	return out, nil
}
