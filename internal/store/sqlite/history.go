package sqlite

import (
	"strconv"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// history implements [app.HistoryStore].
type history struct{ t *txn }

// The steps in which history is kept, and for how long.
const (
	fineStep   = 5 * time.Minute
	hourStep   = time.Hour
	dayStep    = 24 * time.Hour
	keepFinely = 2 * 24 * time.Hour
	keepHourly = 60 * 24 * time.Hour
	keepDaily  = 3 * 366 * 24 * time.Hour
	goneNumber = 0 // of users that were purged
)

// into is what adds rows to the history.
func into() string {
	return ` ON CONFLICT (step, at, user_number, server_id) DO UPDATE SET up = ` + plus(`usage_history.up`, `excluded.up`) +
		`, down = ` + plus(`usage_history.down`, `excluded.down`)
}

// add notes what users have moved over a server, at that time.
func (s history) add(server vpn.ServerID, moved map[int64]vpn.Traffic, at time.Time) error {
	if len(moved) == 0 {
		return nil
	}
	insert, err := s.t.prepare(`INSERT INTO usage_history (step, at, user_number, server_id, up, down)
		VALUES ($1, $2, $3, $4, $5, $6)` + into())
	if err != nil {
		return err
	}
	begin := at.Unix() - at.Unix()%seconds(fineStep)
	for number, t := range moved {
		if err := insert.exec(seconds(fineStep), begin, number, string(server), int64(t.Up), int64(t.Down)); err != nil {
			return err
		}
	}
	return nil
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// List implements [app.HistoryStore].
func (s history) List(q app.HistoryRange) ([]app.Moved, error) {
	since, until := q.Since.Unix(), q.Until.Unix()
	at := strconv.FormatInt(since, 10)
	if step := seconds(q.Step); step > 0 {
		at = `h.at - h.at % ` + strconv.FormatInt(step, 10)
		since -= since % step // a step is told whole
	}
	user, server := `''`, `''`
	if q.ByUser {
		user = `COALESCE(u.id, '')`
	}
	if q.ByServer {
		server = `h.server_id`
	}
	args := []any{since, until}
	where := ` WHERE h.at >= $1 AND h.at < $2`
	narrow := func(column, value string) {
		if value != "" {
			args = append(args, value)
			where += ` AND ` + column + ` = $` + strconv.Itoa(len(args))
		}
	}
	narrow(`u.id`, string(q.User))
	narrow(`h.server_id`, string(q.Server))
	scan := func(row scanner) (m app.Moved, err error) {
		var (
			begin                        int64
			user, server                 string
			upHigh, upLow, dnHigh, dnLow int64
		)
		err = row.Scan(&begin, &user, &server, &upHigh, &upLow, &dnHigh, &dnLow)
		m.At, m.User, m.Server = time.Unix(begin, 0).UTC(), vpn.UserID(user), vpn.ServerID(server)
		m.Traffic = traffic(joined(upHigh, upLow), joined(dnHigh, dnLow))
		return m, err
	}
	return collect(s.t, scan, `SELECT `+at+`, `+user+`, `+server+`, `+halves(`h.up`)+`, `+halves(`h.down`)+`
		FROM usage_history h LEFT JOIN users u ON u.number = h.user_number`+where+`
		GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, args...)
}

// halves returns SQL for the sum of a column in two parts, neither of which
// can overflow; joined puts them together.
func halves(column string) string {
	return `SUM(` + column + ` / 4294967296), SUM(` + column + ` % 4294967296)`
}

func joined(high, low int64) int64 {
	high += low >> 32
	if high > vpn.MaxTraffic>>32 {
		return vpn.MaxTraffic
	}
	return high<<32 | low&(1<<32-1)
}

// Roll implements [app.HistoryStore].
func (s history) Roll(now time.Time) error {
	for _, r := range []struct {
		from, to time.Duration
		keep     time.Duration
	}{{fineStep, hourStep, keepFinely}, {hourStep, dayStep, keepHourly}} {
		end := now.Add(-r.keep).Unix()
		end -= end % seconds(r.to)
		to := strconv.FormatInt(seconds(r.to), 10)
		err := s.move(`step = $1 AND at < $2`, to, `at - at % `+to, `user_number`, seconds(r.from), end)
		if err != nil {
			return err
		}
	}
	_, err := s.t.exec(`DELETE FROM usage_history WHERE step = $1 AND at < $2`, seconds(dayStep), now.Add(-keepDaily).Unix())
	return err
}

// move takes rows away and adds them to others: of that step, at that time and
// of that user.
func (s history) move(where, step, at, user string, args ...any) error {
	type row struct {
		step, at, user int64
		server         string
	}
	sums := map[row]vpn.Traffic{}
	err := s.t.each(func(r scanner) error {
		var (
			k        row
			up, down int64
		)
		err := r.Scan(&k.step, &k.at, &k.user, &k.server, &up, &down)
		sums[k] = sums[k].Add(traffic(up, down))
		return err
	}, `SELECT `+step+`, `+at+`, `+user+`, server_id, up, down FROM usage_history WHERE `+where, args...)
	if err != nil || len(sums) == 0 {
		return err
	}
	if _, err := s.t.exec(`DELETE FROM usage_history WHERE `+where, args...); err != nil {
		return err
	}
	insert, err := s.t.prepare(`INSERT INTO usage_history (step, at, user_number, server_id, up, down)
		VALUES ($1, $2, $3, $4, $5, $6)` + into())
	if err != nil {
		return err
	}
	for k, t := range sums {
		if err := insert.exec(k.step, k.at, k.user, k.server, int64(t.Up), int64(t.Down)); err != nil {
			return err
		}
	}
	return nil
}

// purge gives what users that are about to go have moved to nobody, and
// forgets what was moved over servers that are about to go.
func (s history) purge(before int64) error {
	if _, err := s.t.exec(`DELETE FROM usage_history WHERE server_id IN (`+goneServers+`)`, before); err != nil {
		return err
	}
	return s.move(`user_number IN (SELECT number FROM users WHERE id IN (`+goneUsers+`))`, `step`, `at`, strconv.Itoa(goneNumber), before)
}
