package meter

import (
	"cmp"
	"slices"

	"vpn/internal/vpn"
)

// SetCeilings sets the ceilings of the users it names and leaves the others
// alone. A ceiling holds while the user's grants are capped; it is kept while
// they are not. Users who have reached theirs are cut.
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
		cut = u.setCeiling(cut, min(c.Bytes, vpn.MaxTraffic))
		named[u] = true
	}
	var counters []vpn.Counter
	for u := range named {
		for _, c := range u.credentials {
			n, _ := c.counter()
			counters = append(counters, n)
		}
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
func (m *Meter) Usage(after uint64) vpn.Counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	if after > m.seq {
		after = 0 // from another epoch
	}
	next := m.seq + 1
	out := vpn.Counters{Epoch: m.epoch}
	for _, c := range m.credentials {
		n, final := c.counter()
		if n.Traffic != c.reported.Traffic || n.Conns != c.reported.Conns {
			c.reported, c.seq = n, next
			m.seq = next
		}
		switch {
		case c.seq > after:
			out.Counters = append(out.Counters, n)
		case c.removed && final:
			delete(m.credentials, c.id)
			m.retired[c.id] = c
		}
	}
	out.Seq = m.seq
	return out
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
