package meter

import (
	"log/slog"

	"vpn/internal/vpn"
)

// Set tells the meter the whole truth about who may do what. It cuts the live
// flows of credentials that grants does not name, names as blocked or that
// are not valid now, and refuses them from now on; what they have counted
// stays. Other flows live on under the new limits; if there are too many, the
// newest are cut. Set returns when all cuts have been called.
func (m *Meter) Set(grants []vpn.Grant) {
	m.mu.Lock()
	m.generation++
	if len(m.credentials) == 0 {
		m.credentials = make(map[vpn.CredentialID]*credential, len(grants))
	}
	if len(m.users) == 0 {
		m.users = make(map[vpn.UserID]*user, len(grants))
	}
	now := m.clock.Now()
	var cut []*Flow
	for i := range grants {
		g := &grants[i]
		c := m.credential(g)
		if c == nil {
			continue
		}
		c.generation = m.generation
		c.blocked, c.removed = g.Blocked, false
		c.notBefore, c.notAfter = g.NotBefore, g.NotAfter
		c.user.name = g.Name
		c.user.setHold(g.Hold)
		cut = m.judge(cut, c, now)
	}
	for _, c := range m.credentials {
		if c.generation != m.generation && !c.removed {
			c.removed = true
			m.rouse(c.user)
			cut = m.judge(cut, c, now)
		}
	}
	// Limits come last: a flow that is cut anyway takes no other's place.
	for i := range grants {
		g := &grants[i]
		if u := m.users[g.User]; u != nil && u.generation != m.generation {
			u.generation = m.generation
			cut = u.limit(cut, limitsOf(g))
			m.beginIfLive(u, now)
		}
	}
	m.mu.Unlock()
	m.hangUp(cut)
}

func limitsOf(g *vpn.Grant) limits {
	return limits{
		rate:        [2]uint64{Up: g.RateUp, Down: g.RateDown},
		devices:     g.Devices,
		connections: g.Connections,
		capped:      g.Capped,
		throttle:    g.Throttle,
	}
}

// credential returns the credential that g is about, or nil if it belongs to
// somebody else: counts of one user must not become another's.
func (m *Meter) credential(g *vpn.Grant) *credential {
	c := m.credentials[g.Credential]
	if c == nil {
		if c = m.retired[g.Credential]; c == nil {
			u := m.user(g.User)
			c = &credential{id: g.Credential, user: u}
			u.credentials = append(u.credentials, c)
		}
		delete(m.retired, c.id)
		c.retired = false
		m.credentials[c.id] = c
	}
	if c.user.id != g.User {
		m.log.Error("grant moves a credential to another user, ignored", slog.String("credential", string(g.Credential)),
			slog.String("user", string(g.User)), slog.String("owner", string(c.user.id)))
		return nil
	}
	return c
}

// user returns the user of that name, who may be new.
func (m *Meter) user(id vpn.UserID) *user {
	u := m.users[id]
	if u == nil {
		u = &user{id: id, meter: m}
		m.users[id] = u
	}
	return u
}
