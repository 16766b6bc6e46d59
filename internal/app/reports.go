package app

import (
	"net/netip"
	"time"

	"vpn/internal/vpn"
)

// A report is what one epoch's worker has told of shared limits.
type report struct {
	turn  uint64 // of its shares
	at    int64  // age of the epoch in milliseconds, at the last report that was long enough after the one before
	round uint64 // counts the reports
	views map[vpn.UserID]*view
	fresh []*view // of users who have come since the last division
}

// A view is what one worker has of a user, and did in the last second. It
// stays when the user leaves.
type view struct {
	of                   *report
	user                 vpn.UserID
	round                uint64    // of the last report that the user was in
	rate                 [2]uint64 // the user's limits
	devices, connections int
	moved                [2]uint64 // bytes per second
	hungry               [2]bool   // the rate was waited for
	conns                int
	networks             map[netip.Prefix]device
	changed              bool // in devices and connections, since the last division
	last                 mark // how far the user was at the report's at
}

// live reports whether the worker has the user now.
func (v *view) live() bool { return v != nil && v.round == v.of.round }

type mark struct {
	moved  [2]uint64
	waited [2]int64
}

// hungryPart is which part of a second a user must have waited to be one who
// would take more.
const hungryPart = 10

// observe takes a worker's answer.
func (s *shares) observe(cs vpn.Counters) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.reports[cs.Epoch]
	first := r == nil
	if first {
		r = &report{views: map[vpn.UserID]*view{}}
		s.reports[cs.Epoch] = r
	}
	r.turn = max(r.turn, cs.SharesTurn)
	r.round++
	elapsed := cs.At - r.at
	short := !first && elapsed < minElapsed.Milliseconds()
	for i := range cs.Demands {
		d := &cs.Demands[i]
		if d.RateUp == 0 && d.RateDown == 0 && d.Devices == 0 && d.Connections == 0 {
			continue // told for its quota
		}
		v := r.views[d.User]
		if v == nil {
			v = &view{of: r, user: d.User}
			r.views[d.User] = v
		}
		if v.round != r.round-1 || v.round == 0 { // it has come, or come back
			r.fresh = append(r.fresh, v)
			v.moved, v.hungry, v.changed = [2]uint64{}, [2]bool{}, true
		}
		v.round, v.rate = r.round, [2]uint64{d.RateUp, d.RateDown}
		v.place(d)
		if short {
			continue
		}
		m := mark{moved: [2]uint64{d.Up, d.Down}, waited: [2]int64{d.WaitUp, d.WaitDown}}
		if !first {
			v.since(m, v.last, elapsed)
		}
		v.last = m
	}
	if !short {
		r.at = cs.At
	}
}

// place notes which devices and connections there are.
func (v *view) place(d *vpn.Demand) {
	same := v.devices == d.Devices && v.connections == d.Connections && v.conns == d.Conns && len(v.networks) == len(d.Networks)
	for i := 0; same && i < len(d.Networks); i++ {
		n, known := v.networks[d.Networks[i].Network]
		same = known && n == deviceOf(d.Networks[i])
	}
	if same {
		return
	}
	v.changed, v.devices, v.connections, v.conns = true, d.Devices, d.Connections, d.Conns
	v.networks = nil
	if len(d.Networks) > 0 {
		v.networks = make(map[netip.Prefix]device, len(d.Networks))
		for _, n := range d.Networks {
			v.networks[n.Network] = deviceOf(n)
		}
	}
}

func deviceOf(p vpn.Presence) device {
	return device{p.Since, p.Silent >= vpn.RoamingGrace.Milliseconds()}
}

// since says what a user did between two marks, in milliseconds.
func (v *view) since(m, before mark, elapsed int64) {
	for d := range 2 {
		v.moved[d] = perSecond(m.moved[d]-min(m.moved[d], before.moved[d]), time.Duration(elapsed)*time.Millisecond)
		// A limit that was lifted and set again counts from nothing.
		v.hungry[d] = m.waited[d]-before.waited[d] >= elapsed/hungryPart ||
			m.waited[d] < before.waited[d] && m.waited[d] >= elapsed/hungryPart
	}
}
