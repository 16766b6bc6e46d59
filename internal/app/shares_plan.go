package app

import (
	"net/netip"
	"slices"
	"time"

	"vpn/internal/vpn"
)

// A division is one round of dividing users' limits among the holders.
type division struct {
	holders []purse
	workers int
	stakes  []*stake // by holder; nil: not known
	columns []int    // by holder; which seats are its
	tells   []bool   // who can be told something now
	placing uint64   // of shares
	others  bool     // the holders are not those of the last round
	deaf    bool     // somebody has not said yet who is there

	// Of the user who is looked at, by holder.
	seats []*seat // nil: nothing is known
	ws    []want
	goal  []int
}

// division begins a round.
func (s *shares) division(holders []purse, workers int, target func(purse) bool) *division {
	n := len(holders)
	d := &division{
		holders: holders, workers: workers, stakes: make([]*stake, n), columns: make([]int, n), tells: make([]bool, n),
		seats: make([]*seat, n), ws: make([]want, n),
	}
	epochs := make([]string, n)
	for i, p := range holders {
		h := s.held[p.epoch]
		epochs[i], d.stakes[i], d.columns[i] = p.epoch, h, -1
		if p.epoch != "" {
			d.columns[i] = s.column(p.epoch)
		}
		d.tells[i] = h != nil && h.sure && !p.silent && target(p)
	}
	if !slices.Equal(epochs, s.holders) {
		s.holders, d.others = epochs, true
		s.placing++
	}
	d.placing = s.placing
	// A worker of which it is not known what it holds may hold anything: till
	// it has answered or has ended nobody gets more.
	blind := slices.ContainsFunc(d.stakes, func(h *stake) bool { return h == nil || !h.sure })
	for i, p := range holders {
		d.ws[i].fixed = p.silent || blind
	}
	return d
}

// look sees what the holders have of a user.
func (d *division) look(x *sharer) {
	for i, c := range d.columns {
		d.seats[i] = nil
		if c >= 0 {
			d.seats[i] = x.seat(c)
		}
	}
}

// part returns which part of the user's rates a holder may use.
func (d *division) part(i int) [2]int {
	if seat := d.seats[i]; seat != nil && seat.told {
		return [2]int{seat.share.Up, seat.share.Down}
	}
	workers := d.workers
	if h := d.stakes[i]; h != nil && h.workers > 1 {
		workers = h.workers
	}
	return [2]int{vpn.Whole / workers, vpn.Whole / workers}
}

// has reports whether that is what the worker has.
func (d *division) has(i int, g *vpn.Share) bool {
	if seat := d.seats[i]; seat != nil && seat.told {
		return alikeShares(&seat.share, g)
	}
	return d.part(i) == [2]int{g.Up, g.Down} && g.Connections == 0 && len(g.Networks) == 0
}

// view returns what a holder has of the user, nil if it has not the user now.
func (d *division) view(i int) *view {
	if seat := d.seats[i]; seat != nil && seat.view.live() {
		return seat.view
	}
	return nil
}

// plan sets the goals of every user whose limits are divided, and returns
// those of whom a holder does not have what it should have.
func (s *shares) plan(d *division) (moving []*sharer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range d.holders {
		r := s.reports[p.epoch]
		if r == nil {
			d.deaf = true // nor is it known what is free
			continue
		}
		for _, v := range r.fresh {
			s.user(v.user).seat(d.columns[i]).view = v
		}
		r.fresh = r.fresh[:0]
		if d.others { // this may be the first round with this one for long
			for _, v := range r.views {
				if v.live() {
					s.user(v.user).seat(d.columns[i]).view = v
				}
			}
		}
	}
	now := time.Now()
	for u, x := range s.users {
		d.look(x)
		here, same := false, x.placed == d.placing && !d.deaf
		for i, seat := range d.seats {
			if seat == nil {
				continue
			}
			v := d.view(i)
			here = here || v != nil
			same = same && seat.live == (v != nil) && (v == nil || !v.changed)
			seat.live = v != nil
		}
		if here {
			x.seen = now
		}
		if x.idle = now.Sub(x.seen) >= idleTime; x.idle && !x.told() {
			delete(s.users, u)
			continue
		}
		if len(x.goals) != len(d.holders) {
			x.goals, same = make([]vpn.Share, len(d.holders)), false
		}
		if !same {
			d.places(x)
		}
		d.rates(x)
		moves := x.idle
		for i := range d.holders {
			moves = moves || d.stakes[i] == nil || !d.has(i, &x.goals[i])
		}
		if moves {
			moving = append(moving, x)
		}
	}
	return moving
}

