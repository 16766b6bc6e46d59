package sqlite

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// usage implements [app.UsageStore].
type usage struct{ t *txn }

// remembered is how long an ended epoch is known, and so how late a file of
// its counters may turn up.
const remembered = 7 * 24 * time.Hour

// plus returns SQL for column + n, at most [vpn.MaxTraffic].
func plus(column, n string) string {
	const most = `9223372036854775807`
	return `CASE WHEN ` + column + ` > ` + most + ` - ` + n + ` THEN ` + most + ` ELSE ` + column + ` + ` + n + ` END`
}

// mark is what an epoch has counted for one credential.
type mark struct {
	number int64 // of its row; 0: it has none yet
	user   int64 // its user's number
	stored vpn.Traffic
	seen   vpn.Traffic // stored, or later
}

// Record implements [app.UsageStore].
func (s usage) Record(server vpn.ServerID, epoch string, cs []vpn.Counter, at time.Time) error {
	if len(cs) == 0 {
		return nil
	}
	_, ended, err := find(s.t, scanNumber, `SELECT ended_at FROM ended_epochs WHERE epoch = $1`, epoch)
	if err != nil || ended {
		return err
	}
	marks, err := s.marks(server, epoch, cs)
	if err != nil {
		return err
	}
	for _, c := range cs {
		if m := marks[c.Credential]; m != nil {
			m.seen.Up = max(m.seen.Up, min(c.Up, vpn.MaxTraffic))
			m.seen.Down = max(m.seen.Down, min(c.Down, vpn.MaxTraffic))
		}
	}
	moved, err := s.advance(marks, server, epoch)
	if err != nil {
		return err
	}
	if err := s.credit(server, moved); err != nil {
		return err
	}
	return history(s).add(server, moved, at)
}

// few counters are looked up one by one; with more, everything of their
// server is read.
const few = 50

// of narrows a query down to the credentials of cs, if they are few.
func of(column string, cs []vpn.Counter, args ...any) (string, []any) {
	if len(cs) > few {
		return "", args
	}
	in := make([]string, len(cs))
	for i, c := range cs {
		args = append(args, string(c.Credential))
		in[i] = "$" + strconv.Itoa(len(args))
	}
	return ` AND ` + column + ` IN (` + strings.Join(in, ", ") + `)`, args
}

// marks returns the marks of an epoch that cs may move. Whose a credential is
// the store knows; what a worker says of that, and of credentials that are not
// its server's, does not count.
func (s usage) marks(server vpn.ServerID, epoch string, cs []vpn.Counter) (map[vpn.CredentialID]*mark, error) {
	marks := make(map[vpn.CredentialID]*mark, len(cs))
	where, args := of(`credential_id`, cs, epoch, string(server))
	err := s.t.each(func(row scanner) error {
		var (
			m          mark
			credential string
			up, down   int64
		)
		err := row.Scan(&m.number, &credential, &m.user, &up, &down)
		m.stored = traffic(up, down)
		m.seen = m.stored
		marks[vpn.CredentialID(credential)] = &m
		return err
	}, `SELECT number, credential_id, user_number, up, down FROM usage_marks WHERE epoch = $1 AND server_id = $2`+where, args...)
	if err != nil {
		return nil, err
	}
	isNew := func(c vpn.Counter) bool { return marks[c.Credential] == nil }
	if !slices.ContainsFunc(cs, isNew) {
		return marks, nil
	}
	where, args = of(`c.id`, cs, string(server))
	err = s.t.each(func(row scanner) error {
		var (
			m          mark
			credential string
		)
		err := row.Scan(&credential, &m.user)
		if id := vpn.CredentialID(credential); marks[id] == nil {
			marks[id] = &m
		}
		return err
	}, `SELECT c.id, u.number FROM credentials c JOIN users u ON u.id = c.user_id WHERE c.server_id = $1`+where, args...)
	return marks, err
}

// advance stores the marks that have moved and returns how far, by user.
func (s usage) advance(marks map[vpn.CredentialID]*mark, server vpn.ServerID, epoch string) (map[int64]vpn.Traffic, error) {
	update, err := s.t.prepare(`UPDATE usage_marks SET up = $1, down = $2 WHERE number = $3`)
	if err != nil {
		return nil, err
	}
	insert, err := s.t.prepare(`INSERT INTO usage_marks (epoch, credential_id, user_number, server_id, up, down)
		VALUES ($1, $2, $3, $4, $5, $6)`)
	if err != nil {
		return nil, err
	}
	moved := map[int64]vpn.Traffic{}
	for id, m := range marks {
		if m.seen == m.stored {
			continue
		}
		moved[m.user] = moved[m.user].Add(m.seen.Since(m.stored))
		if m.number != 0 {
			err = update.exec(int64(m.seen.Up), int64(m.seen.Down), m.number)
		} else {
			err = insert.exec(epoch, string(id), m.user, string(server), int64(m.seen.Up), int64(m.seen.Down))
		}
		if err != nil {
			return nil, err
		}
	}
	return moved, nil
}

