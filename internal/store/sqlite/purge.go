package sqlite

import "time"

// What Purge forgets: a credential goes with its user and its server.
const (
	goneUsers       = `SELECT id FROM users WHERE deleted_at <> 0 AND deleted_at < $1`
	goneServers     = `SELECT id FROM servers WHERE deleted_at <> 0 AND deleted_at < $1`
	goneCredentials = `SELECT id FROM credentials WHERE deleted_at <> 0 AND deleted_at < $1
		OR user_id IN (` + goneUsers + `) OR server_id IN (` + goneServers + `)`
)

// Purge implements [app.CredentialStore].
func (s credentials) Purge(t time.Time) error {
	before := micros(t)
	if err := s.lapse(before); err != nil {
		return err
	}
	if err := s.forgetRemovals(before); err != nil {
		return err
	}
	// What a running epoch has counted for a credential stays with its user.
	if err := usage(s).fold(`credential_id IN (`+goneCredentials+`)`, before); err != nil {
		return err
	}
	if err := history(s).purge(before); err != nil {
		return err
	}
	for _, query := range []string{
		`DELETE FROM usage_totals WHERE user_number IN (SELECT number FROM users WHERE id IN (` + goneUsers + `)) OR server_id IN (` + goneServers + `)`,
		`DELETE FROM resets WHERE user_number IN (SELECT number FROM users WHERE id IN (` + goneUsers + `))`,
		`DELETE FROM used_days WHERE user_number IN (SELECT number FROM users WHERE id IN (` + goneUsers + `))`,
		`DELETE FROM credentials WHERE id IN (` + goneCredentials + `)`,
		`DELETE FROM users WHERE id IN (` + goneUsers + `)`,
		`DELETE FROM servers WHERE id IN (` + goneServers + `)`,
	} {
		if _, err := s.t.exec(query, before); err != nil {
			return err
		}
	}
	return nil
}

// forgetRemovals notes on each server up to which revision the removals of
// its credentials can no longer be told.
func (s credentials) forgetRemovals(before int64) error {
	type removal struct {
		server   string
		revision int64
	}
	scan := func(row scanner) (r removal, err error) {
		err = row.Scan(&r.server, &r.revision)
		return r, err
	}
	rs, err := collect(s.t, scan, `SELECT server_id, MAX(revision) FROM credentials
		WHERE id IN (`+goneCredentials+`) GROUP BY server_id`, before)
	if err != nil {
		return err
	}
	for _, r := range rs {
		_, err := s.t.exec(`UPDATE servers SET purged = $1 WHERE id = $2 AND purged < $1`, r.revision, r.server)
		if err != nil {
			return err
		}
	}
	return nil
}

// lapse makes tombstones of the credentials that have ended by themselves, so
// that workers hear of it; a later Purge forgets them.
func (s credentials) lapse(before int64) error {
	ended, err := collect(s.t, scanNumber, `SELECT COUNT(*) FROM credentials
		WHERE deleted_at = 0 AND not_after <> 0 AND not_after < $1`, before)
	if err != nil || ended[0] == 0 {
		return err
	}
	revision, err := s.t.change()
	if err != nil {
		return err
	}
	_, err = s.t.exec(`UPDATE credentials SET deleted_at = $1, revision = $2
		WHERE deleted_at = 0 AND not_after <> 0 AND not_after < $1`, before, int64(revision))
	return err
}
