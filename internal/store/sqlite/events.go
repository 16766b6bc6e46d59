package sqlite

import "vpn/internal/vpn"

// events implements [app.EventStore].
type events struct{ t *txn }

func (s events) Add(e vpn.Event) error {
	_, err := s.t.exec(`INSERT INTO events (at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5)`,
		micros(e.At), e.Actor, e.Action, e.Subject, e.Detail)
	return err
}

func (s events) List(limit int) ([]vpn.Event, error) {
	scan := func(row scanner) (e vpn.Event, err error) {
		var at int64
		err = row.Scan(&at, &e.Actor, &e.Action, &e.Subject, &e.Detail)
		e.At = moment(at)
		return e, err
	}
	return collect(s.t, scan, `SELECT at, actor, action, subject, detail FROM events ORDER BY number DESC LIMIT $1`, int64(max(limit, 0)))
}