// rates sets the goals of a user's rates.
func (d *division) rates(x *sharer) {
	for dir := range 2 {
		var rate uint64
		for i := range d.ws {
			w := &d.ws[i]
			w.held, w.moved, w.hungry = d.part(i)[dir], 0, false
			if v := d.view(i); v != nil {
				rate = max(rate, v.rate[dir])
				w.moved, w.hungry = v.moved[dir], v.hungry[dir]
			}
		}
		divided := !x.idle && rate > 0
		if divided {
			d.goal = divide(d.goal, d.ws, rate)
		}
		for i := range d.ws {
			n := d.ws[i].held // there is no limit, or nobody who comes up to one
			switch {
			case divided:
				n = d.goal[i]
			case x.idle:
				n = vpn.Whole / d.workers
			}
			if dir == 0 {
				x.goals[i].Up = n
			} else {
				x.goals[i].Down = n
			}
		}
	}
}

// places says what of a user's devices and connections is on other workers.
func (d *division) places(x *sharer) {
	for i := range x.goals {
		x.goals[i] = vpn.Share{User: x.user}
		if seat := d.seats[i]; d.deaf && seat != nil && seat.told { // it is left as it is
			x.goals[i].Connections, x.goals[i].Networks = seat.share.Connections, seat.share.Networks
		}
	}
	if d.deaf {
		x.placed = 0
		return
	}
	x.placed = d.placing
	devices, connections := 0, 0
	for i := range d.holders {
		if v := d.view(i); v != nil {
			devices, connections = max(devices, v.devices), max(connections, v.connections)
			v.changed = false
		}
	}
	if devices == 0 && connections == 0 {
		clear(x.known)
		clear(x.kept)
		return
	}
	here := make([][]netip.Prefix, len(d.holders))
	live, before := make([]int, len(d.holders)), make([]int, len(d.holders))
	known := map[netip.Prefix]device{}
	for i := range d.holders {
		v := d.view(i)
		if v == nil {
			continue
		}
		live[i], before[i] = v.conns, d.keptBefore(x, i)
		for n, at := range v.networks {
			here[i] = append(here[i], n)
			if old, was := x.known[n]; was {
				at.born = old.born
			}
			if other, twice := known[n]; twice {
				at = device{min(at.born, other.born), at.silent && other.silent}
			}
			known[n] = at
		}
	}
	x.known = known
	if devices > 0 {
		for i, networks := range elsewhere(here, known, devices) {
			x.goals[i].Networks = networks
		}
	}
	if connections > 0 {
		keep, sum := kept(live, before, connections), 0
		for i, n := range keep {
			x.kept[d.holders[i].epoch] = n
			sum += n
		}
		for i, n := range keep {
			x.goals[i].Connections = sum - n
		}
	}
}

// keptBefore returns how many connections a worker was allowed when it was
// last looked at: the others were told that of it, by an earlier control plane
// if need be.
func (d *division) keptBefore(x *sharer, i int) int {
	if n, known := x.kept[d.holders[i].epoch]; known || len(d.holders) < 2 {
		return n
	}
	told := func(seat *seat) int {
		if seat == nil || !seat.told {
			return 0
		}
		return seat.share.Connections
	}
	all := 0 // what each was told of the others counts every one of them so often
	for _, seat := range d.seats {
		all += told(seat)
	}
	if d.stakes[i] == nil {
		return 0
	}
	return max(0, all/(len(d.holders)-1)-told(d.seats[i]))
}

// message adds to m what holder i is to be told of a user now. room is what
// the others leave of the rates.
func (d *division) message(m *vpn.Shares, x *sharer, i int, raise bool, room [2]int) {
	goal, now := x.goals[i], d.part(i)
	if raise {
		goal.Up = max(now[0], min(goal.Up, room[0]))
		goal.Down = max(now[1], min(goal.Down, room[1]))
	} else {
		goal.Up, goal.Down = min(now[0], goal.Up), min(now[1], goal.Down)
	}
	even := vpn.Whole / d.workers
	if x.idle && goal.Up == even && goal.Down == even && goal.Connections == 0 && len(goal.Networks) == 0 {
		if d.seats[i].told {
			m.Even = append(m.Even, goal.User)
		}
		return
	}
	if !d.has(i, &goal) {
		m.Shares = append(m.Shares, goal)
	}
}
