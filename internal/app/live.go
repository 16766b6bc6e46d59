package app

import "vpn/internal/vpn"

// live is what the ledger adds to what the store says of a user.
type live struct {
	pending vpn.Traffic
	rate    vpn.Rate
	conns   int
	began   vpn.FirstUse // of the user's hold, if its User is set
}

// on adds it to what was stored.
func (l live) on(u *vpn.User) {
	u.Used = u.Used.Add(l.pending)
	if l.began.User != "" {
		u.Begin(l.began)
	}
}

// live returns that for whom there is something, and how often the store was
// written to until now: whoever has read users since the last time has all
// that is not in here.
func (l *ledger) live() (users map[vpn.UserID]live, commits uint64) {
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
			if r := t.latest(); t.conns > 0 || r != (vpn.Rate{}) {
				v := out[u]
				v.conns += t.conns
				v.rate = v.rate.Add(r)
				out[u] = v
			}
		}
	}
	for u, f := range l.firsts.reported {
		v := out[u]
		v.began = f
		out[u] = v
	}
	return out, l.written
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
