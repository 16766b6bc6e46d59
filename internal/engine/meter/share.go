package meter

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"vpn/internal/vpn"
)

// A part is what this worker may use of the limits of a user whom it shares
// with others, and what of them is used there. The nil part is an even one.
type part struct {
	rate     [2]int // of vpn.Whole, by Direction
	conns    int
	networks map[netip.Prefix]bool
}

// Allotments are what a worker is allotted of limits that it shares with
// others, and what its users want of them.
type Allotments struct{ meter *Meter }

// Allotments returns those of m.
func (m *Meter) Allotments() Allotments { return Allotments{m} }

// SetShares says among how many workers users' limits are shared, and which
// part of them the users that it names have here; those whom it calls even,
// and whoever never had a share, have as much as on any other worker. It cuts
// the newest flows of those who have too many together with those elsewhere,
// and returns when all cuts have been called.
func (a Allotments) SetShares(workers int, shares []vpn.Share, even []vpn.UserID) {
	m := a.meter
	m.mu.Lock()
	var cut []*Flow
	if m.workers.Swap(int64(workers)) != int64(workers) {
		for _, u := range m.users {
			a.follow(u)
		}
	}
	for i := range shares {
		s := &shares[i]
		p := &part{rate: [2]int{Up: s.Up, Down: s.Down}, conns: max(s.Connections, 0)}
		if len(s.Networks) > 0 {
			p.networks = make(map[netip.Prefix]bool, len(s.Networks))
			for _, n := range s.Networks {
				p.networks[n] = true
			}
		}
		cut = a.assign(cut, m.user(s.User), p)
	}
	for _, id := range even {
		if u := m.users[id]; u != nil {
			cut = a.assign(cut, u, nil)
		}
	}
	m.mu.Unlock()
	m.hangUp(cut)
}

// Shares returns what SetShares has said.
func (a Allotments) Shares() (workers int, shares []vpn.Share) {
	m := a.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range m.users {
		u.mu.Lock()
		if p := u.share; p != nil {
			s := vpn.Share{User: u.id, Up: p.rate[Up], Down: p.rate[Down], Connections: p.conns}
			for n := range p.networks {
				s.Networks = append(s.Networks, n)
			}
			shares = append(shares, s)
		}
		u.mu.Unlock()
	}
	return int(m.workers.Load()), shares
}

// Ceilings returns the ceilings that were set and let anything pass.
func (a Allotments) Ceilings() []vpn.Ceiling {
	m := a.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []vpn.Ceiling
	for _, u := range m.users {
		u.mu.Lock()
		if u.ceiling > 0 || u.part > 0 {
			out = append(out, vpn.Ceiling{User: u.id, Bytes: u.ceiling, Throttle: u.part})
		}
		u.mu.Unlock()
	}
	return out
}

// Retired returns the counters that Usage does not name any more: those of
// removed credentials that were acknowledged. They are a part of what their
// users have used of their ceilings.
func (a Allotments) Retired() []vpn.Counter {
	m := a.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []vpn.Counter
	for _, c := range m.retired {
		c.user.mu.Lock()
		if c.traffic != (vpn.Traffic{}) {
			out = append(out, c.counter())
		}
		c.user.mu.Unlock()
	}
	return out
}

// dryTime is how long a user is told of who was held up by the ceiling.
const dryTime = 3 * time.Second

// isDry reports whether the ceiling is, or was of late, in u's way. The caller
// holds u.mu.
func (u *user) isDry(now time.Time) bool {
	return u.limits.capped && !u.dry.IsZero() && now.Sub(u.dry) < dryTime && u.room() == 0
}

// silent is for how long a device has moved no byte, in milliseconds.
func silent(d *device, now int64) int64 { return time.Duration(now - d.active).Milliseconds() }

// assign changes u's part. It locks u, and severs the flows that are too many.
func (Allotments) assign(cut []*Flow, u *user, p *part) []*Flow {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.share = p
	if u.flows != nil {
		u.setRates()
	}
	return u.trim(cut)
}

// follow makes u's rates follow the number of workers. It locks u.
func (Allotments) follow(u *user) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.flows != nil {
		u.setRates()
	}
}

// rate returns what u may use here of its rate, in bytes per second; 0 is no
// limit. The caller holds u.mu, as for all that follow.
func (u *user) rate(d Direction) uint64 {
	whole := u.limits.rate[d]
	workers := u.meter.workers.Load()
	if whole == 0 || workers < 2 {
		return whole
	}
	parts := uint64(vpn.Whole / workers)
	if u.share != nil {
		parts = uint64(min(max(u.share.rate[d], 0), vpn.Whole))
	}
	hi, lo := bits.Mul64(whole, parts)
	n, _ := bits.Div64(hi, lo, vpn.Whole) // cannot overflow: parts are no more than Whole
	return max(n, 1)
}

// elsewhere returns u's part in other workers' flows and networks.
func (u *user) elsewhere() part {
	if u.share == nil || u.meter.workers.Load() < 2 {
		return part{}
	}
	return *u.share
}

// beside counts the networks of u, here and elsewhere.
func (p part) beside(u *user) int {
	n := len(u.networks)
	for other := range p.networks {
		if _, here := u.networks[other]; !here {
			n++
		}
	}
	return n
}

// trim severs the newest flows that are too many: those of the networks that
// came last, then those that came last.
func (u *user) trim(cut []*Flow) []*Flow {
	if u.limits.connections == 0 && u.limits.devices == 0 {
		return cut
	}
	other := u.elsewhere()
	admitted := other.admitted(u)
	if admitted == nil && (u.limits.connections == 0 || other.conns+len(u.flows) <= u.limits.connections) {
		return cut // nothing is too many
	}
	flows := make([]*Flow, 0, len(u.flows))
	for f := range u.flows {
		flows = append(flows, f)
	}
	slices.SortFunc(flows, func(a, b *Flow) int { return cmp.Compare(a.id, b.id) })
	kept := other.conns
	for _, f := range flows {
		switch {
		case admitted != nil && !admitted[network(f.source.Addr())]:
			f.end(errDevices)
		case u.limits.connections > 0 && kept >= u.limits.connections:
			f.end(errConnections)
		default:
			kept++
			continue
		}
		cut = append(cut, f)
	}
	return cut
}

// admitted returns the networks of u that may stay, the oldest ones; nil means
// all.
func (p part) admitted(u *user) map[netip.Prefix]bool {
	if u.limits.devices == 0 || p.beside(u) <= u.limits.devices {
		return nil
	}
	out := make(map[netip.Prefix]bool, u.limits.devices)
	for n := range p.networks {
		out[n] = true
	}
	own := make([]netip.Prefix, 0, len(u.networks))
	for n := range u.networks {
		own = append(own, n)
	}
	slices.SortFunc(own, func(a, b netip.Prefix) int { return cmp.Compare(u.networks[a].first, u.networks[b].first) })
	for _, n := range own {
		if len(out) < u.limits.devices {
			out[n] = true
		}
	}
	return out
}