// credit adds what has moved to its users and their server.
func (s usage) credit(server vpn.ServerID, moved map[int64]vpn.Traffic) error {
	if len(moved) == 0 {
		return nil
	}
	user, err := s.t.prepare(`UPDATE users SET used_up = ` + plus(`used_up`, `$1`) + `, used_down = ` + plus(`used_down`, `$2`) +
		` WHERE number = $3`)
	if err != nil {
		return err
	}
	var all vpn.Traffic
	for number, t := range moved {
		if err := user.exec(int64(t.Up), int64(t.Down), number); err != nil {
			return err
		}
		all = all.Add(t)
	}
	_, err = s.t.exec(`UPDATE servers SET used_up = `+plus(`used_up`, `$1`)+`, used_down = `+plus(`used_down`, `$2`)+
		` WHERE id = $3`, int64(all.Up), int64(all.Down), string(server))
	return err
}

// Marks implements [app.UsageStore].
func (s usage) Marks(epoch string) (map[vpn.CredentialID]vpn.Traffic, error) {
	return totals[vpn.CredentialID](s.t, `SELECT credential_id, up, down FROM usage_marks WHERE epoch = $1`, epoch)
}

// End implements [app.UsageStore].
func (s usage) End(epoch string, at time.Time) error {
	if err := s.fold(`epoch = $1`, epoch); err != nil {
		return err
	}
	_, err := s.t.exec(`INSERT INTO ended_epochs (epoch, ended_at) VALUES ($1, $2) ON CONFLICT (epoch) DO NOTHING`,
		epoch, micros(at))
	if err != nil {
		return err
	}
	_, err = s.t.exec(`DELETE FROM ended_epochs WHERE ended_at < $1`, micros(at.Add(-remembered)))
	return err
}

// fold moves marks into the totals.
func (s usage) fold(where string, arg any) error {
	type account struct {
		user   int64
		server string
	}
	sums := map[account]vpn.Traffic{}
	err := s.t.each(func(row scanner) error {
		var (
			a        account
			up, down int64
		)
		err := row.Scan(&a.user, &a.server, &up, &down)
		sums[a] = sums[a].Add(traffic(up, down))
		return err
	}, `SELECT user_number, server_id, up, down FROM usage_marks WHERE `+where, arg)
	if err != nil {
		return err
	}
	insert, err := s.t.prepare(`INSERT INTO usage_totals (user_number, server_id, up, down) VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_number, server_id) DO UPDATE SET up = ` + plus(`usage_totals.up`, `excluded.up`) +
		`, down = ` + plus(`usage_totals.down`, `excluded.down`))
	if err != nil {
		return err
	}
	for a, t := range sums {
		if err := insert.exec(a.user, a.server, int64(t.Up), int64(t.Down)); err != nil {
			return err
		}
	}
	_, err = s.t.exec(`DELETE FROM usage_marks WHERE `+where, arg)
	return err
}

// ByUser implements [app.UsageStore].
func (s usage) ByUser(id vpn.UserID) (map[vpn.ServerID]vpn.Traffic, error) {
	return totals[vpn.ServerID](s.t, `SELECT server_id, up, down FROM usage_totals WHERE user_number = (SELECT number FROM users WHERE id = $1)
		UNION ALL SELECT server_id, up, down FROM usage_marks WHERE user_number = (SELECT number FROM users WHERE id = $1)`, string(id))
}

// ByServer implements [app.UsageStore].
func (s usage) ByServer() (map[vpn.ServerID]vpn.Traffic, error) {
	return totals[vpn.ServerID](s.t, `SELECT id, used_up, used_down FROM servers`)
}

// totals adds up rows of an id and its traffic.
func totals[K ~string](t *txn, query string, args ...any) (map[K]vpn.Traffic, error) {
	sums := map[K]vpn.Traffic{}
	err := t.each(func(row scanner) error {
		var (
			id       string
			up, down int64
		)
		err := row.Scan(&id, &up, &down)
		sums[K(id)] = sums[K(id)].Add(traffic(up, down))
		return err
	}, query, args...)
	return sums, err
}

// Quotas implements [app.UsageStore].
func (s usage) Quotas() ([]app.Quota, error) {
	scan := func(row scanner) (app.Quota, error) {
		var (
			user            string
			quota, throttle int64
			up, down        int64
		)
		err := row.Scan(&user, &quota, &throttle, &up, &down)
		return app.Quota{User: vpn.UserID(user), Quota: uint64(quota), Throttle: uint64(throttle), Used: traffic(up, down)}, err
	}
	return collect(s.t, scan, `SELECT id, quota, throttle, used_up, used_down FROM users WHERE deleted_at = 0 AND quota > 0`)
}

func traffic(up, down int64) vpn.Traffic { return vpn.Traffic{Up: uint64(up), Down: uint64(down)} }
