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
		`, down = ` + plus(`usage_history.down`, `excluded.down`) + `, connected = usage_history.connected + excluded.connected`
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

// Watch implements [app.HistoryStore].
func (s history) Watch(w app.Watched) error {
	begin := w.At.Unix() - w.At.Unix()%seconds(fineStep)
	_, err := s.t.exec(`INSERT INTO history_watched (step, at, seconds) VALUES ($1, $2, $3)`+intoWatched, seconds(fineStep), begin, w.Seconds)
	if err != nil || len(w.Connected) == 0 {
		return err
	}
	insert, err := s.t.prepare(`INSERT INTO usage_history (step, at, user_number, server_id, up, down, connected)
		SELECT $1, $2, number, $3, 0, 0, $4 FROM users WHERE id = $5` + into())
	if err != nil {
		return err
	}
	for of, n := range w.Connected {
		if err := insert.exec(seconds(fineStep), begin, string(of.Server), n, string(of.User)); err != nil {
			return err
		}
	}
	return nil
}

const intoWatched = ` ON CONFLICT (step, at) DO UPDATE SET seconds = history_watched.seconds + excluded.seconds`

// Watched implements [app.HistoryStore].
func (s history) Watched(q app.HistoryRange) ([]app.Watched, error) {
	since, at := span(q)
	scan := func(row scanner) (w app.Watched, err error) {
		var begin int64
		err = row.Scan(&begin, &w.Seconds)
		w.At = time.Unix(begin, 0).UTC()
		return w, err
	}
	return collect(s.t, scan, `SELECT `+at+`, SUM(h.seconds) FROM history_watched h
		WHERE h.at >= $1 AND h.at < $2 GROUP BY 1 ORDER BY 1`, since, q.Until.Unix())
}

// span returns where rows begin that a question is about, and SQL for the
// step that a row h belongs to: a step is told whole.
func span(q app.HistoryRange) (since int64, at string) {
	since = q.Since.Unix()
	step := seconds(q.Step)
	if step == 0 {
		return since, strconv.FormatInt(since, 10)
	}
	return since - since%step, `h.at - h.at % ` + strconv.FormatInt(step, 10)
}

// List implements [app.HistoryStore].
func (s history) List(q app.HistoryRange) ([]app.Moved, error) {
	since, at := span(q)
	user, server := `''`, `''`
	if q.ByUser {
		user = `COALESCE(u.id, '')`
	}
	if q.ByServer {
		server = `h.server_id`
	}
	args := []any{since, q.Until.Unix()}
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
		err = row.Scan(&begin, &user, &server, &upHigh, &upLow, &dnHigh, &dnLow, &m.Connected)
		m.At, m.User, m.Server = time.Unix(begin, 0).UTC(), vpn.UserID(user), vpn.ServerID(server)
		m.Traffic = traffic(joined(upHigh, upLow), joined(dnHigh, dnLow))
		return m, err
	}
	return collect(s.t, scan, `SELECT `+at+`, `+user+`, `+server+`, `+halves(`h.up`)+`, `+halves(`h.down`)+`, SUM(h.connected)
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
		if err := s.rollWatched(to, seconds(r.from), end); err != nil {
			return err
		}
		err := s.move(`step = $1 AND at < $2`, to, `at - at % `+to, `user_number`, seconds(r.from), end)
		if err != nil {
			return err
		}
	}
	for _, table := range []string{`usage_history`, `history_watched`} {
		_, err := s.t.exec(`DELETE FROM `+table+` WHERE step = $1 AND at < $2`, seconds(dayStep), now.Add(-keepDaily).Unix())
		if err != nil {
			return err
		}
	}
	return nil
}

// rollWatched adds what was watched in steps that end before then to longer
// ones.
func (s history) rollWatched(to string, from, end int64) error {
	_, err := s.t.exec(`INSERT INTO history_watched (step, at, seconds)
		SELECT `+to+`, at - at % `+to+`, SUM(seconds) FROM history_watched WHERE step = $1 AND at < $2 GROUP BY 2`+intoWatched, from, end)
	if err != nil {
		return err
	}
	_, err = s.t.exec(`DELETE FROM history_watched WHERE step = $1 AND at < $2`, from, end)
	return err
}

// move takes rows away and adds them to others: of that step, at that time and
// of that user.
func (s history) move(where, step, at, user string, args ...any) error {
	type row struct {
		step, at, user int64
		server         string
	}
	type sum struct {
		vpn.Traffic
		connected int64
	}
	sums := map[row]sum{}
	err := s.t.each(func(r scanner) error {
		var (
			k                   row
			up, down, connected int64
		)
		err := r.Scan(&k.step, &k.at, &k.user, &k.server, &up, &down, &connected)
		sums[k] = sum{sums[k].Add(traffic(up, down)), sums[k].connected + connected}
		return err
	}, `SELECT `+step+`, `+at+`, `+user+`, server_id, up, down, connected FROM usage_history WHERE `+where, args...)
	if err != nil || len(sums) == 0 {
		return err
	}
	if _, err := s.t.exec(`DELETE FROM usage_history WHERE `+where, args...); err != nil {
		return err
	}
	insert, err := s.t.prepare(`INSERT INTO usage_history (step, at, user_number, server_id, up, down, connected)
		VALUES ($1, $2, $3, $4, $5, $6, $7)` + into())
	if err != nil {
		return err
	}
	for k, t := range sums {
		if err := insert.exec(k.step, k.at, k.user, k.server, int64(t.Up), int64(t.Down), t.connected); err != nil {
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
