package meter

import (
	"cmp"
	"slices"
	"time"

	"vpn/internal/vpn"
)

// SetCeilings sets the ceilings of the users it names and leaves the others
// alone. A ceiling holds while the user's grants are capped; it is kept while
// they are not. Users who have reached theirs are cut, or slowed down.
//
// It returns the counters of all credentials that the named users ever had,
// read when the new ceilings held: the caller who lowered one knows that no
// byte beyond both was passed. If epoch is not the meter's, nothing changes
// and the error is of kind [vpn.Conflict].
func (m *Meter) SetCeilings(epoch string, ceilings []vpn.Ceiling) ([]vpn.Counter, error) {
	if epoch != m.epoch {
		return nil, vpn.Errorf(vpn.Conflict, "the ceilings are for another epoch of this worker").
			WithHint("read the usage again and grant anew")
	}
	m.mu.Lock()
	var cut []*Flow
	named := make(map[*user]bool, len(ceilings))
	for _, c := range ceilings {
		u := m.user(c.User)
		cut = u.setCeiling(cut, min(c.Bytes, vpn.MaxTraffic), c.Throttle)
		named[u] = true
	}
	var counters []vpn.Counter
	for u := range named {
		u.mu.Lock()
		for _, c := range u.credentials {
			counters = append(counters, c.counter())
		}
		u.mu.Unlock()
	}
	m.mu.Unlock()
	m.hangUp(cut)
	return counters, nil
}

// Usage returns the counters that have changed after the sequence number that
// an earlier answer held; 0 asks for all that were ever used. They are
// cumulative within the epoch, so that readers do not disturb each other.
//
// Asking acknowledges: the counter of a removed credential is left out from
// then on, once a call names a number at or after that of its last change.
//
// If limits are shared with other workers, it also tells what the users with
// such limits who are live here have and want of them.
func (m *Meter) Usage(after uint64) vpn.Counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	if after > m.seq {
		after = 0 // from another epoch
	}
	if after < m.settled {
		for _, u := range m.users { // whoever was passed over may be news to this reader
			m.rouse(u)
		}
	}
	r := reporter{
		Counters: vpn.Counters{Epoch: m.epoch}, meter: m, after: after, next: m.seq + 1,
		shared: m.workers.Load() > 1, now: time.Now(),
	}
	r.room = len(m.restless)
	restless := m.restless[:0]
	for _, u := range m.restless {
		if r.add(u) {
			restless = append(restless, u)
			continue
		}
		u.restless = false
		m.settled = max(m.settled, after)
	}
	clear(m.restless[len(restless):])
	m.restless = restless
	r.Seq, r.FirstUses = m.seq, m.firstUses()
	return r.Counters
}

// rouse makes Usage look at u until nothing about it can be news. The caller
// holds m.mu.
func (m *Meter) rouse(u *user) {
	if !u.restless {
		u.restless = true
		m.restless = append(m.restless, u)
	}
}

// A reporter is what one answer of Usage is made with.
type reporter struct {
	vpn.Counters
	meter  *Meter
	after  uint64
	next   uint64 // the sequence number of what has changed since the last answer
	shared bool   // with other workers
	now    time.Time

	room     int            // about how many there will be of everything
	networks []vpn.Presence // of all, in one piece
}

// add tells of u what is news, and what it demands, and reports whether it
// must be looked at the next time, too. It locks u; the caller holds Meter.mu.
func (r *reporter) add(u *user) (restless bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	restless = len(u.flows) > 0 || u.isDry(r.now)
	for _, c := range u.credentials {
		if c.retired {
			continue
		}
		if c.traffic != c.reported || c.live != c.told {
			c.reported, c.told, c.seq = c.traffic, c.live, r.next
			r.meter.seq = r.next
		}
		switch {
		case c.seq > r.after:
			if r.Counters.Counters == nil {
				r.Counters.Counters = make([]vpn.Counter, 0, r.room)
			}
			r.Counters.Counters = append(r.Counters.Counters, c.counter())
			restless = true
		case c.removed && c.live == 0:
			c.retired = true
			delete(r.meter.credentials, c.id)
			r.meter.retired[c.id] = c
		}
	}
	if r.shared && restless {
		if r.Demands == nil {
			r.Demands, r.networks = make([]vpn.Demand, 0, r.room), make([]vpn.Presence, 0, r.room)
		}
		if d, ok := r.demand(u); ok {
			r.Demands = append(r.Demands, d)
		}
	}
	return restless
}

// demand returns what u has and wants of limits that are shared, if there are
// any and it is live, or dry. The caller holds Meter.mu and u.mu.
func (r *reporter) demand(u *user) (d vpn.Demand, ok bool) {
	l := &u.limits
	dry := u.isDry(r.now)
	shared := l.rate[Up] > 0 || l.rate[Down] > 0 || l.devices > 0 || l.connections > 0
	if !dry && (!shared || len(u.networks) == 0) {
		return d, false
	}
	d = vpn.Demand{
		User: u.id, RateUp: l.rate[Up], RateDown: l.rate[Down], Devices: l.devices, Connections: l.connections,
		WaitUp: u.buckets[Up].wanting().Milliseconds(), WaitDown: u.buckets[Down].wanting().Milliseconds(),
		Conns: len(u.flows), Dry: dry,
	}
	for _, c := range u.credentials {
		d.Up, d.Down = d.Up+c.traffic.Up, d.Down+c.traffic.Down
	}
	if l.devices > 0 {
		at := u.meter.activity.Load()
		mine := len(r.networks)
		for n, p := range u.networks {
			r.networks = append(r.networks, vpn.Presence{Network: n, Since: p.since.UnixMilli(), Silent: silent(p, at)})
		}
		d.Networks = r.networks[mine:len(r.networks):len(r.networks)]
	}
	return d, true
}

// Sessions returns the live flows, the oldest first.
func (m *Meter) Sessions() []vpn.Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	sessions := make([]vpn.Session, 0, m.Conns())
	for _, u := range m.users {
		sessions = u.sessions(sessions)
	}
	slices.SortFunc(sessions, func(a, b vpn.Session) int { return cmp.Compare(a.ID, b.ID) })
	return sessions
}

// sessions appends the live flows of u. It locks u.
func (u *user) sessions(to []vpn.Session) []vpn.Session {
	u.mu.Lock()
	defer u.mu.Unlock()
	for f := range u.flows {
		to = append(to, vpn.Session{
			ID:         f.id,
			Credential: f.credential.id,
			User:       u.id,
			Source:     f.source,
			Network:    f.network,
			Since:      f.since,
			Traffic:    f.traffic,
		})
	}
	return to
}
