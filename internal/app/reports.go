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
	users map[vpn.UserID]*view
	// last is how far each user was then. It stays when a user leaves.
	last map[vpn.UserID]mark
}

// A view is what one worker has of a user, and did in the last second.
type view struct {
	rate                 [2]uint64 // the user's limits
	devices, connections int
	moved                [2]uint64 // bytes per second
	hungry               [2]bool   // the rate was waited for
	conns                int
	networks             map[netip.Prefix]device
}

type mark struct {
	moved  [2]uint64
	waited [2]int64
}

// A sight is what is seen of one worker in one round.
type sight struct {
	turn  uint64
	users map[vpn.UserID]*view
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
		r = &report{last: map[vpn.UserID]mark{}}
		s.reports[cs.Epoch] = r
	}
	r.turn = max(r.turn, cs.SharesTurn)
	elapsed := cs.At - r.at
	short := !first && elapsed < minElapsed.Milliseconds()
	before := r.users
	r.users = make(map[vpn.UserID]*view, len(cs.Demands))
	for i := range cs.Demands {
		d := &cs.Demands[i]
		v := &view{
			rate: [2]uint64{d.RateUp, d.RateDown}, devices: d.Devices, connections: d.Connections, conns: d.Conns,
		}
		if len(d.Networks) > 0 {
			v.networks = make(map[netip.Prefix]device, len(d.Networks))
			for _, n := range d.Networks {
				v.networks[n.Network] = device{n.Since, n.Silent >= vpn.RoamingGrace.Milliseconds()}
			}
		}
		if d.RateUp == 0 && d.RateDown == 0 && d.Devices == 0 && d.Connections == 0 {
			continue // told for its quota
		}
		r.users[d.User] = v
		if short {
			if old := before[d.User]; old != nil {
				v.moved, v.hungry = old.moved, old.hungry
			}
			continue
		}
		m := mark{moved: [2]uint64{d.Up, d.Down}, waited: [2]int64{d.WaitUp, d.WaitDown}}
		if !first {
			v.since(m, r.last[d.User], elapsed)
		}
		r.last[d.User] = m
	}
	if !short {
		r.at = cs.At
	}
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

// reported returns what is seen of the holders now. A worker that is silent
// has what it had.
func (s *shares) reported(holders []purse) map[string]sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]sight, len(holders))
	for _, p := range holders {
		if r := s.reports[p.epoch]; r != nil {
			out[p.epoch] = sight{r.turn, r.users}
		}
	}
	return out
}
