package sqlite

import (
	"slices"
	"strconv"
	"strings"

	"vpn/internal/vpn"
)

// users implements [app.UserStore].
type users struct{ t *txn }

const userColumns = `id, name, enabled, quota, rate_up, rate_down, devices, connections,
	expires_at, used_up, used_down, created_at, updated_at, deleted_at, allowed_servers,
	period, resets_on, time_zone, throttle, valid_for, held_since, first_used_at,
	used_since, resets_at, turns_at, tags, email, note`

// scanUser returns what scans a user. It scans plain types: database/sql takes
// several times as long for named and unsigned ones, and a list has many. The
// variables are the same for all rows: a pointer that is given away costs an
// allocation.
func scanUser() func(scanner) (vpn.User, error) {
	var (
		id, name, allowed, period, resetsOn, zone, tags, email, note string
		enabled                                                      bool
		quota, rateUp, rateDown, devices, conns, usedUp, usedDn      int64
		expires, created, updated, deleted                           int64
		throttle, validFor, held, begun, since, resets, turns        int64
	)
	return func(row scanner) (u vpn.User, err error) {
		err = row.Scan(&id, &name, &enabled, &quota, &rateUp, &rateDown, &devices, &conns,
			&expires, &usedUp, &usedDn, &created, &updated, &deleted, &allowed,
			&period, &resetsOn, &zone, &throttle, &validFor, &held, &begun,
			&since, &resets, &turns, &tags, &email, &note)
		u.ID, u.Name, u.Enabled, u.Email, u.Note = vpn.UserID(id), name, enabled, email, note
		l := &u.Limits
		l.Quota, l.Throttle, l.RateUp, l.RateDown = uint64(quota), uint64(throttle), uint64(rateUp), uint64(rateDown)
		l.Devices, l.Connections = int(devices), int(conns)
		l.Period = vpn.Period{Every: vpn.Cycle(period), ResetsOn: resetsOn, TimeZone: zone}
		u.Hold = vpn.Hold{ValidFor: vpn.Seconds(validFor), HeldSince: moment(held), FirstUsedAt: moment(begun)}
		u.UsedSince, u.ResetsAt, u.TurnsAt = moment(since), moment(resets), moment(turns)
		if tags != "" {
			u.Tags = strings.Fields(tags)
		}
		u.AllowedServers = allowedServers(allowed)
		u.Used = traffic(usedUp, usedDn)
		u.ExpiresAt, u.CreatedAt, u.UpdatedAt, u.DeletedAt = moment(expires), moment(created), moment(updated), moment(deleted)
		return u, err
	}
}

const briefColumns = `id, name, enabled, quota, throttle, expires_at, used_up, used_down,
	created_at, deleted_at, valid_for, held_since, first_used_at`

func scanBrief() func(scanner) (vpn.User, error) {
	var (
		id, name                                         string
		enabled                                          bool
		quota, throttle, usedUp, usedDn                  int64
		expires, created, deleted, validFor, held, begun int64
	)
	return func(row scanner) (u vpn.User, err error) {
		err = row.Scan(&id, &name, &enabled, &quota, &throttle, &expires, &usedUp, &usedDn,
			&created, &deleted, &validFor, &held, &begun)
		u.ID, u.Name, u.Enabled = vpn.UserID(id), name, enabled
		u.Limits.Quota, u.Limits.Throttle, u.Used = uint64(quota), uint64(throttle), traffic(usedUp, usedDn)
		u.Hold = vpn.Hold{ValidFor: vpn.Seconds(validFor), HeldSince: moment(held), FirstUsedAt: moment(begun)}
		u.ExpiresAt, u.CreatedAt, u.DeletedAt = moment(expires), moment(created), moment(deleted)
		return u, err
	}
}

func noUser(id vpn.UserID) error { return vpn.Errorf(vpn.NotFound, "no user has the id %q", id) }

func (s users) Get(id vpn.UserID) (vpn.User, error) {
	u, ok, err := find(s.t, scanUser(), `SELECT `+userColumns+` FROM users WHERE id = $1`, string(id))
	if err == nil && !ok {
		err = noUser(id)
	}
	return u, err
}

