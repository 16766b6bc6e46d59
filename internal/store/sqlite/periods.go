package sqlite

import (
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// periods implements [app.PeriodStore].
type periods struct{ t *txn }

// keptResets is how many resets of a user are remembered.
const keptResets = 100

// Due implements [app.PeriodStore].
func (s periods) Due(now time.Time) ([]vpn.User, error) {
	return collect(s.t, scanUser(), `SELECT `+userColumns+` FROM users WHERE deleted_at = 0 AND turns_at <> 0 AND turns_at <= $1`, micros(now))
}

// Next implements [app.PeriodStore].
func (s periods) Next() (time.Time, error) {
	next, _, err := find(s.t, scanNumber, `SELECT turns_at FROM users WHERE deleted_at = 0 AND turns_at <> 0 ORDER BY turns_at LIMIT 1`)
	return moment(next), err
}

// SetUsed implements [app.PeriodStore].
func (s periods) SetUsed(u vpn.User) error {
	n, err := s.t.exec(`UPDATE users SET used_up = $1, used_down = $2, used_since = $3, resets_at = $4, turns_at = $5 WHERE id = $6`,
		stored(u.Used.Up), stored(u.Used.Down), micros(u.UsedSince), micros(u.ResetsAt), micros(u.TurnsAt), string(u.ID))
	if err == nil && n == 0 {
		err = noUser(u.ID)
	}
	return err
}

// AddReset implements [app.PeriodStore].
func (s periods) AddReset(id vpn.UserID, r vpn.Reset) error {
	number, err := s.number(id)
	if err != nil {
		return err
	}
	_, err = s.t.exec(`INSERT INTO resets (user_number, at, actor, since, used_up, used_down) VALUES ($1, $2, $3, $4, $5, $6)`,
		number, micros(r.At), r.Actor, micros(r.Since), stored(r.Used.Up), stored(r.Used.Down))
	if err != nil {
		return err
	}
	_, err = s.t.exec(`DELETE FROM resets WHERE user_number = $1 AND number <=
		(SELECT number FROM resets WHERE user_number = $1 ORDER BY number DESC LIMIT 1 OFFSET $2)`, number, int64(keptResets))
	return err
}

// Resets implements [app.PeriodStore].
func (s periods) Resets(id vpn.UserID) ([]vpn.Reset, error) {
	scan := func(row scanner) (r vpn.Reset, err error) {
		var at, since, up, down int64
		err = row.Scan(&at, &r.Actor, &since, &up, &down)
		r.At, r.Since, r.Used = moment(at), moment(since), traffic(up, down)
		return r, err
	}
	return collect(s.t, scan, `SELECT at, actor, since, used_up, used_down FROM resets
		WHERE user_number = (SELECT number FROM users WHERE id = $1) ORDER BY number DESC`, string(id))
}

// AddDay implements [app.PeriodStore].
func (s periods) AddDay(id vpn.UserID, d app.Day) error {
	number, err := s.number(id)
	if err != nil {
		return err
	}
	_, err = s.t.exec(`INSERT INTO used_days (user_number, leaves_at, used_up, used_down) VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_number, leaves_at) DO UPDATE SET used_up = `+plus(`used_days.used_up`, `excluded.used_up`)+
		`, used_down = `+plus(`used_days.used_down`, `excluded.used_down`),
		number, micros(d.Leaves), stored(d.Used.Up), stored(d.Used.Down))
	return err
}

// Days implements [app.PeriodStore].
func (s periods) Days(id vpn.UserID) ([]app.Day, error) {
	scan := func(row scanner) (d app.Day, err error) {
		var leaves, up, down int64
		err = row.Scan(&leaves, &up, &down)
		d.Leaves, d.Used = moment(leaves), traffic(up, down)
		return d, err
	}
	return collect(s.t, scan, `SELECT leaves_at, used_up, used_down FROM used_days
		WHERE user_number = (SELECT number FROM users WHERE id = $1) ORDER BY leaves_at`, string(id))
}

// DropDays implements [app.PeriodStore].
func (s periods) DropDays(id vpn.UserID, until time.Time) error {
	_, err := s.t.exec(`DELETE FROM used_days WHERE user_number = (SELECT number FROM users WHERE id = $1) AND leaves_at <= $2`,
		string(id), micros(until))
	return err
}

// number returns what rows about a user refer to.
func (s periods) number(id vpn.UserID) (int64, error) {
	n, ok, err := find(s.t, scanNumber, `SELECT number FROM users WHERE id = $1`, string(id))
	if err == nil && !ok {
		err = noUser(id)
	}
	return n, err
}
