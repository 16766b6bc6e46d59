package sqlite

import (
	"slices"
	"strings"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// Grants implements [app.CredentialStore].
func (s credentials) Grants(server vpn.ServerID, since uint64) (app.GrantChanges, error) {
	revision, err := s.t.revision()
	if err != nil {
		return app.GrantChanges{}, err
	}
	purged, ok, err := find(s.t, scanNumber, `SELECT purged FROM servers WHERE id = $1`, string(server))
	if err != nil {
		return app.GrantChanges{}, err
	}
	if !ok {
		return app.GrantChanges{}, noServer(server)
	}
	var out app.GrantChanges
	if since == 0 || since < uint64(purged) || since > revision {
		out.Whole, since = true, 0
	}
	scan := func(row scanner) (grantRow, error) { return scanGrant(row, server) }
	rows, err := collect(s.t, scan, `SELECT c.id, c.user_id, u.name, c.secret, c.slot, c.not_before, c.not_after, c.deleted_at,
			u.enabled, u.expires_at, u.quota, u.throttle, u.rate_up, u.rate_down, u.devices, u.connections, u.deleted_at,
			u.valid_for, u.held_since, u.first_used_at, u.allowed_servers
		FROM credentials c JOIN users u ON u.id = c.user_id
		WHERE c.server_id = $1 AND c.revision > $2`, string(server), stored(since))
	if err != nil {
		return app.GrantChanges{}, err
	}
	out.Upsert = make([]vpn.Grant, 0, len(rows))
	for _, g := range rows {
		switch {
		case g.lives:
			out.Upsert = append(out.Upsert, g.Grant)
		case !out.Whole:
			out.Remove = append(out.Remove, g.Credential)
		}
	}
	return out, nil
}

type grantRow struct {
	vpn.Grant
	lives bool // its credential and its user do
}

// scanGrant reads a grant on a server. Who may not use that server is kept in
// place, and out.
func scanGrant(row scanner, server vpn.ServerID) (grantRow, error) {
	var (
		g                                       grantRow
		id, user, name, secret, allowed         string
		enabled                                 bool
		notBefore, notAfter, expires            int64
		quota, rateUp, rateDown, devices, conns int64
		credentialDeletedAt, userDeletedAt      int64
		throttle, validFor, held, begun         int64
	)
	err := row.Scan(&id, &user, &name, &secret, &g.Slot, &notBefore, &notAfter, &credentialDeletedAt,
		&enabled, &expires, &quota, &throttle, &rateUp, &rateDown, &devices, &conns, &userDeletedAt,
		&validFor, &held, &begun, &allowed)
	g.Credential, g.User, g.Name = vpn.CredentialID(id), vpn.UserID(user), name
	g.Secret = vpn.NewSecret(secret)
	g.Devices, g.Connections = int(devices), int(conns)
	g.NotBefore, g.NotAfter = moment(notBefore), earlier(moment(notAfter), moment(expires))
	g.Blocked, g.Capped = !enabled, quota > 0
	if allowed != everyServer && !slices.Contains(strings.Fields(allowed), string(server)) {
		g.Blocked = true
	}
	g.Throttle, g.RateUp, g.RateDown = uint64(throttle), uint64(rateUp), uint64(rateDown)
	g.Hold = vpn.Hold{ValidFor: vpn.Seconds(validFor), HeldSince: moment(held), FirstUsedAt: moment(begun)}
	g.lives = credentialDeletedAt == 0 && userDeletedAt == 0
	return g, err
}

// earlier returns the earlier of two ends, of which a zero one never comes.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