func (s users) ByName(name string) (vpn.User, error) {
	u, ok, err := find(s.t, scanUser(), `SELECT `+userColumns+` FROM users WHERE name = $1 AND deleted_at = 0`, name)
	if err == nil && !ok {
		err = vpn.Errorf(vpn.NotFound, "no user is named %q", name)
	}
	return u, err
}

func (s users) List(f vpn.UserFilter) ([]vpn.User, error) { return s.list(f, userColumns, scanUser()) }

func (s users) Brief(f vpn.UserFilter) ([]vpn.User, error) {
	return s.list(f, briefColumns, scanBrief())
}

func (s users) list(f vpn.UserFilter, columns string, scan func(scanner) (vpn.User, error)) ([]vpn.User, error) {
	from := ` FROM users`
	if !f.Deleted {
		from += ` WHERE deleted_at = 0`
	}
	// They are many and large: to let the list grow would cost as much as to
	// read them.
	n, _, err := find(s.t, scanNumber, `SELECT COUNT(*)`+from)
	if err != nil {
		return nil, err
	}
	us, err := collectInto(make([]vpn.User, 0, n), s.t, scan, `SELECT `+columns+from)
	slices.SortFunc(us, func(a, b vpn.User) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return a.CreatedAt.Compare(b.CreatedAt)
	})
	return us, err
}

func (s users) Put(u vpn.User) error {
	revision, err := s.t.change()
	if err != nil {
		return err
	}
	_, err = s.t.exec(`INSERT INTO users (`+userColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10, $11, $12, $13,
			$14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, enabled = excluded.enabled,
			quota = excluded.quota, rate_up = excluded.rate_up, rate_down = excluded.rate_down,
			devices = excluded.devices, connections = excluded.connections, expires_at = excluded.expires_at,
			created_at = excluded.created_at, updated_at = excluded.updated_at, deleted_at = excluded.deleted_at,
			allowed_servers = excluded.allowed_servers,
			period = excluded.period, resets_on = excluded.resets_on, time_zone = excluded.time_zone,
			throttle = excluded.throttle, valid_for = excluded.valid_for, held_since = excluded.held_since,
			first_used_at = excluded.first_used_at, used_since = excluded.used_since, resets_at = excluded.resets_at,
			turns_at = excluded.turns_at, tags = excluded.tags, email = excluded.email, note = excluded.note`,
		string(u.ID), u.Name, u.Enabled, stored(u.Limits.Quota), stored(u.Limits.RateUp), stored(u.Limits.RateDown),
		int64(u.Limits.Devices), int64(u.Limits.Connections), micros(u.ExpiresAt),
		micros(u.CreatedAt), micros(u.UpdatedAt), micros(u.DeletedAt), storedServers(u.AllowedServers),
		string(u.Limits.Period.Every), u.Limits.Period.ResetsOn, u.Limits.Period.TimeZone, stored(u.Limits.Throttle),
		int64(u.ValidFor), micros(u.HeldSince), micros(u.FirstUsedAt), micros(u.UsedSince), micros(u.ResetsAt),
		micros(u.TurnsAt), strings.Join(u.Tags, " "), u.Email, u.Note)
	if isUnique(err) {
		return s.t.fail(taken("user", u.Name, err))
	}
	if err != nil {
		return err
	}
	// Its grants have changed with it.
	_, err = s.t.exec(`UPDATE credentials SET revision = $1 WHERE user_id = $2 AND deleted_at = 0`,
		int64(revision), string(u.ID))
	return err
}

func taken(noun, name string, cause error) error {
	return &vpn.Error{
		Kind:    vpn.Conflict,
		Message: noun + " " + strconv.Quote(name) + " already exists",
		Hint:    "choose another name",
		Err:     cause,
	}
}

// everyServer is how a list of servers is stored that is none: all there are
// and will be.
const everyServer = "*"

// storedServers is how the servers that a user may use are stored: their ids,
// with spaces between. Those of servers that are gone do no harm: no other
// gets one of theirs.
func storedServers(ids []vpn.ServerID) string {
	if ids == nil {
		return everyServer
	}
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(id))
	}
	return b.String()
}

func allowedServers(text string) []vpn.ServerID {
	if text == everyServer {
		return nil
	}
	out := []vpn.ServerID{}
	for id := range strings.FieldsSeq(text) {
		out = append(out, vpn.ServerID(id))
	}
	return out
}
