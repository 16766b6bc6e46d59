package app

import "vpn/internal/vpn"

// live is what the ledger adds to what the store says of a user.
type live struct {
	pending vpn.Traffic
	rate    vpn.Rate
	conns   int
	began   vpn.FirstUse // of the user's hold, if its User is set
}

func (l *ledger) liveUsers() map[vpn.UserID]live {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[vpn.UserID]live, len(l.accounts.pending))
	for _, a := range l.accounts.pending {
		v := out[a.user]
		v.pending = a.pending
		out[a.user] = v
	}
	for _, e := range l.epochs {
		for u, t := range e.tallies {
			if r := t.latest(); r != (vpn.Rate{}) || t.conns > 0 {
				v := out[u]
				v.rate, v.conns = v.rate.Add(r), v.conns+t.conns
				out[u] = v
			}
		}
	}
	for u, f := range l.firsts.reported {
		v := out[u]
		v.began = f
		out[u] = v
	}
	return out
}

func (l *ledger) liveServer(id vpn.ServerID) live {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := live{pending: l.servers[id]}
	for _, e := range l.epochs {
		if e.server != id {
			continue
		}
		v.rate = v.rate.Add(e.rate)
		v.conns += e.conns
	}
	return v
}

// pendingOn returns what a user has moved on each server since the last
// commit.
func (l *ledger) pendingOn(u vpn.UserID) map[vpn.ServerID]vpn.Traffic {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[vpn.ServerID]vpn.Traffic{}
	for _, e := range l.epochs {
		for _, n := range e.dirty {
			if n.tally.of.user == u {
				out[e.server] = out[e.server].Add(n.accounted.Since(n.stored))
			}
		}
	}
	return out
}
