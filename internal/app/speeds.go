package app

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// speeds are how fast things were moved in each of the last seconds: of every
// server, and of those users who moved something. A user who is idle costs
// nothing.
//
// With 10,000 users of whom 300 move something in each second they take 2 MB;
// whatever happens, not more than 7 MB: a second has room for mostMovers.
type speeds struct {
	mu      sync.Mutex
	seconds []second // the oldest first
}

const (
	keptSeconds = int(vpn.RatesSpan / time.Second)
	mostMovers  = 1000
)

// A second is what was seen in one of them.
type second struct {
	at      time.Time
	users   []speed[vpn.UserID] // by ID
	servers []speed[vpn.ServerID]
}

type speed[ID ~string] struct {
	of ID
	vpn.Rate
	online int
}

// note keeps a second, and forgets what is too old.
func (s *speeds) note(now second, at time.Time) {
	now.at = at
	if len(now.users) > mostMovers {
		slices.SortFunc(now.users, func(a, b speed[vpn.UserID]) int {
			return cmp.Or(cmp.Compare(b.Up+b.Down, a.Up+a.Down), cmp.Compare(a.of, b.of))
		})
		now.users = slices.Clone(now.users[:mostMovers])
	}
	slices.SortFunc(now.users, func(a, b speed[vpn.UserID]) int { return cmp.Compare(a.of, b.of) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.seconds); n > 0 && !s.seconds[n-1].at.Before(at) {
		s.seconds = s.seconds[:0] // the clock was set back: times are in order
	}
	if len(s.seconds) == keptSeconds {
		copy(s.seconds, s.seconds[1:])
		s.seconds = s.seconds[:keptSeconds-1]
	}
	s.seconds = append(s.seconds, now)
}

// after returns the seconds that are later than t, and when what is known
// begins. What they hold is not changed any more.
func (s *speeds) after(t time.Time) (out []second, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seconds) > 0 {
		since = s.seconds[0].at
	}
	from, _ := slices.BinarySearchFunc(s.seconds, t, func(x second, t time.Time) int {
		if x.at.After(t) {
			return 1
		}
		return -1
	})
	return slices.Clone(s.seconds[from:]), since
}

// speeds returns how fast all is moved now. What a worker that does not answer
// said last is of no second any more.
func (l *ledger) speeds() second {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out second
	users := map[vpn.UserID]speed[vpn.UserID]{}
	servers := map[vpn.ServerID]speed[vpn.ServerID]{}
	for _, e := range l.epochs {
		s := servers[e.server]
		s.of, s.online = e.server, s.online+e.conns
		if time.Since(e.at) < 2*samplePeriod {
			s.Rate = s.Add(e.rate)
			for u, t := range e.tallies {
				if r := t.latest(); r != (vpn.Rate{}) {
					v := users[u]
					v.of, v.Rate = u, v.Add(r)
					users[u] = v
				}
			}
		}
		servers[e.server] = s
	}
	out.users = make([]speed[vpn.UserID], 0, len(users))
	for u, v := range users {
		for _, e := range l.epochs {
			if t := e.tallies[u]; t != nil {
				v.online += t.conns
			}
		}
		out.users = append(out.users, v)
	}
	for _, s := range servers {
		out.servers = append(out.servers, s)
	}
	slices.SortFunc(out.servers, func(a, b speed[vpn.ServerID]) int { return cmp.Compare(a.of, b.of) })
	return out
}

// user returns what was seen of a user in this second.
func (s second) user(id vpn.UserID) (speed[vpn.UserID], bool) {
	at, found := slices.BinarySearchFunc(s.users, id, func(x speed[vpn.UserID], id vpn.UserID) int { return cmp.Compare(x.of, id) })
	if !found {
		return speed[vpn.UserID]{}, false
	}
	return s.users[at], true
}
